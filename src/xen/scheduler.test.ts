import { describe, expect, it } from 'vitest';
import { EINVAL } from './abi/errno.ts';
import { RUNSTATE_NAMES, timeIn } from './runstate.ts';
import { type Script, type ScriptedGuest, ScriptedMachine, spend } from './testing/scripted-machine.ts';
import type { Vcpu } from './vcpu.ts';
import { portPending } from './vcpu-info.ts';

const MS = 1_000_000;
const BIND_VIRQ = 1,
  SEND = 4,
  BIND_IPI = 7;
const VIRQ_TIMER = 0;
const [YIELD, BLOCK, , POLL] = [0, 1, 2, 3];

/** set_timer_op with an absolute time. */
function setTimer(g: ScriptedGuest, at: number) {
  return g.call(15, at % 2 ** 32, Math.floor(at / 2 ** 32));
}
function times(machine: ScriptedMachine, vcpu: Vcpu): Record<string, number> {
  return Object.fromEntries(RUNSTATE_NAMES.map((name, state) => [name, timeIn(machine.hv, vcpu, state)]));
}
const spin = function* (total: number): Script {
  for (let i = 0; i < total / 10_000; i++) yield spend(10_000);
};

describe.each(['3.0.2', '4.17'] as const)('block, poll and timers, %s', (personality) => {
  it('a one-shot timer wakes a blocked vcpu at its time', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          yield* g.evtchn(BIND_VIRQ, VIRQ_TIMER, 0, 0);
          const at = g.hv.now() + 3 * MS;
          yield* setTimer(g, at);
          expect(yield* g.call(29, BLOCK)).toBe(0);
          g.log.push(`woken ${Math.round((g.hv.now() - at) / 10_000)}`);
        },
      ],
      { personality },
    );
    guest.onEvent = (port) => guest.log.push(`event ${port}`);
    machine.run();
    expect(guest.log).toEqual(['event 1', 'woken 0']);
  });

  it('set_timer_op in the past fires at once, and 0 stops the timer', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          g.setMask(1);
          yield* g.evtchn(BIND_VIRQ, VIRQ_TIMER, 0, 0);
          yield* setTimer(g, g.hv.now() + MS);
          yield* setTimer(g, 0);
          yield* spin(2 * MS);
          g.log.push(`pending ${portPending(g.hv, g.domain, 1)}`);
          yield* setTimer(g, 5);
          g.log.push(`pending ${portPending(g.hv, g.domain, 1)}`);
        },
      ],
      { personality },
    );
    machine.run();
    expect(guest.log).toEqual(['pending false', 'pending true']);
  });

  it('block with an event pending returns at once and the upcall is taken', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          g.setMask(1);
          yield* g.evtchn(BIND_IPI, 0, 0);
          yield* g.evtchn(SEND, 1);
          const before = g.hv.now();
          yield* g.call(29, BLOCK);
          g.log.push(`slept ${g.hv.now() - before > MS}`);
        },
      ],
      { personality },
    );
    guest.onEvent = (port) => guest.log.push(`event ${port}`);
    machine.run();
    expect(guest.log).toEqual(['event 1', 'slept false']);
  });

  it('poll returns 0 at its time-out, whatever the mask is', () => {
    for (const mask of [0, 1]) {
      const machine = new ScriptedMachine();
      const guest = machine.guest(
        [
          function* (g) {
            g.setMask(mask);
            yield* g.evtchn(BIND_IPI, 0, 0);
            const until = g.hv.now() + 2 * MS;
            const poll = g.put(g.put(1), 1, until, 0);
            expect(yield* g.call(29, POLL, poll)).toBe(0);
            g.log.push(`late ${Math.floor((g.hv.now() - until) / 10_000)}`);
          },
        ],
        { personality },
      );
      machine.run();
      expect(guest.log).toEqual(['late 0']);
    }
  });

  it('poll wakes up when a polled port becomes pending though it is masked', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          g.setMask(1);
          yield* g.evtchn(BIND_IPI, 0, 0);
          g.hv.memory.write32(g.domain.sharedInfoMfn * 4096 + 2176, 0xffff_ffff);
          expect(yield* g.call(29, POLL, g.put(g.put(1), 1, 0, 0))).toBe(0);
          g.log.push('polled');
        },
        function* (g) {
          yield spend(100_000);
          g.log.push('sending');
          yield* g.evtchn(SEND, 1);
          yield* g.call(24, 2, 1, 0);
        },
      ],
      { personality },
    );
    machine.run();
    expect(guest.log).toEqual(['sending', 'polled']);
  });

  it('poll refuses more than 128 ports and ports that cannot exist', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          g.setMask(1);
          expect(yield* g.call(29, POLL, g.put(0, 129, 0, 0))).toBe(EINVAL);
          expect(yield* g.call(29, POLL, g.put(g.put(1024), 1, 0, 0))).toBe(EINVAL);
          expect(yield* g.call(29, POLL, g.put(0x10, 1, 0, 0))).toBe(-14);
          g.log.push('done');
        },
      ],
      { personality },
    );
    machine.run();
    expect(guest.log).toEqual(['done']);
  });

  it('a spinning vcpu gets periodic ticks, a blocked one none', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          g.setMask(0);
          yield* g.evtchn(BIND_VIRQ, VIRQ_TIMER, 0, 0);
          yield* spin(55 * MS);
          g.log.push(`ticks ${g.deliveries.length}`);
          const before = g.deliveries.length;
          yield* g.evtchn(BIND_IPI, 0, 0);
          yield* g.call(29, POLL, g.put(g.put(2), 1, g.hv.now() + 45 * MS, 0));
          g.log.push(`then ${g.deliveries.length - before}`);
        },
      ],
      { personality },
    );
    machine.run();
    // The first tick boundary after the binding is left out: the guest may have no handler yet.
    expect(guest.log[0]).toMatch(/^ticks [45]$/);
    expect(guest.log[1]).toBe('then 1');
  });
});

describe('scheduling', () => {
  it('shares the processor evenly among domains that spin', () => {
    const machine = new ScriptedMachine();
    const guests = [1, 2, 3].map(() => machine.guest([() => spin(300 * MS)]));
    machine.run(300 * MS);
    const ran = guests.map((g) => times(machine, g.vcpu)['running']! / MS);
    for (const ms of ran) expect(ms).toBeGreaterThan(85);
    for (const ms of ran) expect(ms).toBeLessThan(115);
  });

  it('answers an event of a sleeper before a spinning vcpu has had its slice', () => {
    const machine = new ScriptedMachine();
    machine.guest([() => spin(200 * MS)]);
    const sleeper = machine.guest([
      function* (g) {
        g.setMask(0);
        yield* g.evtchn(BIND_VIRQ, VIRQ_TIMER, 0, 0);
        for (let i = 0; i < 5; i++) {
          const at = g.hv.now() + 7 * MS;
          yield* setTimer(g, at);
          yield* g.call(29, BLOCK);
          g.log.push(String((g.hv.now() - at) / MS < 1));
        }
      },
    ]);
    machine.run();
    expect(sleeper.log).toEqual(['true', 'true', 'true', 'true', 'true']);
  });

  it('yield lets the other go first', () => {
    const machine = new ScriptedMachine();
    const log: string[] = [];
    const talker = (name: string) =>
      function* (g: ScriptedGuest): Script {
        for (let i = 0; i < 3; i++) {
          log.push(name);
          yield* g.call(6, YIELD, 0);
        }
      };
    machine.guest([talker('a')]);
    machine.guest([talker('b')]);
    machine.run();
    expect(log.join('')).toBe('ababab');
  });

  it('the four times add up to the age, and each is exact', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest([
      function* (g) {
        g.setMask(0);
        yield* g.evtchn(BIND_VIRQ, VIRQ_TIMER, 0, 0);
        yield* setTimer(g, g.hv.now() + 20 * MS);
        yield* g.call(29, BLOCK);
        yield* spin(5 * MS);
        const area = g.room(44);
        expect(yield* g.call(24, 4, 0, area)).toBe(0);
        for (let i = 0; i < 11; i++) g.log.push(String(g.read32(area + 4 * i)));
      },
    ]);
    machine.run();
    const spent = times(machine, guest.vcpu);
    const age = machine.hv.now() - guest.domain.createdAt;
    expect(Object.values(spent).reduce((sum, time) => sum + time)).toBe(age);
    expect(spent['blocked']! / MS).toBeCloseTo(20, 1);
    expect(guest.log[0]).toBe('0'); // the caller is running
    expect(Number(guest.log[7])).toBe(spent['blocked']); // what the guest was told is what the books say
  });

  it('the run is the same however the host cuts it into slices', () => {
    const trace = (slice: number): string => {
      const machine = new ScriptedMachine();
      machine.guest([() => spin(40 * MS)], { personality: '3.0.2' });
      const guest = machine.guest([
        function* (g) {
          g.setMask(0);
          yield* g.evtchn(BIND_VIRQ, VIRQ_TIMER, 0, 0);
          for (let i = 0; i < 6; i++) {
            yield* setTimer(g, g.hv.now() + 3_333_333);
            yield* g.call(29, BLOCK);
            yield* spin(2 * MS);
          }
        },
      ]);
      machine.run(500 * MS, slice);
      const { trace: events } = machine.hv;
      const rows = Array.from({ length: events.total }, (_, i) =>
        [events.at[i], events.kind[i], events.domid[i], events.number[i], events.result[i]].join(' '),
      );
      expect(events.total).toBeGreaterThan(50);
      return `${rows.join('\n')}\n${guest.deliveries.map((d) => d.at).join(' ')}`;
    };
    const whole = trace(100 * MS);
    expect(trace(777)).toBe(whole);
    expect(trace(50_001)).toBe(whole);
  });
});
