/**
 * Images as users have them: plain ELF, gzip of one, or a Linux bzImage with a gzip payload
 * (Linux Documentation/x86/boot.rst: payload_offset and payload_length, protocol 2.08).
 */
import { gunzipSync } from 'fflate';
import { hex, type ImageResult, imageError } from './image-error.ts';

/** An image that unpacks to more than the largest machine cannot be meant. */
const UNPACKED_LIMIT = 1024 * 1024 * 1024;

const COMPRESSIONS: readonly (readonly [string, readonly number[]])[] = [
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['lzo', [0x89, 0x4c, 0x5a, 0x4f]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['lzma', [0x5d, 0x00, 0x00]],
];

/** @returns the plain bytes: the file itself if it is neither compressed nor a bzImage. */
export function unpackImage(file: Uint8Array): ImageResult<Uint8Array> {
  if (isGzip(file)) return gunzip(file);
  if (isBzImage(file)) return unpackBzImage(file);
  const name = compressionOf(file);
  if (name) return unsupported(name);
  return { ok: true, value: file };
}

const startsWith = (bytes: Uint8Array, magic: readonly number[]) =>
  magic.every((byte, i) => bytes[i] === byte);
export const isGzip = (bytes: Uint8Array): boolean => startsWith(bytes, [0x1f, 0x8b]);
const compressionOf = (bytes: Uint8Array) => COMPRESSIONS.find(([, magic]) => startsWith(bytes, magic))?.[0];
const isBzImage = (b: Uint8Array) =>
  b.length > 0x250 &&
  startsWith(b.subarray(0x1fe), [0x55, 0xaa]) &&
  startsWith(b.subarray(0x202), [0x48, 0x64, 0x72, 0x53]);

function unsupported(name: string) {
  return imageError(
    'unsupported-compression',
    `the image is compressed with ${name}; only gzip can be unpacked`,
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
  const payload = file.subarray(start, start + length);
  if (isGzip(payload)) return gunzip(payload);
  const name = compressionOf(payload);
  return name ? unsupported(name) : { ok: true, value: payload };
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

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb8_8320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
