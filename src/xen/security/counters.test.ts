/** Counts that could run over: with low limits every way to take one more reference ends in a refusal, and nothing leaks. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EINVAL } from '../abi/errno.ts';
import { MAX_GRANT_FRAMES } from '../grant-books.ts';
import { Attacker, COMBINATIONS } from '../testing/attacker.ts';
import { MemoryMachine } from '../testing/memory-machine.ts';

const LIMIT = 6;

describe.each(COMBINATIONS)('%s %s: counts', (abi, personality) => {
  let machine: MemoryMachine;
  let attacker: Attacker;

  beforeEach(() => {
    machine = new MemoryMachine();
    attacker = new Attacker(machine, abi, personality);
    attacker.mfn('page');
  });
  const references = (name: string) => machine.hv.frames.references[attacker.mfn(name)]!;

  it('of references end at the limit, for mappings of any kind', () => {
    machine.hv.frames.referenceLimit = LIMIT;
    let mapped = 0;
    for (let page = 5; page < 20; page++) {
      const errno = attacker.remap(page, page % 2 ? 'page rw' : 'page');
      if (errno === 0) mapped++;
      else expect(errno).toBe(EINVAL);
    }
    // One reference is the allocation's.
    expect(mapped).toBe(LIMIT - 1);
    expect(references('page')).toBe(LIMIT);
    expect(attacker.update('t', 30, 'page rw')).toBe(EINVAL);
    expect(attacker.remap(5, 'none')).toBe(0);
    expect(attacker.remap(30, 'page')).toBe(0);
    expect(attacker.remap(31, 'page')).toBe(EINVAL);
  });

  it('of uses end at the limit, for writable mappings', () => {
    machine.hv.frames.typeCountLimit = LIMIT;
    let mapped = 0;
    for (let page = 5; page < 20; page++) if (attacker.remap(page, 'page rw') === 0) mapped++;
    expect(mapped).toBe(LIMIT);
    expect(attacker.remap(30, 'page')).toBe(0);
    expect(references('page')).toBe(LIMIT + 2);
    // Changing rights in place is a use, too.
    expect(attacker.remap(30, 'page rw')).toBe(EINVAL);
  });

  it('of uses end at the limit, for tables that are named again and again', () => {
    machine.hv.frames.typeCountLimit = LIMIT;
    let named = 0;
    for (let index = 5; index < 20; index++)
      if (attacker.update(attacker.l2, index, 'low rw us') === 0) named++;
    expect(named).toBe(LIMIT);
    expect(attacker.pin(1, 'low')).toBe(EINVAL);
    for (let index = 5; index < 20; index++) attacker.update(attacker.l2, index, 'none');
    expect(attacker.guest.books('low')).toBe('none refs 1');
  });

  it('of descriptor tables end at the limit and leave the old table', () => {
    expect(attacker.setGdt(['gdt'], 512)).toBe(0);
    machine.hv.frames.typeCountLimit = LIMIT;
    expect(attacker.setGdt(Array(LIMIT).fill('gdt'), LIMIT * 512)).toBe(EINVAL);
    expect(attacker.guest.vcpu.gdtEntries).toBe(512);
    expect(attacker.setGdt(Array(LIMIT).fill('other'), LIMIT * 512)).toBe(0);
    expect(attacker.setGdt(Array(LIMIT + 1).fill('third'), (LIMIT + 1) * 512)).toBe(EINVAL);
    expect(references('third')).toBe(1);
  });

  it('of a table that is refused at its last entry are all undone', () => {
    machine.hv.frames.referenceLimit = LIMIT;
    const entries = Array.from({ length: LIMIT }, (_, i) => `${i} -> page rw`).join(', ');
    attacker.guest.write(`L1 full: ${entries}`);
    expect(attacker.pin(1, 'full')).toBe(EINVAL);
    expect(attacker.guest.books('page')).toBe('none refs 1');
    expect(attacker.guest.books('full')).toBe('none refs 1');
  });

  it('of grants end at the limit', () => {
    const taker = new Attacker(machine, abi, personality);
    attacker.guest.run();
    attacker.grant(0, 1, taker.guest.domain.id, attacker.mfn('page'));
    taker.guest.run();
    machine.hv.frames.referenceLimit = LIMIT;
    let mapped = 0;
    const handles: number[] = [];
    for (let page = 5; page < 20; page++) {
      const { status, handle } = taker.map(page * 4096, 2, 0, attacker.guest.domain.id);
      if (status !== 0) continue;
      mapped++;
      handles.push(handle);
    }
    expect(mapped).toBe(LIMIT - 1);
    // Host and device in one need two: with room for one only, nothing of it remains.
    expect(taker.unmap(5 * 4096, handles[0]!)).toBe(0);
    expect(taker.map(5 * 4096, 3, 0, attacker.guest.domain.id).status).toBe(-1);
    expect(machine.hv.frames.references[attacker.mfn('page')]).toBe(LIMIT - 1);
    expect(attacker.guest.domain.grants.writers[0]).toBe(LIMIT - 2);
  });

  it('of readers and writers of one reference do not wrap', () => {
    const taker = new Attacker(machine, abi, personality);
    attacker.guest.run();
    attacker.grant(0, 1, taker.guest.domain.id, attacker.mfn('page'));
    taker.guest.run();
    const { handle } = taker.map(0x5000, 6, 0, attacker.guest.domain.id);
    const { grants } = attacker.guest.domain;
    grants.readers[0] = 0xffff;
    expect(() => taker.map(0x6000, 6, 0, attacker.guest.domain.id)).toThrow('counts 65535 readers');
    expect(grants.readers[0]).toBe(0xffff);
    grants.readers[0] = 1;
    expect(taker.unmap(0x5000, handle)).toBe(0);
  });

  it('of grant frames end at the domain’s limit', () => {
    const setup = (frames: number) => (attacker.grantOp(2, [0x7ff0, frames, 0, 0x1c00])[2]! << 16) >> 16;
    const most = personality === '3.0.2' ? 4 : MAX_GRANT_FRAMES;
    expect(setup(most + 1)).toBe(-1);
    expect(setup(0xffff_ffff)).toBe(-1);
    expect(setup(1)).toBe(0);
  });

  it('of the M2P stay inside the machine', () => {
    const { frames, m2p, memory } = machine.hv;
    const behind = (m2p.firstMfn + m2p.frameCount) * 4096;
    const before = memory.read32(behind);
    for (const mfn of [frames.total, frames.total + 1, 0x10_0000, 0xf_ffff]) {
      expect(attacker.store((mfn * 4096 + 1) >>> 0, 0xdead)).toBeLessThanOrEqual(0);
    }
    expect(attacker.store(frames.total * 4096 + 1, 0xdead)).toBe(EINVAL);
    expect(memory.read32(behind)).toBe(before);
  });
});
