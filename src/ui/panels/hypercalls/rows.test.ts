import { describe, expect, it } from 'vitest';
import { countRows, offsetText, splitCall } from './rows.ts';

const row = (name: string, calls: number, number = 1) => ({
  number,
  name,
  sub: null,
  subNumber: null,
  seedRows: [],
  group: null,
  seed: null,
  vmi: null,
  calls,
  refused: 0,
  doc: '',
  args: '',
  notOffered: null,
});

describe('the trace', () => {
  it('tells when a thing happened, against the newest', () => {
    expect(offsetText(0)).toBe('0');
    expect(offsetText(-9400)).toBe('−9.4 µs');
  });
  it('tells a call from its arguments', () => {
    expect(splitCall('set_timer_op(timeout 0x0)')).toEqual({ name: 'set_timer_op', rest: '(timeout 0x0)' });
    expect(splitCall('iret')).toEqual({ name: 'iret', rest: '' });
  });
});

describe('the counts', () => {
  it('show what was called, most often first, and leave out the rest', () => {
    const rows = [row('a', 1), row('b', 0), row('c', 7), row('d', 1, 0)];
    expect(countRows({ view: 'hypercalls', rows }).map((r) => r.name)).toEqual(['c', 'd', 'a']);
  });
});
