import { describe, expect, it } from 'vitest';
import type { DomainSummary } from '../../../worker/protocol.ts';
import { aboutDomain, runstateWords, stateWords } from './words.ts';

const domain = (change: Partial<DomainSummary>): DomainSummary => ({
  domid: 1,
  name: 'userland',
  abi: 'x86_32',
  xen: '3.0.2',
  privileged: false,
  frames: 8192,
  state: 'running',
  ending: null,
  refusals: [],
  vcpus: [],
  ...change,
});

describe('a domain in words', () => {
  it('tells memory, paging and personality', () => {
    expect(aboutDomain(domain({}))).toBe('32 MiB, 2-level, Xen 3.0.2');
    expect(aboutDomain(domain({ abi: 'x86_32p', xen: '4.17', privileged: true }))).toBe(
      '32 MiB, PAE, Xen 4.17, privileged',
    );
    expect(aboutDomain(domain({ frames: 12 }))).toBe('12 frames, 2-level, Xen 3.0.2');
  });
  it('tells how it ended', () => {
    expect(stateWords(domain({ state: 'shutdown', ending: 'powered off' }))).toBe('powered off');
    expect(stateWords(domain({ state: 'crashed', ending: 'a long sentence' }))).toBe('crashed');
  });
  it('tells the CPU of a running vcpu where there are several', () => {
    const vcpu = { vcpu: 0, runstate: 'running', ring: 1, pcpu: 2, note: '' } as const;
    expect(runstateWords(vcpu, 4)).toBe('ring 1 on CPU 2');
    expect(runstateWords(vcpu, 1)).toBe('running, ring 1');
  });
  it('tells the ring of a running vcpu only', () => {
    expect(runstateWords({ vcpu: 0, runstate: 'running', ring: 3, pcpu: 0, note: '' })).toBe(
      'running, ring 3',
    );
    expect(runstateWords({ vcpu: 0, runstate: 'blocked', ring: 1, pcpu: null, note: 'waits' })).toBe(
      'blocked',
    );
    expect(runstateWords({ vcpu: 1, runstate: 'offline', ring: 1, pcpu: null, note: 'down' })).toBe('down');
  });
});
