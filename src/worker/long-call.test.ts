/**
 * The lab's promise that Pause answers within 100 ms, kept against a guest that never comes out of its hypercall: a
 * multicall of 16,384 entries, each of which sets a trap table of half a million entries.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { buildElf, text, words } from '../xen/toolstack/testing/elf-builder.ts';
import { createEngine, openEngine } from './create-engine.ts';
import { type Host, Lab } from './lab.ts';
import type { MachineView } from './protocol.ts';

const BASE = 0xc000_0000;
const LIST = BASE + 0x1000;
const CALLS = 16_384;
const TABLE = LIST + 32 * CALLS;
const TRAPS = 524_288;
const MULTICALL = 13;

function image(): Uint8Array {
  const bytes = new Uint8Array(TABLE - BASE + 8 * TRAPS);
  // movl $13, %eax; movl $LIST, %ebx; movl $CALLS, %ecx; int $0x82; jmp to the beginning
  bytes.set([0xb8, MULTICALL, 0, 0, 0, 0xbb, 0, 0, 0, 0, 0xb9, 0, 0, 0, 0, 0xcd, 0x82, 0xeb, 0xed]);
  bytes.set(new Uint8Array(words(LIST)), 6);
  bytes.set(new Uint8Array(words(CALLS)), 11);
  const u32 = new Uint32Array(bytes.buffer);
  for (let i = 0; i < CALLS; i++) u32[(LIST - BASE + 32 * i + 8) / 4] = TABLE;
  for (let i = 0; i < TRAPS - 1; i++) {
    u32[(TABLE - BASE + 8 * i) / 4] = 0xe019_0000 + (i & 0xff);
    u32[(TABLE - BASE + 8 * i) / 4 + 1] = BASE;
  }
  return buildElf({
    entry: BASE,
    segments: [{ paddr: BASE, bytes }],
    sections: [
      {
        name: '__xen_guest',
        bytes: text(`XEN_VER=xen-3.0,LOADER=generic,VIRT_BASE=0x${BASE.toString(16)}\0`),
      },
    ],
  });
}

/** As in a worker, but by Node's own turns: its message ports let no timer through while messages keep coming. */
const host: Host = {
  wallMs: () => performance.now(),
  soon: (callback) => void setImmediate(callback),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
const turn = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe('a guest that never comes out of its hypercall', () => {
  let lab: Lab | undefined;
  afterEach(() => lab?.pause());

  it('is paused within 100 ms, and its time moves on', async () => {
    lab = new Lab(createEngine, openEngine, host);
    await lab.reset({ memoryMiB: 64, seed: 1, wallClockSeconds: 0 });
    const booted = await lab.boot({
      name: 'endless',
      image: image(),
      commandLine: '',
      memoryMiB: 16,
      vcpus: 1,
      abi: 'x86_32',
      xen: '3.0.2',
      privileged: false,
    });
    expect(booted).toMatchObject({ ok: true });
    let machine: MachineView | undefined;
    await lab.listen(
      (snapshot) => {
        const view = snapshot.views['machine'];
        if (view?.view === 'machine') machine = view;
        void lab?.acknowledge(snapshot.sequence);
      },
      () => {},
    );
    await lab.subscribe({ machine: { view: 'machine' } });
    const took: number[] = [];
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      await lab.run();
      await turn(30);
      const asked = performance.now();
      await turn(0); // a command waits for the slice under way
      await lab.pause();
      took.push(performance.now() - asked);
      await turn(0);
      expect(machine).toMatchObject({ mode: 'paused' });
      times.push(machine!.virtualNs);
    }
    took.sort((a, b) => a - b);
    expect(took[2]).toBeLessThan(100);
    for (let round = 1; round < times.length; round++)
      expect(times[round]).toBeGreaterThan(times[round - 1]!);
  });
});
