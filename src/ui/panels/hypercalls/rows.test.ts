import { describe, expect, it } from 'vitest';
import { agoText, countRows } from './rows.ts';

const row = (name: string, calls: number, number = 1) => ({
  number,
  name,
  sub: null,
  seed: null,
  vmi: null,
  calls,
  refused: 0,
  doc: '',
});

describe('the trace', () => {
  it('tells how long ago a thing happened', () => {
    expect(agoText(0)).toBe('now');
    expect(agoText(9400)).toBe('−9.4 µs');
  });
});

describe('the counts', () => {
  it('show what was called, most often first, and leave out the rest', () => {
    const rows = [row('a', 1), row('b', 0), row('c', 7), row('d', 1, 0)];
    expect(countRows({ view: 'hypercalls', rows }).map((r) => r.name)).toEqual(['c', 'd', 'a']);
  });
});
