import { describe, expect, it } from 'vitest';
import type { HypercallRowView } from '../../../worker/protocol.ts';
import { BEYOND, groupTitle, NOT_OFFERED, referenceGroups } from './rows.ts';

const row = (change: Partial<HypercallRowView>): HypercallRowView => ({
  number: 1,
  name: 'x',
  sub: null,
  subNumber: null,
  args: '',
  seed: null,
  seedRows: [],
  group: null,
  vmi: null,
  calls: 0,
  refused: 0,
  doc: '',
  notOffered: null,
  ...change,
});

const ROWS = [
  row({ number: 36, name: 'domctl', notOffered: 'the toolstack does it' }),
  row({ number: 46, name: 'new_op' }),
  row({
    number: 6,
    name: 'sched_op',
    sub: 'SCHEDOP_block',
    seedRows: [15],
    group: 'scheduling',
    vmi: 'VMI_Halt',
  }),
  row({
    number: 32,
    name: 'event_channel_op',
    sub: 'send',
    seedRows: [10],
    group: 'event channels',
    args: 'port',
  }),
  row({ number: 32, name: 'event_channel_op', sub: 'bind_virq', seedRows: [6], group: 'event channels' }),
];
const names = (search: string) =>
  referenceGroups(ROWS, search).map((g) => [g.title, ...g.rows.map((r) => r.sub ?? r.name)]);

describe('the reference', () => {
  it('has the groups and the order of the comparison, then the rest, then what is not offered', () => {
    expect(names('')).toEqual([
      ['Event channels', 'bind_virq', 'send'],
      ['Scheduling', 'SCHEDOP_block'],
      [BEYOND, 'new_op'],
      [NOT_OFFERED, 'domctl'],
    ]);
  });
  it('is searched by all words, in name, arguments, counterpart and reason', () => {
    expect(names('event port')).toEqual([['Event channels', 'send']]);
    expect(names('vmi_halt')).toEqual([['Scheduling', 'SCHEDOP_block']]);
    expect(names('toolstack')).toEqual([[NOT_OFFERED, 'domctl']]);
    expect(names('event halt')).toEqual([]);
  });
  it('writes acronyms as such', () => {
    expect(groupTitle(row({ group: 'i/o' }))).toBe('I/O');
    expect(groupTitle(row({ group: 'mmu' }))).toBe('MMU');
    expect(groupTitle(row({ group: 'timer' }))).toBe('Timer');
  });
});
