/** Grants as a way in: what was granted for reading must not be written, what was taken back must not be mapped. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EINVAL, EPERM } from '../abi/errno.ts';
import { Attacker, COMBINATIONS } from '../testing/attacker.ts';
import { MemoryMachine } from '../testing/memory-machine.ts';

const READ_WRITE = 1;
const READ_ONLY = 5;
const HOST = 2;
const HOST_READONLY = 6;
const DEVICE_READONLY = 5;
const GNTST_general_error = -1;
const GNTST_bad_handle = -4;
const GNTST_bad_page = -9;

describe.each(COMBINATIONS)('%s %s: grants', (abi, personality) => {
  let machine: MemoryMachine;
  let giver: Attacker;
  let taker: Attacker;
  const va = (page: number) => page * 4096;

  beforeEach(() => {
    machine = new MemoryMachine();
    giver = new Attacker(machine, abi, personality);
    taker = new Attacker(machine, abi, personality);
  });
  const grant = (ref: number, flags: number, name: string) =>
    giver.grant(ref, flags, taker.guest.domain.id, giver.mfn(name));
  const map = (page: number, flags: number, ref: number) =>
    taker.map(va(page), flags, ref, giver.guest.domain.id);
  const refused = (errno: number) => (taker.modern ? errno : EINVAL);

  it('ends a writable mapping only by its own entry, not by a read-only one of the same frame', () => {
    grant(0, READ_WRITE, 'page');
    grant(1, READ_ONLY, 'page');
    const writable = map(5, HOST, 0);
    const readonly = map(6, HOST_READONLY, 1);
    expect([writable.status, readonly.status]).toEqual([0, 0]);
    // Else the granter would be told that nobody writes any more, while page 5 still does.
    expect(taker.unmap(va(6), writable.handle)).toBe(GNTST_general_error);
    expect(taker.unmap(va(5), readonly.handle)).toBe(GNTST_general_error);
    expect(taker.unmap(va(5), writable.handle)).toBe(0);
    expect(taker.unmap(va(6), readonly.handle)).toBe(0);
  });

  it('takes no writable mapping of a read-only grant, not even by changing the entry', () => {
    grant(0, READ_ONLY, 'page');
    expect(map(5, HOST, 0).status).toBe(GNTST_general_error);
    expect(map(5, HOST_READONLY, 0).status).toBe(0);
    const mapped = `m${giver.mfn('page').toString(16)}`;
    expect(taker.remap(5, `${mapped} rw`)).toBe(refused(EPERM));
    expect(taker.update('t', 5, `${mapped} rw`)).toBe(refused(EPERM));
    expect(taker.update('t', 7, mapped)).toBe(refused(EPERM));
  });

  it('grants no page table for writing', () => {
    grant(0, READ_WRITE, 't');
    expect(map(5, HOST, 0).status).toBe(GNTST_general_error);
    grant(1, READ_WRITE, 'r');
    expect(map(5, HOST, 1).status).toBe(GNTST_general_error);
    expect(map(5, HOST_READONLY, 1).status).toBe(0);
  });

  it('lets no granted frame become a page table while it is mapped for writing', () => {
    grant(0, READ_WRITE, 'page');
    const { handle } = map(5, HOST, 0);
    expect(giver.pin(1, 'page')).toBe(EINVAL);
    taker.unmap(va(5), handle);
    expect(giver.pin(1, 'page')).toBe(0);
  });

  it('keeps a device mapping alive after the host mapping is gone', () => {
    grant(0, READ_WRITE, 'page');
    const both = map(5, HOST | 1, 0);
    expect(both.status).toBe(0);
    expect(taker.unmap(va(5), both.handle)).toBe(0);
    expect(giver.pin(1, 'page')).toBe(EINVAL);
    expect(taker.unmap(0, both.handle, giver.mfn('page') * 4096)).toBe(0);
    expect(giver.pin(1, 'page')).toBe(0);
    expect(taker.unmap(0, both.handle, giver.mfn('page') * 4096)).toBe(GNTST_bad_handle);
  });

  it('ends a device mapping once', () => {
    grant(0, READ_ONLY, 'page');
    const { handle } = map(0, DEVICE_READONLY, 0);
    const bus = giver.mfn('page') * 4096;
    expect(taker.unmap(0, handle, bus)).toBe(0);
    expect(taker.unmap(0, handle, bus)).toBe(GNTST_bad_handle);
  });

  it('writes no mapping into a table of somebody else, nor between two entries', () => {
    grant(0, READ_WRITE, 'page');
    const byEntry = HOST | 16;
    expect(taker.map(giver.guest.at('t', 5), byEntry, 0, giver.guest.domain.id).status).toBe(
      GNTST_general_error,
    );
    expect(taker.map(taker.guest.at('t', 5) + 1, byEntry, 0, giver.guest.domain.id).status).toBe(
      GNTST_general_error,
    );
    expect(taker.map(taker.guest.at('a', 5), byEntry, 0, giver.guest.domain.id).status).toBe(
      GNTST_general_error,
    );
    expect(taker.map(taker.guest.at(taker.l2, 5), byEntry, 0, giver.guest.domain.id).status).toBe(
      GNTST_general_error,
    );
    expect(taker.map(taker.guest.domain.holeStart, HOST, 0, giver.guest.domain.id).status).toBe(
      GNTST_general_error,
    );
  });

  it('looks at an entry once: what it says later does not matter', () => {
    grant(0, READ_ONLY, 'page');
    const { handle } = map(5, HOST_READONLY, 0);
    // The granter rewrites its entry while it is in use: the frame of the first mapping stays the one that counts.
    grant(0, READ_ONLY, 'other');
    const second = map(6, HOST_READONLY, 0);
    expect(second.status).toBe(0);
    expect(taker.entry('t', 6) >>> 12).toBe(giver.mfn('page'));
    expect(taker.unmap(va(5), handle)).toBe(0);
    expect(taker.unmap(va(6), second.handle)).toBe(0);
    expect(machine.hv.frames.references[giver.mfn('page')]).toBe(1);
  });

  it('transfers no frame that is mapped, pinned or granted', () => {
    const accepts = () => taker.grant(3, 2, giver.guest.domain.id, 0);
    const transfer = (name: string) =>
      (giver.grantOp(4, [giver.mfn(name), taker.guest.domain.id, 3, 0])[3]! << 16) >> 16;
    accepts();
    expect(transfer('a')).toBe(GNTST_bad_page);
    expect(transfer('b')).toBe(GNTST_bad_page);
    expect(transfer('t')).toBe(GNTST_bad_page);
    expect(giver.pin(1, 'table')).toBe(0);
    expect(transfer('table')).toBe(GNTST_bad_page);
    expect(giver.setGdt(['gdt'], 1)).toBe(0);
    expect(transfer('gdt')).toBe(GNTST_bad_page);
    grant(0, READ_ONLY, 'page');
    expect(map(5, HOST_READONLY, 0).status).toBe(0);
    expect(transfer('page')).toBe(GNTST_bad_page);
    expect(machine.hv.frames.owner[giver.mfn('page')]).toBe(giver.guest.domain.id);
    expect(transfer('free')).toBe(0);
    expect(machine.hv.frames.owner[giver.mfn('free')]).toBe(taker.guest.domain.id);
  });

  it('forgets what a transferred frame was checked for', () => {
    // A descriptor page keeps its mark after its last use; another domain's rules are not the giver's.
    expect(giver.setGdt(['page'], 512)).toBe(0);
    expect(giver.setGdt([], 0)).toBe(0);
    taker.grant(3, 2, giver.guest.domain.id, 0);
    giver.grantOp(4, [giver.mfn('page'), taker.guest.domain.id, 3, 0]);
    expect(machine.hv.frames.owner[giver.mfn('page')]).toBe(taker.guest.domain.id);
    expect(machine.hv.frames.type[giver.mfn('page')]).toBe(0);
  });
});

describe('x86_32p 4.17: later grant operations', () => {
  let machine: MemoryMachine;
  let giver: Attacker;
  let taker: Attacker;
  beforeEach(() => {
    machine = new MemoryMachine();
    giver = new Attacker(machine, 'x86_32p', '4.17');
    taker = new Attacker(machine, 'x86_32p', '4.17');
  });

  it('copies into no page table and no frame of somebody else', () => {
    const copy = (source: number, sourceDomid: number, dest: number, destDomid: number, flags: number) =>
      (taker.grantOp(5, [source, sourceDomid, dest, destDomid, 16 | (flags << 16), 0])[5]! << 16) >> 16;
    const self = 0x7ff0;
    expect(copy(taker.mfn('b'), self, taker.mfn('t'), self, 0)).toBe(GNTST_general_error);
    expect(copy(taker.mfn('b'), self, giver.mfn('a'), self, 0)).toBe(-9);
    expect(copy(taker.mfn('b'), self, giver.mfn('a'), giver.guest.domain.id, 0)).toBe(-8);
    expect(copy(machine.hv.m2p.firstMfn, self, taker.mfn('a'), self, 0)).toBe(-9);
    giver.grant(0, READ_ONLY, taker.guest.domain.id, giver.mfn('page'));
    expect(copy(taker.mfn('b'), self, 0, giver.guest.domain.id, 2)).toBe(GNTST_general_error);
    giver.grant(1, READ_WRITE, taker.guest.domain.id, giver.mfn('t'));
    expect(copy(taker.mfn('b'), self, 1, giver.guest.domain.id, 2)).toBe(GNTST_general_error);
  });

  it('copies nothing beyond the end of a frame', () => {
    const words = [taker.mfn('a'), 0x7ff0 | (4090 << 16), taker.mfn('b'), 0x7ff0, 16, 0];
    expect((taker.grantOp(5, words)[5]! << 16) >> 16).toBe(-10);
    expect(
      (taker.grantOp(5, [taker.mfn('a'), 0x7ff0, taker.mfn('b'), 0x7ff0 | (0xffff << 16), 0xffff, 0])[5]! <<
        16) >>
        16,
    ).toBe(-10);
  });

  it('swaps no entry that is in use', () => {
    giver.grant(0, READ_WRITE, taker.guest.domain.id, giver.mfn('page'));
    expect(taker.map(5 * 4096, HOST, 0, giver.guest.domain.id).status).toBe(0);
    expect((giver.grantOp(11, [0, 1, 0])[2]! << 16) >> 16).toBe(-12);
  });

  it('replaces a mapping by a page that the guest could map anyway', () => {
    giver.grant(0, READ_WRITE, taker.guest.domain.id, giver.mfn('page'));
    const { handle } = taker.map(5 * 4096, HOST, 0, giver.guest.domain.id);
    const replace = (newAddress: number) =>
      (taker.grantOp(7, [5 * 4096, 0, newAddress, 0, handle, 0])[5]! << 16) >> 16;
    expect(replace(taker.guest.domain.holeStart)).toBe(-5);
    expect(replace(5 * 4096)).toBe(-5);
    expect(replace(3 * 4096)).toBe(0);
    expect(taker.entry('t', 5) >>> 12).toBe(taker.mfn('a'));
    expect(taker.entry('t', 3)).toBe(0);
  });
});
