/** Physical CPUs that go off line and come back: who goes on where, who is told, and that all of it follows counts. */
import { describe, expect, it } from 'vitest';
import { VIRQ_PCPU_STATE } from './abi/constants.ts';
import { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from './abi/errno.ts';
import { bringOnLine, takeOffLine } from './cpu-hotplug.ts';
import { cpusOnline, currentOf, machineTime, WINDOW } from './physical-cpus.ts';
import { timeIn } from './runstate.ts';
import { type Script, type ScriptedGuest, ScriptedMachine, spend } from './testing/scripted-machine.ts';
import { RUNSTATE_running, type Vcpu } from './vcpu.ts';

const MS = 1_000_000;
const BIND_VIRQ = 1;
const PLATFORM_OP = 7;
const [GET_CPUINFO, CPU_ONLINE, CPU_OFFLINE] = [55, 56, 57];
const VERSION = 0x0300_0001;

const forever = function* (step = 1000): Script {
  for (;;) yield spend(step);
};
const ran = (machine: ScriptedMachine, vcpu: Vcpu) => timeIn(machine.hv, vcpu, RUNSTATE_running);
/** CPUs on which somebody runs. */
const busy = ({ hv }: ScriptedMachine) => hv.pcpus.filter((cpu) => currentOf(hv, cpu) !== null).length;

/** platform_op: the 136 bytes, and the words of the union afterwards. */
function* platform(
  g: ScriptedGuest,
  command: number,
  words: number[],
  version = VERSION,
): Generator<ReturnType<typeof spend>, { result: number; out: number[] }, number> {
  const at = g.room(136);
  for (const [i, word] of [command, version, ...words].entries()) g.write32(at + 4 * i, word);
  const result = yield* g.call(PLATFORM_OP, at) as Generator<ReturnType<typeof spend>, number, number>;
  return { result, out: Array.from({ length: 5 }, (_, i) => g.read32(at + 8 + 4 * i)) };
}

describe('a CPU that goes off line', () => {
  it('lets its vcpu go on elsewhere, and takes none until it is back', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    const { domain } = machine.guest([() => forever(), () => forever()]);
    machine.run(5 * MS);
    expect(busy(machine)).toBe(2);
    expect(takeOffLine(machine.hv, 1)).toBe(0);
    machine.run(2 * WINDOW);
    const before = domain.vcpus.map((vcpu) => ran(machine, vcpu));
    const turns = new Set<number>();
    machine.onStep = () => turns.add(machine.hv.turn);
    machine.run(100 * MS);
    // Two share one CPU, to a slice.
    for (const [i, vcpu] of domain.vcpus.entries()) {
      expect(ran(machine, vcpu) - before[i]!).toBeGreaterThan(39 * MS);
      expect(ran(machine, vcpu) - before[i]!).toBeLessThan(61 * MS);
    }
    expect([...turns]).toEqual([0]);
    expect(bringOnLine(machine.hv, 1)).toBe(0);
    const again = domain.vcpus.map((vcpu) => ran(machine, vcpu));
    machine.run(10 * MS);
    for (const [i, vcpu] of domain.vcpus.entries())
      expect(ran(machine, vcpu) - again[i]!).toBeGreaterThan(9.9 * MS);
  });

  it('is CPU 0 never, nor one that is not there; a second time is no error and no event', () => {
    const { hv } = new ScriptedMachine({ cpus: 3 });
    expect(takeOffLine(hv, 0)).toBe(EOPNOTSUPP);
    expect(takeOffLine(hv, 3)).toBe(EINVAL);
    expect(bringOnLine(hv, 3)).toBe(EINVAL);
    expect(bringOnLine(hv, 2)).toBe(0);
    expect(cpusOnline(hv)).toBe(3);
    expect([takeOffLine(hv, 2), takeOffLine(hv, 2)]).toEqual([0, 0]);
    expect(cpusOnline(hv)).toBe(2);
  });

  it('leaves CPU 0 when all others are gone, and the machine’s time runs on', () => {
    const machine = new ScriptedMachine({ cpus: 4 });
    const { domain } = machine.guest([() => forever(), () => forever(), () => forever(), () => forever()]);
    machine.run(MS);
    for (const id of [1, 2, 3]) takeOffLine(machine.hv, id);
    machine.run(2 * WINDOW);
    const from = machineTime(machine.hv);
    const before = domain.vcpus.map((vcpu) => ran(machine, vcpu));
    machine.run(400 * MS);
    expect(busy(machine)).toBe(1);
    const shares = domain.vcpus.map((vcpu, i) => ran(machine, vcpu) - before[i]!);
    expect(shares.reduce((sum, share) => sum + share)).toBeGreaterThan(
      0.99 * (machineTime(machine.hv) - from),
    );
    for (const share of shares) expect(share).toBeGreaterThan(80 * MS);
  });

  it('does not hold up a vcpu that is woken: an idle CPU that is gone does not count', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    machine.guest([() => forever(100)]);
    const sleeper = machine.guest([
      function* (g) {
        yield* g.evtchn(BIND_VIRQ, 0, 0, 0);
        for (let n = 0; n < 5; n++) {
          const at = g.hv.now() + MS;
          yield* g.call(15, at % 2 ** 32, Math.floor(at / 2 ** 32));
          yield* g.call(29, 1);
          g.log.push(String(g.hv.now() - at));
        }
      },
    ]);
    takeOffLine(machine.hv, 1);
    machine.run(50 * MS);
    expect(sleeper.log).toHaveLength(5);
    for (const late of sleeper.log) expect(Number(late)).toBeLessThan(2 * WINDOW);
  });
});

describe('VIRQ_PCPU_STATE', () => {
  /** Binds it, counts its events, and does what it is told for 10 ms. */
  const listener = (then: (g: ScriptedGuest) => Script = () => forever()) =>
    function* (g: ScriptedGuest): Script {
      const { result, out } = yield* g.evtchn(BIND_VIRQ, VIRQ_PCPU_STATE, 0, 0);
      expect(result).toBe(0);
      g.onEvent = (port) => g.log.push(port === out[2] ? 'state' : `port ${port}`);
      g.setMask(0);
      yield* then(g);
    };

  it('comes to the initial domain with each change, and to no other', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    const initial = machine.guest([listener()], { privileged: true });
    const other = machine.guest([listener()]);
    machine.run(MS);
    for (const change of [takeOffLine, bringOnLine, bringOnLine, takeOffLine]) {
      change(machine.hv, 1);
      machine.run(25 * MS); // two share one CPU meanwhile
    }
    expect(initial.log).toEqual(['state', 'state', 'state']);
    expect(other.log).toEqual([]);
  });

  it('is not raised for CPU 0, which refuses', () => {
    const machine = new ScriptedMachine();
    const initial = machine.guest([listener()], { privileged: true });
    machine.run(MS);
    takeOffLine(machine.hv, 0);
    bringOnLine(machine.hv, 0);
    machine.run(MS);
    expect(initial.log).toEqual([]);
  });

  it('follows the initial domain’s own platform_op, which tells what is there', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    const info = function* (g: ScriptedGuest, id: number) {
      const { result, out } = yield* platform(g, GET_CPUINFO, [id]);
      expect(result).toBe(0);
      return out;
    };
    const guest = machine.guest(
      [
        listener(function* (g) {
          expect(yield* info(g, 1)).toEqual([1, 1, 1, 1, 1]);
          expect((yield* platform(g, CPU_OFFLINE, [1])).result).toBe(0);
          yield spend(1);
          expect(g.log).toEqual(['state']);
          expect(yield* info(g, 1)).toEqual([1, 1, 0, 1, 1]);
          yield spend(3 * WINDOW);
          expect(machine.hv.turn).toBe(0);
          expect((yield* platform(g, CPU_ONLINE, [1])).result).toBe(0);
          yield spend(1);
          expect(g.log).toEqual(['state', 'state']);
          expect(yield* info(g, 0)).toEqual([0, 1, 1, 0, 0]);
          expect(yield* info(g, 2)).toEqual([2, 1, 2, 0, 0]);
          g.log.push('done');
        }),
      ],
      { privileged: true },
    );
    machine.run(20 * MS);
    expect(guest.log.at(-1)).toBe('done');
  });
});

describe('platform_op', () => {
  const asked = (options: { privileged?: boolean; personality?: '3.0.2' | '4.17' }) => {
    const machine = new ScriptedMachine({ cpus: 2 });
    const results: Record<string, number> = {};
    machine.guest(
      [
        function* (g) {
          results.unreadable = yield* g.call(PLATFORM_OP, 0x1000);
          results.version = (yield* platform(g, CPU_OFFLINE, [1], 0x0300_0000)).result;
          results.cpu0 = (yield* platform(g, CPU_OFFLINE, [0])).result;
          results.none = (yield* platform(g, CPU_OFFLINE, [2])).result;
          results.noneOn = (yield* platform(g, CPU_ONLINE, [0xffff_ffff])).result;
          results.settime = (yield* platform(g, 17, [])).result;
          results.unknown = (yield* platform(g, 999, [])).result;
          results.off = (yield* platform(g, CPU_OFFLINE, [1])).result;
        },
      ],
      options,
    );
    machine.run();
    return { results, online: cpusOnline(machine.hv) };
  };

  it('answers the initial domain', () => {
    expect(asked({ privileged: true })).toEqual({
      results: {
        unreadable: EFAULT,
        version: EACCES,
        cpu0: EOPNOTSUPP,
        none: EINVAL,
        noneOn: EINVAL,
        settime: ENOSYS,
        unknown: ENOSYS,
        off: 0,
      },
      online: 1,
    });
  });

  it('is refused to others, whose version is looked at first', () => {
    const { results, online } = asked({});
    expect(results).toMatchObject({ unreadable: EFAULT, version: EACCES, cpu0: EPERM, unknown: EPERM });
    expect(results.off).toBe(EPERM);
    expect(online).toBe(2);
  });

  it('is dom0_op under 3.0.2: not offered, and not for everybody', () => {
    expect(asked({ privileged: true, personality: '3.0.2' }).results.off).toBe(ENOSYS);
    const { results, online } = asked({ personality: '3.0.2' });
    expect([results.off, online]).toEqual([EPERM, 2]);
  });
});

describe('CPUs that come and go', () => {
  /** Five busy sleepers on `cpus` CPUs, one of which changes its state every 3 ms. */
  const run = (cpus: number, slice: number) => {
    const machine = new ScriptedMachine({ cpus });
    const { hv } = machine;
    const steps: string[] = [];
    const last = new Map<Vcpu, number>();
    machine.onStep = () => {
      const vcpu = hv.current!;
      if (hv.now() < (last.get(vcpu) ?? 0)) throw new Error(`the clock of vcpu ${vcpu.id} went back`);
      last.set(vcpu, hv.now());
      steps.push(`${hv.turn} ${vcpu.id} ${hv.now()}`);
    };
    const life = (self: number) =>
      function* (g: ScriptedGuest): Script {
        yield* g.evtchn(BIND_VIRQ, 0, self, 0);
        for (let n = 0; ; n++) {
          yield spend(1 + ((n * 7919 + self * 104_729) % 90_000));
          if (self !== 4) continue;
          const at = g.hv.now() + 20_000;
          yield* g.call(15, at % 2 ** 32, Math.floor(at / 2 ** 32));
          yield* g.call(29, 1);
        }
      };
    machine.guest([0, 1, 2, 3, 4].map(life));
    for (let i = 0; i < 12; i++) {
      const id = 1 + (i % (cpus - 1));
      if (hv.pcpus[id]!.online) takeOffLine(hv, id);
      else bringOnLine(hv, id);
      machine.run(3 * MS, slice);
    }
    machine.check();
    return steps;
  };

  it.each([2, 3, 4])(
    'of %i: no vcpu’s clock goes back, and the run is the same however it is cut',
    (cpus) => {
      const whole = run(cpus, 50 * MS);
      expect(whole.length).toBeGreaterThan(500);
      for (const slice of [4096, 123_457]) expect(run(cpus, slice)).toEqual(whole);
    },
  );
});
