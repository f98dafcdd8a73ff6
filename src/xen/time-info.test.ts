import { describe, expect, it } from 'vitest';
import { type ScriptedGuest, ScriptedMachine, spend } from './testing/scripted-machine.ts';

/** A guest's clock: the formula of public/xen.h, in exact arithmetic. */
function guestClock(g: ScriptedGuest, tsc: bigint): bigint {
  const info = g.vcpu.vcpuInfo + 32;
  const word = (offset: number) => BigInt(g.hv.memory.read32(info + offset));
  const u64 = (offset: number) => word(offset) + (word(offset + 4) << 32n);
  const shift = BigInt(g.hv.memory.read8(info + 28));
  return u64(16) + ((((tsc - u64(8)) << shift) * word(24)) >> 32n);
}

describe.each(['3.0.2', '4.17'] as const)('time as a guest computes it, %s', (personality) => {
  it('one TSC tick is one nanosecond, from before the first instruction on', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          for (const pause of [0, 1, 999, 123_456_789]) {
            yield spend(pause);
            const now = g.hv.now();
            g.log.push(String(guestClock(g, BigInt(now)) === BigInt(now)));
          }
        },
      ],
      { personality },
    );
    expect(machine.hv.memory.read32(guest.vcpu.vcpuInfo + 32 + 24)).toBe(0x8000_0000);
    machine.run();
    expect(guest.log).toEqual(['true', 'true', 'true', 'true']);
  });

  it('versions are even while nothing changes, and grow', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest(
      [
        function* (g) {
          const version = () => g.hv.memory.read32(g.vcpu.vcpuInfo + 32);
          const before = version();
          yield* g.call(29, 3, g.put(g.put(1), 0, g.hv.now() + 1_000_000, 0));
          g.log.push(`${before % 2} ${version() % 2} ${version() > before}`);
        },
      ],
      { personality },
    );
    machine.run();
    expect(guest.log).toEqual(['0 0 true']);
  });

  it('the wall clock is UTC at system time 0', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest([function* () {}], { personality });
    const shared = guest.domain.sharedInfoMfn * 4096;
    const read = (offset: number) => machine.hv.memory.read32(shared + offset);
    expect([read(2304) % 2, read(2308), read(2312)]).toEqual([0, 1_000_000_000, 0]);
  });
});
