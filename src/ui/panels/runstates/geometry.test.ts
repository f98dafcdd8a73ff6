import { describe, expect, it } from 'vitest';
import type { RunstateLane } from '../../../worker/protocol.ts';
import { ageOf, notKept, tickStep, ticks, visibleIntervals, windowOf } from './geometry.ts';

const lane = (change: Partial<RunstateLane>): RunstateLane => ({
  domid: 1,
  vcpu: 0,
  state: 'blocked',
  times: [10, 5, 85, 0],
  createdAt: 0,
  keptFrom: 0,
  pcpu: null,
  history: [
    { from: 0, to: 10, state: 'running', ring: 1 },
    { from: 10, to: 40, state: 'blocked', ring: 1 },
    { from: 40, to: 60, state: 'runnable', ring: 1 },
  ],
  ...change,
});
const text = (intervals: ReturnType<typeof visibleIntervals>) =>
  intervals.map((i) => `${i.from}-${i.to} ${i.state}`);

describe('the shown window', () => {
  it('follows now at nine tenths of the width', () => {
    expect(windowOf(1000, 100, null)).toEqual({ from: 910, to: 1010 });
  });
  it('starts at zero while less than a span has passed', () => {
    expect(windowOf(10, 100, null)).toEqual({ from: 0, to: 100 });
  });
  it('stays where it was put', () => {
    expect(windowOf(1000, 100, 500)).toEqual({ from: 400, to: 500 });
  });
});

describe('ticks', () => {
  it.each([
    [100, 10, 10],
    [100, 6, 20],
    [5e7, 10, 5e6],
  ])('over %d ns, at most %d: every %d', (span, most, step) => {
    expect(tickStep(span, most)).toBe(step);
  });
  it('fall on whole steps inside the window', () => {
    expect(ticks({ from: 95, to: 131 }, 10)).toEqual([100, 110, 120, 130]);
  });
});

describe('a lane', () => {
  it('is cut to the window', () => {
    expect(text(visibleIntervals(lane({}), { from: 20, to: 50 }, 60))).toEqual([
      '20-40 blocked',
      '40-50 runnable',
    ]);
  });
  it('reaches up to now in its present state', () => {
    expect(text(visibleIntervals(lane({}), { from: 50, to: 100 }, 90))).toEqual([
      '50-60 runnable',
      '60-90 blocked',
    ]);
  });
  it('that never changed state reaches from its creation to now', () => {
    const fresh = lane({ history: [], createdAt: 30, state: 'runnable' });
    expect(text(visibleIntervals(fresh, { from: 0, to: 100 }, 50))).toEqual(['30-50 runnable']);
  });
  it('tells which part of the window was not kept, never before it was created', () => {
    const old = lane({ createdAt: 30, keptFrom: 80 });
    expect(notKept(old, { from: 0, to: 100 })).toEqual({ from: 30, to: 80 });
    expect(notKept(old, { from: 50, to: 70 })).toEqual({ from: 50, to: 70 });
    expect(notKept(old, { from: 80, to: 100 })).toBeNull();
    expect(notKept(lane({ createdAt: 30, keptFrom: 30 }), { from: 0, to: 100 })).toBeNull();
  });
  it('has the age that its times add up to', () => {
    expect(ageOf(lane({}))).toBe(100);
  });
});
