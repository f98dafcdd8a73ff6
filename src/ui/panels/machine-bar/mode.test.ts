import { describe, expect, it } from 'vitest';
import type { MachineView } from '../../../worker/protocol.ts';
import { describeMode } from './mode.ts';

const machine = (change: Partial<MachineView>): MachineView => ({
  view: 'machine',
  mode: 'paused',
  reason: 'paused',
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
  ...change,
});

describe('the run mode written out', () => {
  it('says that the engine starts, or starts again', () => {
    expect(describeMode(undefined, 'starting').title).toBe('Starting');
    expect(describeMode(undefined, 'restarting').title).toBe('Starting again');
  });
  it('writes a reason that names the mode only once', () => {
    expect(describeMode(machine({ reason: 'paused after a step' }), 'ready').title).toBe(
      'Paused after a step',
    );
  });
  it('adds a reason that does not name the mode', () => {
    const mode = describeMode(machine({ mode: 'idle', reason: 'waiting for an event of d1' }), 'ready');
    expect(mode).toEqual({ title: 'Running, idle', detail: 'waiting for an event of d1', moving: true });
  });
  it('shows a failure of the engine before all else', () => {
    const mode = describeMode(machine({ mode: 'failed', failure: 'type count of mfn 12' }), 'ready');
    expect(mode.title).toBe('Stopped by an error of the lab');
    expect(mode.detail).toBe('type count of mfn 12');
  });
});
