import { describe, expect, it } from 'vitest';
import { EEXIST, EFAULT, EINVAL, ENOENT, ENOSYS, ENXIO, EPERM } from '../abi/errno.ts';
import { BASE } from '../testing/flat-domain.ts';
import { guestContext } from '../testing/guest-context.ts';
import {
  type GuestOptions,
  type Script,
  type ScriptedGuest,
  ScriptedMachine,
  spend,
} from '../testing/scripted-machine.ts';
import { HYPERCALLS } from './table.ts';

function run(script: (g: ScriptedGuest) => Script, options: GuestOptions = {}): ScriptedMachine {
  const machine = new ScriptedMachine();
  machine.guest([script], options);
  machine.run(100_000_000);
  expect(machine.ended).toEqual([`d${options.privileged ? 0 : 1} poweroff`]);
  return machine;
}
const text = (g: ScriptedGuest, at: number, size: number) => {
  let out = '';
  for (let i = 0; i < size; i++) {
    const byte = (g.read32(at + (i & ~3)) >>> (8 * (i & 3))) & 0xff;
    if (byte === 0) break;
    out += String.fromCharCode(byte);
  }
  return out;
};

describe.each(['3.0.2', '4.17'] as const)('hypercalls, %s', (personality) => {
  const old = personality === '3.0.2';

  it('numbers that are not served are ENOSYS, and so are unknown commands', () => {
    run(
      function* (g) {
        for (const number of [11, 25, 31, 34, 43, 63, 64, 4096, 0xffff_ffff]) {
          expect([number, yield* g.call(number)]).toEqual([number, ENOSYS]);
        }
        expect(yield* g.call(29, 99, 0)).toBe(ENOSYS);
        expect(yield* g.call(32, 11, g.put(0, 0, 0, 0, 0, 0))).toBe(ENOSYS);
        expect(yield* g.call(19, g.put(77, 0, 0, 0))).toBe(old ? EINVAL : ENOSYS);
        expect(yield* g.call(33, 77, g.put(0, 0, 0))).toBe(ENOSYS);
        expect(yield* g.call(30, 5, g.put(0, 0, 0))).toBe(EINVAL);
      },
      { personality },
    );
  });

  it('every number of the ABI up to 42 has one row', () => {
    const numbers = HYPERCALLS.map((row) => row.number);
    expect(new Set(numbers).size).toBe(numbers.length);
    for (let number = 0; number <= 42; number++) if (number !== 11) expect(numbers).toContain(number);
  });

  it('arguments that cannot be read are EFAULT, results that cannot be written too, but what was done stays', () => {
    run(
      function* (g) {
        expect(yield* g.call(32, 1, 0x1000)).toBe(EFAULT);
        expect(yield* g.call(32, 1, g.domain.holeStart - 4)).toBe(EFAULT);
        expect(yield* g.call(17, 3, g.domain.holeStart - 8)).toBe(EFAULT);
        expect(yield* g.call(0, 0x1000)).toBe(EFAULT);
        expect(yield* g.call(13, 0x1000, 1)).toBe(EFAULT);
        expect(yield* g.call(13, g.domain.holeStart - 16, 1)).toBe(EFAULT);
        // A struct that straddles the end of the mapped memory is refused as a whole.
        expect(yield* g.call(32, 7, BASE + 16 * 4096 - 4)).toBe(EFAULT);
      },
      { personality },
    );
  });

  it('xen_version tells who it is', () => {
    run(
      function* (g) {
        expect(yield* g.call(17, 0, 0)).toBe(old ? 0x3_0000 : 0x4_0011);
        const at = g.room(1024);
        expect(yield* g.call(17, 3, at)).toBe(0);
        expect(text(g, at, 1024)).toMatch(old ? /^xen-3\.0-x86_32p$/ : /xen-3\.0-x86_32p /);
        expect(yield* g.call(17, 1, at)).toBe(0);
        expect(text(g, at, 16)).not.toBe('');
        expect(yield* g.call(17, 5, at)).toBe(0);
        expect(g.read32(at)).toBe(0xf580_0000);
        g.write32(at, 0);
        expect(yield* g.call(17, 6, at)).toBe(0);
        expect(g.read32(at + 4)).toBe(old ? 0 : (1 << 5) | (1 << 6) | (1 << 7) | (1 << 13) | (1 << 17));
        g.write32(at, 1);
        expect(yield* g.call(17, 6, at)).toBe(EINVAL);
        expect(yield* g.call(17, 7, 0)).toBe(old ? ENOSYS : 4096);
        expect(yield* g.call(17, 9, at)).toBe(old ? ENOSYS : 0);
        if (!old) expect(text(g, at, 16)).toBe('<denied>');
        expect(yield* g.call(17, 10, at)).toBe(old ? ENOSYS : EPERM);
      },
      { personality },
    );
  });

  it('console_io prints for everybody in 3.0.2, for the initial domain in 4.17', () => {
    const hello = [0x6c6c6568, 0x6f];
    const ordinary = run(
      function* (g) {
        expect(yield* g.call(18, 0, 5, g.put(...hello))).toBe(old ? 0 : EPERM);
      },
      { personality },
    );
    expect(ordinary.printed).toEqual(old ? ['d1 hello'] : []);
    const initial = run(
      function* (g) {
        expect(yield* g.call(18, 0, 5, g.put(...hello))).toBe(0);
        const at = g.room(16);
        expect(yield* g.call(18, 1, 3, at)).toBe(3);
        expect(text(g, at, 16)).toBe('typ');
        expect(yield* g.call(18, 2, 0, 0)).toBe(ENOSYS);
        expect(yield* g.call(18, 0, 5, 0x1000)).toBe(EFAULT);
      },
      { personality, privileged: true },
    );
    expect(initial.printed).toEqual(['d0 hello']);
  });

  it('multicall stores each result in its entry and succeeds whatever they are', () => {
    run(
      function* (g) {
        const at = g.put(
          ...[17, 0, 0, 0, 0, 0, 0, 0], // xen_version
          ...[77, 0, 0, 0, 0, 0, 0, 0], // not served
          ...[13, 0, 0, 0, 0, 0, 0, 0], // multicall
          ...[3, 9, 0xe021, 0xc000_1f00, 0, 0, 0, 0], // stack_switch
        );
        expect(yield* g.call(13, at, 4)).toBe(0);
        const results = [0, 1, 2, 3].map((i) => g.read32(at + 32 * i + 4) | 0);
        expect(results).toEqual([old ? 0x3_0000 : 0x4_0011, ENOSYS, EINVAL, 0]);
        expect(g.vcpu.kernelEsp).toBe(0xc000_1f00);
      },
      { personality },
    );
  });

  it('a multicall that blocks goes on with its other entries after the wake-up', () => {
    run(
      function* (g) {
        g.setMask(0);
        yield* g.evtchn(1, 0, 0, 0);
        const wake = g.hv.now() + 1_000_000;
        const at = g.put(
          ...[15, 9, wake, 0, 0, 0, 0, 0],
          ...[6, 9, 1, 0, 0, 0, 0, 0],
          ...[3, 9, 0xe021, 0xc000_1f00, 0, 0, 0, 0],
        );
        const { cpu } = g.machine;
        const before = g.hv.now();
        // The restarted call has eip back at the instruction; the script makes it again as the processor would.
        let result = yield* g.call(13, at, 3);
        while (result === 13) result = yield* g.call(13, cpu.getReg(3), cpu.getReg(1));
        expect(result).toBe(0);
        expect(g.hv.now() - before).toBeGreaterThan(900_000);
        expect(g.vcpu.kernelEsp).toBe(0xc000_1f00);
      },
      { personality },
    );
  });

  it('set_trap_table raises RPL 0, stops at address 0, keeps what came before an unreadable entry', () => {
    run(
      function* (g) {
        const at = g.put(0x0068_0403, 0xc000_0a00, 0, 0);
        expect(yield* g.call(0, at)).toBe(0);
        expect([g.vcpu.trapCs[3], g.vcpu.trapFlags[3], g.vcpu.trapAddress[3]]).toEqual([
          0x69, 4, 0xc000_0a00,
        ]);
        const last = BASE + 16 * 4096 - 8;
        g.write32(last, 0xe019_0007);
        g.write32(last + 4, 0xc000_0b00);
        expect(yield* g.call(0, last)).toBe(EFAULT);
        expect(g.vcpu.trapAddress[7]).toBe(0xc000_0b00);
        expect(yield* g.call(0, 0)).toBe(0);
        expect(g.vcpu.trapAddress.every((address) => address === 0)).toBe(true);
        for (let v = 0; v < 256; v++) g.vcpu.trapAddress[v] = 0xc000_0400 + v;
      },
      { personality },
    );
  });

  it('set_debugreg follows the generation', () => {
    run(
      function* (g) {
        expect(yield* g.call(8, 0, g.domain.holeStart - 3)).toBe(EPERM);
        expect(yield* g.call(8, 0, 0xc000_0000)).toBe(0);
        expect((yield* g.call(9, 0)) >>> 0).toBe(0xc000_0000);
        expect(yield* g.call(8, 7, 0x2000)).toBe(EPERM);
        expect(yield* g.call(8, 7, 0x2_0000)).toBe(EPERM);
        expect(yield* g.call(8, 7, 0x1_0001)).toBe(0);
        expect(yield* g.call(9, 7)).toBe(0x1_0401);
        expect(yield* g.call(8, 6, 0)).toBe(0);
        expect((yield* g.call(9, 6)) >>> 0).toBe(0xffff_0ff0);
        expect(yield* g.call(8, 4, 0)).toBe(old ? EINVAL : 0);
        expect(yield* g.call(8, 9, 0)).toBe(old ? EINVAL : -19);
      },
      { personality },
    );
  });

  it('physdev_op: what needs devices is refused to an ordinary domain', () => {
    run(
      function* (g) {
        expect(yield* g.call(33, 8, g.put(0xfec0_0000, 0, 0))).toBe(EPERM);
        expect(yield* g.call(33, 10, g.put(3, 0))).toBe(EPERM);
        expect(yield* g.call(33, 5, g.put(3, 0))).toBe(0); // anybody may ask
        expect(yield* g.call(33, 5, g.put(256, 0))).toBe(EINVAL);
        expect(yield* g.call(33, 28, g.put(3))).toBe(ENOSYS);
        expect(yield* g.call(19, g.put(4, 0, 0, 0))).toBe(0);
      },
      { personality },
    );
  });

  it('shutdown stops the domain with the low byte of the reason; old and new form', () => {
    for (const newForm of [false, true]) {
      const machine = new ScriptedMachine();
      const guest = machine.guest(
        [
          function* (g) {
            if (newForm) yield* g.call(29, 2, g.put(0x1_0001));
            else yield* g.call(6, 2, 0x1_0001);
            g.log.push('still here');
          },
        ],
        { personality },
      );
      machine.run(1_000_000);
      expect(guest.domain.end).toMatchObject({ reason: 'reboot', code: 1, sentence: null });
      expect(guest.log).toEqual([]);
    }
  });
});

describe('vcpu_op', () => {
  it('finds the vcpus that exist', () => {
    run(
      function* (g) {
        expect(yield* g.call(24, 3, 0, 0)).toBe(1);
        expect(yield* g.call(24, 3, 1, 0)).toBe(ENOENT);
        expect(yield* g.call(24, 3, 99, 0)).toBe(EINVAL);
        expect(yield* g.call(24, 50, 0, 0)).toBe(ENOSYS);
      },
      { personality: '3.0.2' },
    );
  });

  it('starts a second vcpu from a context, once', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          const second = g.domain.vcpus[1]!;
          second.initialised = false;
          expect(yield* g.call(24, 3, 1, 0)).toBe(0);
          expect(yield* g.call(24, 1, 1, 0)).toBe(EINVAL);
          const context = guestContext(g, { eip: BASE, esp: BASE + 0x1c00, cr3: 0 });
          expect(yield* g.call(24, 0, 1, context)).toBe(EINVAL); // no such root
          guestContext(g, { eip: BASE, esp: BASE + 0x1c00, cr3: g.vcpu.rootMfn * 4096 }, context);
          expect(yield* g.call(24, 0, 1, context)).toBe(0);
          expect(yield* g.call(24, 0, 1, context)).toBe(EEXIST);
          expect(yield* g.call(24, 3, 1, 0)).toBe(0);
          expect(yield* g.call(24, 1, 1, 0)).toBe(0);
          expect(yield* g.call(24, 3, 1, 0)).toBe(1);
          yield spend(20_000_000);
          yield* g.call(29, 0);
          g.log.push('first ends');
        },
        function* (g) {
          g.log.push(`second runs, iopl ${g.domain.vcpus[1]!.iopl}`);
          yield* g.call(24, 2, 1, 0);
        },
      ],
      { vcpus: 2 },
    );
    guest.domain.vcpus[1]!.down = true;
    // The builder of the scripted machine gave it a root: a vcpu that was never initialised has none.
    machine.dropRoot(guest.domain.vcpus[1]!);
    machine.run(100_000_000);
    expect(guest.log).toEqual(['second runs, iopl 1', 'first ends']);
  });

  it('register_vcpu_info moves the record and makes everything pending', () => {
    run(function* (g) {
      g.setMask(1);
      const frame = g.frames[15]!;
      expect(yield* g.call(24, 10, 0, g.put(frame, 0, 4096 - 60, 0))).toBe(ENXIO);
      expect(yield* g.call(24, 10, 0, g.put(g.hv.frames.heapStart, 0, 0, 0))).toBe(EINVAL);
      expect(yield* g.call(24, 10, 0, g.put(frame, 0, 128, 0))).toBe(0);
      const info = BASE + 15 * 4096 + 128;
      expect([g.read32(info) & 0xffff, g.read32(info + 4)]).toEqual([0x0101, 0xffff_ffff]);
      expect(g.read32(info + 32 + 24)).toBe(0x8000_0000);
      expect(yield* g.call(24, 10, 0, g.put(frame, 0, 128, 0))).toBe(EINVAL);
    });
  });

  it('writes the runstate area at registration and at each schedule-in', () => {
    run(function* (g) {
      const area = g.room(44);
      expect(yield* g.call(24, 5, 0, g.put(area, 0))).toBe(0);
      expect(g.read32(area)).toBe(0);
      const entered = g.read32(area + 4);
      yield* g.evtchn(7, 0, 0);
      yield* g.call(29, 3, g.put(g.put(1), 1, g.hv.now() + 1_000_000, 0));
      expect(g.read32(area + 4)).toBeGreaterThan(entered + 900_000);
      expect(g.read32(area + 28)).toBeGreaterThan(900_000); // blocked
      expect(yield* g.call(24, 5, 0, g.put(g.domain.holeStart - 8, 0))).toBe(EFAULT);
    });
  });

  it('taking the last vcpu down powers a 4.17 domain off', () => {
    run(function* (g) {
      yield* g.call(24, 2, 0, 0);
      throw new Error('still running');
    });
  });
});
