import { describe, expect, it } from 'vitest';
import type { DomainSummary } from '../worker/protocol.ts';
import { domainHue, domainLetter, neighbour, validSelection } from './selection.ts';

const domain = (domid: number, vcpus = 1): DomainSummary => ({
  domid,
  name: `g${domid}`,
  abi: 'x86_32p',
  xen: '4.17',
  privileged: false,
  frames: 2048,
  state: 'running',
  ending: null,
  refusals: [],
  vcpus: Array.from({ length: vcpus }, (_, vcpu) => ({
    vcpu,
    runstate: 'running',
    ring: 1,
    pcpu: 0,
    note: '',
  })),
});

describe('the selection', () => {
  it('stays while its domain exists, else goes to the newest', () => {
    const chosen = { domid: 1, vcpu: 0 };
    expect(validSelection(chosen, [domain(1), domain(2)])).toBe(chosen);
    expect(validSelection(chosen, [domain(2), domain(3)])).toEqual({ domid: 3, vcpu: 0 });
    expect(validSelection(chosen, [])).toEqual({ domid: null, vcpu: 0 });
  });
  it('leaves a vcpu that its domain does not have', () => {
    expect(validSelection({ domid: 1, vcpu: 1 }, [domain(1, 1)])).toEqual({ domid: 1, vcpu: 0 });
  });
  it('goes round and round', () => {
    const domains = [domain(1), domain(2), domain(4)];
    expect(neighbour({ domid: 4, vcpu: 0 }, domains, 1).domid).toBe(1);
    expect(neighbour({ domid: 1, vcpu: 0 }, domains, -1).domid).toBe(4);
    expect(neighbour({ domid: null, vcpu: 0 }, [], 1).domid).toBeNull();
  });
});

describe('a domain has', () => {
  it('a letter', () => {
    expect([0, 1, 2, 26, 27].map(domainLetter)).toEqual(['T', 'A', 'B', 'Z', 'A']);
  });
  it('one of four hues, the toolstack its own', () => {
    expect([0, 1, 4, 5].map(domainHue)).toEqual([0, 1, 4, 1]);
  });
});
