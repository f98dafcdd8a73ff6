import { beforeEach, describe, expect, it } from 'vitest';
import { EBUSY, EINVAL, EPERM } from './abi/errno.ts';
import { releaseDomainMemory } from './domain-memory.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3, TYPE_writable } from './frames.ts';
import { pin, unpin } from './pinning.ts';
import { setRoot } from './roots.ts';
import { type Guest, MemoryMachine } from './testing/memory-machine.ts';
import { getPageAndType, putPageAndType, undoSome } from './validate.ts';

let machine: MemoryMachine;
let guest: Guest;

const pinned = (name: string, type: number) => {
  const errno = pin(machine.hv, guest.domain, guest.mfn(name), type);
  machine.check();
  return errno;
};
const unpinned = (name: string) => {
  const errno = unpin(machine.hv, guest.domain, guest.mfn(name));
  machine.check();
  return errno;
};

beforeEach(() => {
  machine = new MemoryMachine();
});

describe('an L1 table', () => {
  beforeEach(() => {
    guest = machine.domain('x86_32');
  });

  it('takes the writable type for RW entries and a plain reference for the others', () => {
    guest.write('L1 t: 0 -> a rw, 1 -> a rw, 2 -> a, 3 -> b us a d');
    expect(pinned('t', TYPE_l1)).toBe(0);
    expect(guest.books('t')).toBe('L1 uses 1 refs 2 pinned');
    expect(guest.books('a')).toBe('writable uses 2 refs 4');
    expect(guest.books('b')).toBe('none refs 2');
  });
  it('gives everything back when its last use ends', () => {
    guest.write('L1 t: 0 -> a rw, 1 -> b');
    pinned('t', TYPE_l1);
    expect(unpinned('t')).toBe(0);
    expect([guest.books('t'), guest.books('a'), guest.books('b')]).toEqual([
      'none refs 1',
      'none refs 1',
      'none refs 1',
    ]);
  });
  it('may map itself read-only, never writable', () => {
    guest.write('L1 t: 0 -> t');
    expect(pinned('t', TYPE_l1)).toBe(0);
    guest.write('L1 w: 0 -> a rw, 5 -> w rw');
    expect(pinned('w', TYPE_l1)).toBe(EBUSY);
    expect(guest.books('w')).toBe('none refs 1');
    expect(guest.books('a')).toBe('none refs 1');
  });
  it('is refused while a writable mapping of it is left, and accepted afterwards', () => {
    guest.write('L1 t: 0 -> a\n L1 m: 0 -> t rw');
    expect(pinned('m', TYPE_l1)).toBe(0);
    expect(pinned('t', TYPE_l1)).toBe(EINVAL);
    unpinned('m');
    expect(pinned('t', TYPE_l1)).toBe(0);
    expect(pinned('m', TYPE_l1)).toBe(EBUSY);
  });
  it('cannot map frames of nobody, of the hypervisor or of I/O memory', () => {
    const { heapStart } = machine.hv.frames;
    for (const [mfn, errno] of [
      [0x10, EPERM],
      [heapStart, EBUSY],
      [machine.hv.m2p.firstMfn, EPERM],
      [0x7_ffff, EPERM],
    ] as const) {
      guest.write(`L1 t: 7 -> m${mfn.toString(16)}`);
      expect(pinned('t', TYPE_l1), mfn.toString(16)).toBe(errno);
    }
  });
  it('cannot map a frame of another domain', () => {
    const other = machine.domain('x86_32');
    guest.write(`L1 t: 0 -> m${other.mfn('secret').toString(16)}`);
    expect(pinned('t', TYPE_l1)).toBe(EPERM);
    expect(other.books('secret')).toBe('none refs 1');
  });
  it('maps the shared_info page of its domain read-write, which is never a table', () => {
    guest.write(`L1 t: 0 -> m${guest.domain.sharedInfoMfn.toString(16)} rw`);
    expect(pinned('t', TYPE_l1)).toBe(0);
    expect(pin(machine.hv, guest.domain, guest.domain.sharedInfoMfn, TYPE_l1)).toBe(EINVAL);
    machine.check();
  });
  it('ignores whatever a not-present entry contains', () => {
    machine.hv.memory.write32(guest.at('t', 3), 0xffff_fffe);
    expect(pinned('t', TYPE_l1)).toBe(0);
  });
  it.each([
    ['x86_32', '3.0.2', 'ps', EINVAL],
    ['x86_32', '3.0.2', 'g', EINVAL],
    ['x86_32', '3.0.2', 'pwt pcd us a d', 0],
    ['x86_32p', '3.0.2', 'g', EINVAL],
    ['x86_32p', '3.0.2', 'nx pcd', 0],
    ['x86_32p', '4.17', 'g nx a d us', 0],
    ['x86_32p', '4.17', 'pwt', EINVAL],
    ['x86_32p', '4.17', 'pcd', EINVAL],
    ['x86_32p', '4.17', 'ps', EINVAL],
  ] as const)('%s %s: an entry with %s answers %i', (abi, personality, flags, errno) => {
    guest = machine.domain(abi, { personality });
    guest.write(`L1 t: 9 -> a ${flags}`);
    expect(pinned('t', TYPE_l1)).toBe(errno);
  });
});

describe('a 2-level L2 table', () => {
  beforeEach(() => {
    guest = machine.domain('x86_32');
  });

  it('takes the L1 type of what it names, from several slots and several tables', () => {
    guest.write('L1 t: 0 -> a rw\n L2 r: 0 -> t rw us, 5 -> t\n L2 s: 9 -> t');
    expect(pinned('r', TYPE_l2)).toBe(0);
    expect(pinned('s', TYPE_l2)).toBe(0);
    expect(guest.books('t')).toBe('L1 uses 3 refs 4');
    expect(guest.books('a')).toBe('writable uses 1 refs 2');
  });
  it('ignores what the guest wrote into the hypervisor slots and puts the M2P there', () => {
    guest.write(`L2 r: 1008 -> m0 rw us, 1023 -> m7ffff ps`);
    expect(pinned('r', TYPE_l2)).toBe(0);
    expect(machine.hv.memory.read32(guest.at('r', 1008)) >>> 12).toBe(machine.hv.m2p.tables2L[0]);
    expect(machine.hv.memory.read32(guest.at('r', 1023))).toBe(0);
  });
  it('may hold itself as a linear table without RW, which counts nothing', () => {
    guest.write('L2 r: 4 -> r us');
    expect(pinned('r', TYPE_l2)).toBe(0);
    expect(guest.books('r')).toBe('L2 uses 1 refs 2 pinned');
    guest.write('L2 s: 4 -> s rw');
    expect(pinned('s', TYPE_l2)).toBe(EBUSY);
  });
  it('may hold another validated L2 as a linear table', () => {
    guest.write('L2 r: 4 -> s\n L2 s: 0 -> t');
    expect(pinned('r', TYPE_l2), 's is no L2 yet: it is taken as an L1 and maps t').toBe(0);
    unpinned('r');
    expect(pinned('s', TYPE_l2)).toBe(0);
    expect(pinned('r', TYPE_l2)).toBe(0);
    expect(guest.books('s')).toBe('L2 uses 2 refs 3 pinned');
    unpinned('s');
    expect(guest.books('s')).toBe('L2 uses 1 refs 2');
    unpinned('r');
    expect(guest.books('s')).toBe('none refs 1');
  });
  it('drops a long chain of linear tables without recursion', () => {
    machine = new MemoryMachine({ mib: 32 });
    guest = machine.domain('x86_32', { frames: 5000 });
    for (let i = 1; i < 5000; i++) {
      guest.write(`L2 n${i}: 4 -> n${i - 1}`);
      expect(getPageAndType(machine.hv, guest.mfn(`n${i - 1}`), guest.domain.id, TYPE_l2)).toBe(0);
    }
    expect(getPageAndType(machine.hv, guest.mfn('n4999'), guest.domain.id, TYPE_l2)).toBe(0);
    for (let i = 0; i < 4999; i++) putPageAndType(machine.hv, guest.mfn(`n${i}`));
    expect(guest.books('n0')).toBe('L2 uses 1 refs 2');
    putPageAndType(machine.hv, guest.mfn('n4999'));
    // A piece of it at once, the rest before the guest goes on; the books hold in between.
    expect(guest.books('n4999')).toBe('none refs 1');
    expect(guest.books('n0')).toBe('L2 uses 1 refs 2');
    for (let pieces = 0; guest.domain.undone.length > 0; pieces++) {
      if (pieces % 10 === 0) machine.check();
      undoSome(machine.hv, guest.domain);
    }
    expect(guest.books('n0')).toBe('none refs 1');
    machine.check();
  });
  it('cannot name a frame of another domain', () => {
    const other = machine.domain('x86_32');
    guest.write(`L2 r: 0 -> m${other.mfn('t').toString(16)}`);
    expect(pinned('r', TYPE_l2)).toBe(EINVAL);
  });
  it('gives back what it had taken when a later entry is refused', () => {
    guest.write('L1 t: 0 -> a rw\n L1 bad: 3 -> bad rw\n L2 r: 0 -> t, 1 -> t, 2 -> bad');
    expect(pinned('r', TYPE_l2)).toBe(EBUSY);
    expect([guest.books('t'), guest.books('a'), guest.books('r')]).toEqual([
      'none refs 1',
      'none refs 1',
      'none refs 1',
    ]);
  });
});

describe.each(['3.0.2', '4.17'] as const)('a PAE L3 table, %s', (personality) => {
  const flags = personality === '3.0.2' ? 'p' : 'rw us a d';
  beforeEach(() => {
    guest = machine.domain('x86_32p', { personality });
  });

  it('needs an L2 of its own in slot 3', () => {
    guest.write(`L3 r: 0 -> d ${flags}`);
    expect(pinned('r', TYPE_l3)).toBe(EINVAL);
    guest.write(`L3 r: 3 -> top ${flags}`);
    expect(pinned('r', TYPE_l3)).toBe(0);
    expect(guest.books('top')).toBe('L2 uses 1 refs 2');
    guest.write(`L3 s: 3 -> top ${flags}`);
    expect(pinned('s', TYPE_l3)).toBe(EINVAL);
  });
  it('does not share one L2 between slot 3 and another slot', () => {
    guest.write(`L3 r: 0 -> top ${flags}, 3 -> top ${flags}`);
    expect(pinned('r', TYPE_l3)).toBe(EINVAL);
    expect(guest.books('top')).toBe('none refs 1');
  });
  it('shares an L2 of slot 0 with the same slot of other L3s', () => {
    guest.write(`L3 r: 0 -> d ${flags}, 3 -> top ${flags}\n L3 s: 0 -> d ${flags}, 3 -> top2 ${flags}`);
    expect(pinned('r', TYPE_l3)).toBe(0);
    expect(pinned('s', TYPE_l3)).toBe(0);
    expect(guest.books('d')).toBe('L2 uses 2 refs 3');
  });
  it('one L2 in two different slots: 3.0.2 refuses, 4.17 allows it', () => {
    guest.write(`L3 r: 0 -> d ${flags}, 1 -> d ${flags}, 3 -> top ${flags}`);
    expect(pinned('r', TYPE_l3)).toBe(personality === '3.0.2' ? EINVAL : 0);
  });
  it('writes the M2P only into the L2 of slot 3', () => {
    guest.write(`L3 r: 0 -> d ${flags}, 3 -> top ${flags}\n L2 top: 428 -> m0 rw, 511 -> m1 rw`);
    expect(pinned('r', TYPE_l3)).toBe(0);
    expect(machine.hv.memory.read32(guest.at('top', 428)) >>> 12).toBe(machine.hv.m2p.tablesPae[0]);
    expect(machine.hv.memory.read32(guest.at('top', 511))).toBe(0);
    expect(machine.hv.memory.read32(guest.at('d', 428))).toBe(0);
  });
  it('checks what lies at the hypervisor slots of an L2 in slot 0', () => {
    guest.write(`L3 r: 0 -> d ${flags}, 3 -> top ${flags}\n L2 d: 428 -> m0`);
    expect(pinned('r', TYPE_l3)).toBe(EINVAL);
  });
  it('never looks behind its four entries; 4.17 clears them', () => {
    guest.write(`L3 r: 3 -> top ${flags}, 4 -> m7ffff rw ps`);
    expect(pinned('r', TYPE_l3)).toBe(0);
    expect(machine.hv.memory.read32(guest.at('r', 4)) !== 0).toBe(personality === '3.0.2');
  });
  it('pinning an L2: 3.0.2 does nothing, 4.17 makes it unusable for slot 3', () => {
    expect(pinned('top', TYPE_l2)).toBe(0);
    expect(guest.books('top')).toBe(personality === '3.0.2' ? 'none refs 1' : 'L2 uses 1 refs 2 pinned');
    guest.write(`L3 r: 3 -> top ${flags}`);
    expect(pinned('r', TYPE_l3)).toBe(personality === '3.0.2' ? 0 : EINVAL);
  });
  it('refuses the flag bits of its generation', () => {
    guest.write('L3 r: 3 -> top rw us');
    expect(pinned('r', TYPE_l3)).toBe(personality === '3.0.2' ? EINVAL : 0);
    guest.write('L3 s: 3 -> top2 pwt');
    expect(pinned('s', TYPE_l3)).toBe(personality === '3.0.2' ? 0 : EINVAL);
  });
});

describe('pins and roots', () => {
  beforeEach(() => {
    guest = machine.domain('x86_32');
    guest.write('L1 t: 0 -> a rw\n L2 r: 0 -> t');
  });

  it('a second pin and a second unpin fail', () => {
    expect(pinned('r', TYPE_l2)).toBe(0);
    expect(pinned('r', TYPE_l2)).toBe(EINVAL);
    expect(unpinned('r')).toBe(0);
    expect(unpinned('r')).toBe(EINVAL);
  });
  it('pinning at a level that the ABI lacks succeeds and does nothing, so unpinning fails', () => {
    expect(pinned('r', TYPE_l3)).toBe(0);
    expect(guest.books('r')).toBe('none refs 1');
    expect(unpinned('r')).toBe(EINVAL);
  });
  it('a root in use can be unpinned but stays validated', () => {
    pinned('r', TYPE_l2);
    expect(setRoot(machine.hv, guest.vcpu, guest.mfn('r'))).toBe(0);
    expect(unpinned('r')).toBe(0);
    expect(guest.books('r')).toBe('L2 uses 1 refs 2');
    guest.write('L2 s: 1 -> t');
    expect(setRoot(machine.hv, guest.vcpu, guest.mfn('s'))).toBe(0);
    machine.check();
    expect(guest.books('r')).toBe('none refs 1');
    expect(guest.books('t')).toBe('L1 uses 1 refs 2');
  });
  it('a root that is refused leaves the old one', () => {
    setRoot(machine.hv, guest.vcpu, guest.mfn('r'));
    guest.write('L2 s: 0 -> s rw');
    expect(setRoot(machine.hv, guest.vcpu, guest.mfn('s'))).toBe(EBUSY);
    expect(guest.vcpu.rootMfn).toBe(guest.mfn('r'));
    machine.check();
  });
});

describe('the end of a domain', () => {
  it('gives every frame back, linear tables in a circle included', () => {
    guest = machine.domain('x86_32');
    const free = machine.hv.frames.freeFrames;
    guest.write('L1 t: 0 -> a rw\n L2 x: 0 -> t\n L2 y: 0 -> t');
    pinned('x', TYPE_l2);
    pinned('y', TYPE_l2);
    const { hv } = machine;
    // x -> y and y -> x, then both pins go: they hold each other.
    for (const [from, to] of [
      ['x', 'y'],
      ['y', 'x'],
    ] as const) {
      expect(getPageAndType(hv, guest.mfn(to), guest.domain.id, TYPE_l2)).toBe(0);
      guest.write(`L2 ${from}: 8 -> ${to}`);
    }
    unpinned('x');
    unpinned('y');
    expect(guest.books('x')).toBe('L2 uses 1 refs 2');
    releaseDomainMemory(hv, guest.domain);
    hv.domains[guest.domain.id] = undefined;
    machine.check();
    expect(hv.frames.freeFrames).toBe(free);
  });
  it('keeps what another domain still maps, and frees it when that mapping goes', () => {
    const control = machine.domain('x86_32', { privileged: true, id: 0 });
    guest = machine.domain('x86_32');
    const mfn = guest.mfn('page');
    expect(getPageAndType(machine.hv, mfn, guest.domain.id, TYPE_writable)).toBe(0);
    const free = machine.hv.frames.freeFrames;
    releaseDomainMemory(machine.hv, guest.domain);
    machine.hv.domains[guest.domain.id] = undefined;
    expect(machine.hv.frames.isFree(mfn)).toBe(false);
    const reborn = machine.domain('x86_32', { id: guest.domain.id });
    expect(reborn.domain.id).toBe(guest.domain.id);
    control.write(`L1 t: 0 -> m${mfn.toString(16)}`);
    expect(pin(machine.hv, control.domain, control.mfn('t'), TYPE_l1)).toBe(EBUSY);
    putPageAndType(machine.hv, mfn);
    expect(machine.hv.frames.isFree(mfn)).toBe(true);
    expect(machine.hv.frames.freeFrames).toBe(free);
    machine.check();
  });
});
