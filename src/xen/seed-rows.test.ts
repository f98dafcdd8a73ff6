import { describe, expect, it } from 'vitest';
import { HYPERCALLS } from './hypercalls/table.ts';
import { implementations, SEED_ROWS } from './seed-rows.ts';

describe('the rows of the seed', () => {
  it('are 75, in order, with the totals of the comparison', () => {
    expect(SEED_ROWS.map((row) => row.number)).toEqual(Array.from({ length: 75 }, (_, i) => i + 1));
    const count = (match: string) => SEED_ROWS.filter((row) => row.match === match).length;
    expect([count('1:1'), count('high-level'), count('none')]).toEqual([17, 9, 49]);
  });
  it.each(SEED_ROWS)('$number $spelled is implemented', (seed) => {
    expect(seed.field !== undefined || implementations(seed).length > 0).toBe(true);
  });
  it('are found from every row of the table that names the seed, with the VMI counterpart', () => {
    const linked = SEED_ROWS.flatMap((seed) => implementations(seed).map((part) => ({ seed, ...part })));
    for (const row of HYPERCALLS) {
      for (const sub of [null, ...(row.subOps ?? [])]) {
        const spelled = (sub ?? row).seed;
        if (spelled === undefined || (sub === null && row.subOps)) continue;
        const seeds = linked.filter((one) => one.row === row && one.sub === sub).map((one) => one.seed);
        if (!/PIN_L4_TABLE/.test(spelled)) expect([spelled, seeds.length > 0]).toEqual([spelled, true]);
        const vmi = (sub ?? row).vmi;
        if (vmi !== undefined && seeds.length > 0)
          expect(
            seeds
              .map((seed) => seed.vmi)
              .filter(Boolean)
              .join(', '),
          ).toBe(vmi);
      }
    }
  });
});
