/** Several simulated CPUs: who runs where and when, whose clock shows what, and that all of it follows counts. */
import { describe, expect, it } from 'vitest';
import { currentOf, MOST_CPUS, machineTime, WINDOW } from './physical-cpus.ts';
import { RUNSTATE_NAMES, timeIn } from './runstate.ts';
import { type Script, type ScriptedGuest, ScriptedMachine, spend } from './testing/scripted-machine.ts';
import { RUNSTATE_runnable, RUNSTATE_running, type Vcpu } from './vcpu.ts';

const MS = 1_000_000;
const BIND_VIRQ = 1,
  SEND = 4,
  BIND_IPI = 7;
const [YIELD, BLOCK] = [0, 1];
const DOWN = 2,
  UP = 1;
const VCPU_OP = 24;

const spin = function* (total: number, step = 1000): Script {
  for (let i = 0; i < total / step; i++) yield spend(step);
};
const forever = function* (step = 1000): Script {
  for (;;) yield spend(step);
};
const ran = (machine: ScriptedMachine, vcpu: Vcpu) => timeIn(machine.hv, vcpu, RUNSTATE_running);

describe('windows', () => {
  it('as many vcpus as CPUs run all the time, none waits', () => {
    for (let cpus = 2; cpus <= MOST_CPUS; cpus++) {
      const machine = new ScriptedMachine({ cpus });
      const guest = machine.guest(Array.from({ length: cpus }, () => () => forever()));
      machine.run(20 * MS);
      for (const vcpu of guest.domain.vcpus) {
        expect(ran(machine, vcpu)).toBeGreaterThan(19.9 * MS);
        expect(timeIn(machine.hv, vcpu, RUNSTATE_runnable)).toBeLessThan(2 * WINDOW);
      }
    }
  });

  it('more vcpus than CPUs share them evenly', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    const guests = [1, 2, 3].map(() => machine.guest([() => forever(10_000)]));
    machine.run(600 * MS);
    for (const { vcpu } of guests) {
      expect(ran(machine, vcpu) / MS).toBeGreaterThan(370);
      expect(ran(machine, vcpu) / MS).toBeLessThan(430);
    }
  });

  it('no clock is further ahead than a window and what one instruction took', () => {
    const machine = new ScriptedMachine({ cpus: 3 });
    const longest = 37_000;
    let most = 0;
    machine.onStep = () => {
      most = Math.max(most, machine.hv.now() - machineTime(machine.hv));
    };
    machine.guest([() => forever(700), () => forever(longest), () => forever(3000)]);
    machine.run(5 * MS);
    expect(most).toBeGreaterThan(5000);
    expect(most).toBeLessThan(WINDOW + longest);
  });

  it('a vcpu never sees its clock go back, on whatever CPU it goes on', () => {
    const machine = new ScriptedMachine({ cpus: 3 });
    const last = new Map<Vcpu, number>();
    const places = new Map<Vcpu, Set<number>>();
    machine.onStep = () => {
      const { hv } = machine;
      const vcpu = hv.current!;
      if (hv.now() < (last.get(vcpu) ?? 0)) throw new Error(`the clock of vcpu ${vcpu.id} went back`);
      last.set(vcpu, hv.now());
      const seen = places.get(vcpu) ?? new Set();
      places.set(vcpu, seen.add(hv.turn));
    };
    machine.guest(
      Array.from(
        { length: 7 },
        (_, i) =>
          function* (g: ScriptedGuest): Script {
            for (let n = 0; n < 300; n++) {
              yield spend(1 + ((n * 7919 + i * 104_729) % 9000));
              yield* g.call(29, YIELD);
            }
            yield* g.call(VCPU_OP, DOWN, i);
          },
      ),
    );
    machine.run();
    expect(Math.max(...[...places.values()].map((seen) => seen.size))).toBe(3);
  });
});

describe('what one CPU sends another', () => {
  it('an event reaches a running vcpu within two windows, and not before it was sent', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    const sent: number[] = [];
    const guest = machine.guest([
      function* (g) {
        yield* g.evtchn(BIND_IPI, 1, 0);
        for (let i = 0; i < 20; i++) {
          yield* spin(33_333, 1111);
          sent.push(g.hv.now());
          yield* g.evtchn(SEND, 1);
        }
        yield* spin(3 * WINDOW);
      },
      () => forever(100),
    ]);
    guest.setMask(0, guest.domain.vcpus[1]!);
    machine.run();
    expect(guest.deliveries.map((d) => d.vcpu)).toEqual(sent.map(() => 1));
    for (const [i, { at }] of guest.deliveries.entries()) {
      expect(at).toBeGreaterThanOrEqual(sent[i]!);
      expect(at - sent[i]!).toBeLessThan(2 * WINDOW);
    }
  });

  it('a sleeper is woken on an idle CPU while the sender goes on', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    const guest = machine.guest([
      function* (g) {
        yield* g.evtchn(BIND_IPI, 1, 0);
        yield* spin(100_000);
        yield* g.evtchn(SEND, 1);
        yield* spin(100_000);
        g.log.push(`sender ${g.hv.turn}`);
        yield* spin(5 * MS);
      },
      function* (g) {
        yield* g.call(29, BLOCK);
        g.log.push(`woken ${g.hv.turn}`);
        yield* g.call(VCPU_OP, DOWN, 1);
      },
    ]);
    machine.run();
    expect(guest.log).toHaveLength(2);
    expect(new Set(guest.log.map((line) => line.at(-1))).size).toBe(2);
    expect(guest.log[0]).toMatch(/^woken/);
  });

  it('down and up of a vcpu that runs on another CPU', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    let steps = 0;
    const guest = machine.guest([
      function* (g) {
        yield* spin(50_000);
        yield* g.call(VCPU_OP, DOWN, 1);
        yield* spin(30_000);
        const before = steps;
        yield* spin(200_000);
        g.log.push(`while down ${steps - before}`);
        yield* g.call(VCPU_OP, UP, 1);
        yield* spin(200_000);
        g.log.push(`up again ${steps - before > 100}`);
      },
      function* () {
        for (;;) {
          steps++;
          yield spend(1000);
        }
      },
    ]);
    machine.run();
    expect(guest.log).toEqual(['while down 0', 'up again true']);
  });

  it('the end of a domain stops its vcpus on the other CPUs', () => {
    const machine = new ScriptedMachine({ cpus: 4 });
    const guest = machine.guest([() => spin(100_000), () => forever(), () => forever(), () => forever()]);
    machine.guest([() => spin(2 * MS)]);
    machine.run();
    expect(machine.ended).toEqual(['d1 poweroff', 'd2 poweroff']);
    for (const vcpu of guest.domain.vcpus) expect(ran(machine, vcpu)).toBeLessThan(100_000 + 5 * WINDOW);
  });
});

/** Vcpus that sleep, wake, yield, go down and bring each other up, as a seeded generator has it. */
function crowd(cpus: number, seed: number, slice: number) {
  const machine = new ScriptedMachine({ cpus });
  let state = seed * 2 + 1;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const life = (self: number, vcpus: number) =>
    function* (g: ScriptedGuest): Script {
      yield* g.evtchn(BIND_VIRQ, 0, self, 0);
      const { out } = yield* g.evtchn(BIND_IPI, self, 0);
      ports[self] = out[1]!;
      const at = g.put(0);
      for (let n = 0; n < 60; n++) {
        yield spend(1 + random(12_000));
        const other = random(vcpus);
        switch (random(6)) {
          case 0: {
            const deadline = g.hv.now() + random(50_000);
            yield* g.call(15, deadline % 2 ** 32, Math.floor(deadline / 2 ** 32));
            yield* g.call(29, BLOCK);
            break;
          }
          case 1:
            g.write32(at, ports[other] ?? 0);
            yield* g.call(32, SEND, at);
            break;
          case 2:
            yield* g.call(29, YIELD);
            break;
          case 3:
            if (other !== self && other !== 0) yield* g.call(VCPU_OP, DOWN, other);
            break;
          case 4:
            yield* g.call(VCPU_OP, UP, other);
            break;
          default:
            yield spend(random(40_000));
        }
      }
      if (self !== 0) yield* g.call(VCPU_OP, DOWN, self);
    };
  const ports: number[] = [];
  const log: string[] = [];
  const vcpus = 5;
  const guest = machine.guest(Array.from({ length: vcpus }, (_, i) => life(i, vcpus)));
  const others = machine.guest([() => spin(3 * MS), () => forever(20_000)]);
  for (const vcpu of guest.domain.vcpus) guest.setMask(0, vcpu);
  machine.onStep = () => {
    const { hv } = machine;
    for (const domain of [guest.domain, others.domain]) {
      for (const vcpu of domain.vcpus) {
        const sum = RUNSTATE_NAMES.reduce((total, _name, i) => total + timeIn(hv, vcpu, i), 0);
        const age = Math.max(hv.now(), vcpu.runstateEntryTime) - domain.createdAt;
        if (sum !== age) throw new Error(`the times of vcpu ${vcpu.id} add up to ${sum}, its age is ${age}`);
      }
    }
    const running = hv.pcpus.map((cpu) => currentOf(hv, cpu)).filter((vcpu) => vcpu !== null);
    const wrong =
      new Set(running).size !== running.length ||
      running.some((vcpu) => vcpu.queued || vcpu.runstate !== RUNSTATE_running) ||
      hv.scheduler.queue.some((vcpu) => vcpu.runstate !== RUNSTATE_runnable);
    if (wrong) throw new Error(`a vcpu is in two places at ${hv.now()}`);
    log.push(`${hv.turn} ${hv.current!.domain.id} ${hv.current!.id} ${hv.now()}`);
  };
  machine.run(20 * MS, slice);
  machine.check();
  return log;
}

describe('random lives of vcpus', () => {
  it.each([2, 3, 4])('on %i CPUs: the times of each add up at every instant, nobody runs twice', (cpus) => {
    for (let seed = 1; seed <= 4; seed++) expect(crowd(cpus, seed, 5 * MS).length).toBeGreaterThan(300);
  });

  it.each([2, 3, 4])('on %i CPUs: the run is the same however the host cuts it', (cpus) => {
    const whole = crowd(cpus, 7, 50 * MS);
    for (const slice of [333, 4096, 10_000, 123_457]) expect(crowd(cpus, 7, slice)).toEqual(whole);
  });
});
