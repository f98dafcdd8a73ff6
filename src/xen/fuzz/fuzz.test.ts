/**
 * Random hypercalls, an audit of all books after each: as many as fit into about a minute. `npm run fuzz` makes more of
 * them, in chunks that can be resumed.
 */
import { describe, expect, it } from 'vitest';
import { FUZZ_FRAMES, Fuzzer } from './fuzzer.ts';

const CALLS = 20_000;

describe('random hypercalls', () => {
  it.each([1, 2, 3])('all books agree after each call (seed %i)', { timeout: 300_000 }, (seed) => {
    const fuzzer = new Fuzzer({ seed, auditEvery: 1, auditRefusals: false });
    expect(fuzzer.hv.frames.total).toBe(FUZZ_FRAMES);
    fuzzer.run(CALLS);
    expect(fuzzer.audits).toBeGreaterThan(CALLS);
  });

  it('is the same run for the same seed', () => {
    const run = () => {
      const fuzzer = new Fuzzer({ seed: 9, auditEvery: 64, auditRefusals: false });
      fuzzer.run(2000);
      return `${fuzzer.last} ${fuzzer.refusals} ${fuzzer.stores} ${fuzzer.hv.now()} ${fuzzer.hv.randomState}`;
    };
    expect(run()).toBe(run());
  });
});
