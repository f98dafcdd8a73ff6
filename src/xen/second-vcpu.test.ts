/**
 * A second vcpu as PV Linux prepares it from the first (arch/x86/xen/smp_pv.c, spinlock.c): shared areas and ports of a
 * vcpu that has never run, its context, and the way it waits for a contended lock.
 */
import { expect, it } from 'vitest';
import { BASE } from './testing/flat-domain.ts';
import { guestContext } from './testing/guest-context.ts';
import { ENTRY, ScriptedMachine, spend } from './testing/scripted-machine.ts';

const VCPU_OP = 24;
const SCHED_OP = 29;
const VIRQ_TIMER = 0;
const VIRQ_DEBUG = 1;
const RUNSTATE_running = 0;

it('has its areas and ports before its first instruction, and sleeps in poll until its lock is kicked', () => {
  const machine = new ScriptedMachine();
  const area = { info: 0, runstate: 0 };
  let kicker = 0;
  const guest = machine.guest(
    [
      function* (g) {
        const second = g.domain.vcpus[1]!;
        machine.dropRoot(second);
        second.initialised = false;

        area.info = g.room(64);
        const info = g.put(Math.floor(g.maddr(area.info) / 4096), 0, area.info & 4095, 0);
        expect(yield* g.call(VCPU_OP, 10, 1, info)).toBe(0);
        area.runstate = g.room(44);
        expect(yield* g.call(VCPU_OP, 5, 1, g.put(area.runstate, 0))).toBe(0);
        for (const virq of [VIRQ_TIMER, VIRQ_DEBUG]) expect((yield* g.evtchn(1, virq, 1, 0)).result).toBe(0);
        const ipis: number[] = [];
        for (let i = 0; i < 5; i++) ipis.push((yield* g.evtchn(7, 1, 0)).out[1]!);
        expect(new Set(ipis).size).toBe(5);
        kicker = ipis[4]!;
        // The kicker of locks stays masked: it is only ever polled.
        g.hv.memory.write8(g.domain.sharedInfoMfn * 4096 + 2176 + (kicker >> 3), 1 << (kicker & 7));
        g.setMask(1, second);

        const cr3 = g.vcpu.rootMfn * 4096;
        expect(yield* g.call(VCPU_OP, 0, 1, guestContext(g, { eip: ENTRY, esp: BASE + 0x1c00, cr3 }))).toBe(
          0,
        );
        expect(yield* g.call(VCPU_OP, 1, 1, 0)).toBe(0);
        while (g.log.length < 1) yield* g.call(SCHED_OP, 0);
        yield spend(50_000);
        g.log.push('first kicks');
        expect((yield* g.evtchn(4, kicker)).result).toBe(0);
        while (g.log.length < 3) yield* g.call(SCHED_OP, 0);
        expect(yield* g.call(VCPU_OP, 3, 1, 0)).toBe(0);
      },
      function* (g) {
        const self = g.domain.vcpus[1]!;
        g.log.push(`second runs in ring ${machine.cpu.cpl}, virtual iopl ${self.iopl}`);
        expect(g.hv.memory.read8(g.maddr(area.info) + 1)).toBe(1);
        expect(g.read32(area.runstate)).toBe(RUNSTATE_running);
        // Its events are off and, since its area moved, one counts as pending: that does not end the wait.
        expect(yield* g.call(SCHED_OP, 3, g.put(g.put(kicker), 1, 0, 0))).toBe(0);
        g.log.push('second has the lock');
        expect(g.hv.memory.read8(g.maddr(area.info) + 1)).toBe(1);
        yield* g.call(VCPU_OP, 2, 1, 0);
      },
    ],
    {},
  );
  guest.domain.vcpus[1]!.down = true;
  machine.run();
  expect(guest.log).toEqual(['second runs in ring 1, virtual iopl 1', 'first kicks', 'second has the lock']);
  expect(guest.deliveries).toEqual([]);
});
