import { beforeEach, describe, expect, it } from 'vitest';
import { toBytes } from '../xen/toolstack/xenstore-wire.ts';
import { Machine } from './machine.ts';
import { guestFile, MACHINE, request } from './testing/boot.ts';

const FAR = 1e12;
let printed: string;
let machine: Machine;

beforeEach(() => {
  printed = '';
  machine = new Machine(MACHINE, (_domid, bytes) => {
    printed += String.fromCharCode(...bytes);
  });
});

describe('a run', () => {
  it('reaches the cycle that was asked for, and passes it by less than a hypercall takes', () => {
    machine.addDomain(request(guestFile('ticks-x86_32p.elf')));
    expect(machine.run(100_000).kind).toBe('ran');
    expect(machine.now).toBeGreaterThanOrEqual(100_000);
    expect(machine.now).toBeLessThan(110_000);
  });
  it('lets idle time pass and says when it ends', () => {
    machine.addDomain(request(guestFile('ticks-x86_32p.elf'), { commandLine: 'count=3 period=25' }));
    let idle = machine.run(1_000_000);
    for (let i = 0; i < 400 && idle.kind !== 'idle'; i++) idle = machine.run(machine.now + 1_000_000);
    expect(idle.kind).toBe('idle');
    expect(idle.nextDeadline).toBeGreaterThan(machine.now);
    const before = machine.instructions;
    const passed = machine.run(idle.nextDeadline - 1);
    expect(passed.kind).toBe('idle');
    expect(machine.now).toBe(idle.nextDeadline - 1);
    expect(machine.instructions).toBe(before);
  });
  it('ends with the last domain, and the clock with it', () => {
    machine.addDomain(request(guestFile('hello-x86_32p.elf')));
    expect(machine.run(FAR).kind).toBe('ended');
    expect(printed).toContain('Goodbye.');
    expect(machine.now).toBe(machine.domains[0]!.end!.at);
    expect(machine.run(FAR).kind).toBe('ended');
  });
  it('goes on while another domain lives, and frees what a destroyed one had', () => {
    const free = machine.hv.frames.freeFrames;
    machine.addDomain(request(guestFile('hello-x86_32p.elf'), { memoryMiB: 8 }));
    machine.addDomain(request(guestFile('pingpong-x86_32.elf'), { memoryMiB: 8, commandLine: 'role=ping' }));
    expect(machine.hv.frames.freeFrames).toBe(free - 2 * 2048);
    machine.run(5_000_000);
    expect(machine.domains.map((domain) => domain.end?.reason)).toEqual(['poweroff', undefined]);
    machine.destroyDomain(1);
    machine.destroyDomain(2);
    expect(machine.hv.frames.freeFrames).toBe(free);
    expect(machine.ended).toBe(true);
  });
});

describe('stepping', () => {
  it('runs one instruction at a time, and the same ones as a run', () => {
    machine.addDomain(request(guestFile('hello-x86_32p.elf')));
    for (let i = 1; i <= 2000; i++) {
      expect(machine.step('instruction', FAR).kind).toBe('stopped');
      expect(machine.instructions).toBe(i);
    }
    const { now } = machine;
    const { eip } = machine.hv.cpu;
    const other = new Machine(MACHINE, () => {});
    other.addDomain(request(guestFile('hello-x86_32p.elf')));
    other.run(now);
    expect([other.instructions, other.now, other.hv.cpu.eip]).toEqual([2000, now, eip]);
  });
  it('stops after the next hypercall', () => {
    machine.addDomain(request(guestFile('hello-x86_32p.elf')));
    const calls = () => machine.hv.trace.calls.reduce((sum, n) => sum + n, 0);
    for (let i = 1; i <= 5; i++) {
      expect(machine.step('hypercall', FAR).kind).toBe('stopped');
      expect(calls()).toBe(i);
    }
  });
  it('stops when an event is delivered', () => {
    machine.addDomain(request(guestFile('ticks-x86_32p.elf')));
    const before = machine.hv.trace.upcalls;
    expect(machine.step('event', FAR).kind).toBe('stopped');
    expect(machine.hv.trace.upcalls).toBe(before + 1);
  });
});

describe('typing', () => {
  it('is logged with its cycle and instruction count', () => {
    machine.addDomain(request(guestFile('userland-x86_32p.elf')));
    machine.run(50_000_000);
    const { now, instructions } = machine;
    machine.input(1, toBytes('exit\r'));
    expect(machine.inputLog.entries).toEqual([
      { cycle: now, instructions, domid: 1, bytes: toBytes('exit\r'), press: null },
    ]);
    expect(machine.run(FAR).kind).toBe('ended');
    expect(printed).toContain('the last process has ended');
  });
  it('to a domain that is not there is lost without harm', () => {
    machine.input(7, toBytes('x'));
    expect(machine.run(FAR).kind).toBe('ended');
  });
});

describe('an image that cannot be started', () => {
  it('is an error value, and the machine goes on', () => {
    expect(machine.addDomain(request(toBytes('no kernel')))).toMatchObject({
      ok: false,
      error: { code: 'not-an-elf' },
    });
    expect(machine.addDomain(request(guestFile('hello-x86_32p.elf')))).toMatchObject({ ok: true });
    expect(machine.run(FAR).kind).toBe('ended');
  });
});
