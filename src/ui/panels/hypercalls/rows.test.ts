import { describe, expect, it } from 'vitest';
import { countRows, detailText, offsetText, splitCall } from './rows.ts';

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

describe('an event as one line', () => {
  const event = {
    sequence: 7,
    at: 12_169_748,
    domid: 1,
    vcpu: 2,
    kind: 'hypercall',
    text: 'mmu_update(1 request)',
    result: '-22',
    refused: true,
    because: 'the frame is an L1 table.',
  } as const;
  it('has its time, whose it is, what came of it and why', () => {
    expect(detailText(event)).toBe(
      '0.012 169 748 d1 v2 mmu_update(1 request) → -22. Refused: the frame is an L1 table.',
    );
  });
  it('names its kind where the text does not', () => {
    const quiet = { ...event, result: '', refused: false, because: null };
    expect(detailText({ ...quiet, kind: 'virq', text: 'TIMER on port 3' })).toBe(
      '0.012 169 748 d1 v2 virq TIMER on port 3',
    );
    expect(detailText({ ...quiet, kind: 'switch', text: 'switch away' })).toBe(
      '0.012 169 748 d1 v2 switch away',
    );
  });
});
