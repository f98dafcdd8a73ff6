import { beforeEach, describe, expect, it } from 'vitest';
import { EBUSY, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from './abi/errno.ts';
import { DOMID_IO, DOMID_SELF } from './domain.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from './frames.ts';
import { mmuUpdateRow } from './hypercalls/mmu-update.ts';
import { mmuextOpRow } from './hypercalls/mmuext-op.ts';
import { updateVaMappingRow } from './hypercalls/update-va-mapping.ts';
import { M2P_WINDOW } from './m2p.ts';
import { pin } from './pinning.ts';
import { setRoot } from './roots.ts';
import { type Guest, MemoryMachine } from './testing/memory-machine.ts';

let machine: MemoryMachine;
let guest: Guest;

/** Where the guest keeps what its hypercalls point at; mapped at virtual page 1 by every address space here. */
const ARGS = 0x1000;
const DONE = 0x1800;

/** An address space: root `r`, L1 `t` for the lowest addresses with t itself at page 2, `args` at page 1. */
function boot(abi: 'x86_32' | 'x86_32p', personality: '3.0.2' | '4.17', privileged = false): void {
  guest = machine.domain(abi, { personality, privileged });
  guest.write('L1 t: 1 -> args rw, 2 -> t, 3 -> a rw, 4 -> b');
  if (abi === 'x86_32') guest.write('L2 r: 0 -> t rw us');
  else guest.write('L2 d: 0 -> t rw us\n L3 r: 0 -> d, 3 -> top');
  const errno = pin(machine.hv, guest.domain, guest.mfn('r'), abi === 'x86_32' ? TYPE_l2 : TYPE_l3);
  if (errno !== 0 || setRoot(machine.hv, guest.vcpu, guest.mfn('r')) !== 0)
    throw new Error('no address space');
  guest.run();
  machine.check();
}

interface Update {
  ptr: number;
  low?: number;
  high?: number;
}
/** mmu_update of these entries. */
function mmuUpdate(updates: Update[], foreigndom = DOMID_SELF, count = updates.length): number {
  updates.forEach(({ ptr, low, high }, i) => {
    const at = guest.mfn('args') * 4096 + i * 16;
    const { memory } = machine.hv;
    memory.write32(at, ptr);
    memory.write32(at + 4, 0);
    memory.write32(at + 8, low ?? 0);
    memory.write32(at + 12, high ?? 0);
  });
  return guest.call(mmuUpdateRow, ARGS, count, DONE, foreigndom);
}
const set = (table: string, index: number, entry: string, command = 0): Update => ({
  ptr: guest.at(table, index) + command,
  ...guest.entry(entry),
});
const done = () => machine.hv.memory.read32(guest.mfn('args') * 4096 + (DONE & 4095));
const read = (table: string, index: number) => machine.hv.memory.read32(guest.at(table, index));

beforeEach(() => {
  machine = new MemoryMachine();
});

describe.each([
  ['x86_32', '3.0.2'],
  ['x86_32p', '3.0.2'],
  ['x86_32p', '4.17'],
] as const)('mmu_update of an L1 entry, %s %s', (abi, personality) => {
  const old = personality === '3.0.2';
  beforeEach(() => boot(abi, personality));

  it('takes the new reference and drops the old one', () => {
    expect(mmuUpdate([set('t', 3, 'c rw')])).toBe(0);
    expect(guest.books('a')).toBe('none refs 1');
    expect(guest.books('c')).toBe('writable uses 1 refs 2');
    expect(done()).toBe(1);
  });
  it('stores without a check what changes no right', () => {
    expect(mmuUpdate([set('t', 3, 'a rw us a d')])).toBe(0);
    expect(guest.books('a')).toBe('writable uses 1 refs 2');
  });
  it('turns a mapping read-only and so frees the frame for use as a table', () => {
    expect(mmuUpdate([set('t', 3, 'a')])).toBe(0);
    expect(guest.books('a')).toBe('none refs 2');
    expect(pin(machine.hv, guest.domain, guest.mfn('a'), TYPE_l1)).toBe(0);
    expect(mmuUpdate([set('t', 3, 'a rw')])).toBe(old ? EINVAL : EBUSY);
    expect(guest.because()).toMatch(/in use as an L1 table/);
    expect(done()).toBe(0);
  });
  it('never maps a table writable: its own, another, or the root', () => {
    for (const name of ['t', 'r']) {
      expect(mmuUpdate([set('t', 5, `${name} rw`)])).toBe(old ? EINVAL : EBUSY);
      expect(mmuUpdate([set('t', 5, name)])).toBe(0);
      expect(mmuUpdate([set('t', 5, `${name} rw`)])).toBe(old ? EINVAL : EBUSY);
    }
  });
  it('stops at the first failure and says how many were done', () => {
    const updates = [set('t', 5, 'c rw'), set('t', 6, 'r rw'), set('t', 7, 'd rw')];
    expect(mmuUpdate(updates)).toBeLessThan(0);
    expect(done()).toBe(1);
    expect(guest.books('c')).toBe('writable uses 1 refs 2');
    expect(read('t', 7)).toBe(0);
  });
  it('adds to the number done of a resumed call', () => {
    machine.hv.memory.write32(guest.mfn('args') * 4096 + (DONE & 4095), 40);
    expect(mmuUpdate([set('t', 5, 'c rw')], DOMID_SELF, 0x8000_0001)).toBe(0);
    expect(done()).toBe(41);
  });
  it('does nothing with count 0 but write the number', () => {
    machine.hv.memory.write32(guest.mfn('args') * 4096 + (DONE & 4095), 40);
    expect(mmuUpdate([], DOMID_SELF, 0)).toBe(0);
    expect(done()).toBe(0);
  });
  it('refuses I/O memory, frames of nobody and frames behind RAM', () => {
    expect(mmuUpdate([set('t', 5, 'm10')])).toBe(old ? EINVAL : EPERM);
    expect(mmuUpdate([set('t', 5, 'm10')], DOMID_IO)).toBe(old ? EINVAL : EPERM);
    expect(mmuUpdate([set('t', 5, 'mfffff')])).toBe(old ? EINVAL : EPERM);
  });
  it('refuses a table of another domain, and an array outside the guest', () => {
    const other = machine.domain(abi, { personality });
    other.write('L1 x: 0 -> y');
    expect(mmuUpdate([{ ptr: other.at('x', 0), low: 0 }])).toBe(EINVAL);
    expect(guest.call(mmuUpdateRow, guest.domain.holeStart - 8, 1, DONE, DOMID_SELF)).toBe(EFAULT);
    expect(guest.call(mmuUpdateRow, 0x20_0000, 1, DONE, DOMID_SELF)).toBe(EFAULT);
  });
  it('knows the foreign domain argument', () => {
    const other = machine.domain(abi, { personality });
    expect(mmuUpdate([set('t', 5, 'c')], guest.domain.id)).toBe(ESRCH);
    expect(mmuUpdate([set('t', 5, 'c')], 77)).toBe(ESRCH);
    expect(mmuUpdate([set('t', 5, 'c')], other.domain.id)).toBe(old ? ESRCH : EPERM);
  });
  it('stores plain words into a frame that is no table', () => {
    expect(mmuUpdate([{ ptr: guest.at('c', 9), low: 0xdead_beef, high: 0x1234 }])).toBe(0);
    expect(read('c', 9)).toBe(0xdead_beef);
    expect(guest.books('c')).toBe('none refs 1');
  });
  it('PRESERVE_AD keeps what the processor noted; 3.0.2 does not know it', () => {
    mmuUpdate([set('t', 3, 'a rw a d')]);
    expect(mmuUpdate([set('t', 3, 'a', 2)])).toBe(old ? EINVAL : 0);
    if (!old) expect(read('t', 3) & 0x62).toBe(0x60);
  });
  it('MACHPHYS_UPDATE writes the M2P for own frames only', () => {
    expect(mmuUpdate([{ ptr: guest.mfn('a') * 4096 + 1, low: 0x4711 }])).toBe(0);
    expect(machine.hv.m2p.get(guest.mfn('a'))).toBe(0x4711);
    const other = machine.domain(abi, { personality });
    expect(mmuUpdate([{ ptr: other.mfn('z') * 4096 + 1, low: 1 }])).toBe(EINVAL);
    expect(mmuUpdate([{ ptr: machine.hv.m2p.firstMfn * 4096 + 1, low: 1 }])).toBe(EINVAL);
  });
  it('MACHPHYS_UPDATE in the place of another domain is refused, 4.17', () => {
    boot(abi, personality, true);
    const other = machine.domain(abi, { personality });
    const page = other.mfn('z');
    const inPlaceOf = (who: Guest) =>
      mmuUpdate([{ ptr: page * 4096 + 1, low: 0x4712 }], ((who.domain.id + 1) << 16) | other.domain.id);
    // 3.0.2 knows one domain in this argument, and there is none of that number.
    expect(inPlaceOf(other)).toBe(old ? ESRCH : EPERM);
    expect(machine.hv.m2p.get(page)).not.toBe(0x4712);
    expect(inPlaceOf(guest)).toBe(old ? ESRCH : 0);
    if (!old) expect(machine.hv.m2p.get(page)).toBe(0x4712);
  });
  it('refuses commands that do not exist', () => {
    expect(mmuUpdate([set('t', 5, 'none', abi === 'x86_32' ? 3 : 5)])).toBe(old ? EINVAL : ENOSYS);
  });
});

describe('upper levels, 2-level', () => {
  beforeEach(() => boot('x86_32', '3.0.2'));

  it('hooks and unhooks an L1 table, which is data again at once', () => {
    guest.write('L1 u: 0 -> c rw');
    expect(mmuUpdate([set('r', 7, 'u rw')])).toBe(0);
    expect(guest.books('u')).toBe('L1 uses 1 refs 2');
    expect(mmuUpdate([set('r', 7, 'none'), set('t', 5, 'u rw')])).toBe(0);
    expect(guest.books('u')).toBe('writable uses 1 refs 2');
    expect(guest.books('c')).toBe('none refs 1');
  });
  it('lets RW and US of an L2 entry change freely', () => {
    expect(mmuUpdate([set('r', 0, 't'), set('r', 0, 't rw us')])).toBe(0);
    expect(guest.books('t')).toBe('L1 uses 1 refs 3');
  });
  it('never lets a linear entry become writable (the fast path must look)', () => {
    expect(mmuUpdate([set('r', 9, 'r us')])).toBe(0);
    expect(mmuUpdate([set('r', 9, 'r us rw')])).toBe(EINVAL);
    guest.write('L2 s: 0 -> t');
    expect(pin(machine.hv, guest.domain, guest.mfn('s'), TYPE_l2)).toBe(0);
    expect(mmuUpdate([set('r', 10, 's')])).toBe(0);
    expect(mmuUpdate([set('r', 10, 's rw')])).toBe(EINVAL);
    expect(mmuUpdate([set('r', 10, 's us a')])).toBe(0);
  });
  it('never makes a superpage, not even on the fast path', () => {
    expect(mmuUpdate([set('r', 0, 't rw us ps')])).toBe(EINVAL);
  });
  it('keeps the hypervisor slots', () => {
    expect(mmuUpdate([set('r', 1008, 'none')])).toBe(EINVAL);
    expect(mmuUpdate([set('r', 1023, 't')])).toBe(EINVAL);
  });
  it('update_va_mapping through a linear entry does not touch L2 entries as if they were L1', () => {
    expect(mmuUpdate([set('r', 9, 'r us')])).toBe(0);
    const va = 9 * 0x40_0000 + 9 * 4096;
    expect(guest.call(updateVaMappingRow, va, guest.entry('a rw').low, 0, 0)).toBe(EINVAL);
    expect(guest.because()).toMatch(/no L1 table/);
  });
});

describe.each(['3.0.2', '4.17'] as const)('upper levels, PAE %s', (personality) => {
  beforeEach(() => boot('x86_32p', personality));

  it('changes slots 0 to 2 of an L3, never slot 3 or what lies behind', () => {
    expect(mmuUpdate([set('r', 1, 'e')])).toBe(0);
    expect(guest.books('e')).toBe('L2 uses 1 refs 2');
    expect(mmuUpdate([set('r', 1, 'none')])).toBe(0);
    expect(mmuUpdate([set('r', 3, 'e')])).toBe(EINVAL);
    expect(mmuUpdate([set('r', 3, 'none')])).toBe(EINVAL);
    expect(mmuUpdate([set('r', 4, 'e')])).toBe(EINVAL);
  });
  it('does not hook the slot-3 L2 a second time', () => {
    expect(mmuUpdate([set('r', 1, 'top')])).toBe(EINVAL);
  });
  it('keeps the hypervisor slots of the slot-3 L2 only', () => {
    expect(mmuUpdate([set('top', 428, 'none')])).toBe(personality === '3.0.2' ? EINVAL : EPERM);
    guest.write('L1 u: 0 -> c');
    expect(mmuUpdate([set('d', 428, 'u rw')])).toBe(0);
  });
  it('refuses frame numbers beyond 32 bits of address', () => {
    const low = guest.entry('a').low;
    expect(mmuUpdate([{ ptr: guest.at('t', 5), low, high: 1 }])).toBe(
      personality === '3.0.2' ? EINVAL : EPERM,
    );
  });
});

describe('update_va_mapping', () => {
  it.each([
    ['x86_32', '3.0.2'],
    ['x86_32p', '4.17'],
  ] as const)('%s %s: replaces the entry of an address and flushes as asked', (abi, personality) => {
    boot(abi, personality);
    const { low, high } = guest.entry('c rw');
    const before = machine.cpu.tlbFlushes;
    expect(guest.call(updateVaMappingRow, 0x5000, low, high, 2)).toBe(0);
    expect(guest.books('c')).toBe('writable uses 1 refs 2');
    expect(machine.cpu.pageFlushes).toEqual([0x5000]);
    expect(guest.call(updateVaMappingRow, 0x5000, 0, 0, 1 | 4)).toBe(0);
    expect(machine.cpu.tlbFlushes).toBe(before + 1);
    expect(guest.books('c')).toBe('none refs 1');
  });
  it('answers EINVAL in the hole and where there is no L1, EFAULT for a bad vcpu bitmap', () => {
    boot('x86_32p', '4.17');
    expect(guest.call(updateVaMappingRow, 0xf580_0000, 0, 0, 0)).toBe(EINVAL);
    expect(guest.call(updateVaMappingRow, 0x4000_0000, 0, 0, 0)).toBe(EINVAL);
    expect(guest.call(updateVaMappingRow, 0x5000, 0, 0, 0x7000_0001)).toBe(EFAULT);
  });
  it('3.0.2 flushes although the entry was refused, 4.17 does not', () => {
    for (const personality of ['3.0.2', '4.17'] as const) {
      machine = new MemoryMachine();
      boot('x86_32p', personality);
      machine.cpu.pageFlushes.length = 0;
      expect(guest.call(updateVaMappingRow, 0x5000, guest.entry('r rw').low, 0, 2)).toBeLessThan(0);
      expect(machine.cpu.pageFlushes.length).toBe(personality === '3.0.2' ? 1 : 0);
    }
  });
  it('the M2P window is read by the kernel, never written, never by user code', () => {
    for (const abi of ['x86_32', 'x86_32p'] as const) {
      machine = new MemoryMachine();
      boot(abi, abi === 'x86_32' ? '3.0.2' : '4.17');
      machine.hv.m2p.set(guest.mfn('a'), 0x123);
      const va = M2P_WINDOW[abi].start + guest.mfn('a') * 4;
      expect(machine.hv.memory.read32(machine.cpu.translate(va, 0))).toBe(0x123);
      expect(machine.cpu.translate(va, 2)).toBe(-1);
      expect(machine.cpu.translate(va, 4)).toBe(-1);
      const behind = M2P_WINDOW[abi].start + machine.hv.frames.total * 4 + 8192;
      expect(machine.hv.memory.read32(machine.cpu.translate(behind, 0))).toBe(0xffff_ffff);
      expect(machine.cpu.translate(M2P_WINDOW[abi].end - 4, 0) === -1).toBe(abi === 'x86_32p');
    }
  });
});

describe('mmuext_op', () => {
  const mmuext = (ops: [cmd: number, arg1?: number, arg2?: number][], foreigndom = DOMID_SELF): number => {
    ops.forEach(([cmd, arg1, arg2], i) => {
      const at = guest.mfn('args') * 4096 + i * 12;
      machine.hv.memory.write32(at, cmd);
      machine.hv.memory.write32(at + 4, arg1 ?? 0);
      machine.hv.memory.write32(at + 8, arg2 ?? 0);
    });
    return guest.call(mmuextOpRow, ARGS, ops.length, DONE, foreigndom);
  };

  it('switches to a new root and lets go of the old one', () => {
    boot('x86_32', '3.0.2');
    guest.write('L2 s: 0 -> t rw');
    expect(
      mmuext([
        [4, guest.mfn('r')],
        [5, guest.mfn('s')],
      ]),
    ).toBe(0);
    expect(done()).toBe(2);
    expect(guest.books('r')).toBe('none refs 1');
    expect(machine.cpu.cr3).toBe(guest.mfn('s') * 4096);
  });
  it('4.17: a root that is refused leaves the old one in place', () => {
    boot('x86_32p', '4.17');
    expect(mmuext([[5, guest.mfn('t')]])).toBe(EINVAL);
    expect(guest.vcpu.rootMfn).toBe(guest.mfn('r'));
  });
  it('3.0.2: a root that is refused twice ends the domain, and says why', () => {
    boot('x86_32', '3.0.2');
    mmuext([[5, guest.mfn('args')]]);
    expect(guest.vcpu.rootMfn).toBe(0);
    expect(guest.domain.end?.reason).toBe('crash');
    expect(guest.domain.end?.sentence).toMatch(
      /root table was refused: frame [0-9a-f]+ is in use as|writable mapping/,
    );
  });
  it('3.0.2: a root that only the old tables stood against is taken at the second try', () => {
    boot('x86_32', '3.0.2');
    mmuext([[4, guest.mfn('r')]]);
    // Mapped writable by t alone, which goes with the old root.
    guest.write('L2 a: 0 -> u rw us\n L1 u: 1 -> args rw');
    expect(mmuext([[5, guest.mfn('a')]])).toBe(0);
    expect(guest.vcpu.rootMfn).toBe(guest.mfn('a'));
    expect(guest.domain.end).toBe(null);
  });
  it('unpins what is pinned, once; levels that the ABI lacks do nothing', () => {
    boot('x86_32', '3.0.2');
    expect(
      mmuext([
        [2, guest.mfn('c')],
        [3, guest.mfn('c')],
      ]),
    ).toBe(0);
    expect(mmuext([[4, guest.mfn('c')]])).toBe(EINVAL);
    expect(
      mmuext([
        [0, guest.mfn('c')],
        [4, guest.mfn('c')],
      ]),
    ).toBe(0);
  });
  it('flushes by vcpu bitmap, which must be readable', () => {
    boot('x86_32p', '4.17');
    machine.hv.memory.write32(guest.mfn('args') * 4096 + 0x900, 1);
    const before = machine.cpu.tlbFlushes;
    expect(
      mmuext([
        [8, 0, ARGS + 0x900],
        [9, 0x7000, ARGS + 0x900],
      ]),
    ).toBe(0);
    expect(machine.cpu.tlbFlushes).toBe(before + 1);
    expect(machine.cpu.pageFlushes.at(-1)).toBe(0x7000);
    expect(mmuext([[8, 0, 0x7000_0000]])).toBe(EINVAL);
  });
  it('clears and copies frames that can be written', () => {
    boot('x86_32p', '4.17');
    machine.hv.memory.write32(guest.at('a', 3), 77);
    expect(mmuext([[17, guest.mfn('c'), guest.mfn('a')]])).toBe(0);
    expect(read('c', 3)).toBe(77);
    expect(mmuext([[16, guest.mfn('c')]])).toBe(0);
    expect(read('c', 3)).toBe(0);
    expect(mmuext([[16, guest.mfn('t')]])).toBe(EINVAL);
  });
  it('answers what does not exist', () => {
    boot('x86_32p', '4.17');
    expect(mmuext([[14]])).toBe(ENOSYS);
    expect(mmuext([[15]])).toBe(EINVAL);
    expect(mmuext([[12]])).toBe(-13);
    boot('x86_32', '3.0.2');
    expect(mmuext([[16, guest.mfn('c')]])).toBe(EINVAL);
  });
});

describe('the counts have limits', () => {
  it('a reference or type count at its limit refuses one more use', () => {
    boot('x86_32', '3.0.2');
    machine.hv.frames.typeCountLimit = 2;
    expect(mmuUpdate([set('t', 10, 'a rw')])).toBe(0);
    expect(mmuUpdate([set('t', 11, 'a rw')])).toBe(EINVAL);
    machine.hv.frames.referenceLimit = 4;
    expect(mmuUpdate([set('t', 11, 'a')])).toBe(0);
    expect(mmuUpdate([set('t', 12, 'a')])).toBe(EINVAL);
    expect(guest.books('a')).toBe('writable uses 2 refs 4');
  });
});
