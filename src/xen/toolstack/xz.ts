/**
 * .xz files: blocks of LZMA2, of which kernels also turn the targets of calls and jumps into absolute ones (the x86
 * filter). "The .xz File Format", version 1.0.4. Sizes and the CRCs are checked; SHA-256 checks are not.
 */
import { crc32, crc64 } from './crc.ts';
import { DamagedLzma, LzmaDecoder } from './lzma.ts';

const STREAM_HEADER = 12;
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
/** By the stream's check type; other types are skipped by their size. */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CHECK_CRC32 = 1;
const CHECK_CRC64 = 4;

/** @returns what the stream holds. What follows the stream is not looked at. */
export function unpackXz(file: Uint8Array, limit: number): Uint8Array {
  if (file.length < STREAM_HEADER) throw new DamagedLzma('it is cut off');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (crc32(file.subarray(6, 8)) !== view.getUint32(8, true)) throw new DamagedLzma('bad stream header');
  const check = file[7]! & 15;
  const decoder = new LzmaDecoder(file, 0, limit);
  let at = STREAM_HEADER;
  // A zero byte begins the index, behind the last block.
  while (at < file.length && file[at] !== 0) at = unpackBlock(file, view, at, check, decoder);
  if (at >= file.length) throw new DamagedLzma('it is cut off');
  return decoder.output.subarray(0, decoder.length);
}

/** @returns where the next block, or the index, begins. */
function unpackBlock(
  file: Uint8Array,
  view: DataView,
  at: number,
  check: number,
  decoder: LzmaDecoder,
): number {
  const headerSize = (file[at]! + 1) * 4;
  if (at + headerSize > file.length) throw new DamagedLzma('it is cut off');
  const filters = readHeader(file, view, at, headerSize);
  const first = decoder.length;
  let end = unpackLzma2(file, view, at + headerSize, decoder);
  const contents = decoder.output.subarray(first, decoder.length);
  if (filters.x86) undoX86(contents, filters.x86Start);
  while ((end - at) % 4 !== 0) if (file[end++] !== 0) throw new DamagedLzma('bad padding');
  const size = CHECK_SIZES[check]!;
  if (end + size > file.length) throw new DamagedLzma('it is cut off');
  const sum = (offset: number) => view.getUint32(end + offset, true);
  const wrong =
    check === CHECK_CRC32
      ? crc32(contents) !== sum(0)
      : check === CHECK_CRC64 && crc64(contents).some((half, i) => half !== sum(i * 4));
  if (wrong) throw new DamagedLzma('its checksum does not match');
  return end + size;
}

/** Which filters lie over LZMA2. */
function readHeader(file: Uint8Array, view: DataView, at: number, size: number) {
  const end = at + size - 4;
  if (crc32(file.subarray(at, end)) !== view.getUint32(end, true)) throw new DamagedLzma('bad block header');
  let p = at + 2;
  /** Seven bits a byte, the lowest first. */
  const number = () => {
    let value = 0;
    for (let scale = 1; p < end; scale *= 128) {
      const byte = file[p++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new DamagedLzma('bad block header');
  };
  const flags = file[at + 1]!;
  // The sizes are not needed: LZMA2 tells its own.
  if (flags & 0x40) number();
  if (flags & 0x80) number();
  const filters = { x86: false, x86Start: 0 };
  const count = (flags & 3) + 1;
  for (let i = 0; i < count; i++) {
    const id = number();
    const properties = number();
    if (id === FILTER_X86 && i === count - 2) {
      filters.x86 = true;
      if (properties === 4) filters.x86Start = view.getUint32(p, true);
    } else if (id !== FILTER_LZMA2 || i !== count - 1) {
      throw new DamagedLzma(`its filter ${id} is not known here`);
    }
    p += properties;
  }
  return filters;
}

/** Chunks, each with what it resets. @returns one behind the end mark. */
function unpackLzma2(file: Uint8Array, view: DataView, at: number, decoder: LzmaDecoder): number {
  for (;;) {
    if (at >= file.length) throw new DamagedLzma('it is cut off');
    const control = file[at]!;
    if (control === 0) return at + 1;
    if (at + 6 > file.length) throw new DamagedLzma('it is cut off');
    if (control === 1 || control >= 0xe0) decoder.resetDictionary();
    if (control < 0x80) {
      if (control > 2) throw new DamagedLzma(`${control} begins no chunk`);
      const size = view.getUint16(at + 1) + 1;
      at += 3;
      if (at + size > file.length) throw new DamagedLzma('it is cut off');
      decoder.copy(at, size);
      at += size;
      continue;
    }
    const unpacked = ((control & 0x1f) << 16) + view.getUint16(at + 1) + 1;
    const packed = view.getUint16(at + 3) + 1;
    at += 5;
    if (control >= 0xc0) decoder.setProperties(file[at++]!);
    else if (!decoder.hasProperties) throw new DamagedLzma('its first chunk has no properties');
    else if (control >= 0xa0) decoder.resetState();
    if (at + packed > file.length) throw new DamagedLzma('it is cut off');
    decoder.run(at, at + packed, unpacked);
    at += packed;
  }
}

/** How far back, in bytes, the last opcode that was left alone makes the byte to look at. */
const BYTES_BACK = [0, 1, 2, 2, 3, 3, 3, 3];
const isSign = (byte: number) => byte === 0 || byte === 0xff;

/** The x86 filter: operands of E8 and E9 that look like targets in the file become relative again, in place. */
function undoX86(code: Uint8Array, start: number): void {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  /** One bit for each of the last three bytes: it was an opcode that was left alone. */
  let history = 0;
  let last = -1;
  for (let i = 0; i + 5 <= code.length; i++) {
    if ((code[i]! & 0xfe) !== 0xe8) continue;
    const apart = i - last;
    last = i;
    history = apart > 3 ? 0 : (history << (apart - 1)) & 7;
    if (history !== 0) {
      const possible = history === 1 || history === 2 || history === 4;
      if (!possible || isSign(code[i + 4 - BYTES_BACK[history]!]!)) {
        history = ((history << 1) | 1) & 7;
        continue;
      }
    }
    if (!isSign(code[i + 4]!)) {
      history = ((history << 1) | 1) & 7;
      continue;
    }
    let target = view.getInt32(i + 1, true);
    let relative = 0;
    for (;;) {
      relative = (target - (start + i + 5)) | 0;
      if (history === 0) break;
      const back = BYTES_BACK[history]! * 8;
      if (!isSign((relative >>> (24 - back)) & 0xff)) break;
      target = relative ^ (2 ** (32 - back) - 1);
    }
    // Bit 24 is the sign.
    view.setInt32(i + 1, (relative << 7) >> 7, true);
    i += 4;
  }
}
