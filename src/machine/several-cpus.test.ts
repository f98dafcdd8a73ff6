/** A whole machine with several CPUs: stepping, stopping and typing in the middle of a window, and replaying it all. */
import { describe, expect, it } from 'vitest';
import { type InputLog, InputReplay } from './input-log.ts';
import { Session } from './session.ts';
import { stateHash } from './state-hash.ts';
import { guestFile, MACHINE, request } from './testing/boot.ts';

function boot(cpus: number, log?: InputLog): Session {
  const session = new Session({ ...MACHINE, cpus, ...(log ? { replay: new InputReplay(log) } : {}) });
  const wish = { vcpus: 3, memoryMiB: 8, abi: 'x86_32p' as const };
  for (const name of ['smp', 'hello']) {
    const booted = session.boot(
      request(guestFile(`${name}-x86_32p.elf`), { ...wish, name, commandLine: 'wait' }),
    );
    if (!booted.ok) throw new Error(booted.error.message);
  }
  return session;
}

describe.each([2, 3])('%i CPUs', (cpus) => {
  it('a step is one instruction, and stepping changes nothing', () => {
    const stepped = boot(cpus);
    stepped.run({ maxInstructions: 150_000 });
    for (let i = 1; i <= 300; i++) {
      expect(stepped.machine.step('instruction', stepped.machine.now + 1e9).kind).toBe('stopped');
      expect(stepped.machine.instructions).toBe(150_000 + i);
    }
    const whole = boot(cpus);
    whole.run({ maxInstructions: 150_300 });
    expect(whole.machine.instructions).toBe(150_300);
    expect(stateHash(stepped.machine)).toBe(stateHash(whole.machine));
  });

  it('what is typed at a stop inside a window is replayed from the log', () => {
    const live = boot(cpus);
    live.run({ maxInstructions: 200_123 });
    live.machine.step('hypercall', live.machine.now + 1e9);
    live.machine.input(2, new Uint8Array([0x78]));
    expect(live.run({})).toBe('ended');
    expect(live.text(2)).toContain('got key 120');
    const again = boot(cpus, live.machine.inputLog);
    expect(again.run({ strideNs: 55_555 })).toBe('ended');
    expect(stateHash(again.machine)).toBe(stateHash(live.machine));
  });
});
