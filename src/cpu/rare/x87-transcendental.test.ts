/**
 * F2XM1 to FPATAN against the processor: special operands, exceptions and stack exactly, numbers within two ulps (the
 * processor's own error and ours, an ulp each); FBLD and FBSTP exactly.
 */
import { describe, expect, it } from 'vitest';
import { addressOf } from '../layout.ts';
import { tagWordOf } from '../meaning/x87/tags.ts';
import { X87Bench } from '../testing/x87/bench-module.ts';
import { type Case, loadCases } from '../testing/x87/cases.ts';
import { prepareDecimal, pushDecimal } from './x87-decimal.ts';
import { X87Registers } from './x87-registers.ts';
import { TRANSCENDENTALS } from './x87-transcendental.ts';

const C1 = 0x200,
  SF = 0x40;
const bench = new X87Bench();
const x = new X87Registers(bench.view);
const all = loadCases();

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, '0'))
    .reverse()
    .join('');
const h4 = (n: number): string => n.toString(16).padStart(4, '0');
const big = (bytes: Uint8Array): bigint => BigInt(`0x${hex(bytes)}`);
const describeCase = (c: Case): string =>
  `#${c.index} cw ${h4(c.cw)} sw ${h4(c.sw)} ${h4(c.st0.se)}:${c.st0.hi.toString(16)}.${c.st0.lo.toString(16)} ${h4(c.st1.se)}:${c.st1.hi.toString(16)}.${c.st1.lo.toString(16)}`;

/** Registers as one number line per sign: neighbours differ by 1 (the integer bit is taken out). */
function place(bytes: Uint8Array): bigint {
  const v = big(bytes);
  const exponent = (v >> 64n) & 0x7fffn;
  return (exponent << 63n) + (v & (2n ** 63n - 1n));
}
function ulpsApart(a: Uint8Array, b: Uint8Array): bigint {
  if ((a[9]! ^ b[9]!) & 0x80) return 1n << 80n;
  const d = place(a) - place(b);
  return d < 0n ? -d : d;
}

describe('transcendentals agree with the processor', () => {
  for (const [name, run] of Object.entries(TRANSCENDENTALS)) {
    it(name, () => {
      const wrong: string[] = [];
      let exact = 0;
      for (const c of all.get(name)!) {
        bench.set(c);
        run(x);
        const sw = bench.view.getUint16(addressOf('fsw'), true);
        const result = new Uint8Array([...bench.bytes(0), ...bench.bytes(1)]).subarray(0, c.result.length);
        const first = ulpsApart(result.subarray(0, 10), c.result.subarray(0, 10));
        const second = c.result.length > 10 ? ulpsApart(result.subarray(10), c.result.subarray(10)) : 0n;
        if (first === 0n && second === 0n) exact++;
        // The direction of rounding is that of each one's last bit.
        const status = (word: number) => (word & SF ? word : word & ~C1);
        const right = status(sw) === status(c.swOut) && tagWordOf(bench.view) === c.twOut;
        if ((!right || first > 2n || second > 2n) && wrong.length < 16)
          wrong.push(
            `${describeCase(c)}\n   got ${hex(result)} ${h4(sw)} ${h4(tagWordOf(bench.view))}\n  want ${hex(c.result)} ${h4(c.swOut)} ${h4(c.twOut)}`,
          );
      }
      expect(wrong).toEqual([]);
      expect(exact).toBeGreaterThan(all.get(name)!.length * 0.8);
    });
  }
});

describe('packed decimals are the processor’s', () => {
  it('FBLD', () => {
    for (const c of all.get('fbld')!) {
      bench.set(c);
      pushDecimal(x, big(c.memory.subarray(0, 10)));
      const got = `${hex(bench.bytes(0))} ${h4(bench.view.getUint16(addressOf('fsw'), true))} ${h4(tagWordOf(bench.view))}`;
      expect(got, describeCase(c)).toBe(`${hex(c.result)} ${h4(c.swOut)} ${h4(c.twOut)}`);
    }
  });
  it('FBSTP', () => {
    for (const c of all.get('fbstp')!) {
      bench.set(c);
      let memory = c.memory.subarray(0, 10);
      const { value, flags } = prepareDecimal(x);
      if (x.settle(flags)) {
        memory = Uint8Array.from({ length: 10 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
        x.pop();
      }
      const got = `${hex(memory)} ${h4(bench.view.getUint16(addressOf('fsw'), true))} ${h4(tagWordOf(bench.view))}`;
      expect(got, describeCase(c)).toBe(`${hex(c.result)} ${h4(c.swOut)} ${h4(c.twOut)}`);
    }
  });
});
