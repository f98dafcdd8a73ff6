import { describe, expect, it } from 'vitest';
import { Pace } from './pace.ts';

const MS = 1e6;

describe('virtual time against the wall clock', () => {
  it('goes as far as the wall clock went, times the speed', () => {
    const pace = new Pace();
    pace.anchor(100, 5 * MS, 1);
    expect(pace.target(110, 5 * MS)).toBe(15 * MS);
    pace.anchor(100, 5 * MS, 0.1);
    expect(pace.target(110, 5 * MS)).toBe(6 * MS);
  });
  it('has no bound at speed 0', () => {
    const pace = new Pace();
    pace.anchor(0, 0, 0);
    expect(pace.target(1, 0)).toBe(Number.POSITIVE_INFINITY);
  });
  it('forgets what a busy guest fell behind beyond a second', () => {
    const pace = new Pace();
    pace.anchor(0, 0, 1);
    expect(pace.target(60_000, 10 * MS)).toBe(1010 * MS);
    expect(pace.target(60_010, 10 * MS)).toBe(1010 * MS);
  });
  it('says how long to wait for a deadline', () => {
    const pace = new Pace();
    pace.anchor(0, 0, 0.5);
    expect(pace.waitFor(30 * MS, 20 * MS)).toBe(20);
    expect(pace.waitFor(10 * MS, 20 * MS)).toBe(0);
  });
});
