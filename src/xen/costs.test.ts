import { describe, expect, it } from 'vitest';
import { DEFAULT_COSTS, formatCosts, hashCosts, parseCosts } from './costs.ts';

describe('the cost table', () => {
  it('comes back from its text', () => {
    const costs = { ...DEFAULT_COSTS, hypercall: 123 };
    expect(parseCosts(formatCosts(costs))).toEqual(costs);
  });
  it('leaves out lines as they were by default, and skips comments', () => {
    expect(parseCosts('# mine\nbounce 7 # cheap\n\n')).toEqual({ ...DEFAULT_COSTS, bounce: 7 });
  });
  it('says what is wrong', () => {
    expect(parseCosts('hypercal 3')).toBe('line 1: there is no cost named hypercal');
    expect(parseCosts('bounce 1\nbounce')).toBe(
      'line 2: expected a name and a number of cycles, found "bounce"',
    );
    expect(parseCosts('bounce 1000001')).toBe('line 1: 1000001 cycles are more than a million');
    expect(parseCosts('toString 1')).toBe('line 1: there is no cost named toString');
  });
  it('has a hash that names it', () => {
    expect(hashCosts(DEFAULT_COSTS)).toBe(hashCosts({ ...DEFAULT_COSTS }));
    expect(hashCosts({ ...DEFAULT_COSTS, bounce: 501 })).not.toBe(hashCosts(DEFAULT_COSTS));
  });
});
