/**
 * A reader of ELF32 files for the i386: headers, program headers, section headers, and every way in which they can
 * be wrong. "System V Application Binary Interface", chapter 4 (Object Files) and chapter 5 (Program Loading).
 *
 * Nothing is copied: segments and sections are windows of the file.
 */
import { hex, type ImageResult, imageError } from './image-error.ts';

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;
export const SHT_SYMTAB = 2;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;

const EHDR_SIZE = 52;
const PHDR_SIZE = 32;
const SHDR_SIZE = 40;
const EM_386 = 3;
const ET_EXEC = 2;
const ET_DYN = 3;

export interface ElfSegment {
  type: number;
  offset: number;
  vaddr: number;
  paddr: number;
  fileSize: number;
  memSize: number;
  flags: number;
}

export interface ElfSection {
  name: string;
  type: number;
  flags: number;
  address: number;
  offset: number;
  size: number;
  link: number;
  entrySize: number;
}

export interface ElfFile {
  bytes: Uint8Array;
  entry: number;
  segments: ElfSegment[];
  /** Segments of type PT_LOAD that occupy memory, in order of physical address. */
  loadable: ElfSegment[];
  sections: ElfSection[];
}

const MACHINES: Record<number, string> = {
  2: 'SPARC',
  8: 'MIPS',
  20: 'PowerPC',
  40: 'ARM',
  50: 'IA-64',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
};
const FILE_TYPES: Record<number, string> = { 0: 'no', 1: 'a relocatable object', 4: 'a core' };

export function readElf(bytes: Uint8Array): ImageResult<ElfFile> {
  if (bytes.length === 0) return imageError('empty-file', 'the file is empty', { size: 0 });
  if (bytes.length < 4 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    const found = [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    return imageError('not-an-elf', `the file is not an ELF image: it begins with ${found}`, {
      found,
      expected: '7f 45 4c 46',
    });
  }
  if (bytes.length < EHDR_SIZE) {
    return imageError(
      'truncated',
      `the file ends inside the ELF header, at byte ${bytes.length} of ${EHDR_SIZE}`,
      {
        size: bytes.length,
        needed: EHDR_SIZE,
      },
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elfClass = bytes[4]!;
  if (elfClass === 2) {
    return imageError('elf-64-bit', 'the image is a 64-bit ELF; a 32-bit paravirtual kernel is needed', {
      class: elfClass,
    });
  }
  if (elfClass !== 1)
    return imageError('bad-header', `the ELF class is ${elfClass}, neither 32 nor 64 bits`, {
      class: elfClass,
    });
  if (bytes[5] !== 1)
    return imageError('elf-big-endian', 'the image is not a little-endian ELF', { encoding: bytes[5]! });
  const type = view.getUint16(16, true);
  const machine = view.getUint16(18, true);
  if (machine !== EM_386) {
    const name = MACHINES[machine] ?? `machine ${machine}`;
    return imageError('wrong-machine', `the image is built for ${name}, not for the i386`, {
      machine,
      expected: EM_386,
    });
  }
  if (type !== ET_EXEC && type !== ET_DYN) {
    const what = FILE_TYPES[type] ?? `type ${type}`;
    return imageError('not-executable', `the ELF file is ${what} file, not an executable`, {
      type,
      expected: ET_EXEC,
    });
  }
  const entry = view.getUint32(24, true);
  const segments = readSegments(view);
  if (!segments.ok) return segments;
  const loadable = loadableSegments(segments.value, bytes.length);
  if (!loadable.ok) return loadable;
  const sections = readSections(view, bytes);
  if (!sections.ok) return sections;
  return {
    ok: true,
    value: { bytes, entry, segments: segments.value, loadable: loadable.value, sections: sections.value },
  };
}

function readSegments(view: DataView): ImageResult<ElfSegment[]> {
  const at = view.getUint32(28, true);
  const entrySize = view.getUint16(42, true);
  const count = view.getUint16(44, true);
  if (count === 0) return { ok: true, value: [] };
  if (entrySize < PHDR_SIZE) {
    return imageError('bad-header', `program headers of ${entrySize} bytes are too short`, {
      entrySize,
      needed: PHDR_SIZE,
    });
  }
  const end = at + count * entrySize;
  if (end > view.byteLength) {
    return imageError(
      'truncated',
      `the file ends inside its program headers: they end at ${hex(end)}, the file at ${hex(view.byteLength)}`,
      {
        size: view.byteLength,
        needed: end,
      },
    );
  }
  const segments: ElfSegment[] = [];
  for (let i = 0; i < count; i++) {
    const p = at + i * entrySize;
    segments.push({
      type: view.getUint32(p, true),
      offset: view.getUint32(p + 4, true),
      vaddr: view.getUint32(p + 8, true),
      paddr: view.getUint32(p + 12, true),
      fileSize: view.getUint32(p + 16, true),
      memSize: view.getUint32(p + 20, true),
      flags: view.getUint32(p + 24, true),
    });
  }
  return { ok: true, value: segments };
}

function loadableSegments(segments: readonly ElfSegment[], fileLength: number): ImageResult<ElfSegment[]> {
  const loadable: ElfSegment[] = [];
  for (const [index, segment] of segments.entries()) {
    if (segment.type !== PT_LOAD) continue;
    const { offset, paddr, fileSize, memSize } = segment;
    if (fileSize > memSize) {
      return imageError(
        'bad-header',
        `segment ${index} has more bytes in the file (${fileSize}) than in memory (${memSize})`,
        {
          segment: index,
          fileSize,
          memSize,
        },
      );
    }
    if (fileSize > 0 && offset + fileSize > fileLength) {
      return imageError(
        'truncated',
        `the file ends inside segment ${index}: the segment ends at ${hex(offset + fileSize)}, the file at ${hex(fileLength)}`,
        {
          segment: index,
          size: fileLength,
          needed: offset + fileSize,
        },
      );
    }
    if (paddr + memSize > 0x1_0000_0000) {
      return imageError(
        'huge-segment',
        `segment ${index} of ${memSize} bytes at ${hex(paddr)} reaches beyond 4 GiB`,
        {
          segment: index,
          address: paddr,
          memSize,
        },
      );
    }
    // The 2006 builder takes segments with W or X, later ones any of R, W, X: a segment without rights is no memory.
    if (memSize > 0 && (segment.flags & (PF_R | PF_W | PF_X)) !== 0) loadable.push(segment);
  }
  if (loadable.length === 0) return imageError('no-loadable-segment', 'the ELF file has no loadable segment');
  loadable.sort((a, b) => a.paddr - b.paddr);
  for (let i = 1; i < loadable.length; i++) {
    const before = loadable[i - 1]!;
    const after = loadable[i]!;
    if (before.paddr + before.memSize > after.paddr) {
      return imageError(
        'overlapping-segments',
        `two segments overlap: one covers ${hex(before.paddr)} to ${hex(before.paddr + before.memSize)}, the next begins at ${hex(after.paddr)}`,
        { first: before.paddr, firstSize: before.memSize, second: after.paddr, secondSize: after.memSize },
      );
    }
  }
  return { ok: true, value: loadable };
}

function readSections(view: DataView, bytes: Uint8Array): ImageResult<ElfSection[]> {
  const at = view.getUint32(32, true);
  const entrySize = view.getUint16(46, true);
  const count = view.getUint16(48, true);
  const namesIndex = view.getUint16(50, true);
  if (at === 0 || count === 0) return { ok: true, value: [] };
  if (entrySize < SHDR_SIZE) {
    return imageError('bad-header', `section headers of ${entrySize} bytes are too short`, {
      entrySize,
      needed: SHDR_SIZE,
    });
  }
  const end = at + count * entrySize;
  if (end > view.byteLength) {
    return imageError(
      'truncated',
      `the file ends inside its section headers: they end at ${hex(end)}, the file at ${hex(view.byteLength)}`,
      {
        size: view.byteLength,
        needed: end,
      },
    );
  }
  const nameOffsets: number[] = [];
  const sections: ElfSection[] = [];
  for (let i = 0; i < count; i++) {
    const p = at + i * entrySize;
    nameOffsets.push(view.getUint32(p, true));
    sections.push({
      name: '',
      type: view.getUint32(p + 4, true),
      flags: view.getUint32(p + 8, true),
      address: view.getUint32(p + 12, true),
      offset: view.getUint32(p + 16, true),
      size: view.getUint32(p + 20, true),
      link: view.getUint32(p + 24, true),
      entrySize: view.getUint32(p + 36, true),
    });
  }
  const names = sections[namesIndex];
  if (names) {
    const table = sectionBytes(bytes, names);
    for (const [i, section] of sections.entries()) section.name = stringAt(table, nameOffsets[i]!);
  }
  return { ok: true, value: sections };
}

/** The part of a section that the file has; a section may claim more than there is. */
export function sectionBytes(bytes: Uint8Array, section: ElfSection): Uint8Array {
  if (section.type === SHT_NOBITS) return bytes.subarray(0, 0);
  return bytes.subarray(
    Math.min(section.offset, bytes.length),
    Math.min(section.offset + section.size, bytes.length),
  );
}

/** A NUL-terminated string; one that is not terminated ends with its table. */
export function stringAt(table: Uint8Array, offset: number): string {
  let text = '';
  for (let i = offset; i < table.length && table[i] !== 0; i++) text += String.fromCharCode(table[i]!);
  return text;
}
