import { describe, expect, it } from 'vitest';
import type { PortsView, RunstatesView } from '../worker/protocol.ts';
import { keepWanted, mergeViews, type Shown, wantedViews } from './views.ts';

const shown = (change: Partial<Shown> = {}): Shown => ({
  screen: 'lab',
  domid: 1,
  vcpu: 0,
  window: { opened: [], from: 0, count: 64, walk: null },
  hypercallTab: 'trace',
  traceAll: true,
  traceCall: null,
  historyNs: 1e7,
  ...change,
});
const ports = (domid: number): PortsView => ({ view: 'ports', domid, rows: [], vcpus: [], note: null });
const runstates: RunstatesView = { view: 'runstates', now: 0, lanes: [] };

describe('which views are wanted', () => {
  it('only machine and domains while the gallery is shown', () => {
    expect(Object.keys(wantedViews(shown({ screen: 'gallery' })))).toEqual(['machine', 'domains']);
  });
  it('those of a domain only when one is selected', () => {
    expect(wantedViews(shown({ domid: null }))).not.toHaveProperty('registers');
    expect(wantedViews(shown())['registers']).toEqual({ view: 'registers', domid: 1, vcpu: 0 });
  });
  it('counts only when their tab is shown', () => {
    expect(wantedViews(shown())).not.toHaveProperty('hypercalls');
    expect(wantedViews(shown({ hypercallTab: 'counts' }))).toHaveProperty('hypercalls');
    expect(Object.keys(wantedViews(shown({ screen: 'reference' })))).toEqual([
      'machine',
      'domains',
      'hypercalls',
    ]);
  });
  it('the trace of all, or of the selected domain', () => {
    expect(wantedViews(shown())['trace']).not.toHaveProperty('domid');
    expect(wantedViews(shown({ traceAll: false }))['trace']).toHaveProperty('domid', 1);
    const traceCall = { number: 32, sub: 4, name: 'send' };
    expect(wantedViews(shown({ traceCall }))['trace']).not.toHaveProperty('call');
    expect(wantedViews(shown({ traceCall }))['called']).toHaveProperty('call', { number: 32, sub: 4 });
    expect(wantedViews(shown())).not.toHaveProperty('called');
  });
});

describe('a snapshot', () => {
  it('replaces only the views that it holds', () => {
    const before = { ports: ports(1), runstates };
    const after = mergeViews(before, { ports: ports(1) });
    expect(after.runstates).toBe(before.runstates);
    expect(after.ports).not.toBe(before.ports);
  });
  it('that comes late, about a domain no longer selected, is not shown', () => {
    expect(keepWanted({ ports: ports(2), runstates }, wantedViews(shown()))).toEqual({ runstates });
    expect(keepWanted({ ports: ports(1) }, wantedViews(shown()))).toEqual({ ports: ports(1) });
  });
});
