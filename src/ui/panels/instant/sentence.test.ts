import { describe, expect, it } from 'vitest';
import type { MachineView, TraceRow } from '../../../worker/protocol.ts';
import { sentenceOf } from './sentence.ts';

const machine = (mode: MachineView['mode']): MachineView => ({
  view: 'machine',
  mode,
  reason: mode,
  virtualNs: 0,
  instructions: 0,
  mips: 0,
  speed: 1,
  memoryMiB: 64,
  cpus: 1,
  cpusOffLine: [],
  playing: false,
  freeFrames: 0,
  failure: null,
});
const row: TraceRow = {
  sequence: 9,
  at: 0,
  domid: 1,
  vcpu: 0,
  kind: 'hypercall',
  text: 'mmu_update 01c2e138 = 023f1067',
  result: '-22',
  refused: true,
  because: 'frame 023f1 is in use as an L2 table.',
};

describe('the sentence of the instant', () => {
  it('says what would fill an empty machine', () => {
    expect(sentenceOf(undefined, undefined, []).text).toMatch(/gallery/);
    expect(sentenceOf(machine('empty'), undefined, []).text).toMatch(/drop a kernel/);
  });
  it('claims nothing about an instant while the machine moves', () => {
    expect(sentenceOf(machine('running'), row, []).who).toBeNull();
  });
  it('tells who did what, with which result, and why it was refused', () => {
    expect(sentenceOf(machine('paused'), row, [])).toEqual({
      who: { domid: 1, text: 'd1, vcpu 0' },
      text: 'mmu_update 01c2e138 = 023f1067 → -22',
      refused: 'frame 023f1 is in use as an L2 table.',
    });
  });
  it('names the kind of what is no hypercall', () => {
    const upcall: TraceRow = {
      ...row,
      kind: 'upcall',
      text: 'to c0001000',
      result: '',
      refused: false,
      because: null,
    };
    expect(sentenceOf(machine('paused'), upcall, []).text).toBe('upcall: to c0001000');
  });
});
