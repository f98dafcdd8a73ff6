import { describe, expect, it } from 'vitest';
import { CS, DS, ESP, GS, SS } from '../cpu/layout.ts';
import { BASE } from './testing/flat-domain.ts';
import {
  ENTRY,
  EVENT_HANDLER,
  FAILSAFE_HANDLER,
  fault,
  type GuestOptions,
  type Script,
  type ScriptedGuest,
  ScriptedMachine,
  softInt,
  spend,
  TRAP_HANDLER,
} from './testing/scripted-machine.ts';

const KERNEL_CS = 0xe019;
const KERNEL_SS = 0xe021;
const USER_CS = 0xe02b;
const USER_SS = 0xe033;
const EFLAGS = 0x202;

function run(script: (g: ScriptedGuest) => Script, options: GuestOptions = {}) {
  const machine = new ScriptedMachine();
  const guest = machine.guest([script], options);
  machine.run(100_000_000);
  return { machine, guest, end: guest.domain.end };
}
const hex = (words: number[]) => words.map((word) => word.toString(16));

/** Makes the processor run ring-3 code, as a kernel's return to user mode would. */
function enterUser(g: ScriptedGuest): void {
  const { cpu } = g.machine;
  cpu.cpl = 0;
  cpu.loadSegment(CS, USER_CS);
  cpu.cpl = 3;
  cpu.loadSegment(SS, USER_SS);
  cpu.setReg(ESP, BASE + 0x3000);
}

describe.each(['3.0.2', '4.17'] as const)('delivering exceptions, %s', (personality) => {
  it('pushes EFLAGS, CS with the old mask, EIP and the code on the ring-1 stack', () => {
    const { guest, end } = run(
      function* (g) {
        g.setMask(1);
        yield fault(13, 0x18);
        g.setMask(0);
        yield fault(13, 0x18);
      },
      { personality },
    );
    expect(end?.reason).toBe('poweroff');
    const [masked, open] = guest.deliveries;
    expect(hex(masked!.stack.slice(0, 4))).toEqual(hex([0x18, ENTRY, KERNEL_CS | 0x1_0000, EFLAGS & ~0x200]));
    expect(hex(open!.stack.slice(0, 4))).toEqual(hex([0x18, ENTRY, KERNEL_CS, EFLAGS]));
    expect(masked!.handler).toBe(TRAP_HANDLER + 13);
    expect(open!.mask).toBe(0);
  });

  it('masks events at entry only where the trap table says so', () => {
    const { guest } = run(
      function* (g) {
        g.setMask(0);
        g.vcpu.trapFlags[14] = 4;
        yield fault(14, 2, 0x1234);
        yield fault(0, -1);
      },
      { personality },
    );
    expect(guest.deliveries.map((d) => d.mask)).toEqual([1, 0]);
  });

  it('puts the address of a page fault into vcpu_info and recomputes the user bit from the ring', () => {
    const { guest } = run(
      function* (g) {
        yield fault(14, 6, 0x1234_5678);
        g.log.push(g.hv.memory.read32(g.vcpu.vcpuInfo + 8).toString(16));
        enterUser(g);
        yield fault(14, 2, 0x4321_0000);
      },
      { personality },
    );
    expect(guest.log).toEqual(['12345678']);
    expect(guest.deliveries.map((d) => d.stack[0])).toEqual([2, 6]);
  });

  it('switches to the kernel stack from ring 3 and pushes SS and ESP first', () => {
    const { guest } = run(
      function* (g) {
        yield* g.call(3, KERNEL_SS & ~1, BASE + 0x1800);
        g.setMask(0);
        enterUser(g);
        yield fault(13, 0);
        yield spend(1);
        yield softInt(0x82); // from ring 3 this is an ordinary #GP
      },
      { personality },
    );
    const [first, second] = guest.deliveries;
    expect(hex(first!.stack.slice(0, 6))).toEqual(hex([0, ENTRY, USER_CS, EFLAGS, BASE + 0x3000, USER_SS]));
    expect(first!.cpl).toBe(1);
    expect(second!.handler).toBe(TRAP_HANDLER + 13);
    expect(second!.stack[0]).toBe(0x82 * 8 + 2);
  });

  it('int n goes to its handler behind the instruction if the DPL allows, else #GP at it', () => {
    const { guest } = run(
      function* (g) {
        g.setMask(1);
        enterUser(g);
        g.vcpu.trapFlags[0x40] = 3;
        yield softInt(0x40);
        enterUser(g);
        yield softInt(0x41);
      },
      { personality },
    );
    const [allowed, refused] = guest.deliveries;
    expect([allowed!.handler, allowed!.stack[0]]).toEqual([TRAP_HANDLER + 0x40, ENTRY + 2]);
    expect([refused!.handler, ...refused!.stack.slice(0, 2)]).toEqual([
      TRAP_HANDLER + 13,
      0x41 * 8 + 2,
      ENTRY,
    ]);
  });

  it('int 0x80: 3.0.2 has a real gate without mask byte, 4.17 bounces', () => {
    const { guest } = run(
      function* (g) {
        g.vcpu.trapFlags[0x80] = 3;
        g.setMask(1);
        enterUser(g);
        yield softInt(0x80);
      },
      { personality },
    );
    const stack = guest.deliveries[0]!.stack;
    const old = personality === '3.0.2';
    expect(hex(stack.slice(1, 3))).toEqual(
      hex(old ? [USER_CS, EFLAGS] : [USER_CS | 0x1_0000, EFLAGS & ~0x200]),
    );
  });

  it('delivers an event between a fault and the first instruction of its handler', () => {
    const { guest } = run(
      function* (g) {
        g.setMask(0);
        yield* g.evtchn(7, 0, 0);
        // Pending without a look at it: what another vcpu's send does meanwhile.
        const shared = g.domain.sharedInfoMfn * 4096;
        g.hv.memory.write32(shared + 2048, 2);
        g.hv.memory.write32(g.vcpu.vcpuInfo + 4, 1);
        g.hv.memory.write8(g.vcpu.vcpuInfo, 1);
        yield fault(0, -1);
      },
      { personality },
    );
    expect(guest.deliveries.map((d) => d.handler)).toEqual([EVENT_HANDLER]);
    expect(guest.deliveries[0]!.stack[0]).toBe(TRAP_HANDLER);
    expect(guest.deliveries[0]!.mask).toBe(1);
  });

  it('dies of an exception without a handler, and says so', () => {
    const { end } = run(
      function* () {
        yield fault(0, -1);
      },
      { personality, handlers: false },
    );
    expect(end?.reason).toBe('crash');
    expect(end?.sentence).toMatch(
      /^The #DE at c0000000 ended the domain: the guest has not registered a handler/,
    );
  });

  it('dies when the frame cannot be stored', () => {
    const { end } = run(
      function* (g) {
        yield* g.call(3, KERNEL_SS, 0x1000);
        enterUser(g);
        yield fault(13, 0);
      },
      { personality },
    );
    expect(end?.sentence).toContain(
      'could not be delivered: the frame cannot be stored on the stack e021:1000',
    );
  });

  it('#NM clears the virtual TS by itself', () => {
    const { guest } = run(
      function* (g) {
        expect(yield* g.call(5, 1)).toBe(0);
        g.log.push(`TS ${(g.machine.cpu.cr0 >> 3) & 1}`);
        yield fault(7, -1);
        g.log.push(`TS ${(g.machine.cpu.cr0 >> 3) & 1}`);
      },
      { personality },
    );
    expect(guest.log).toEqual(['TS 1', 'TS 0']);
  });
});

describe('the iret hypercall', () => {
  /** Puts a frame at ESP and calls: EAX EIP CS EFLAGS [ESP SS]. */
  function* iret(g: ScriptedGuest, ...frame: number[]) {
    const at = g.put(...frame);
    g.machine.cpu.setReg(ESP, at);
    yield* g.call(23);
    return at;
  }

  it('returns to user mode, keeps EAX and sets the mask from IF', () => {
    const { guest } = run(function* (g) {
      g.setMask(1);
      yield* iret(g, 77, ENTRY + 8, USER_CS | 0xff_0000, 0x3202, BASE + 0x3000, USER_SS);
      const { cpu } = g.machine;
      g.log.push(
        `eax ${cpu.getReg(0)} cpl ${cpu.cpl} eflags ${cpu.eflags.toString(16)} mask ${g.hv.memory.read8(g.vcpu.vcpuInfo + 1)}`,
      );
      cpu.cpl = 1;
      cpu.loadSegment(SS, KERNEL_SS);
      yield* iret(g, 5, ENTRY, KERNEL_CS, 2);
      g.log.push(`eax ${cpu.getReg(0)} cpl ${cpu.cpl} mask ${g.hv.memory.read8(g.vcpu.vcpuInfo + 1)}`);
    });
    expect(guest.log).toEqual(['eax 77 cpl 3 eflags 202 mask 0', 'eax 5 cpl 1 mask 1']);
  });

  it('in a multicall ends the batch, which returns the EAX of the frame', () => {
    const { guest } = run(function* (g) {
      g.machine.cpu.setReg(ESP, g.put(0xdead, ENTRY, KERNEL_CS, 2));
      const iretEntry = [23, 0, 0, 0, 0, 0, 0, 0];
      const versionEntry = [17, 0xaa, 0, 0, 0, 0, 0, 0];
      const list = g.put(...iretEntry, ...versionEntry);
      const result = yield* g.call(13, list, 2);
      g.log.push(`result ${result.toString(16)}, second entry ${g.read32(list + 36).toString(16)}`);
    });
    expect(guest.log).toEqual(['result dead, second entry aa']);
  });

  it('ends the domain that asks for ring 0, or has no frame', () => {
    const ring0 = run(function* (g) {
      yield* iret(g, 0, ENTRY, 0xe008, 2);
    });
    expect(ring0.end?.sentence).toContain('asks for ring 0');
    const unmapped = run(function* (g) {
      g.machine.cpu.setReg(ESP, 0x5000);
      yield* g.call(23);
    });
    expect(unmapped.end?.sentence).toContain('the frame to return from is not readable');
  });

  it.each(['3.0.2', '4.17'] as const)(
    'a selector that cannot be loaded: failsafe or #GP, %s',
    (personality) => {
      const { guest } = run(
        function* (g) {
          yield* iret(g, 0, ENTRY, 0x53, 0x202, BASE + 0x3000, USER_SS);
        },
        { personality },
      );
      const [first] = guest.deliveries;
      if (personality === '3.0.2') expect(first!.handler).toBe(FAILSAFE_HANDLER);
      else
        expect([first!.handler, first!.stack[0], first!.stack[2]]).toEqual([TRAP_HANDLER + 13, 0x50, 0x53]);
    },
  );
});

describe.each(['3.0.2', '4.17'] as const)('selectors that do not fit a new GDT, %s', (personality) => {
  it('DS to GS: the failsafe callback in 3.0.2 on the way out, in 4.17 at the next context switch', () => {
    const machine = new ScriptedMachine();
    machine.guest([
      function* () {
        for (let i = 0; i < 1000; i++) yield spend(10_000);
      },
    ]);
    const guest = machine.guest(
      [
        function* (g) {
          const { cpu } = g.machine;
          const gdt = g.frames[12]!;
          const table = g.maddr(BASE + 12 * 4096);
          g.hv.memory.write32(table + 8, 0x0000_ffff);
          g.hv.memory.write32(table + 12, 0x00cf_b200);
          // Nothing may map it writable: its entry becomes read-only first.
          expect(yield* g.call(14, BASE + 12 * 4096, (gdt << 12) | 0x61, 0, 2)).toBe(0);
          expect(yield* g.call(2, g.put(gdt), 512)).toBe(0);
          expect(cpu.loadSegment(GS, 0x09)).toBe(0);
          expect(yield* g.call(2, 0, 0)).toBe(0);
          g.log.push(`${g.deliveries.length} gs ${cpu.getSelector(GS).toString(16)}`);
          yield* g.call(29, 3, g.put(g.put(1), 0, g.hv.now() + 1_000_000, 0));
          g.log.push(
            `${g.deliveries.length} gs ${cpu.getSelector(GS).toString(16)} ds ${cpu.getSelector(DS).toString(16)}`,
          );
        },
      ],
      { personality },
    );
    machine.run(100_000_000);
    const old = personality === '3.0.2';
    expect(guest.log[0]).toBe(old ? '1 gs 0' : '0 gs 9');
    expect(guest.log[1]).toBe(old ? '1 gs 0 ds 0' : '1 gs 0 ds e021');
    expect(guest.deliveries.map((d) => d.handler)).toEqual([FAILSAFE_HANDLER]);
    // DS ES FS GS EIP CS EFLAGS, DS lowest.
    expect(hex(guest.deliveries[0]!.stack.slice(0, 4))).toEqual(['e021', 'e021', 'e021', '9']);
    expect(guest.deliveries[0]!.stack[5]! & 0xffff).toBe(KERNEL_CS);
  });
});

describe('non-maskable interrupts', () => {
  it('are taken once, masked until the iret hypercall', () => {
    const { guest } = run(function* (g) {
      const nmi = g.put(TRAP_HANDLER + 2, 0);
      expect(yield* g.call(28, 0, nmi)).toBe(0);
      yield* g.call(24, 11, 0, 0);
      yield* g.call(24, 11, 0, 0);
      g.log.push(`${g.deliveries.length}`);
      g.machine.cpu.setReg(ESP, g.put(0, ENTRY, KERNEL_CS, 0x202));
      yield* g.call(23);
    });
    expect(guest.log).toEqual(['1']);
    expect(guest.deliveries.map((d) => d.handler)).toEqual([TRAP_HANDLER + 2, TRAP_HANDLER + 2]);
  });
});
