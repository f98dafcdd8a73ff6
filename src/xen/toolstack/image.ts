/**
 * What an image asks for: where it wants to live, where to start it, which paging it speaks. The rules of the
 * builders of 2006 (a __xen_guest string) and of 4.17 (ELF notes, then the string) joined; where they differ the
 * reader takes what lets both kinds of image start.
 */
import type { Abi, Personality } from '../personality.ts';
import { unpackImage } from './compression.ts';
import { type ElfFile, readElf } from './elf.ts';
import { compatibleFeatures } from './features.ts';
import { hex, type ImageResult, imageError } from './image-error.ts';
import {
  findGuestString,
  findXenNotes,
  guestStringNumber,
  type Note,
  noteNumber,
  noteString,
  type WishSource,
  XEN_ELFNOTE,
} from './notes.ts';

export type PaeMode = 'no' | 'yes' | 'extended-cr3' | 'bimodal';

/** Raw wishes; null where the image says nothing. */
interface Wishes {
  source: WishSource;
  guestOs: string;
  guestVersion: string;
  xenVersion: string | null;
  loader: string | null;
  virtBase: number | null;
  paddrOffset: number | null;
  entry: number | null;
  /** PFN, or linear address, depending on the form. */
  hypercallPage: { pfn: number } | { va: number } | null;
  pae: PaeMode;
  features: string;
  holeStartLow: number | null;
  modStartPfn: boolean;
}

export interface GuestImage {
  elf: ElfFile;
  source: WishSource;
  guestOs: string;
  guestVersion: string;
  pae: PaeMode;
  features: string;
  /** Linear address of PFN 0. */
  virtBase: number;
  /** Subtracted from p_paddr to get the pseudo-physical address. */
  paddrOffset: number;
  entry: number;
  /** Linear addresses of the kernel: first byte, and one behind the last. */
  kernelStart: number;
  kernelEnd: number;
  /** PFN of the hypercall page, null if none is asked for. */
  hypercallPfn: number | null;
  /** The ramdisk may stay unmapped and be named by its PFN. */
  modStartPfn: boolean;
}

export function readImage(file: Uint8Array): ImageResult<GuestImage> {
  const unpacked = unpackImage(file);
  if (!unpacked.ok) return unpacked;
  const elf = readElf(unpacked.value);
  if (!elf.ok) return elf;
  const wishes = readWishes(elf.value);
  if (!wishes.ok) return wishes;
  const acceptable = checkWishes(wishes.value);
  if (!acceptable.ok) return acceptable;
  return place(elf.value, wishes.value);
}

function readWishes(elf: ElfFile): ImageResult<Wishes> {
  const notes = findXenNotes(elf);
  if (notes) return wishesOfNotes(notes.source, notes.notes);
  const keys = findGuestString(elf);
  if (keys) return wishesOfString(keys, elf);
  return imageError(
    'not-a-xen-guest',
    'the image is no Xen guest: it has neither Xen notes nor a __xen_guest section',
  );
}

function wishesOfNotes(source: WishSource, notes: readonly Note[]): ImageResult<Wishes> {
  const text = (type: number): string | null => {
    const note = notes.find((n) => n.type === type);
    return note ? noteString(note) : null;
  };
  const numbers = new Map<number, number>();
  for (const type of [
    XEN_ELFNOTE.ENTRY,
    XEN_ELFNOTE.HYPERCALL_PAGE,
    XEN_ELFNOTE.VIRT_BASE,
    XEN_ELFNOTE.PADDR_OFFSET,
    XEN_ELFNOTE.HV_START_LOW,
    XEN_ELFNOTE.MOD_START_PFN,
  ]) {
    const note = notes.find((n) => n.type === type);
    if (!note) continue;
    const value = noteNumber(note);
    if (!value.ok) return value;
    numbers.set(type, value.value);
  }
  const number = (type: number): number | null => numbers.get(type) ?? null;
  const virtBase = number(XEN_ELFNOTE.VIRT_BASE);
  const paddrOffset = number(XEN_ELFNOTE.PADDR_OFFSET);
  if (paddrOffset !== null && virtBase === null) {
    return imageError('bad-note', 'the image sets PADDR_OFFSET without VIRT_BASE', { paddrOffset });
  }
  const hypercallPage = number(XEN_ELFNOTE.HYPERCALL_PAGE);
  const pae = text(XEN_ELFNOTE.PAE_MODE) ?? 'no';
  return {
    ok: true,
    value: {
      source,
      guestOs: text(XEN_ELFNOTE.GUEST_OS) ?? '',
      guestVersion: text(XEN_ELFNOTE.GUEST_VERSION) ?? '',
      xenVersion: text(XEN_ELFNOTE.XEN_VERSION),
      loader: text(XEN_ELFNOTE.LOADER),
      virtBase: virtBase ?? 0,
      paddrOffset: paddrOffset ?? 0,
      entry: number(XEN_ELFNOTE.ENTRY),
      hypercallPage: hypercallPage === null ? null : { va: hypercallPage },
      pae: pae.includes('bimodal') ? 'bimodal' : pae.startsWith('yes') ? 'extended-cr3' : 'no',
      features: text(XEN_ELFNOTE.FEATURES) ?? '',
      holeStartLow: number(XEN_ELFNOTE.HV_START_LOW),
      modStartPfn: (number(XEN_ELFNOTE.MOD_START_PFN) ?? 0) !== 0,
    },
  };
}

function wishesOfString(keys: ReadonlyMap<string, string>, elf: ElfFile): ImageResult<Wishes> {
  const numbers = new Map<string, number>();
  // The number of the hypercall page is hexadecimal even without 0x; the order of the keys never matters.
  for (const [key, base] of [
    ['VIRT_BASE', 0],
    ['ELF_PADDR_OFFSET', 0],
    ['VIRT_ENTRY', 0],
    ['HYPERCALL_PAGE', 16],
  ] as const) {
    const found = keys.get(key);
    if (found === undefined) continue;
    const value = guestStringNumber(key, found, base);
    if (!value.ok) return value;
    numbers.set(key, value.value);
  }
  const pae = keys.get('PAE') ?? 'no';
  const hypercallPage = numbers.get('HYPERCALL_PAGE');
  // The default of 2006 is the lowest physical address, that of 4.17 is 0: the Mini-OS of 2006, linked at
  // 0xC0000000 and without VIRT_BASE, can only mean the first.
  const virtBase = numbers.get('VIRT_BASE') ?? (elf.loadable[0]!.paddr & ~4095) >>> 0;
  return {
    ok: true,
    value: {
      source: '__xen_guest string',
      guestOs: keys.get('GUEST_OS') ?? '',
      guestVersion: keys.get('GUEST_VERSION') ?? keys.get('GUEST_VER') ?? '',
      xenVersion: keys.get('XEN_VER') ?? null,
      loader: keys.get('LOADER') ?? null,
      virtBase,
      paddrOffset: numbers.get('ELF_PADDR_OFFSET') ?? virtBase,
      entry: numbers.get('VIRT_ENTRY') ?? null,
      hypercallPage: hypercallPage === undefined ? null : { pfn: hypercallPage },
      pae: pae.startsWith('yes[extended-cr3]') ? 'extended-cr3' : pae.startsWith('yes') ? 'yes' : 'no',
      features: keys.get('FEATURES') ?? '',
      holeStartLow: null,
      modStartPfn: false,
    },
  };
}

function checkWishes(wishes: Wishes): ImageResult<null> {
  if (wishes.xenVersion === null || !wishes.xenVersion.startsWith('xen-3.0')) {
    const found = wishes.xenVersion ?? '';
    return imageError(
      'wrong-xen-version',
      found === ''
        ? 'the image does not say for which Xen it is built'
        : `the image is built for ${found}, not for xen-3.0`,
      { found, expected: 'xen-3.0' },
    );
  }
  if (wishes.loader !== 'generic' && !wishes.guestOs.startsWith('linux')) {
    const found = wishes.loader ?? '';
    return imageError(
      'wrong-loader',
      found === ''
        ? 'the image names no loader'
        : `the image asks for the loader '${found}'; only 'generic' is served`,
      { found, expected: 'generic' },
    );
  }
  return compatibleFeatures(wishes.features);
}

function place(elf: ElfFile, wishes: Wishes): ImageResult<GuestImage> {
  const virtBase = wishes.virtBase ?? 0;
  const paddrOffset = wishes.paddrOffset ?? 0;
  const first = elf.loadable[0]!;
  const last = elf.loadable[elf.loadable.length - 1]!;
  const kernelStart = first.paddr - paddrOffset + virtBase;
  const kernelEnd = last.paddr + last.memSize - paddrOffset + virtBase;
  const facts = { virtBase, paddrOffset, kernelStart, kernelEnd };
  if ((virtBase & 4095) !== 0) {
    return imageError(
      'bad-virtual-base',
      `the virtual base ${hex(virtBase)} is not at the start of a page`,
      facts,
    );
  }
  if (kernelStart < virtBase || kernelEnd > 0x1_0000_0000) {
    return imageError(
      'bad-virtual-base',
      `the kernel's segments (${hex(first.paddr)} to ${hex(last.paddr + last.memSize)}) do not fit the virtual base ${hex(virtBase)} and address offset ${hex(paddrOffset)}`,
      facts,
    );
  }
  const entry = wishes.entry ?? elf.entry;
  if (entry < kernelStart || entry >= kernelEnd) {
    return imageError(
      'entry-outside',
      `the entry ${hex(entry)} lies outside the kernel, ${hex(kernelStart)} to ${hex(kernelEnd)}`,
      {
        ...facts,
        entry,
      },
    );
  }
  let hypercallPfn: number | null = null;
  if (wishes.hypercallPage) {
    const wish = wishes.hypercallPage;
    hypercallPfn = 'pfn' in wish ? wish.pfn : (wish.va - virtBase) >> 12;
    const va = virtBase + hypercallPfn * 4096;
    if (
      hypercallPfn < 0 ||
      va < (kernelStart & ~4095) >>> 0 ||
      va + 4096 > Math.ceil(kernelEnd / 4096) * 4096
    ) {
      return imageError(
        'hypercall-page-outside',
        `the hypercall page ${hex(va)} lies outside the kernel, ${hex(kernelStart)} to ${hex(kernelEnd)}`,
        {
          ...facts,
          hypercallPage: va,
        },
      );
    }
  }
  return {
    ok: true,
    value: {
      elf,
      source: wishes.source,
      guestOs: wishes.guestOs,
      guestVersion: wishes.guestVersion,
      pae: wishes.pae,
      features: wishes.features,
      virtBase,
      paddrOffset,
      entry,
      kernelStart,
      kernelEnd,
      hypercallPfn,
      modStartPfn: wishes.modStartPfn,
    },
  };
}

/** Which ABI and which hypervisor a domain of this image gets. */
export function chooseAbi(
  image: GuestImage,
  abi: Abi | 'auto',
  xen: Personality | 'auto',
): ImageResult<{ abi: Abi; personality: Personality }> {
  const able: Abi[] =
    image.pae === 'no' ? ['x86_32'] : image.pae === 'bimodal' ? ['x86_32p', 'x86_32'] : ['x86_32p'];
  const chosen = abi === 'auto' ? able[0]! : abi;
  if (!able.includes(chosen)) {
    const speaks = image.pae === 'no' ? '2-level paging (x86_32)' : 'PAE paging (x86_32p)';
    return imageError('wrong-abi', `the image speaks ${speaks}, not ${chosen}`, {
      image: able[0]!,
      asked: chosen,
    });
  }
  if (chosen === 'x86_32' && xen === '4.17') {
    return imageError('wrong-xen', 'Xen 4.17 has no 2-level (x86_32) guests; they run on 3.0.2', {
      abi: chosen,
      xen,
    });
  }
  const personality = xen === 'auto' ? (chosen === 'x86_32' ? '3.0.2' : '4.17') : xen;
  return { ok: true, value: { abi: chosen, personality } };
}
