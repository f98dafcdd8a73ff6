import { describe, expect, it } from 'vitest';
import { destroyDomain, pauseDomain, unpauseDomain } from './domain-lifecycle.ts';
import { domainMemory } from './domain-memory.ts';
import { fault, type Script, ScriptedMachine, spend } from './testing/scripted-machine.ts';
import { RUNSTATE_offline } from './vcpu.ts';

const MS = 1_000_000;
const spin = function* (): Script {
  for (;;) yield spend(10_000);
};

describe('the life of a domain', () => {
  it('gives back every frame when it is destroyed, whatever it was doing', () => {
    const machine = new ScriptedMachine();
    const { hv } = machine;
    const before = [hv.frames.freeFrames, hv.frames.freeHeapFrames];
    for (const script of [
      spin,
      function* (g: Parameters<Parameters<ScriptedMachine['guest']>[0][0]>[0]): Script {
        g.setMask(1);
        yield* g.call(24, 10, 0, g.put(g.frames[15]!, 0, 0, 0));
        yield* g.call(29, 1);
        yield fault(0);
      },
    ]) {
      const guest = machine.guest([script]);
      machine.run(5 * MS);
      destroyDomain(hv, guest.domain, domainMemory);
      machine.check();
      expect([hv.frames.freeFrames, hv.frames.freeHeapFrames]).toEqual(before);
      expect(hv.domains[guest.domain.id]).toBeUndefined();
    }
    machine.run(5 * MS);
  });

  it('a peer of a destroyed domain waits for it again, and sending is harmless', () => {
    const machine = new ScriptedMachine();
    const first = machine.guest([
      function* (g) {
        g.setMask(1);
        yield* g.evtchn(6, 0x7ff0 | (2 << 16), 0);
        yield* g.call(29, 3, g.put(g.put(1), 1, g.hv.now() + 50 * MS, 0));
        g.log.push(`sent ${(yield* g.evtchn(4, 1)).result}`);
      },
    ]);
    const second = machine.guest([
      function* (g) {
        g.setMask(1);
        yield spend(1000);
        yield* g.call(29, 0);
        yield* g.evtchn(0, 1, 1, 0);
        yield* g.call(29, 3, g.put(g.put(1), 0, 0, 0));
      },
    ]);
    machine.run(10 * MS);
    expect(first.domain.portState[1]).toBe(2);
    destroyDomain(machine.hv, second.domain, domainMemory);
    expect([first.domain.portState[1], first.domain.portRemoteDomain[1]]).toEqual([1, 2]);
    machine.run(100 * MS);
    expect(first.log).toEqual(['sent 0']);
  });

  it('a crash ends one domain only, and is told to the initial domain', () => {
    const machine = new ScriptedMachine();
    const initial = machine.guest(
      [
        function* (g) {
          g.setMask(0);
          yield* g.evtchn(1, 3, 0, 0); // VIRQ_DOM_EXC
          yield* g.call(29, 1);
          g.log.push('woken');
        },
      ],
      { privileged: true },
    );
    const other = machine.guest([spin]);
    const doomed = machine.guest(
      [
        function* () {
          yield spend(100_000);
          yield fault(0);
        },
      ],
      { handlers: false },
    );
    machine.run(30 * MS);
    expect(machine.ended).toEqual([`d${doomed.domain.id} crash`, 'd0 poweroff']);
    expect(initial.log).toEqual(['woken']);
    expect(other.domain.end).toBeNull();
    expect(doomed.domain.end).toMatchObject({ vcpu: 0, code: 3 });
  });

  it('a paused domain stands still and its timers wait', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest([
      function* (g) {
        yield* g.call(29, 3, g.put(g.put(1), 0, g.hv.now() + 5 * MS, 0));
        g.log.push('woken');
        yield* spin();
      },
    ]);
    machine.run(1 * MS);
    pauseDomain(machine.hv, guest.domain);
    machine.run(20 * MS);
    expect(guest.log).toEqual([]);
    unpauseDomain(machine.hv, guest.domain);
    machine.run(20 * MS);
    expect(guest.log).toEqual(['woken']);
    pauseDomain(machine.hv, guest.domain);
    machine.run(1 * MS);
    expect(guest.vcpu.runstate).toBe(RUNSTATE_offline);
  });

  it('a watchdog that is not set again stops the domain with reason 4', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest([
      function* (g) {
        expect(yield* g.call(29, 6, g.put(0, 1))).toBe(1);
        expect(yield* g.call(29, 6, g.put(0, 1))).toBe(2);
        expect(yield* g.call(29, 6, g.put(0, 1))).toBe(-28);
        expect(yield* g.call(29, 6, g.put(1, 0))).toBe(0);
        expect(yield* g.call(29, 6, g.put(1, 2))).toBe(-22);
        expect(yield* g.call(29, 6, g.put(3, 2))).toBe(-22);
        yield* spin();
      },
    ]);
    machine.run(2000 * MS, 500 * MS);
    expect(guest.domain.end).toMatchObject({ reason: 'watchdog', code: 4 });
    expect(Math.round(guest.domain.end!.at / MS)).toBe(1000);
  });

  it('a code set beforehand replaces the reason of the shutdown', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest([
      function* (g) {
        yield* g.call(29, 5, g.put(1));
      },
    ]);
    machine.run(MS);
    expect(guest.domain.end).toMatchObject({ reason: 'reboot' });
  });

  it('the initial domain shuts others down remotely; others may not', () => {
    const machine = new ScriptedMachine();
    const victim = machine.guest([
      function* (g) {
        expect(yield* g.call(29, 4, g.put(0, 3))).toBe(-1);
        yield* spin();
      },
    ]);
    machine.guest(
      [
        function* (g) {
          yield spend(1000);
          yield* g.call(29, 0);
          expect(yield* g.call(29, 4, g.put(77, 3))).toBe(-3);
          expect(yield* g.call(29, 4, g.put(victim.domain.id, 1))).toBe(0);
        },
      ],
      { privileged: true },
    );
    machine.run(50 * MS);
    expect(victim.domain.end).toMatchObject({ reason: 'reboot' });
  });
});
