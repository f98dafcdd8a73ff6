import { describe, expect, it } from 'vitest';
import type { PortRow, PortsView } from '../../../worker/protocol.ts';
import { portRows } from './rows.ts';

const port = (change: Partial<PortRow>): PortRow => ({
  port: 3,
  state: 'virq',
  boundTo: 'TIMER',
  vcpu: 0,
  pending: false,
  masked: false,
  sent: 4,
  ...change,
});
const ports = (rows: PortRow[], domid = 1): PortsView => ({
  view: 'ports',
  domid,
  rows,
  vcpus: [],
  note: null,
});
const changes = (now: PortsView, before?: PortsView) =>
  portRows(now, before).map((r) =>
    Object.entries(r.changed)
      .filter(([, c]) => c)
      .map(([name]) => name),
  );

describe('port rows', () => {
  it('mark each bit and the count when they changed', () => {
    expect(changes(ports([port({ pending: true, sent: 5 })]), ports([port({})]))).toEqual([
      ['pending', 'sent'],
    ]);
    expect(changes(ports([port({ masked: true })]), ports([port({})]))).toEqual([['masked']]);
  });
  it('mark nothing without a baseline, for a new port, or against another domain', () => {
    expect(changes(ports([port({ pending: true })]))).toEqual([[]]);
    expect(changes(ports([port({ port: 9, pending: true })]), ports([port({})]))).toEqual([[]]);
    expect(changes(ports([port({ pending: true })]), ports([port({})], 2))).toEqual([[]]);
  });
});
