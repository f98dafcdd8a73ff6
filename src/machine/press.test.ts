/** The causes of virtual and non-maskable interrupts: cpu-and-events.md 2.1 and 9.5, hypercalls.md 3.9. */
import { describe, expect, it } from 'vitest';
import {
  SHARED_NMI_REASON,
  VIRQ_CON_RING,
  VIRQ_CONSOLE,
  VIRQ_DEBUG,
  VIRQ_DOM_EXC,
} from '../xen/abi/constants.ts';
import {
  type Script,
  type ScriptedGuest,
  ScriptedMachine,
  spend,
  TRAP_HANDLER,
} from '../xen/testing/scripted-machine.ts';
import { toBytes } from '../xen/toolstack/xenstore-wire.ts';
import { timedPresses } from './input-log.ts';
import { Machine } from './machine.ts';
import { pressOn } from './press.ts';
import { loadLab, saveLab } from './save-lab.ts';
import { stateHash } from './state-hash.ts';
import { guestFile, MACHINE, request } from './testing/boot.ts';

const BIND_VIRQ = 1;
const MS = 1_000_000;

/** Binds VIRQs on vcpu 0 and counts their events by VIRQ; waits `ms` long. */
const listener = (virqs: readonly number[], counts: Map<number, number>, ms = 50) =>
  function* (g: ScriptedGuest): Script {
    const ports = new Map<number, number>();
    for (const virq of virqs) {
      const { result, out } = yield* g.evtchn(BIND_VIRQ, virq, 0, 0);
      expect(result).toBe(0);
      ports.set(out[2]!, virq);
    }
    g.onEvent = (port) => {
      const virq = ports.get(port)!;
      counts.set(virq, (counts.get(virq) ?? 0) + 1);
    };
    g.setMask(0);
    const end = g.hv.now() + ms * MS;
    while (g.hv.now() < end) yield spend(10_000);
  };

describe('the debug key', () => {
  it('raises VIRQ_DEBUG on every vcpu of the domain that is meant', () => {
    const machine = new ScriptedMachine();
    const woken: number[] = [];
    const vcpu = (id: number) =>
      function* (g: ScriptedGuest): Script {
        const { out } = yield* g.evtchn(BIND_VIRQ, VIRQ_DEBUG, id, 0);
        g.setMask(1, g.domain.vcpus[id]!);
        yield* g.call(29, 3, g.put(g.put(out[2]!), 1, 0, 0)); // polls that port
        woken.push(id);
        if (id === 0) while (woken.length < 2) yield spend(1000);
        else for (;;) yield spend(1000);
      };
    const meant = machine.guest([vcpu(0), vcpu(1)]);
    const other = new Map<number, number>();
    machine.guest([listener([VIRQ_DEBUG], other, 1)]);
    machine.run(20 * MS);
    expect(woken).toEqual([]);
    pressOn(machine.hv, 'debug', meant.domain.id);
    machine.run(100 * MS);
    expect(woken.sort()).toEqual([0, 1]);
    expect(other.size).toBe(0);
  });

  it('meant for nobody, or for one that has ended, does nothing', () => {
    const machine = new ScriptedMachine();
    machine.guest([function* (): Script {}]);
    machine.run();
    pressOn(machine.hv, 'debug', 1);
    pressOn(machine.hv, 'debug', 9);
    pressOn(machine.hv, 'nmi', 0);
    pressOn(machine.hv, 'button', 0);
    expect(machine.hv.devices.button.presses).toBe(0);
  });
});

describe('the initial domain hears', () => {
  const print = (g: ScriptedGuest) => g.call(18, 0, 4, g.put(0x6f6c6c61));

  it('VIRQ_DOM_EXC when another domain ends, and VIRQ_CON_RING when its end is reported', () => {
    const machine = new ScriptedMachine();
    const counts = new Map<number, number>();
    machine.guest([listener([VIRQ_DOM_EXC, VIRQ_CON_RING], counts, 400)], { privileged: true });
    machine.guest([function* (): Script {}]);
    machine.guest([
      function* (g): Script {
        while (g.hv.now() < 150 * MS) yield spend(10_000); // the first end has been heard
        yield* g.call(6, 2, 3); // crashes
      },
    ]);
    machine.run();
    expect(machine.ended.slice(0, 2).sort()).toEqual(['d1 poweroff', 'd2 crash']);
    expect(counts.get(VIRQ_DOM_EXC)).toBe(2);
    expect(counts.get(VIRQ_CON_RING)).toBe(1);
  });

  it('VIRQ_CON_RING when another domain prints to the hypervisor, not when it does so itself', () => {
    const machine = new ScriptedMachine();
    const counts = new Map<number, number>();
    const listen = listener([VIRQ_CON_RING], counts);
    machine.guest(
      [
        function* (g): Script {
          yield* listen(g);
          expect(counts.get(VIRQ_CON_RING)).toBe(1);
          expect(yield* print(g)).toBe(0);
          yield spend(10);
          expect(counts.get(VIRQ_CON_RING)).toBe(1);
        },
      ],
      { privileged: true },
    );
    machine.guest(
      [
        function* (g): Script {
          expect(yield* print(g)).toBe(0);
        },
      ],
      { personality: '3.0.2' },
    );
    machine.run();
    expect(machine.ended).toContain('d0 poweroff');
  });
});

describe('the NMI button', () => {
  const nmiGuest = (seen: string[]) =>
    function* (g: ScriptedGuest): Script {
      g.setMask(1); // does not keep an NMI out
      expect(yield* g.call(28, 0, g.put(TRAP_HANDLER + 2, 0))).toBe(0);
      seen.push('listens');
      for (let i = 0; i < 100; i++) yield spend(1000);
    };
  const reason = (g: ScriptedGuest) => g.hv.memory.read32(g.domain.sharedInfoMfn * 4096 + SHARED_NMI_REASON);
  const nmis = (g: ScriptedGuest) => g.deliveries.filter((d) => d.handler === TRAP_HANDLER + 2).length;

  it.each(['3.0.2', '4.17'] as const)(
    'reaches vcpu 0 of the initial domain with its reason, %s',
    (personality) => {
      const machine = new ScriptedMachine();
      const seen: string[] = [];
      const g = machine.guest([nmiGuest(seen)], { privileged: true, personality });
      machine.run(20_000);
      expect(seen).toEqual(['listens']);
      pressOn(machine.hv, 'nmi', 0);
      machine.run(5000);
      expect(nmis(g)).toBe(1);
      expect(reason(g)).toBe(4);
      // A native IRET does not end it: a second one waits.
      pressOn(machine.hv, 'nmi', 0);
      machine.run(5000);
      expect(nmis(g)).toBe(1);
    },
  );

  it('pressed before there is a handler, is taken when there is one', () => {
    const machine = new ScriptedMachine();
    const g = machine.guest([nmiGuest([])], { privileged: true });
    pressOn(machine.hv, 'nmi', 0);
    machine.run();
    expect(nmis(g)).toBe(1);
  });
});

describe('what an administrator does to a CPU', () => {
  it('takes it off line and brings it back; where there is none, nothing happens', () => {
    const machine = new ScriptedMachine({ cpus: 2 });
    const online = () => machine.hv.pcpus.map((cpu) => cpu.online);
    pressOn(machine.hv, 'cpu1-off', 0);
    expect(online()).toEqual([true, false]);
    for (const press of ['cpu2-off', 'cpu2-on', 'cpu3-off'] as const) pressOn(machine.hv, press, 0);
    expect(online()).toEqual([true, false]);
    pressOn(machine.hv, 'cpu1-on', 0);
    expect(online()).toEqual([true, true]);
  });
});

describe('typing to the initial domain', () => {
  it('raises VIRQ_CONSOLE and waits for console_io, unless the guest listens at the UART', () => {
    const machine = new Machine(MACHINE, () => {});
    const booted = machine.addDomain(
      request(guestFile('io-x86_32p.elf'), { memoryMiB: 8, privileged: true }),
    );
    expect(booted).toEqual({ ok: true, value: { domid: 0 } });
    machine.run(500 * MS); // it waits for the button
    const port = machine.hv.domains[0]!.vcpus[0]!.virqPort[VIRQ_CONSOLE]!;
    const events = () => machine.hv.domains[0]!.portCount[port]!;
    const before = events();
    machine.input(0, toBytes('a'));
    expect(events()).toBe(before + 1);
    expect(machine.toolstack.inputEmpty(0)).toBe(false);
    machine.hv.devices.uart.ier = 1;
    machine.input(0, toBytes('b'));
    expect(events()).toBe(before + 1);
    expect(machine.hv.devices.uart.received).toEqual([98]);
  });

  it('is logged with what is pressed, in order', () => {
    const machine = new Machine(MACHINE, () => {});
    machine.addDomain(request(guestFile('io-x86_32p.elf'), { memoryMiB: 8, privileged: true }));
    machine.run(1 * MS);
    machine.input(0, toBytes('a'));
    machine.press('button', 0);
    expect(machine.inputLog.entries.map(({ cycle, press }) => [cycle, press])).toEqual([
      [machine.now, null],
      [machine.now, 'button'],
    ]);
  });
});

describe('a machine saved while its devices are at work', () => {
  it.each([
    ['while the clock ticks', 100],
    ['while the button is in service and presses are to come', 650],
  ])('goes on as if nothing had been: %s', (_when, atMs) => {
    const times = { button: [600, 700, 800], nmi: [620, 750] };
    const presses = timedPresses(
      (['button', 'nmi'] as const).flatMap((press) =>
        times[press].map((ms) => ({ press, domid: 0, atMs: ms })),
      ),
    );
    const machine = new Machine({ ...MACHINE, memoryMiB: 16, replay: presses }, () => {});
    machine.addDomain(
      request(guestFile('io-x86_32p.elf'), { memoryMiB: 8, privileged: true, commandLine: 'nmis=2' }),
    );
    machine.run(atMs * MS);
    let printed = '';
    const loaded = loadLab(saveLab(machine), (_domid, bytes) => {
      printed += String.fromCharCode(...bytes);
    });
    if (!loaded.ok) throw new Error(loaded.error.message);
    expect(stateHash(loaded.value)).toBe(stateHash(machine));
    expect(loaded.value.run(2000 * MS).kind).toBe('ended');
    expect(machine.run(2000 * MS).kind).toBe('ended');
    expect(printed).toContain('nmi: 2 taken\ncpus: one, which stays\nio: everything tried, all as expected');
    expect(stateHash(loaded.value)).toBe(stateHash(machine));
  });

  it('goes on as if nothing had been: while a CPU is off line', () => {
    const at = { button: [400, 410, 420], nmi: [430], 'cpu1-off': [600], 'cpu1-on': [700] };
    const presses = timedPresses(
      (Object.keys(at) as (keyof typeof at)[]).flatMap((press) =>
        at[press].map((ms) => ({ press, domid: 0, atMs: ms })),
      ),
    );
    const machine = new Machine({ ...MACHINE, memoryMiB: 16, cpus: 2, replay: presses }, () => {});
    machine.addDomain(
      request(guestFile('io-x86_32p.elf'), { memoryMiB: 8, privileged: true, commandLine: 'states=2' }),
    );
    machine.run(650 * MS);
    let printed = '';
    const loaded = loadLab(saveLab(machine), (_domid, bytes) => {
      printed += String.fromCharCode(...bytes);
    });
    if (!loaded.ok) throw new Error(loaded.error.message);
    expect(loaded.value.hv.pcpus.map((cpu) => cpu.online)).toEqual([true, false]);
    expect(stateHash(loaded.value)).toBe(stateHash(machine));
    expect(loaded.value.run(2000 * MS).kind).toBe('ended');
    expect(machine.run(2000 * MS).kind).toBe('ended');
    expect(printed).toContain('cpus: 0 on line, 1 on line\nio: everything tried, all as expected');
    expect(stateHash(loaded.value)).toBe(stateHash(machine));
  });
});
