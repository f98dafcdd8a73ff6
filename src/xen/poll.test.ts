/**
 * SCHEDOP_poll of several vcpus at once, on one and on several CPUs: who is woken by which port, and by the time.
 * cpu-and-events.md 9.2 and 10.
 */
import { describe, expect, it } from 'vitest';
import { SHARED_EVTCHN_MASK } from './abi/constants.ts';
import { WINDOW } from './physical-cpus.ts';
import { timeIn } from './runstate.ts';
import { type Script, type ScriptedGuest, ScriptedMachine, spend } from './testing/scripted-machine.ts';
import { RUNSTATE_blocked } from './vcpu.ts';

const MS = 1_000_000;
const [SEND, BIND_IPI] = [4, 7];
const [YIELD, POLL] = [0, 3];
const NO_TIMEOUT = 0;

const personalities = ['3.0.2', '4.17'] as const;

describe.each([1, 2, 4])('%i CPUs', (cpus) => {
  /** vcpu 0 and four that poll, whose lines end in the ns at which they came back. */
  const pollers = (
    personality: (typeof personalities)[number],
    wants: { ports: number[]; until?: number }[],
    sender: (g: ScriptedGuest) => Script,
  ) => {
    const machine = new ScriptedMachine({ cpus });
    const back = new Map<number, number>();
    const guest = machine.guest(
      [
        function* (g) {
          for (const [i] of wants.entries()) yield* g.evtchn(BIND_IPI, i + 1, 0); // port i + 1
          yield* sender(g);
          while (g.hv.now() < 60 * MS) yield spend(5000);
        },
        ...wants.map(
          ({ ports, until = NO_TIMEOUT }, i) =>
            function* (g: ScriptedGuest): Script {
              g.setMask(1, g.domain.vcpus[i + 1]!);
              yield spend(50_000); // vcpu 0 has bound the ports
              const list = g.put(g.put(...ports), ports.length, until, 0);
              expect(yield* g.call(29, POLL, list)).toBe(0);
              back.set(i + 1, g.hv.now());
              yield* g.call(24, 2, i + 1, 0);
            },
        ),
      ],
      { personality },
    );
    machine.run(80 * MS);
    machine.check();
    return { back, guest, machine };
  };
  const sendAt = (times: [at: number, port: number][]) =>
    function* (g: ScriptedGuest): Script {
      // Once all of them sleep.
      while (!g.domain.vcpus.slice(1).every((vcpu) => vcpu.blocked)) yield* g.call(29, YIELD);
      for (const [at, port] of times) {
        while (g.hv.now() < at) yield spend(1000);
        yield* g.evtchn(SEND, port);
      }
    };
  // With fewer CPUs the woken wait for each other and for the sender.
  const SOON = cpus === 4 ? 3 * WINDOW : 12 * MS;

  it.each(personalities)(
    'a masked port wakes who polls it; in 3.0.2 also the vcpu that it notifies, %s',
    (p) => {
      const { back, guest, machine } = pollers(
        p,
        [{ ports: [2] }, { ports: [1] }, { ports: [4] }, { ports: [3] }],
        function* (g) {
          g.hv.memory.write32(g.domain.sharedInfoMfn * 4096 + SHARED_EVTCHN_MASK, 0xffff_ffff);
          yield* sendAt([
            [5 * MS, 1],
            [20 * MS, 2],
            [35 * MS, 3],
          ])(g);
        },
      );
      const woken: Record<number, number> =
        p === '4.17' ? { 2: 5, 1: 20, 4: 35 } : { 2: 5, 1: 5, 4: 35, 3: 35 };
      expect([...back.keys()].sort()).toEqual(Object.keys(woken).map(Number));
      for (const [vcpu, ms] of Object.entries(woken)) {
        expect(back.get(Number(vcpu))).toBeGreaterThanOrEqual(ms * MS);
        expect(back.get(Number(vcpu))).toBeLessThan(ms * MS + SOON);
      }
      // Nobody sent port 4.
      if (p === '4.17')
        expect(timeIn(machine.hv, guest.domain.vcpus[3]!, RUNSTATE_blocked)).toBeGreaterThan(45 * MS);
    },
  );

  it.each(personalities)('one event wakes all that poll its port, %s', (p) => {
    const { back } = pollers(
      p,
      [{ ports: [1, 2] }, { ports: [2] }, { ports: [3, 2, 4] }, { ports: [2] }],
      sendAt([[10 * MS, 2]]),
    );
    expect([...back.keys()].sort()).toEqual([1, 2, 3, 4]);
    for (const at of back.values()) {
      expect(at).toBeGreaterThanOrEqual(10 * MS);
      expect(at).toBeLessThan(10 * MS + SOON);
    }
  });

  it.each(personalities)('time-outs end each poll at its own time, an event before it sooner, %s', (p) => {
    const { back } = pollers(
      p,
      [
        { ports: [1], until: 40 * MS },
        { ports: [2], until: 15 * MS },
        { ports: [3], until: 50 * MS },
        { ports: [4], until: 28 * MS },
      ],
      sendAt([[5 * MS, 3]]),
    );
    const ends: Record<number, number> = { 1: 40, 2: 15, 3: 5, 4: 28 };
    for (const [vcpu, ms] of Object.entries(ends)) {
      expect(back.get(Number(vcpu))).toBeGreaterThanOrEqual(ms * MS);
      expect(back.get(Number(vcpu))).toBeLessThan(ms * MS + SOON);
    }
  });

  it.each(personalities)('a port that is pending already lets all of them go on at once, %s', (p) => {
    const { back } = pollers(
      p,
      [{ ports: [1] }, { ports: [1] }, { ports: [2, 1] }, { ports: [1, 2] }],
      function* (g) {
        yield* g.evtchn(SEND, 1);
      },
    );
    expect(back.size).toBe(4);
    for (const at of back.values()) expect(at).toBeLessThan(MS + SOON);
  });
});
