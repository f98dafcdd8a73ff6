import { describe, expect, it } from 'vitest';
import type { DomainSummary } from '../worker/protocol.ts';
import { fitOf } from './machine-fit.ts';

const machine = { cpus: 1, freeFrames: 50_000, mode: 'running' } as const;
const domain = (state: DomainSummary['state']): DomainSummary => ({
  domid: 1,
  name: 'g1',
  abi: 'x86_32p',
  xen: '4.17',
  privileged: false,
  frames: 2048,
  state,
  ending: state === 'running' ? null : 'powered off',
  refusals: [],
  vcpus: [],
});
const demo = (change: object = {}, first: object = {}) => ({
  domains: [{ image: 'a.elf', memoryMiB: 8, ...first }],
  ...change,
});

describe('a demo', () => {
  it('takes the empty machine as it is, with as many CPUs as the user gave it', () => {
    expect(fitOf(demo(), { ...machine, cpus: 4 }, []).kind).toBe('joins');
  });
  it('that says its number of CPUs gets that number', () => {
    expect(fitOf(demo({ cpus: 2 }), machine, []).kind).toBe('fresh');
    expect(fitOf(demo({ cpus: 2 }), { ...machine, cpus: 2 }, []).kind).toBe('joins');
  });
  it('gets a machine of its own where all have ended', () => {
    expect(fitOf(demo(), machine, [domain('shutdown'), domain('crashed')]).kind).toBe('fresh');
  });
  it('joins those that live', () => {
    expect(fitOf(demo(), machine, [domain('shutdown'), domain('running')]).kind).toBe('joins');
    expect(fitOf(demo(), machine, [domain('paused')]).kind).toBe('joins');
  });
  it('asks before those that live would have to go, and says why', () => {
    const live = [domain('running')];
    expect(fitOf(demo({ cpus: 2 }), machine, live)).toEqual({
      kind: 'asks',
      why: 'It needs 2 CPUs; this machine has 1.',
    });
    expect(fitOf(demo({}, { privileged: true }), machine, live).kind).toBe('asks');
    expect(fitOf(demo({}, { memoryMiB: 196 }), machine, live)).toEqual({
      kind: 'asks',
      why: 'It needs 196 MiB; 195 MiB of this machine are free.',
    });
  });
});
