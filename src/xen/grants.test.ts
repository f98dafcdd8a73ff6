import { beforeEach, describe, expect, it } from 'vitest';
import { EFAULT, EINVAL, ENOSYS } from './abi/errno.ts';
import { DOMID_SELF } from './domain.ts';
import { releaseDomainMemory } from './domain-memory.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from './frames.ts';
import { grantTableOpRow } from './hypercalls/grant-table-op.ts';
import { mmuUpdate } from './mmu-update.ts';
import { pin } from './pinning.ts';
import { setRoot } from './roots.ts';
import { type Guest, MemoryMachine } from './testing/memory-machine.ts';

let machine: MemoryMachine;
/** Grants its frames. */
let giver: Guest;
/** Maps them: virtual page 1 is its argument page, pages 5 and up are free. */
let taker: Guest;
const ARGS = 0x1000;

function boot(guest: Guest): Guest {
  guest.write('L1 t: 1 -> args rw, 3 -> a rw');
  if (guest.domain.abi === 'x86_32') guest.write('L2 r: 0 -> t rw us');
  else guest.write('L2 d: 0 -> t rw us\n L3 r: 0 -> d, 3 -> top');
  const level = guest.domain.abi === 'x86_32' ? TYPE_l2 : TYPE_l3;
  if (pin(machine.hv, guest.domain, guest.mfn('r'), level) !== 0) throw new Error('no address space');
  if (setRoot(machine.hv, guest.vcpu, guest.mfn('r')) !== 0) throw new Error('no address space');
  return guest;
}

/** Writes grant entry `ref` of the giver. */
function grant(ref: number, flags: number, domid: number, frame: string): void {
  const at = giver.domain.grantFrames[0]! * 4096 + ref * 8;
  machine.hv.memory.write32(at, flags | (domid << 16));
  machine.hv.memory.write32(at + 4, giver.mfn(frame));
}
const marks = (ref: number) => machine.hv.memory.read16(giver.domain.grantFrames[0]! * 4096 + ref * 8);

/** grant_table_op with the words of one struct; the words afterwards. */
function op(cmd: number, words: number[], count = 1): { result: number; words: number[] } {
  const base = taker.mfn('args') * 4096;
  for (const [i, word] of words.entries()) machine.hv.memory.write32(base + i * 4, word);
  const result = taker.call(grantTableOpRow, cmd, ARGS, count);
  return { result, words: words.map((_, i) => machine.hv.memory.read32(base + i * 4)) };
}
const status = (word: number) => (word << 16) >> 16;
const upperStatus = (word: number) => word >> 16;

function map(va: number, flags: number, ref: number, dom = giver.domain.id) {
  const { result, words } = op(0, [va, 0, flags, ref, dom, 0, 0, 0]);
  expect(result).toBe(0);
  return { status: upperStatus(words[4]!), handle: words[5]!, bus: words[6]! };
}
function unmap(va: number, handle: number, bus = 0): number {
  return status(op(1, [va, 0, bus, 0, handle, 0]).words[5]!);
}
const l1 = (index: number) => machine.hv.memory.read32(taker.at('t', index));

describe.each([
  ['x86_32', '3.0.2'],
  ['x86_32p', '4.17'],
] as const)('grants between domains, %s %s', (abi, personality) => {
  const modern = personality === '4.17';
  beforeEach(() => {
    machine = new MemoryMachine();
    giver = boot(machine.domain(abi, { personality }));
    taker = boot(machine.domain(abi, { personality }));
    giver.mfn('page');
  });
  const id = () => taker.domain.id;

  it('setup_table names the frames of the own table', () => {
    const { result, words } = op(2, [DOMID_SELF, 1, 0, ARGS + 0x100]);
    expect([result, status(words[2]!)]).toEqual([0, 0]);
    expect(machine.hv.memory.read32(taker.mfn('args') * 4096 + 0x100)).toBe(taker.domain.grantFrames[0]);
    expect(status(op(2, [DOMID_SELF, modern ? 65 : 5, 0, ARGS + 0x100]).words[2]!)).toBe(-1);
    expect(status(op(2, [giver.domain.id, 1, 0, ARGS + 0x100]).words[2]!)).toBe(-8);
    expect(op(2, [DOMID_SELF, 1, 0, ARGS + 0x100], 2).result).toBe(EINVAL);
    expect(op(2, [DOMID_SELF, 3, 0, ARGS + 0x100]).words[2]).toBe(0);
    expect(taker.domain.grantFrames.length).toBe(modern ? 3 : 4);
    expect(op(6, [DOMID_SELF, 0, 0, 0]).words.slice(1, 3)).toEqual(modern ? [3, 64] : [4, 4]);
  });
  it('the table itself can be mapped writable, never used as a page table', () => {
    const frame = taker.domain.grantFrames[0]!;
    const low = (frame << 12) | 3;
    expect(mmuUpdate(machine.hv, taker.domain, taker.domain, id(), taker.at('t', 9), 0, low, 0)).toBe(0);
    expect(pin(machine.hv, taker.domain, frame, TYPE_l1)).toBeLessThan(0);
    machine.check();
  });
  it('maps a granted frame, marks the entry, and unmaps it', () => {
    grant(8, 1, id(), 'page');
    const { status: ok, handle, bus } = map(0x5000, 2, 8);
    expect(ok).toBe(0);
    expect(bus).toBe(giver.mfn('page') * 4096);
    expect(marks(8)).toBe(1 | 8 | 16);
    expect(l1(5) >>> 12).toBe(giver.mfn('page'));
    expect(l1(5) & 2).toBe(2);
    expect(giver.books('page')).toBe('writable uses 1 refs 2');
    expect(unmap(0x5000, handle)).toBe(0);
    expect(marks(8)).toBe(1);
    expect(l1(5)).toBe(0);
    expect(giver.books('page')).toBe('none refs 1');
    expect(unmap(0x5000, handle)).toBe(-4);
  });
  it('a read-only grant maps read-only, and refuses a writable mapping', () => {
    grant(8, 1 | 4, id(), 'page');
    expect(map(0x5000, 2, 8).status).toBe(-1);
    const { status: ok, handle } = map(0x5000, 2 | 4, 8);
    expect(ok).toBe(0);
    expect(l1(5) & 2).toBe(0);
    expect(marks(8)).toBe(1 | 4 | 8);
    expect(giver.books('page')).toBe('none refs 2');
    expect(unmap(0x5000, handle)).toBe(0);
  });
  it('a frame in use as a page table cannot be granted writable', () => {
    grant(8, 1, id(), 't');
    expect(map(0x5000, 2, 8).status).toBe(-1);
    expect(marks(8)).toBe(1);
    expect(map(0x5000, 2 | 4, 8).status).toBe(0);
  });
  it('refuses what was not granted to the caller, and names that do not exist', () => {
    expect(map(0x5000, 2, 8).status).toBe(-1);
    grant(8, 1, 77, 'page');
    expect(map(0x5000, 2, 8).status).toBe(-1);
    grant(8, 2, id(), 'page');
    expect(map(0x5000, 2, 8).status).toBe(-1);
    grant(8, 1, id(), 'page');
    expect(map(0x5000, 0, 8).status).toBe(-3);
    expect(map(0x5000, 2, 70_000).status).toBe(-3);
    expect(map(0x5000, 2, 8, 99).status).toBe(-2);
    // Domain 0 is the toolstack's, and has granted nothing.
    expect(map(0x5000, 2, 8, 0).status).toBe(-1);
    expect(map(0x4000_0000, 2, 8).status, 'no L1 there').toBe(-1);
    expect(marks(8)).toBe(1);
    machine.hv.memory.write32(giver.domain.grantFrames[0]! * 4096 + 8 * 8 + 4, taker.mfn('a'));
    expect(map(0x5000, 2, 8).status, 'the granter does not own the frame').toBe(-1);
  });
  it('granting to oneself: 3.0.2 refuses, 4.17 allows it', () => {
    const at = taker.domain.grantFrames[0]! * 4096 + 8 * 8;
    machine.hv.memory.write32(at, 1 | (id() << 16));
    machine.hv.memory.write32(at + 4, taker.mfn('own'));
    expect(map(0x5000, 2, 8, id()).status).toBe(modern ? 0 : -2);
  });
  it('a reference in use keeps its frame, whatever the granter writes into the entry', () => {
    grant(8, 1, id(), 'page');
    expect(map(0x5000, 2, 8).status).toBe(0);
    grant(8, 1, id(), 'secret');
    expect(map(0x6000, 2, 8).status).toBe(0);
    expect(l1(6) >>> 12).toBe(giver.mfn('page'));
    expect(giver.books('secret')).toBe('none refs 1');
  });
  it('maps by the machine address of the L1 entry', () => {
    grant(8, 1, id(), 'page');
    const { status: ok, handle } = map(taker.at('t', 7), 2 | 16, 8);
    expect(ok).toBe(0);
    expect(l1(7) >>> 12).toBe(giver.mfn('page'));
    expect(unmap(taker.at('t', 7), handle)).toBe(0);
    expect(map(taker.at('a', 0), 2 | 16, 8).status, 'a is no L1 table').toBe(-1);
    expect(map(giver.at('t', 0), 2 | 16, 8).status, 'not its own table').toBe(-1);
  });
  it('host and device parts end one by one', () => {
    grant(8, 1, id(), 'page');
    const { handle, bus } = map(0x5000, 3, 8);
    expect(giver.books('page')).toBe('writable uses 2 refs 3');
    expect(unmap(0x5000, handle)).toBe(0);
    expect(marks(8)).toBe(1 | 8 | 16);
    expect(unmap(0, handle, bus)).toBe(0);
    expect(marks(8)).toBe(1);
  });
  it('unmapping with an address that maps something else fails and changes nothing', () => {
    grant(8, 1, id(), 'page');
    const { handle } = map(0x5000, 2, 8);
    expect(unmap(0x3000, handle)).toBe(-1);
    expect(taker.books('a')).toBe('writable uses 1 refs 2');
    expect(unmap(0x5000, handle)).toBe(0);
  });
  it('overwriting a granted mapping by hand drops its reference; the handle stays', () => {
    grant(8, 1, id(), 'page');
    const { handle } = map(0x5000, 2, 8);
    expect(mmuUpdate(machine.hv, taker.domain, taker.domain, id(), taker.at('t', 5), 0, 0, 0)).toBe(0);
    machine.check();
    expect(giver.books('page')).toBe('none refs 1');
    expect(unmap(0x5000, handle)).toBe(-1);
    expect(marks(8)).toBe(1 | 8 | 16);
  });
  it('a mapping outlives its granter', () => {
    grant(8, 1, id(), 'page');
    const { handle } = map(0x5000, 2, 8);
    const mfn = giver.mfn('page');
    releaseDomainMemory(machine.hv, giver.domain);
    machine.hv.domains[giver.domain.id] = undefined;
    machine.check();
    expect(machine.hv.frames.isFree(mfn)).toBe(false);
    expect(unmap(0x5000, handle)).toBe(0);
    expect(machine.hv.frames.isFree(mfn)).toBe(true);
  });
  it("a mapper's death ends its mappings", () => {
    grant(8, 1, id(), 'page');
    map(0x5000, 3, 8);
    releaseDomainMemory(machine.hv, taker.domain);
    machine.hv.domains[id()] = undefined;
    machine.check();
    expect(marks(8)).toBe(1);
    expect(giver.books('page')).toBe('none refs 1');
  });
  it('transfer gives a frame away for good', () => {
    // Here the giver of the frame is the caller.
    const at = giver.domain.grantFrames[0]! * 4096 + 9 * 8;
    machine.hv.memory.write32(at, 2 | (id() << 16));
    const mfn = taker.mfn('gift');
    expect(status(op(4, [mfn, giver.domain.id, 9, 0]).words[3]!)).toBe(0);
    expect(machine.hv.frames.owner[mfn]).toBe(giver.domain.id);
    expect([machine.hv.memory.read16(at), machine.hv.memory.read32(at + 4)]).toEqual([2 | 4 | 8, mfn]);
    expect(status(op(4, [taker.mfn('a'), giver.domain.id, 9, 0]).words[3]!), 'a is mapped').toBe(-9);
    expect(status(op(4, [taker.domain.sharedInfoMfn, giver.domain.id, 9, 0]).words[3]!)).toBe(-9);
    const lost = taker.mfn('lost');
    expect(status(op(4, [lost, giver.domain.id, 9, 0]).words[3]!), 'completed already').toBe(-1);
    expect(machine.hv.frames.isFree(lost)).toBe(true);
  });
  it('copies between a grant and an own frame', () => {
    grant(8, 1 | 4, id(), 'page');
    machine.hv.memory.write32(giver.mfn('page') * 4096 + 16, 0x1234);
    // source {ref 8, giver, offset 16}, dest {own frame, SELF, offset 4}, 4 bytes, flags 1
    const words = [8, giver.domain.id | (16 << 16), taker.mfn('a'), DOMID_SELF | (4 << 16), 4 | (1 << 16), 0];
    expect(status(op(5, words).words[5]!)).toBe(0);
    expect(machine.hv.memory.read32(taker.mfn('a') * 4096 + 4)).toBe(0x1234);
    expect(marks(8)).toBe(1 | 4);
    const back = [taker.mfn('a'), DOMID_SELF, 8, giver.domain.id, 4 | (2 << 16), 0];
    expect(status(op(5, back).words[5]!), 'read-only grant').toBe(-1);
    expect(status(op(5, [taker.mfn('a'), DOMID_SELF | (4095 << 16), 0, DOMID_SELF, 2, 0]).words[5]!)).toBe(
      -10,
    );
    expect(status(op(5, [taker.mfn('a'), DOMID_SELF, taker.mfn('t'), DOMID_SELF, 4, 0]).words[5]!)).toBe(-1);
  });
  it('answers unknown commands, versions and bad arrays', () => {
    expect(op(13, [0]).result).toBe(ENOSYS);
    expect(op(8, [1]).result).toBe(modern ? 0 : ENOSYS);
    expect(op(8, [2]).result).toBe(ENOSYS);
    if (modern) {
      expect(op(8, [3]).result).toBe(EINVAL);
      expect(op(10, [DOMID_SELF, 0]).words[1]).toBe(1);
    } else expect(taker.call(grantTableOpRow, 0, ARGS, 513)).toBe(EINVAL);
    expect(taker.call(grantTableOpRow, 0, taker.domain.holeStart - 8, 1)).toBe(EFAULT);
    expect(taker.call(grantTableOpRow, 0, 0x7000_0000, 1)).toBe(EFAULT);
  });
});
