/** Transcendentals against 113-bit arithmetic (testing/x87/generate-quad.c): the correctly rounded register. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { RC_DOWN, RC_UP, RC_ZERO } from '../meaning/x87/state.ts';
import { CIRCULAR } from './x87-elementary.ts';
import { type F80, resetX87, X87Registers } from './x87-registers.ts';
import { circularInstructions, TRANSCENDENTALS } from './x87-transcendental.ts';

/** The instructions but for their pi of 66 bits, which the hardware vectors judge (x87-transcendental.test.ts). */
const WITH_TRUE_PI = { ...TRANSCENDENTALS, ...circularInstructions(CIRCULAR) };
const NAMES = ['f2xm1', 'fyl2x', 'fyl2xp1', 'fpatan', 'fsin', 'fcos', 'fptan'] as const;
const RECORD = 32;
const file = gunzipSync(readFileSync(new URL('../testing/x87/x87-quad.bin.gz', import.meta.url)));
const view = new DataView(new ArrayBuffer(65536));
const registers = new X87Registers(view);

const read = (at: number): F80 => ({ sig: file.readBigUInt64LE(at), se: file.readUInt16LE(at + 8) });
/** The instruction's number; FPTAN's is under its 1. */
function compute(name: (typeof NAMES)[number], x: F80, y: F80, control: number): F80 {
  resetX87(view);
  registers.control = control;
  registers.push({ ...y, flags: 0 });
  registers.push({ ...x, flags: 0 });
  WITH_TRUE_PI[name](registers);
  return registers.get(name === 'fptan' ? 1 : 0);
}
/** Magnitudes as places on one line: neighbours are 1 apart. */
const place = (v: F80): bigint => (BigInt(v.se & 0x7fff) << 63n) + (v.sig & (2n ** 63n - 1n));
const hex = (v: F80): string => `${v.se.toString(16)}:${v.sig.toString(16)}`;

describe('a transcendental is the nearest register to the true value', () => {
  for (const [number, name] of NAMES.entries()) {
    it(name, () => {
      let cases = 0;
      for (let at = 0; at < file.length; at += RECORD) {
        if (file.readUInt16LE(at) !== number) continue;
        const [x, y, right] = [read(at + 2), read(at + 12), read(at + 22)];
        expect(hex(compute(name, x, y, 0x37f)), `${hex(x)} ${hex(y)}`).toBe(hex(right));
        cases++;
      }
      expect(cases).toBe(300);
    });
  }

  it('rounding control chooses the neighbour on its side', () => {
    for (let at = 0; at < file.length; at += 7 * RECORD) {
      const name = NAMES[file.readUInt16LE(at)]!;
      const [x, y] = [read(at + 2), read(at + 12)];
      const [down, up, zero] = [RC_DOWN, RC_UP, RC_ZERO].map((rc) => compute(name, x, y, 0x37f | rc)) as [
        F80,
        F80,
        F80,
      ];
      const nearest = compute(name, x, y, 0x37f);
      const distance = place(up) - place(down);
      // Exact results (FYL2X of a power of two) are the same in all directions.
      expect([0n, 1n, -1n], name).toContain(distance);
      if (distance !== 0n) expect(distance > 0n, name).toBe((nearest.se & 0x8000) === 0);
      expect([hex(down), hex(up)]).toContain(hex(nearest));
      expect(hex(zero)).toBe(hex(place(down) < place(up) ? down : up));
    }
  });
});
