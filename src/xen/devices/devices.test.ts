/** Lines and devices as a guest's calls and port accesses see them: cpu-and-events.md 9.6, hypercalls.md 9. */
import { describe, expect, it } from 'vitest';
import { EBUSY, EEXIST, EINVAL, ENOSPC, EPERM, ESRCH } from '../abi/errno.ts';
import { destroyDomain } from '../domain-lifecycle.ts';
import { domainMemory } from '../domain-memory.ts';
import { readPort, writePort } from '../io-rights.ts';
import {
  type Action,
  type Script,
  type ScriptedGuest,
  ScriptedMachine,
  spend,
} from '../testing/scripted-machine.ts';
import { traceText } from '../trace-text.ts';
import { CONSOLE_IRQ } from './devices.ts';
import { BUTTON_IRQ, BUTTON_PORT } from './lab-button.ts';
import { civilDate, RTC_DATA_PORT, RTC_INDEX_PORT, RTC_IRQ } from './rtc.ts';
import { UART_BASE, UART_IRQ } from './uart16550.ts';

const MS = 1_000_000;
const [BIND_PIRQ, CLOSE, STATUS] = [2, 3, 5];
const SELF = 0x7ff0;
const EVTCHNSTAT_pirq = 3;

/** Runs a script as the initial domain (or an ordinary one); it must come to its end. */
function run(
  script: (g: ScriptedGuest) => Script,
  personality: '3.0.2' | '4.17' = '4.17',
  privileged = true,
): ScriptedMachine {
  const machine = new ScriptedMachine();
  machine.guest([script], { personality, privileged });
  machine.run();
  expect(machine.ended).toEqual([privileged ? 'd0 poweroff' : 'd1 poweroff']);
  return machine;
}

const bind = (g: ScriptedGuest, irq: number, flags = 0) => g.evtchn(BIND_PIRQ, irq, flags, 0);
function* bound(g: ScriptedGuest, irq: number): Generator<Action, number, number> {
  const { result, out } = yield* bind(g, irq);
  expect(result).toBe(0);
  return out[2]!;
}
/** IN and OUT as the hypervisor carries them out. */
const read = (g: ScriptedGuest, port: number, size = 1) => readPort(g.hv, g.vcpu, port, size);
const write = (g: ScriptedGuest, port: number, value: number, size = 1) =>
  writePort(g.hv, g.vcpu, port, size, value);
function rtcRead(g: ScriptedGuest, index: number): number {
  write(g, RTC_INDEX_PORT, index);
  return read(g, RTC_DATA_PORT);
}
function rtcWrite(g: ScriptedGuest, index: number, value: number): void {
  write(g, RTC_INDEX_PORT, index);
  write(g, RTC_DATA_PORT, value);
}
/** Waits, events on, until a deadline. */
function* sleep(g: ScriptedGuest, ns: number): Script {
  const end = g.hv.now() + ns;
  while (g.hv.now() < end) yield* g.call(29, 3, g.put(0, 0, end % 2 ** 32, Math.floor(end / 2 ** 32)));
}
/** Ports that had an event, in order. */
function heard(g: ScriptedGuest): number[] {
  const ports: number[] = [];
  g.onEvent = (port) => ports.push(port);
  g.setMask(0);
  return ports;
}

describe.each(['3.0.2', '4.17'] as const)('EVTCHNOP_bind_pirq, %s', (personality) => {
  it('binds a line to a port that notifies vcpu 0, once per domain; close releases it', () => {
    run(function* (g) {
      const port = yield* bound(g, RTC_IRQ);
      const { out } = yield* g.evtchn(STATUS, SELF, port, 0, 0, 0, 0);
      expect(out.slice(2, 5)).toEqual([EVTCHNSTAT_pirq, 0, RTC_IRQ]);
      expect((yield* bind(g, RTC_IRQ)).result).toBe(EEXIST);
      expect((yield* g.evtchn(CLOSE, port)).result).toBe(0);
      expect(yield* bound(g, RTC_IRQ)).toBe(port);
    }, personality);
  });

  it('refuses numbers out of range, lines that no device has, and lines of others', () => {
    run(function* (g) {
      expect((yield* bind(g, 256)).result).toBe(EINVAL);
      expect((yield* bind(g, 5)).result).toBe(EINVAL);
      // Nothing was left behind: the next port is the first.
      expect(yield* bound(g, RTC_IRQ)).toBe(1);
    }, personality);
    run(
      function* (g) {
        expect((yield* bind(g, 256)).result).toBe(EINVAL);
        expect((yield* bind(g, RTC_IRQ)).result).toBe(EPERM);
      },
      personality,
      false,
    );
  });

  it('is EBUSY for the line of the hypervisor’s own console', () => {
    run(function* (g) {
      expect((yield* bind(g, CONSOLE_IRQ)).result).toBe(EBUSY);
      expect(yield* bound(g, RTC_IRQ)).toBe(1);
    }, personality);
    run(
      function* (g) {
        expect((yield* bind(g, CONSOLE_IRQ)).result).toBe(EPERM);
      },
      personality,
      false,
    );
  });

  it('is ENOSPC without a free port', () => {
    run(function* (g) {
      for (let port = 1; port < 1024; port++) g.domain.portState[port] = 6; // reserved
      g.domain.portLimit = 1024;
      expect((yield* bind(g, RTC_IRQ)).result).toBe(ENOSPC);
      g.domain.portState.fill(0);
    }, personality);
  });

  it('delivers a level that is asserted already', () => {
    run(function* (g) {
      const ports = heard(g);
      g.hv.devices.button.press(g.hv);
      const port = yield* bound(g, BUTTON_IRQ);
      const { trace } = g.hv;
      const told = Array.from({ length: 3 }, (_, i) => traceText(trace, trace.slotOf(trace.total - 3 + i)));
      expect(told).toContain(`PIRQ ${BUTTON_IRQ} on port ${port}`);
      yield spend(1);
      expect(ports).toEqual([port]);
    }, personality);
  });
});

describe('a line shared by several domains', () => {
  it('is EBUSY unless all are willing, and for the eighth', () => {
    const { hv } = new ScriptedMachine();
    const { lines } = hv.devices;
    const domain = (id: number) => ({ id }) as Parameters<typeof lines.bind>[0];
    expect(lines.bind(domain(1), RTC_IRQ, 1, 0)).toBe(0);
    expect(lines.bind(domain(2), RTC_IRQ, 1, 1)).toBe(EBUSY);
    for (let id = 1; id <= 7; id++) expect(lines.bind(domain(id), BUTTON_IRQ, 1, 1)).toBe(0);
    expect(lines.bind(domain(8), BUTTON_IRQ, 1, 1)).toBe(EBUSY);
    lines.unbind(hv, domain(3), BUTTON_IRQ);
    expect(lines.bind(domain(8), BUTTON_IRQ, 1, 0)).toBe(EBUSY);
    expect(lines.bind(domain(8), BUTTON_IRQ, 1, 1)).toBe(0);
  });

  it('stays silent until every one of them has ended service', () => {
    const machine = new ScriptedMachine();
    const { hv } = machine;
    const idle = function* (g: ScriptedGuest): Script {
      g.setMask(1);
      yield* sleep(g, 1000 * MS);
    };
    const guests = [machine.guest([idle]), machine.guest([idle])];
    const { lines } = hv.devices;
    for (const [i, g] of guests.entries()) lines.bind(g.domain, BUTTON_IRQ, 5 + i, 1);
    lines.assert(hv, BUTTON_IRQ);
    const line = lines.get(BUTTON_IRQ)!;
    expect(line.delivered).toBe(1);
    expect(lines.end(hv, guests[0]!.domain, BUTTON_IRQ)).toBe(0);
    expect(line.delivered).toBe(1);
    expect(lines.end(hv, guests[1]!.domain, BUTTON_IRQ)).toBe(0);
    expect(line.delivered).toBe(2);
    expect(lines.end(hv, guests[0]!.domain, RTC_IRQ)).toBe(EINVAL);
  });
});

describe('the end of an interrupt', () => {
  it('4.17: PHYSDEVOP_eoi ends one line; a level that is still there is delivered again', () => {
    run(function* (g) {
      const ports = heard(g);
      const port = yield* bound(g, BUTTON_IRQ);
      const eoi = () => g.call(33, 12, g.put(BUTTON_IRQ));
      g.hv.devices.button.press(g.hv);
      yield spend(1);
      g.hv.devices.button.press(g.hv);
      yield spend(1);
      expect(ports).toEqual([port]); // in service: silent
      expect(yield* eoi()).toBe(0);
      yield spend(1);
      expect(ports).toEqual([port, port]);
      expect(read(g, BUTTON_PORT)).toBe(2);
      expect(yield* eoi()).toBe(0);
      yield spend(1);
      expect(ports).toEqual([port, port]);
      expect(yield* g.call(33, 12, g.put(RTC_IRQ))).toBe(EINVAL); // not bound
      expect(yield* g.call(33, 12, g.put(300))).toBe(EINVAL);
    });
  });

  it('3.0.2: IRQ_UNMASK_NOTIFY ends what is in service, but not behind a masked port', () => {
    run(function* (g) {
      const ports = heard(g);
      const port = yield* bound(g, BUTTON_IRQ);
      const mask = g.domain.sharedInfoMfn * 4096 + 2176;
      g.hv.devices.button.press(g.hv);
      yield spend(1);
      g.hv.memory.write32(mask, 1 << port);
      expect(yield* g.call(19, g.put(4, 0, 0, 0))).toBe(0);
      expect(g.hv.devices.lines.get(BUTTON_IRQ)!.bindings[0]!.inService).toBe(true);
      g.hv.memory.write32(mask, 0);
      expect(yield* g.call(19, g.put(4, 0, 0, 0))).toBe(0);
      yield spend(1);
      expect(ports).toEqual([port, port]); // nobody read the button: it is still there
    }, '3.0.2');
  });

  it.each([
    ['3.0.2', 0, 1],
    ['4.17', 1, 1],
  ] as const)('IRQ_STATUS_QUERY, %s: the clock %d, the button %d', (personality, clock, button) => {
    for (const privileged of [true, false]) {
      run(
        function* (g) {
          const at = g.put(RTC_IRQ, 99);
          expect(yield* g.call(33, 5, at)).toBe(0);
          expect(g.read32(at + 4)).toBe(clock);
          g.write32(at, BUTTON_IRQ);
          expect(yield* g.call(33, 5, at)).toBe(0);
          expect(g.read32(at + 4)).toBe(button);
          g.write32(at, 256);
          expect(yield* g.call(33, 5, at)).toBe(EINVAL);
        },
        personality,
        privileged,
      );
    }
  });
});

describe('the IO-APIC', () => {
  const apic = (g: ScriptedGuest, cmd: number, reg: number, value = 0, base = 0xfec0_0000) => {
    const at = g.put(base, reg, value);
    return { at, call: () => g.call(33, cmd, at) };
  };
  it('shows version and entries, and ignores what is the hypervisor’s', () => {
    run(function* (g) {
      const get = function* (reg: number): Generator<Action, number, number> {
        const { at, call } = apic(g, 8, reg);
        expect(yield* call()).toBe(0);
        return g.read32(at + 8);
      };
      expect(yield* get(1)).toBe(0x0017_0011);
      const entry = 0x10 + 2 * BUTTON_IRQ;
      const before = yield* get(entry);
      expect(before & 0x1_8000).toBe(0x8000); // level, not masked
      for (const reg of [0, 1, entry + 1, 0x40, 0xffff_ffff]) {
        expect(yield* apic(g, 9, reg, 0xffff_0000).call()).toBe(0);
      }
      expect([yield* get(0), yield* get(1), yield* get(entry), yield* get(entry + 1)]).toEqual([
        0,
        0x0017_0011,
        before,
        0,
      ]);
      expect([yield* get(0x40), yield* get(0xffff_ffff)]).toEqual([0, 0]);
      expect(yield* apic(g, 9, entry, 0x400).call()).toBe(EINVAL); // an NMI is not the guest's to choose
      expect(yield* apic(g, 8, 1, 0, 0xfec0_1000).call()).toBe(EINVAL);
      expect(yield* apic(g, 9, 1, 0, 0xfec0_1000).call()).toBe(EINVAL);
    });
  });

  it('masks a line, and turns it to edges', () => {
    run(function* (g) {
      const ports = heard(g);
      const port = yield* bound(g, BUTTON_IRQ);
      const entry = 0x10 + 2 * BUTTON_IRQ;
      yield* apic(g, 9, entry, 0x1_8031).call();
      g.hv.devices.button.press(g.hv);
      yield spend(1);
      expect(ports).toEqual([]);
      yield* apic(g, 9, entry, 0x8031).call();
      yield spend(1);
      expect(ports).toEqual([port]);
      read(g, BUTTON_PORT);
      yield* apic(g, 9, entry, 0x31).call();
      g.hv.devices.button.press(g.hv);
      yield spend(1);
      g.hv.devices.button.press(g.hv); // asserted already: no edge
      yield spend(1);
      expect(ports).toEqual([port, port]);
    });
  });

  it.each([
    ['3.0.2', (vector: number) => vector >= 0x31],
    ['4.17', (vector: number) => vector === RTC_IRQ],
  ] as const)('gives vectors, %s', (personality, right) => {
    run(function* (g) {
      const at = g.put(RTC_IRQ, 0);
      expect(yield* g.call(33, 10, at)).toBe(0);
      expect(right(g.read32(at + 4))).toBe(true);
      expect(yield* g.call(33, 10, g.put(256, 0))).toBe(EINVAL);
    }, personality);
  });

  it('gives each of its lines a vector of its own', () => {
    const { ioApic } = new ScriptedMachine().hv.devices;
    const vectors = Array.from({ length: 24 }, (_, irq) => ioApic.vectorOf(irq));
    expect(new Set(vectors).size).toBe(24);
  });

  it('map_pirq gives a line its own number; there are no others and no message interrupts', () => {
    run(function* (g) {
      const map = (type: number, index: number, pirq: number, domid = SELF) => {
        const at = g.put(domid, type, index, pirq, 0, 0, 0, 0, 0);
        return { at, call: () => g.call(33, 13, at) };
      };
      const own = map(1, BUTTON_IRQ, -1);
      expect(yield* own.call()).toBe(0);
      expect(g.read32(own.at + 12)).toBe(BUTTON_IRQ);
      expect(yield* map(1, BUTTON_IRQ, 40).call()).toBe(EINVAL);
      expect(yield* map(1, 5, -1).call()).toBe(EINVAL);
      expect(yield* map(0, BUTTON_IRQ, -1).call()).toBe(EINVAL);
      expect(yield* map(1, BUTTON_IRQ, -1, 9).call()).toBe(ESRCH);
      expect(yield* g.call(33, 14, g.put(SELF, BUTTON_IRQ))).toBe(0);
      expect(yield* g.call(33, 14, g.put(SELF, 5))).toBe(EINVAL);
    });
    run(
      function* (g) {
        expect(yield* g.call(33, 13, g.put(SELF, 1, 8, 8, 0, 0, 0, 0, 0))).toBe(EPERM);
      },
      '4.17',
      false,
    );
  });
});

describe('the clock chip', () => {
  it('interrupts at its rate, and only once until register C is read', () => {
    run(function* (g) {
      const at: number[] = [];
      const port = yield* bound(g, RTC_IRQ);
      let acknowledge = true;
      g.onEvent = (p) => {
        if (p !== port) return;
        at.push(g.hv.now());
        if (acknowledge) expect(rtcRead(g, 0x0c)).toBe(0xc0);
      };
      g.setMask(0);
      rtcWrite(g, 0x0a, 0x2a); // 64 Hz
      const began = g.hv.now();
      rtcWrite(g, 0x0b, 0x42);
      yield* sleep(g, 100 * MS);
      expect(at.map((t) => Math.round((t - began) / 15_625_000))).toEqual([1, 2, 3, 4, 5, 6]);
      acknowledge = false;
      yield* sleep(g, 100 * MS);
      expect(at.length).toBe(7);
      acknowledge = true;
      expect(rtcRead(g, 0x0c)).toBe(0xc0);
      expect(rtcRead(g, 0x0c)).toBe(0);
      yield* sleep(g, 16 * MS);
      expect(at.length).toBe(8);
      rtcWrite(g, 0x0b, 0x02);
      yield* sleep(g, 100 * MS);
      expect(at.length).toBe(8);
    });
  });

  it('shows the wall clock in BCD or binary, of 24 or 12 hours', () => {
    run(function* (g) {
      g.hv.wallClockSeconds = Date.UTC(2024, 1, 29, 13, 45, 59) / 1000;
      const date = () => [0x32, 9, 8, 7, 6, 4, 2, 0].map((index) => rtcRead(g, index));
      expect(date()).toEqual([0x20, 0x24, 0x02, 0x29, 5, 0x13, 0x45, 0x59]);
      rtcWrite(g, 0x0b, 0x06);
      expect(date()).toEqual([20, 24, 2, 29, 5, 13, 45, 59]);
      rtcWrite(g, 0x0b, 0x00);
      expect(rtcRead(g, 4)).toBe(0x81); // 1 in the afternoon
      rtcWrite(g, 4, 7); // the clock is the hypervisor's
      expect(rtcRead(g, 4)).toBe(0x81);
      g.hv.wallClockSeconds -= 13 * 3600;
      expect(rtcRead(g, 4)).toBe(0x12); // midnight
      rtcWrite(g, 0x40, 0x5a); // battery-backed memory
      expect([rtcRead(g, 0x40), rtcRead(g, 0x0d)]).toEqual([0x5a, 0x80]);
      yield spend(1);
    });
  });

  it('knows the calendar', () => {
    for (let days = -1000; days < 60_000; days += 13) {
      const date = new Date(days * 86_400_000);
      expect(civilDate(days)).toEqual({
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
      });
    }
  });
});

describe('the UART', () => {
  const LISTEN = [
    [2, 0x07],
    [4, 0x0b],
    [1, 0x01],
  ] as const;
  it.each([
    ['drains it', 200],
    ['takes one byte', 1],
  ])('loses nothing of 100 typed bytes when each interrupt %s', (_how, most) => {
    run(function* (g) {
      const got: number[] = [];
      let interrupts = 0;
      const port = yield* bound(g, UART_IRQ);
      g.onEvent = (p) => {
        if (p !== port) return;
        interrupts++;
        for (let i = 0; i < most && read(g, UART_BASE + 5) & 1; i++) got.push(read(g, UART_BASE));
      };
      g.setMask(0);
      for (const [register, value] of LISTEN)
        if (most > 1 || register !== 2) write(g, UART_BASE + register, value);
      const typed = Uint8Array.from({ length: 100 }, (_, i) => i);
      g.hv.devices.uart.type(g.hv, typed);
      for (let i = 0; i < 200; i++) yield spend(1);
      expect(got).toEqual([...typed]);
      expect(g.hv.devices.uart.inputEmpty).toBe(true);
      expect(interrupts).toBeGreaterThanOrEqual(most > 1 ? 1 : 100);
    });
  });

  it('sends to the lab, and interrupts when it can send more', () => {
    const machine = run(function* (g) {
      const port = yield* bound(g, UART_IRQ);
      const text = [...'hi!'].map((c) => c.charCodeAt(0));
      const causes: number[] = [];
      g.onEvent = (p) => {
        if (p !== port) return;
        causes.push(read(g, UART_BASE + 2));
        const next = text.shift();
        if (next === undefined) write(g, UART_BASE + 1, 0);
        else write(g, UART_BASE, next);
      };
      g.setMask(0);
      write(g, UART_BASE + 4, 0x08);
      write(g, UART_BASE + 1, 0x02);
      for (let i = 0; i < 20; i++) yield spend(1);
      expect(causes).toEqual([2, 2, 2, 2]);
    });
    expect(String.fromCharCode(...machine.serial)).toBe('hi!');
  });

  it('is silent without OUT2, and has a divisor behind DLAB', () => {
    run(function* (g) {
      const ports = heard(g);
      yield* bound(g, UART_IRQ);
      write(g, UART_BASE + 1, 0x01);
      g.hv.devices.uart.type(g.hv, Uint8Array.of(1));
      yield spend(1);
      expect(ports).toEqual([]);
      write(g, UART_BASE + 3, 0x83);
      write(g, UART_BASE, 0x0102, 2);
      expect(read(g, UART_BASE, 2)).toBe(0x0102);
      write(g, UART_BASE + 3, 0x03);
      expect(read(g, UART_BASE + 5)).toBe(0x61);
      expect(read(g, UART_BASE)).toBe(1);
    });
  });

  it('overruns in loopback, where nobody waits', () => {
    run(function* (g) {
      write(g, UART_BASE + 4, 0x10);
      write(g, UART_BASE, 0x41);
      write(g, UART_BASE, 0x42);
      expect(read(g, UART_BASE + 5)).toBe(0x63);
      expect([read(g, UART_BASE + 5), read(g, UART_BASE)]).toEqual([0x61, 0x41]);
      expect(read(g, UART_BASE + 5)).toBe(0x60);
      yield spend(1);
    });
  });
});

describe('the devices', () => {
  it('are the initial domain’s alone: others read all ones, and their writes vanish', () => {
    run(
      function* (g) {
        expect([read(g, UART_BASE + 5), read(g, UART_BASE + 4, 2), read(g, UART_BASE + 4, 4)]).toEqual([
          0xff, 0xffff, 0xffff_ffff,
        ]);
        write(g, UART_BASE + 7, 0x12);
        expect(g.hv.devices.uart.scratch).toBe(0);
        yield spend(1);
      },
      '4.17',
      false,
    );
  });

  it('are bytes in a row, and all ones where no device is', () => {
    run(function* (g) {
      write(g, UART_BASE + 7, 0xa5);
      expect(read(g, UART_BASE + 7, 2)).toBe(0xffa5);
      expect(read(g, 0xffff, 4)).toBe(0xffff_ffff);
      yield spend(1);
    });
  });

  it('lose their lines with the domain, stand still after it, and are new for the next', () => {
    const machine = new ScriptedMachine();
    const { hv } = machine;
    const guest = machine.guest(
      [
        function* (g): Script {
          g.setMask(1);
          yield* bind(g, RTC_IRQ);
          rtcWrite(g, 0x0b, 0x42);
          expect(hv.devices.deadline(hv)).toBeLessThan(Number.POSITIVE_INFINITY);
        },
      ],
      { privileged: true },
    );
    machine.run();
    expect(machine.ended).toEqual(['d0 poweroff']);
    expect(hv.devices.deadline(hv)).toBe(Number.POSITIVE_INFINITY);
    const old = hv.devices;
    destroyDomain(hv, guest.domain, domainMemory);
    expect(old.lines.get(RTC_IRQ)!.bindings).toEqual([]);
    machine.guest(
      [
        function* (g): Script {
          expect(rtcRead(g, 0x0b)).toBe(0x02);
          yield* bound(g, RTC_IRQ);
        },
      ],
      { privileged: true },
    );
    machine.run();
    expect(machine.ended).toEqual(['d0 poweroff', 'd0 poweroff']);
  });
});
