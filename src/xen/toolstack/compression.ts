/**
 * Images as users have them: plain ELF, one packed with gzip, xz, lzma or lz4, or a Linux bzImage with such a payload
 * (Linux Documentation/x86/boot.rst: payload_offset and payload_length, protocol 2.08). Behind a payload that is not
 * gzip its unpacked size may follow, in four bytes.
 */
import { gunzipSync } from 'fflate';
import { crc32 } from './crc.ts';
import { hex, type ImageResult, imageError } from './image-error.ts';
import { DamagedLz4, unpackLz4 } from './lz4.ts';
import { DamagedLzma, unpackLzma } from './lzma.ts';
import { unpackXz } from './xz.ts';

/** An image that unpacks to more than the largest machine cannot be meant. */
const UNPACKED_LIMIT = 1024 * 1024 * 1024;

interface Compression {
  name: string;
  magic: readonly number[];
  /** null: known by name only. Throws what is wrong. */
  unpack: ((packed: Uint8Array, limit: number) => Uint8Array) | null;
}
const COMPRESSIONS: readonly Compression[] = [
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], unpack: unpackXz },
  { name: 'lzma', magic: [0x5d, 0x00, 0x00], unpack: unpackLzma },
  { name: 'lz4', magic: [0x02, 0x21, 0x4c, 0x18], unpack: unpackLz4 },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68], unpack: null },
  { name: 'lzo', magic: [0x89, 0x4c, 0x5a, 0x4f], unpack: null },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: null },
];

/** @returns the plain bytes: the file itself if it is neither compressed nor a bzImage. */
export function unpackImage(file: Uint8Array): ImageResult<Uint8Array> {
  return isBzImage(file) ? unpackBzImage(file) : unpack(file);
}

function unpack(packed: Uint8Array): ImageResult<Uint8Array> {
  if (isGzip(packed)) return gunzip(packed);
  const compression = COMPRESSIONS.find(({ magic }) => startsWith(packed, magic));
  if (!compression) return { ok: true, value: packed };
  const { name } = compression;
  if (compression.unpack === null) return unsupported(name);
  try {
    return { ok: true, value: compression.unpack(packed, UNPACKED_LIMIT) };
  } catch (error) {
    if (!(error instanceof DamagedLzma || error instanceof DamagedLz4)) throw error;
    return imageError('bad-compression', `the ${name} data of the image is damaged: ${error.message}`, {
      compression: name,
      packed: packed.length,
    });
  }
}

const startsWith = (bytes: Uint8Array, magic: readonly number[]) =>
  magic.every((byte, i) => bytes[i] === byte);
export const isGzip = (bytes: Uint8Array): boolean => startsWith(bytes, [0x1f, 0x8b]);
const isBzImage = (b: Uint8Array) =>
  b.length > 0x250 &&
  startsWith(b.subarray(0x1fe), [0x55, 0xaa]) &&
  startsWith(b.subarray(0x202), [0x48, 0x64, 0x72, 0x53]);

function unsupported(name: string) {
  return imageError(
    'unsupported-compression',
    `the image is compressed with ${name}; gzip, xz, lzma and lz4 can be unpacked`,
    { compression: name },
  );
}

function unpackBzImage(file: Uint8Array): ImageResult<Uint8Array> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const protocol = view.getUint16(0x206, true);
  if (protocol < 0x0208) {
    return imageError(
      'bzimage-too-old',
      `the bzImage speaks boot protocol ${hex(protocol)}; its kernel can be taken out from 0x208 on`,
      {
        protocol,
        needed: 0x0208,
      },
    );
  }
  // A setup_sects byte of 0 is taken literally here.
  const start = (view.getUint8(0x1f1) + 1) * 512 + view.getUint32(0x248, true);
  const length = view.getUint32(0x24c, true);
  if (start + length > file.length) {
    return imageError(
      'truncated',
      `the file ends inside the kernel's payload: it ends at ${hex(start + length)}, the file at ${hex(file.length)}`,
      {
        size: file.length,
        needed: start + length,
      },
    );
  }
  return unpack(file.subarray(start, start + length));
}

/** Unpacks one gzip member and checks its length and CRC (RFC 1952). */
export function gunzip(packed: Uint8Array): ImageResult<Uint8Array> {
  if (packed.length < 18) {
    return imageError('bad-gzip', `a gzip file of ${packed.length} bytes is not complete`, {
      size: packed.length,
      needed: 18,
    });
  }
  const trailer = new DataView(packed.buffer, packed.byteOffset + packed.length - 8, 8);
  const crc = trailer.getUint32(0, true);
  const size = trailer.getUint32(4, true);
  // Deflate cannot shrink to less than about a thousandth: a larger claim is damage, not an image.
  if (size > UNPACKED_LIMIT || size > packed.length * 1100 + 1024) {
    return imageError('bad-gzip', `the gzip file is damaged: it claims to unpack to ${size} bytes`, {
      size,
      packed: packed.length,
    });
  }
  let plain: Uint8Array;
  try {
    plain = gunzipSync(packed);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return imageError('bad-gzip', `the gzip file is damaged: ${why}`, { packed: packed.length });
  }
  if (plain.length !== size || crc32(plain) !== crc) {
    return imageError('bad-gzip', 'the gzip file is damaged: its checksum does not match', { crc, size });
  }
  return { ok: true, value: plain };
}
