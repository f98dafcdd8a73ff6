import { describe, expect, it } from 'vitest';
import type { Demo, DemoDomain } from '../../../store/gallery.ts';
import { aboutDemo, byAge } from './words.ts';

const demo = (...domains: DemoDomain[]): Demo => ({ id: 'x', title: 'X', story: '', watch: [], domains });

describe('a demo in a few words', () => {
  it('tells paging, processors and memory of one domain', () => {
    expect(aboutDemo(demo({ image: 'a', abi: 'x86_32p', memoryMiB: 8 }))).toBe('PAE, 1 vcpu, 8 MiB');
    expect(aboutDemo(demo({ image: 'a', abi: 'x86_32', vcpus: 2, memoryMiB: 4 }))).toBe(
      '2-level, 2 vcpus, 4 MiB',
    );
  });
  it('adds up the memory of several', () => {
    expect(aboutDemo(demo({ image: 'a', abi: 'x86_32p', memoryMiB: 8 }, { image: 'b', memoryMiB: 4 }))).toBe(
      'PAE, 2 domains, 12 MiB',
    );
  });
});

describe('the order of the gallery', () => {
  it('guests of 2006 come last; a pair of both ages is of today', () => {
    const old = demo({ image: 'a', abi: 'x86_32' });
    const mixed = demo({ image: 'a', abi: 'x86_32' }, { image: 'b', abi: 'x86_32p' });
    const today = demo({ image: 'b', abi: 'x86_32p' });
    expect(byAge([old, mixed, today])).toEqual({ present: [mixed, today], past: [old] });
  });
});
