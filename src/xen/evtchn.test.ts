import { describe, expect, it } from 'vitest';
import { EEXIST, EINVAL, ENOENT, ENOSPC, EPERM, ESRCH } from './abi/errno.ts';
import { notifyGuest, toolstackAllocUnbound, toolstackBind } from './evtchn.ts';
import {
  EVENT_HANDLER,
  type Script,
  type ScriptedGuest,
  ScriptedMachine,
  spend,
} from './testing/scripted-machine.ts';
import { portPending } from './vcpu-info.ts';

const SELF = 0x7ff0;
const [
  BIND_INTERDOMAIN,
  BIND_VIRQ,
  BIND_PIRQ,
  CLOSE,
  SEND,
  STATUS,
  ALLOC_UNBOUND,
  BIND_IPI,
  BIND_VCPU,
  UNMASK,
] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/** Runs one script on one vcpu; what it logs. */
function run(
  script: (g: ScriptedGuest) => Script,
  options: Parameters<ScriptedMachine['guest']>[1] = {},
): { guest: ScriptedGuest; machine: ScriptedMachine } {
  const machine = new ScriptedMachine();
  const guest = machine.guest([script], options);
  machine.run();
  expect(machine.ended).toEqual(['d1 poweroff']); // the script came to its end
  return { guest, machine };
}

describe.each(['3.0.2', '4.17'] as const)('event channels, %s', (personality) => {
  it('alloc_unbound gives the lowest free port, never 0', () => {
    run(
      function* (g) {
        for (const expected of [1, 2, 3]) {
          const { result, out } = yield* g.evtchn(ALLOC_UNBOUND, SELF | (7 << 16), 0);
          expect([result, out[1]]).toEqual([0, expected]);
        }
        expect((yield* g.evtchn(CLOSE, 2)).result).toBe(0);
        expect((yield* g.evtchn(ALLOC_UNBOUND, SELF | (7 << 16), 0)).out[1]).toBe(2);
      },
      { personality },
    );
  });

  it('alloc_unbound in another domain is EPERM, in one that is not there ESRCH in 4.17; there naming oneself by number is fine', () => {
    run(
      function* (g) {
        expect((yield* g.evtchn(ALLOC_UNBOUND, 9 | (7 << 16), 0)).result).toBe(
          personality === '4.17' ? ESRCH : EPERM,
        );
        // The toolstack's domain exists.
        expect((yield* g.evtchn(ALLOC_UNBOUND, 0 | (7 << 16), 0)).result).toBe(EPERM);
        const own = (yield* g.evtchn(ALLOC_UNBOUND, g.domain.id | (7 << 16), 0)).result;
        expect(own).toBe(personality === '4.17' ? 0 : EPERM);
      },
      { personality },
    );
  });

  it('ends with ENOSPC when all 1023 ports are in use', () => {
    run(
      function* (g) {
        for (let port = 1; port < 1024; port++) {
          const at = g.machine.hv.domains[1]!.portState;
          at[port] = 1;
        }
        expect((yield* g.evtchn(BIND_IPI, 0, 0)).result).toBe(ENOSPC);
      },
      { personality },
    );
  });

  it('bind_interdomain sets the local port pending at once, the remote one not; send goes to the other end', () => {
    const machine = new ScriptedMachine();
    const first = machine.guest(
      [
        function* (g) {
          g.setMask(1);
          yield* g.evtchn(ALLOC_UNBOUND, SELF | (2 << 16), 0);
          yield spend(1_000_000);
          yield* g.call(29, 1, 0); // block
          g.log.push('woken');
        },
      ],
      { personality },
    );
    const second = machine.guest(
      [
        function* (g) {
          g.setMask(1);
          yield spend(2000);
          yield* g.call(29, 0, 0); // yield: the other allocates
          const { result, out } = yield* g.evtchn(BIND_INTERDOMAIN, 1, 1, 0);
          expect([result, out[2]]).toEqual([0, 1]);
          expect(portPending(g.hv, g.domain, 1)).toBe(true);
          expect(portPending(g.hv, first.domain, 1)).toBe(false);
          const status = yield* g.evtchn(STATUS, SELF, 1, 0, 0, 0, 0);
          expect(status.out.slice(2)).toEqual([2, 0, 1, 1]); // interdomain, vcpu 0, d1 port 1
          expect((yield* g.evtchn(SEND, 1)).result).toBe(0);
          expect(portPending(g.hv, first.domain, 1)).toBe(true);
          g.log.push('sent');
        },
      ],
      { personality },
    );
    first.onEvent = (port) => first.log.push(`event ${port}`);
    machine.run();
    expect(second.log).toEqual(['sent']);
    expect(first.log).toEqual(['event 1', 'woken']);
  });

  it('bind_interdomain refuses a port that does not wait for the caller, and domains that are not there', () => {
    run(
      function* (g) {
        yield* g.evtchn(ALLOC_UNBOUND, SELF | (7 << 16), 0);
        expect((yield* g.evtchn(BIND_INTERDOMAIN, g.domain.id, 1, 0)).result).toBe(EINVAL);
        expect((yield* g.evtchn(BIND_INTERDOMAIN, 5, 1, 0)).result).toBe(ESRCH);
      },
      { personality },
    );
  });

  it('bind_virq binds each VIRQ once per vcpu and knows its numbers', () => {
    run(
      function* (g) {
        expect((yield* g.evtchn(BIND_VIRQ, 1, 0, 0)).out[2]).toBe(1);
        expect((yield* g.evtchn(BIND_VIRQ, 1, 0, 0)).result).toBe(EEXIST);
        expect((yield* g.evtchn(BIND_VIRQ, 1, 3, 0)).result).toBe(ENOENT);
        expect((yield* g.evtchn(BIND_VIRQ, personality === '4.17' ? 24 : 8, 0, 0)).result).toBe(EINVAL);
        // Port 2 was taken by nobody: failures leave no port behind.
        expect((yield* g.evtchn(BIND_IPI, 0, 0)).out[1]).toBe(2);
      },
      { personality },
    );
  });

  it('a global VIRQ belongs to vcpu 0 in 4.17; 3.0.2 does not look', () => {
    run(
      function* (g) {
        expect((yield* g.evtchn(BIND_VIRQ, 2, 1, 0)).result).toBe(personality === '4.17' ? EINVAL : 0);
      },
      { personality, vcpus: 2 },
    );
  });

  it('an ordinary domain has no physical interrupts', () => {
    run(
      function* (g) {
        expect((yield* g.evtchn(BIND_PIRQ, 4, 0, 0)).result).toBe(EPERM);
        expect((yield* g.evtchn(BIND_PIRQ, 256, 0, 0)).result).toBe(EINVAL);
      },
      { personality },
    );
  });

  it('send to an ipi port raises it here; to an unbound port does nothing; to others is EINVAL', () => {
    const { guest } = run(
      function* (g) {
        g.setMask(0);
        g.onEvent = (port) => g.log.push(`event ${port}`);
        const ipi = (yield* g.evtchn(BIND_IPI, 0, 0)).out[1]!;
        expect((yield* g.evtchn(SEND, ipi)).result).toBe(0);
        expect((yield* g.evtchn(ALLOC_UNBOUND, SELF | (7 << 16), 0)).result).toBe(0);
        expect((yield* g.evtchn(SEND, ipi + 1)).result).toBe(0);
        const virq = (yield* g.evtchn(BIND_VIRQ, 1, 0, 0)).out[2]!;
        expect((yield* g.evtchn(SEND, virq)).result).toBe(EINVAL);
        expect((yield* g.evtchn(SEND, 99)).result).toBe(EINVAL);
        expect((yield* g.evtchn(SEND, 5000)).result).toBe(EINVAL);
      },
      { personality },
    );
    expect(guest.log).toEqual(['event 1']);
    expect(guest.deliveries.map((d) => d.handler)).toEqual([EVENT_HANDLER]);
  });

  it('a masked port keeps only its pending bit; unmask notifies', () => {
    const { guest } = run(
      function* (g) {
        g.setMask(0);
        g.onEvent = (port) => g.log.push(`event ${port}`);
        const port = (yield* g.evtchn(BIND_IPI, 0, 0)).out[1]!;
        const maskWord = g.domain.sharedInfoMfn * 4096 + 2176;
        g.hv.memory.write32(maskWord, 1 << port);
        yield* g.evtchn(SEND, port);
        g.log.push(`selector ${g.hv.memory.read32(g.vcpu.vcpuInfo + 4)}`);
        expect((yield* g.evtchn(UNMASK, port)).result).toBe(0);
        expect(g.hv.memory.read32(maskWord)).toBe(0);
      },
      { personality },
    );
    expect(guest.log).toEqual(['selector 0', 'event 1']);
  });

  it('close: 3.0.2 leaves the pending bit, 4.17 clears it; free ports are EINVAL', () => {
    run(
      function* (g) {
        g.setMask(1);
        const port = (yield* g.evtchn(BIND_IPI, 0, 0)).out[1]!;
        yield* g.evtchn(SEND, port);
        expect((yield* g.evtchn(CLOSE, port)).result).toBe(0);
        expect(portPending(g.hv, g.domain, port)).toBe(personality === '3.0.2');
        expect((yield* g.evtchn(CLOSE, port)).result).toBe(EINVAL);
        expect((yield* g.evtchn(STATUS, SELF, port, 0, 0, 0, 0)).out[2]).toBe(0);
      },
      { personality },
    );
  });

  it('bind_vcpu moves unbound ports and refuses ipi and per-vcpu virq', () => {
    run(
      function* (g) {
        yield* g.evtchn(ALLOC_UNBOUND, SELF | (7 << 16), 0);
        yield* g.evtchn(BIND_IPI, 0, 0);
        yield* g.evtchn(BIND_VIRQ, 0, 0, 0);
        expect((yield* g.evtchn(BIND_VCPU, 1, 1)).result).toBe(0);
        expect((yield* g.evtchn(STATUS, SELF, 1, 0, 0, 0, 0)).out[3]).toBe(1);
        expect((yield* g.evtchn(BIND_VCPU, 2, 1)).result).toBe(EINVAL);
        expect((yield* g.evtchn(BIND_VCPU, 3, 1)).result).toBe(EINVAL);
        expect((yield* g.evtchn(BIND_VCPU, 1, 2)).result).toBe(ENOENT);
      },
      { personality, vcpus: 2 },
    );
  });

  it('the toolstack binds its side without raising anything in the guest', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          g.setMask(0);
          yield spend(5000);
          yield* g.evtchn(SEND, 1);
          yield* g.call(29, 1, 0);
          g.log.push('woken');
        },
      ],
      { personality },
    );
    guest.onEvent = (port) => guest.log.push(`event ${port}`);
    const port = toolstackAllocUnbound(machine.hv, guest.domain);
    expect(toolstackBind(machine.hv, guest.domain, port)).toBe(true);
    machine.run(100_000);
    expect(machine.toolstackEvents).toEqual(['d1:1']);
    expect(guest.log).toEqual([]);
    expect(notifyGuest(machine.hv, guest.domain, port)).toBe(true);
    machine.run(100_000);
    expect(guest.log).toEqual(['event 1', 'woken']);
  });
});

describe('event channels of 3.0.2', () => {
  it('calls a port in a bucket that was never needed invalid', () => {
    run(
      function* (g) {
        expect((yield* g.evtchn(STATUS, SELF, 127, 0, 0, 0, 0)).result).toBe(0);
        expect((yield* g.evtchn(STATUS, SELF, 128, 0, 0, 0, 0)).result).toBe(EINVAL);
      },
      { personality: '3.0.2' },
    );
  });
  it('answers the struct form, and copies outputs back into the union', () => {
    run(
      function* (g) {
        const op = g.put(BIND_IPI, 0, 0, 0, 0, 0, 0);
        expect(yield* g.call(16, op)).toBe(0);
        expect(g.read32(op + 8)).toBe(1);
        expect(g.read32(op)).toBe(BIND_IPI);
      },
      { personality: '3.0.2' },
    );
  });
});
