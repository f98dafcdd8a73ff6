/** The checksums of gzip and xz: CRC-32 (IEEE 802.3) and CRC-64 (ECMA-182), both lowest bit first. */

const TABLE_32 = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb8_8320 ^ (n >>> 1) : n >>> 1;
  return n;
});

export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = TABLE_32[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

const POLYNOMIAL_LOW = 0xd787_0f42;
const POLYNOMIAL_HIGH = 0xc96c_5795;
const LOW_64 = new Uint32Array(256);
const HIGH_64 = new Uint32Array(256);
for (let n = 0; n < 256; n++) {
  let low = n;
  let high = 0;
  for (let k = 0; k < 8; k++) {
    const out = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (out) {
      low ^= POLYNOMIAL_LOW;
      high ^= POLYNOMIAL_HIGH;
    }
  }
  LOW_64[n] = low;
  HIGH_64[n] = high;
}

/** @returns its lower and its upper half. */
export function crc64(bytes: Uint8Array): [number, number] {
  let low = -1;
  let high = -1;
  for (const byte of bytes) {
    const entry = (low ^ byte) & 255;
    low = ((low >>> 8) | (high << 24)) ^ LOW_64[entry]!;
    high = (high >>> 8) ^ HIGH_64[entry]!;
  }
  return [~low >>> 0, ~high >>> 0];
}
