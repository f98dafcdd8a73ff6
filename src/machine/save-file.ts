/**
 * The file that a saved lab or a domain's image is kept in: named sections, each compressed, and checks over every
 * byte, so that a file that was cut, changed or made by another version is refused before anything is done with it.
 *
 *    0  8  'RINGSIDE'
 *    8  4  kind: 'LAB ' or 'DOM '
 *   12  4  version of that kind
 *   16  4  bytes of the whole file
 *   20  4  number of sections
 *   24  .. per section: name (4), bytes as stored, bytes unpacked, CRC-32 of the stored bytes
 *       4  CRC-32 of everything above
 *       .. the sections, raw deflate (RFC 1951), one behind the other
 */
import { deflateSync, inflateSync } from 'fflate';
import type { Result, UserError } from '../base/result.ts';

export type SaveKind = 'LAB ' | 'DOM ';
export const SAVE_VERSION: Record<SaveKind, number> = { 'LAB ': 1, 'DOM ': 1 };

/** What is wrong with a file, with the numbers that show it. */
export interface SaveFileError extends UserError {
  code:
    | 'not-a-save-file'
    | 'wrong-kind'
    | 'wrong-version'
    | 'truncated'
    | 'bad-checksum'
    | 'too-large'
    | 'missing-section'
    | 'bad-contents'
    | 'books-disagree'
    | 'no-memory'
    | 'not-saveable';
  facts: Record<string, number | string>;
}

export function saveError(
  code: SaveFileError['code'],
  message: string,
  facts: SaveFileError['facts'] = {},
): { ok: false; error: SaveFileError } {
  return { ok: false, error: { code, message, facts } };
}

const MAGIC = 'RINGSIDE';
const HEAD = 24;
const ROW = 16;
const MOST_SECTIONS = 64;
/** A section that claims to unpack to more cannot be meant: the largest machine, and its books. */
const SECTION_LIMIT = 1024 * 1024 * 1024 + 256 * 1024 * 1024;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb8_8320 : c >>> 1;
  return c;
});

/** CRC-32 of IEEE 802.3: crc32('123456789') = cbf43926. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return (crc ^ 0xffff_ffff) >>> 0;
}

function putName(bytes: Uint8Array, at: number, name: string): void {
  for (let i = 0; i < name.length; i++) bytes[at + i] = name.charCodeAt(i);
}
const nameAt = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** @param sections four-letter names. */
export function packSave(kind: SaveKind, sections: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const packed = Object.entries(sections).map(([name, plain]) => ({
    name,
    plain: plain.length,
    stored: deflateSync(plain, { level: 6 }),
  }));
  const headBytes = HEAD + packed.length * ROW + 4;
  const total = packed.reduce((sum, section) => sum + section.stored.length, headBytes);
  const file = new Uint8Array(total);
  const view = new DataView(file.buffer);
  putName(file, 0, MAGIC);
  putName(file, 8, kind);
  view.setUint32(12, SAVE_VERSION[kind], true);
  view.setUint32(16, total, true);
  view.setUint32(20, packed.length, true);
  let row = HEAD;
  let at = headBytes;
  for (const { name, plain, stored } of packed) {
    putName(file, row, name);
    view.setUint32(row + 4, stored.length, true);
    view.setUint32(row + 8, plain, true);
    view.setUint32(row + 12, crc32(stored), true);
    file.set(stored, at);
    row += ROW;
    at += stored.length;
  }
  view.setUint32(row, crc32(file.subarray(0, row)), true);
  return file;
}

/** Does a file claim to be of this kind? For surfaces that take several sorts of files. */
export function isSaveFile(file: Uint8Array, kind: SaveKind): boolean {
  return file.length >= 12 && nameAt(file, 0, 8) === MAGIC && nameAt(file, 8, 4) === kind;
}

/** The sections of a file in which every byte is as it was written. */
export function unpackSave(
  file: Uint8Array,
  kind: SaveKind,
  wanted: readonly string[],
): Result<Map<string, Uint8Array>, SaveFileError> {
  if (file.length < 8 || nameAt(file, 0, 8) !== MAGIC)
    return saveError('not-a-save-file', 'the file was not saved by Ringside', { bytes: file.length });
  if (file.length < HEAD) return truncated(file.length, HEAD);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const found = nameAt(file, 8, 4);
  if (found !== kind) return wrongKind(kind, found);
  const version = view.getUint32(12, true);
  if (version !== SAVE_VERSION[kind]) {
    return saveError(
      'wrong-version',
      `the file has format version ${version}; this Ringside reads version ${SAVE_VERSION[kind]}`,
      { version, readable: SAVE_VERSION[kind] },
    );
  }
  const total = view.getUint32(16, true);
  if (file.length < total) return truncated(file.length, total);
  const count = view.getUint32(20, true);
  if (count > MOST_SECTIONS || file.length < HEAD + count * ROW + 4)
    return saveError('bad-checksum', 'the head of the file is damaged', { sections: count });
  const tableEnd = HEAD + count * ROW;
  if (crc32(file.subarray(0, tableEnd)) !== view.getUint32(tableEnd, true))
    return saveError('bad-checksum', 'the head of the file is damaged: its checksum differs');
  if (file.length !== total) {
    const facts = { bytes: file.length, expected: total };
    return saveError(
      'bad-checksum',
      `the file has ${file.length - total} bytes more than were written`,
      facts,
    );
  }
  return unpackSections(file, view, count, wanted);
}

function unpackSections(
  file: Uint8Array,
  view: DataView,
  count: number,
  wanted: readonly string[],
): Result<Map<string, Uint8Array>, SaveFileError> {
  const sections = new Map<string, Uint8Array>();
  let at = HEAD + count * ROW + 4;
  for (let i = 0; i < count; i++) {
    const row = HEAD + i * ROW;
    const name = nameAt(file, row, 4);
    const stored = view.getUint32(row + 4, true);
    const plain = view.getUint32(row + 8, true);
    if (plain > SECTION_LIMIT) {
      return saveError(
        'too-large',
        `section ${name} would unpack to ${plain} bytes; ${SECTION_LIMIT} are possible`,
        { section: name, bytes: plain, limit: SECTION_LIMIT },
      );
    }
    const bytes = file.subarray(at, at + stored);
    if (bytes.length !== stored || crc32(bytes) !== view.getUint32(row + 12, true))
      return saveError('bad-checksum', `section ${name} is damaged: its checksum differs`, { section: name });
    const unpacked = inflate(bytes, plain);
    if (unpacked === null)
      return saveError('bad-checksum', `section ${name} does not unpack to ${plain} bytes`, {
        section: name,
        bytes: plain,
      });
    sections.set(name, unpacked);
    at += stored;
  }
  const missing = wanted.find((name) => !sections.has(name));
  if (missing !== undefined)
    return saveError('missing-section', `the file has no section ${missing}`, { section: missing });
  return { ok: true, value: sections };
}

/** A buffer of one byte more shows a stream that is longer than it claims; nothing is written beyond it. */
function inflate(stored: Uint8Array, plain: number): Uint8Array | null {
  try {
    const unpacked = inflateSync(stored, { out: new Uint8Array(plain + 1) });
    return unpacked.length === plain ? unpacked : null;
  } catch {
    return null;
  }
}

function truncated(bytes: number, expected: number) {
  return saveError('truncated', `the file ends after ${bytes} of ${expected} bytes`, { bytes, expected });
}

function wrongKind(kind: SaveKind, found: string) {
  const names: Record<string, string> = { 'LAB ': 'a saved lab', 'DOM ': "a domain's image" };
  return saveError('wrong-kind', `the file is ${names[found] ?? 'of another kind'}, not ${names[kind]}`, {
    kind: found.trim(),
    wanted: kind.trim(),
  });
}
