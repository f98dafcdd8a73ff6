import { beforeEach, describe, expect, it } from 'vitest';
import { EACCES, EFAULT, EINVAL, ENOMEM, ENOSYS, EPERM, ESRCH } from './abi/errno.ts';
import { DOMID_SELF } from './domain.ts';
import { TYPE_l2, TYPE_l3 } from './frames.ts';
import { memoryOpRow } from './hypercalls/memory-op.ts';
import { pin } from './pinning.ts';
import { setRoot } from './roots.ts';
import { type Guest, MemoryMachine } from './testing/memory-machine.ts';

let machine: MemoryMachine;
let guest: Guest;
const ARGS = 0x1000;
const LIST = 0x1400;

function boot(abi: 'x86_32' | 'x86_32p', personality: '3.0.2' | '4.17'): void {
  machine = new MemoryMachine({ mib: 8 });
  guest = machine.domain(abi, { personality, frames: 32 });
  guest.write('L1 t: 1 -> args rw, 3 -> a rw');
  if (abi === 'x86_32') guest.write('L2 r: 0 -> t rw us');
  else guest.write('L2 d: 0 -> t rw us\n L3 r: 0 -> d, 3 -> top');
  if (pin(machine.hv, guest.domain, guest.mfn('r'), abi === 'x86_32' ? TYPE_l2 : TYPE_l3) !== 0)
    throw new Error();
  if (setRoot(machine.hv, guest.vcpu, guest.mfn('r')) !== 0) throw new Error();
}
const poke = (va: number, words: number[]) => {
  for (const [i, word] of words.entries()) {
    machine.hv.memory.write32(guest.mfn('args') * 4096 + (va & 4095) + i * 4, word);
  }
};
const peek = (va: number) => machine.hv.memory.read32(guest.mfn('args') * 4096 + (va & 4095));
/** A reservation call over a list of extents. */
function reserve(cmd: number, list: number[], order = 0, count = list.length, domid = DOMID_SELF): number {
  poke(LIST, list);
  poke(ARGS, [LIST, count, order, 0, domid]);
  return guest.call(memoryOpRow, cmd, ARGS);
}

describe.each([
  ['x86_32', '3.0.2'],
  ['x86_32p', '4.17'],
] as const)('memory_op, %s %s', (abi, personality) => {
  const modern = personality === '4.17';
  const bits = modern ? 6 : 4;
  beforeEach(() => boot(abi, personality));

  it('populate_physmap gives zeroed frames and sets the M2P', () => {
    const before = guest.domain.totalFrames;
    expect(reserve(6, [100, 101])).toBe(2);
    for (const [i, pfn] of [100, 101].entries()) {
      const mfn = peek(LIST + i * 4);
      expect(machine.hv.frames.owner[mfn]).toBe(guest.domain.id);
      expect(machine.hv.m2p.get(mfn)).toBe(pfn);
      expect(machine.hv.memory.read32(mfn * 4096)).toBe(0);
    }
    expect(guest.domain.totalFrames).toBe(before + 2);
  });
  it('increase_reservation does not set the M2P', () => {
    expect(reserve(0, [0])).toBe(1);
    expect(machine.hv.m2p.get(peek(LIST))).toBe(0x5555_5555);
  });
  it('3.0.2 has no frame for those who want addresses narrower than the machine’s, whatever the call', () => {
    // 8 MiB: 23 bits.
    const asked = (cmd: number, addressBits: number) => {
      poke(LIST, [100]);
      poke(ARGS, [LIST, 1, 0, addressBits, DOMID_SELF]);
      return guest.call(memoryOpRow, cmd, ARGS);
    };
    for (const cmd of [0, 1, 6]) expect(asked(cmd, 22)).toBe(modern ? (cmd === 1 ? 0 : 1) : ENOMEM);
    expect(asked(6, 23)).toBe(1);
    expect(asked(6, 0)).toBe(1);
  });
  it('stops at the limit of the domain and says how far it came', () => {
    const room = guest.domain.maxFrames - guest.domain.totalFrames;
    const list = Array.from({ length: room + 3 }, (_, i) => 100 + i);
    expect(reserve(6, list)).toBe(room);
    expect(guest.domain.totalFrames).toBe(guest.domain.maxFrames);
  });
  it('decrease_reservation frees a frame that nothing maps', () => {
    const mfn = guest.mfn('spare');
    expect(reserve(1, [mfn])).toBe(1);
    expect(machine.hv.frames.isFree(mfn)).toBe(true);
    expect(reserve(1, [mfn])).toBe(0);
  });
  it('a frame that is still mapped counts as given back, and is freed by its last unmapping', () => {
    const total = guest.domain.totalFrames;
    expect(reserve(1, [guest.mfn('a')])).toBe(1);
    expect(guest.books('a')).toBe('writable uses 1 refs 1');
    expect(guest.domain.totalFrames).toBe(total);
    expect(reserve(1, [guest.mfn('a')]), 'only once').toBe(0);
  });
  it('unpins a pinned table that is given back, while CR3 keeps it', () => {
    expect(reserve(1, [guest.mfn('r')])).toBe(1);
    expect(guest.books('r')).toMatch(/^L[23] uses 1 refs 1$/);
  });
  it("does not give back the hypervisor's pages, frames of others, or frames that do not exist", () => {
    const other = machine.domain(abi, { personality });
    expect(reserve(1, [guest.domain.sharedInfoMfn])).toBe(0);
    expect(reserve(1, [other.mfn('x')])).toBe(0);
    expect(reserve(1, [0x7fff_ffff])).toBe(0);
    expect(reserve(1, [guest.mfn('s1'), other.mfn('x'), guest.mfn('s2')])).toBe(1);
  });
  it('resumes where the command says', () => {
    expect(reserve(6 | (1 << bits), [100, 101])).toBe(2);
    expect(peek(LIST)).toBe(100);
    expect(peek(LIST + 4)).not.toBe(101);
  });
  it('orders: 3.0.2 gives single frames only, 4.17 up to 2 MiB', () => {
    expect(reserve(6, [100], 2)).toBe(modern ? 1 : 0);
    if (modern) {
      const first = peek(LIST);
      expect(first % 4).toBe(0);
      expect(machine.hv.m2p.get(first + 3)).toBe(103);
      expect(reserve(1, [first], 2)).toBe(1);
      expect(machine.hv.frames.isFree(first + 3)).toBe(true);
    }
    expect(reserve(6, [100], 10)).toBe(0);
  });
  it('early errors: errnos in 3.0.2, counts in 4.17', () => {
    machine.domain(abi, { personality });
    expect(reserve(6, [100], 0, 1, 2)).toBe(modern ? 0 : EPERM);
    expect(reserve(6, [100], 0, 0x1000_0000)).toBe(modern ? 0 : EINVAL);
    expect(guest.call(memoryOpRow, 6, 0x7000_0000)).toBe(modern ? 0 : EFAULT);
  });
  it('tells sizes and limits', () => {
    poke(ARGS, [DOMID_SELF]);
    expect(guest.call(memoryOpRow, 2, 0)).toBe(8 * 256);
    expect(guest.call(memoryOpRow, 3, ARGS)).toBe(guest.domain.totalFrames);
    expect(guest.call(memoryOpRow, 4, ARGS)).toBe(32);
    expect(guest.call(memoryOpRow, 3, 0x7000_0000)).toBe(EFAULT);
    poke(ARGS, [99]);
    expect(guest.call(memoryOpRow, 3, ARGS)).toBe(modern ? ESRCH : EPERM);
  });
  it('tells where the M2P is', () => {
    poke(ARGS, [4, LIST, 0]);
    expect(guest.call(memoryOpRow, 5, ARGS)).toBe(0);
    expect([peek(LIST), peek(ARGS + 8)]).toEqual([machine.hv.m2p.firstMfn, 1]);
    expect(guest.call(memoryOpRow, 12, ARGS)).toBe(modern ? 0 : ENOSYS);
    if (modern)
      expect([peek(ARGS), peek(ARGS + 4), peek(ARGS + 8)]).toEqual([0xf580_0000, 0xf680_0000, 0x3f_ffff]);
  });
  it('the memory map is one piece of RAM in 4.17 and not there in 3.0.2', () => {
    poke(ARGS, [8, LIST]);
    expect(guest.call(memoryOpRow, 9, ARGS)).toBe(modern ? 0 : ENOSYS);
    if (modern) expect([0, 4, 8, 12, 16].map((at) => peek(LIST + at))).toEqual([0, 0, 32 * 4096, 0, 1]);
  });
  it('what is for others', () => {
    expect(guest.call(memoryOpRow, 7, ARGS)).toBe(modern ? EACCES : EINVAL);
    expect(guest.call(memoryOpRow, 10, ARGS)).toBe(modern ? EPERM : ENOSYS);
    expect(guest.call(memoryOpRow, 13, ARGS)).toBe(modern ? EPERM : ENOSYS);
    expect(guest.call(memoryOpRow, 15, ARGS)).toBe(modern ? EACCES : ENOSYS);
  });
});

describe('memory_op exchange, 4.17', () => {
  const IN = 0x1500;
  const OUT = 0x1600;
  const exchange = (inExtents: number, inOrder: number, outExtents: number, outOrder: number): number => {
    poke(ARGS, [IN, inExtents, inOrder, 0, DOMID_SELF, OUT, outExtents, outOrder, 0, DOMID_SELF, 0]);
    return guest.call(memoryOpRow, 11, ARGS);
  };
  beforeEach(() => boot('x86_32p', '4.17'));

  it('gives single frames for contiguous ones', () => {
    const names = ['e0', 'e1', 'e2', 'e3'];
    const total = guest.domain.totalFrames + 4;
    poke(
      IN,
      names.map((name) => guest.mfn(name)),
    );
    poke(OUT, [200]);
    expect(exchange(4, 0, 1, 2)).toBe(0);
    expect(peek(ARGS + 40)).toBe(4);
    const first = peek(OUT);
    expect(first % 4).toBe(0);
    expect([0, 1, 2, 3].map((i) => machine.hv.m2p.get(first + i))).toEqual([200, 201, 202, 203]);
    expect(guest.domain.totalFrames).toBe(total);
  });
  it('works for a domain at its limit', () => {
    guest.domain.maxFrames = guest.domain.totalFrames + 1;
    poke(IN, [guest.mfn('e0')]);
    poke(OUT, [200]);
    expect(exchange(1, 0, 1, 0)).toBe(0);
    expect(guest.domain.totalFrames).toBe(guest.domain.maxFrames);
  });
  it('takes no frame that is mapped, twice the same, or of somebody else', () => {
    const other = machine.domain('x86_32p');
    poke(OUT, [200, 201]);
    for (const list of [
      [guest.mfn('e0'), guest.mfn('a')],
      [guest.mfn('e0'), guest.mfn('e0')],
      [guest.mfn('e0'), other.mfn('x')],
      [guest.mfn('e0'), guest.domain.sharedInfoMfn],
    ]) {
      poke(IN, list);
      expect(exchange(2, 0, 1, 1)).toBe(EINVAL);
      expect(peek(ARGS + 40)).toBe(0);
    }
    expect(guest.books('e0')).toBe('none refs 1');
  });
  it('refuses sizes that differ and orders that are not allowed', () => {
    expect(exchange(2, 0, 1, 0)).toBe(EINVAL);
    expect(exchange(1024, 0, 1, 10)).toBe(EPERM);
  });
  it('changes nothing when there is no such run of frames', () => {
    const names = Array.from({ length: 8 }, (_, i) => `e${i}`);
    poke(
      IN,
      names.map((name) => guest.mfn(name)),
    );
    poke(OUT, [200]);
    const held: number[] = [];
    for (
      let mfn = machine.hv.frames.allocDomainFrame(0);
      mfn >= 0;
      mfn = machine.hv.frames.allocDomainFrame(0)
    ) {
      held.push(mfn);
    }
    machine.hv.domains[0] = machine.domain('x86_32p', { id: 0 }).domain;
    machine.hv.domains[0].totalFrames = held.length;
    expect(exchange(8, 0, 1, 3)).toBe(ENOMEM);
    expect(guest.books('e7')).toBe('none refs 1');
  });
});
