/**
 * LZ4's legacy frame, the form in kernels: the magic number, then blocks of a size and packed bytes, each at most
 * 8 MiB when unpacked ("LZ4 Frame Format", Legacy frame; "LZ4 Block Format").
 */

/** Says what is wrong with the packed bytes. */
export class DamagedLz4 extends Error {}

const BLOCK_LIMIT = 8 * 1024 * 1024;
/** A kernel's size behind the last block. */
const SIZE_BYTES = 4;

export function unpackLz4(file: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const blocks: Uint8Array[] = [];
  let total = 0;
  for (let at = 4; at < file.length && file.length - at !== SIZE_BYTES; ) {
    if (file.length - at < 4) throw new DamagedLz4('it is cut off');
    const size = view.getUint32(at, true);
    at += 4;
    if (size > file.length - at) throw new DamagedLz4('it is cut off');
    const block = unpackBlock(file.subarray(at, at + size));
    at += size;
    total += block.length;
    if (total > limit) throw new DamagedLz4(`it unpacks to more than ${limit} bytes`);
    blocks.push(block);
  }
  const whole = new Uint8Array(total);
  let to = 0;
  for (const block of blocks) {
    whole.set(block, to);
    to += block.length;
  }
  return whole;
}

/** SCRATCH: one block. */
const scratch = { bytes: new Uint8Array(0) };

function unpackBlock(packed: Uint8Array): Uint8Array {
  if (scratch.bytes.length === 0) scratch.bytes = new Uint8Array(BLOCK_LIMIT);
  const out = scratch.bytes;
  let length = 0;
  let at = 0;
  const more = (start: number) => {
    let value = start;
    if (start !== 15) return value;
    for (;;) {
      const byte = packed[at++];
      if (byte === undefined) throw new DamagedLz4('it is cut off');
      value += byte;
      if (byte !== 255) return value;
    }
  };
  while (at < packed.length) {
    const token = packed[at++]!;
    const literals = more(token >> 4);
    if (at + literals > packed.length) throw new DamagedLz4('it is cut off');
    if (length + literals > BLOCK_LIMIT) throw new DamagedLz4('a block is too long');
    out.set(packed.subarray(at, at + literals), length);
    at += literals;
    length += literals;
    if (at === packed.length) break; // the last sequence has no match
    const distance = packed[at]! | ((packed[at + 1] ?? 0) << 8);
    at += 2;
    const match = more(token & 15) + 4;
    if (distance === 0 || distance > length) throw new DamagedLz4('a match reaches back too far');
    if (length + match > BLOCK_LIMIT) throw new DamagedLz4('a block is too long');
    for (let i = 0; i < match; i++, length++) out[length] = out[length - distance]!;
  }
  return out.slice(0, length);
}
