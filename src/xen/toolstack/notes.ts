/**
 * What a Xen guest image says about itself, in its two forms: ELF notes with the owner "Xen" (public/elfnote.h) and
 * the older __xen_guest string. Both end as the same plain list of wishes; image.ts gives it a meaning.
 */
import { type ElfFile, PT_NOTE, SHT_NOTE, sectionBytes, stringAt } from './elf.ts';
import { type ImageResult, imageError } from './image-error.ts';

export const XEN_ELFNOTE = {
  INFO: 0,
  ENTRY: 1,
  HYPERCALL_PAGE: 2,
  VIRT_BASE: 3,
  PADDR_OFFSET: 4,
  XEN_VERSION: 5,
  GUEST_OS: 6,
  GUEST_VERSION: 7,
  LOADER: 8,
  PAE_MODE: 9,
  FEATURES: 10,
  BSD_SYMTAB: 11,
  HV_START_LOW: 12,
  L1_MFN_VALID: 13,
  SUSPEND_CANCEL: 14,
  INIT_P2M: 15,
  MOD_START_PFN: 16,
  SUPPORTED_FEATURES: 17,
  PHYS32_ENTRY: 18,
} as const;

export interface Note {
  type: number;
  desc: Uint8Array;
}

/** Where the wishes were found. */
export type WishSource = 'note segment' | 'note section' | '__xen_guest string';

const align4 = (n: number) => (n + 3) & ~3;

/**
 * Notes of the owner "Xen" in one area. A descriptor that claims more bytes than are left is cut at the end of the
 * area: GRUB's last note (PAE_MODE) claims 12 where 4 are left, and every Xen takes it.
 */
export function xenNotesIn(area: Uint8Array): Note[] {
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  const notes: Note[] = [];
  let p = 0;
  while (p + 12 <= area.length) {
    const nameSize = view.getUint32(p, true);
    const descSize = view.getUint32(p + 4, true);
    const type = view.getUint32(p + 8, true);
    const descAt = p + 12 + align4(nameSize);
    if (nameSize > area.length || descAt > area.length) break;
    if (nameSize === 4 && stringAt(area.subarray(p + 12, p + 16), 0) === 'Xen') {
      notes.push({ type, desc: area.subarray(descAt, Math.min(descAt + descSize, area.length)) });
    }
    if (descSize > area.length) break;
    p = descAt + align4(descSize);
  }
  return notes;
}

/** Note segments first, then note sections (some kernels have no PT_NOTE header). */
export function findXenNotes(elf: ElfFile): { source: WishSource; notes: Note[] } | null {
  const fromSegments: Note[] = [];
  for (const segment of elf.segments) {
    if (segment.type !== PT_NOTE || segment.offset === 0) continue;
    fromSegments.push(...xenNotesIn(elf.bytes.subarray(segment.offset, segment.offset + segment.fileSize)));
  }
  if (fromSegments.length > 0) return { source: 'note segment', notes: fromSegments };
  const fromSections: Note[] = [];
  for (const section of elf.sections) {
    if (section.type === SHT_NOTE) fromSections.push(...xenNotesIn(sectionBytes(elf.bytes, section)));
  }
  return fromSections.length > 0 ? { source: 'note section', notes: fromSections } : null;
}

/** Number notes have 4 or 8 bytes; of the latter the upper half must be 0 or a sign extension. */
export function noteNumber(note: Note): ImageResult<number> {
  const view = new DataView(note.desc.buffer, note.desc.byteOffset, note.desc.byteLength);
  if (note.desc.length >= 4) {
    const high = note.desc.length >= 8 ? view.getUint32(4, true) : 0;
    if (high === 0 || high === 0xffff_ffff) return { ok: true, value: view.getUint32(0, true) };
  }
  return imageError(
    'bad-note',
    `note ${note.type} should hold a 32-bit number; it has ${note.desc.length} bytes`,
    {
      note: note.type,
      size: note.desc.length,
    },
  );
}

export const noteString = (note: Note): string => stringAt(note.desc, 0);

/** The keys of the __xen_guest section, or null if there is none. Words without '=' (PT_MODE_WRITABLE) have ''. */
export function findGuestString(elf: ElfFile): Map<string, string> | null {
  const section = elf.sections.find((s) => s.name === '__xen_guest');
  if (!section) return null;
  const keys = new Map<string, string>();
  for (const word of stringAt(sectionBytes(elf.bytes, section), 0).split(',')) {
    const equals = word.indexOf('=');
    const key = (equals < 0 ? word : word.slice(0, equals)).trim();
    if (key !== '' && !keys.has(key)) keys.set(key, equals < 0 ? '' : word.slice(equals + 1).trim());
  }
  return keys;
}

/** As strtoul with base 0: 0x is hexadecimal, a leading 0 octal. `base` 16 takes hexadecimal with or without 0x. */
export function guestStringNumber(key: string, text: string, base: 0 | 16): ImageResult<number> {
  const digits = base === 16 ? text.replace(/^0x/i, '') : text;
  const value =
    base === 16
      ? /^[0-9a-f]+$/i.test(digits)
        ? Number.parseInt(digits, 16)
        : Number.NaN
      : /^0x[0-9a-f]+$/i.test(text)
        ? Number.parseInt(text, 16)
        : /^0[0-7]*$/.test(text)
          ? Number.parseInt(text, 8)
          : /^[1-9][0-9]*$/.test(text)
            ? Number.parseInt(text, 10)
            : Number.NaN;
  if (Number.isNaN(value) || value > 0xffff_ffff) {
    return imageError('bad-guest-string', `__xen_guest: ${key}=${text} is not a 32-bit number`, {
      key,
      found: text,
    });
  }
  return { ok: true, value };
}
