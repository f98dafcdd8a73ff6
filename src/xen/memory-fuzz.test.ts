/**
 * Random operations of three domains (both ABIs, both generations, one privileged) on a machine of 512 frames. After
 * each one all books must agree with what the tables hold; now and then the address spaces are walked as a processor
 * would, and no path may reach a table, a descriptor page or somebody else's frame with the right to write.
 */
import { describe, expect, it } from 'vitest';
import { audit } from './audit.ts';
import { ldtDescriptorAddress, setGdt, setLdt, updateDescriptor } from './descriptor-tables.ts';
import { DOMID_IO, DOMID_SELF, DOMID_XEN } from './domain.ts';
import { releaseDomainMemory } from './domain-memory.ts';
import { frameOwnerFor, tableOwnerFor } from './foreign.ts';
import { TYPE_l1, TYPE_l3, TYPE_none, TYPE_writable } from './frames.ts';
import { mapGrant, unmapAndReplace, unmapGrant } from './grant-map.ts';
import { copyGrant, swapGrants, transferGrant } from './grants.ts';
import { mmuUpdate } from './mmu-update.ts';
import { clearPage, copyPage } from './mmuext-op.ts';
import { entryMfn } from './page-table-entries.ts';
import { becomesWritable } from './page-types.ts';
import { pin, unpin } from './pinning.ts';
import { giveFrames, takeFrame } from './reservation.ts';
import { dropRoot, setRoot } from './roots.ts';
import { type Guest, MemoryMachine, randomFrom } from './testing/memory-machine.ts';
import { updateVaMapping } from './update-va-mapping.ts';

const OPERATIONS = 20_000;
const FRAMES = 22;
const INDEXES = [427, 428, 429, 511, 1007, 1008, 1009, 1023];

class Fuzzer {
  readonly machine: MemoryMachine;
  readonly random: () => number;
  readonly guests: Guest[] = [];
  /** Successes per operation: a fuzzer that is always refused tests nothing. */
  readonly done = new Map<string, number>();

  constructor(seed: number) {
    this.machine = new MemoryMachine({ mib: 2, seed });
    this.random = randomFrom(seed * 7919 + 1);
    for (let id = 0; id < 3; id++) this.guests.push(this.born(id));
  }

  born(id: number): Guest {
    const guest =
      id === 0
        ? this.machine.domain('x86_32p', { id, personality: '4.17', privileged: true, frames: FRAMES + 6 })
        : id === 1
          ? this.machine.domain('x86_32', { id, frames: FRAMES + 6, vcpus: 2 })
          : this.machine.domain('x86_32p', { id, personality: '3.0.2', frames: FRAMES + 6 });
    for (let i = 0; i < FRAMES; i++) giveFrames(this.machine.hv, guest.domain, 0);
    this.addressSpace(guest);
    return guest;
  }

  /** Something to begin with: a root whose lowest pages are mapped. */
  addressSpace(guest: Guest): void {
    const own: number[] = [];
    const { hv } = this.machine;
    for (let mfn = 256; mfn < hv.frames.heapStart; mfn++)
      if (hv.frames.owner[mfn] === guest.domain.id) own.push(mfn);
    for (const [i, name] of ['r', 't', 'd', 'top', 'x', 'y', 'z'].entries()) guest.names.set(name, own[i]!);
    guest.write('L1 t: 0 -> x rw, 1 -> y rw, 2 -> t, 3 -> z');
    if (guest.domain.entryBytes === 4) guest.write('L2 r: 0 -> t rw us, 1 -> r us');
    else guest.write('L2 d: 0 -> t rw us\n L3 r: 0 -> d, 3 -> top');
    for (const vcpu of guest.domain.vcpus) {
      if (setRoot(hv, vcpu, guest.mfn('r')) !== 0) throw new Error('no address space');
    }
  }

  below(n: number): number {
    return this.random() % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** A frame of the domain, mostly. */
  frame(guest: Guest): number {
    const { frames, m2p } = this.machine.hv;
    const roll = this.below(100);
    if (roll < 3) return this.below(frames.total + 4);
    if (roll < 5) return m2p.firstMfn;
    if (roll < 7) return guest.domain.sharedInfoMfn;
    const owner = roll < 12 ? this.pick(this.guests).domain.id : guest.domain.id;
    const first = 256 + this.below(frames.heapStart - 256);
    let mfn = first;
    do {
      if (frames.owner[mfn] === owner) return mfn;
      if (++mfn === frames.heapStart) mfn = 256;
    } while (mfn !== first);
    return first;
  }
  index(guest: Guest): number {
    if (this.chance(60)) return this.below(6);
    return guest.domain.entryBytes === 4 ? this.pick(INDEXES) : this.pick(INDEXES.slice(0, 4));
  }
  entry(guest: Guest): { low: number; high: number } {
    const high = this.chance(2) ? this.random() : 0;
    if (this.chance(20)) return { low: this.random() & ~1, high };
    let flags = 1;
    for (const [bit, percent] of [
      [2, 40],
      [4, 30],
      [8, 1],
      [16, 1],
      [32, 20],
      [64, 20],
      [128, 1],
      [256, 2],
      [512, 5],
    ] as const) {
      if (this.chance(percent)) flags |= bit;
    }
    return { low: ((this.frame(guest) << 12) | flags) >>> 0, high };
  }

  /** What a guest's own store may do: only where a writable mapping could exist. */
  store(guest: Guest): number {
    const mfn = this.frame(guest);
    const { frames, memory } = this.machine.hv;
    if (mfn >= frames.total || frames.owner[mfn] !== guest.domain.id) return -1;
    if (mfn >= frames.heapStart || !becomesWritable(frames, mfn)) return -1;
    const size = guest.domain.entryBytes;
    if (this.chance(15)) {
      memory.zeroFrame(mfn);
      return 0;
    }
    const { low, high } = this.entry(guest);
    const at = mfn * 4096 + this.index(guest) * size;
    memory.write32(at, low);
    if (size === 8) memory.write32(at + 4, high);
    return 0;
  }

  update(guest: Guest): number {
    const { hv } = this.machine;
    const foreign = this.chance(85)
      ? DOMID_SELF
      : this.pick([DOMID_IO, DOMID_XEN, 0, 1, 2, ((this.below(3) + 1) << 16) | DOMID_SELF]);
    const owner = frameOwnerFor(hv, guest.domain, foreign);
    const tables = tableOwnerFor(hv, guest.domain, foreign);
    if (owner < 0 || typeof tables === 'number') return -1;
    let mfn = this.frame(guest);
    for (let i = 0; i < 4 && hv.frames.type[mfn] === TYPE_none; i++) mfn = this.frame(guest);
    const command = this.chance(80) ? 0 : this.below(4);
    const { low, high } = this.entry(guest);
    const at = mfn * 4096 + this.index(guest) * tables.entryBytes + command;
    return mmuUpdate(hv, tables, tables, owner, at, 0, low, high);
  }

  grant(guest: Guest): number {
    const { hv } = this.machine;
    const vcpu = guest.vcpu;
    const ref = this.below(6);
    const other = this.pick(this.guests);
    const va = this.chance(70) ? this.below(6) * 4096 : this.frame(guest) * 4096 + this.index(guest) * 8;
    const [table] = guest.domain.grantFrames;
    switch (this.below(8)) {
      case 0:
      case 1: {
        const at = table! * 4096 + ref * 8;
        hv.memory.write16(at, this.pick([1, 1, 1, 5, 2, 0, 9]));
        hv.memory.write16(at + 2, this.below(3));
        hv.memory.write32(at + 4, this.frame(guest));
        return 0;
      }
      case 2:
      case 3:
        return mapGrant(hv, vcpu, va, this.below(16) | (va % 4096 ? 16 : 0), ref, other.domain.id);
      case 4:
        return unmapGrant(hv, vcpu, va, this.chance(30) ? this.frame(other) * 4096 : 0, this.below(8));
      case 5:
        return this.chance(50)
          ? unmapAndReplace(hv, vcpu, va, this.below(6) * 4096, this.below(8))
          : swapGrants(hv, guest.domain, ref, this.below(6));
      case 6:
        return this.chance(20)
          ? transferGrant(hv, guest.domain, this.frame(guest), other.domain.id, ref)
          : -1;
      default:
        return copyGrant(
          hv,
          guest.domain,
          DOMID_SELF,
          {
            isRef: this.chance(50),
            name: this.below(6),
            domid: other.domain.id,
            offset: this.below(64) * 64,
          },
          { isRef: this.chance(50), name: this.frame(guest), domid: DOMID_SELF, offset: 0 },
          0,
        );
    }
  }

  descriptors(guest: Guest): number {
    const { hv } = this.machine;
    const vcpu = guest.vcpu;
    switch (this.below(5)) {
      case 0:
        return setGdt(hv, vcpu, [this.frame(guest), this.frame(guest)], this.below(1024));
      case 1:
        return setLdt(hv, vcpu, this.below(6) * 4096, this.below(2000));
      case 2:
        return ldtDescriptorAddress(hv, vcpu, this.below(2000) * 8 + 4) >= 0 ? 0 : -1;
      case 3:
        return setGdt(hv, vcpu, [], 0);
      default: {
        const high = this.pick([0, 0x00cf9a00, 0x00cff200, 0x00008c00, 0x00008900, this.random()]);
        return updateDescriptor(
          hv,
          guest.domain,
          this.frame(guest) * 4096 + this.below(512) * 8,
          0xffff,
          high,
        );
      }
    }
  }

  step(): string {
    const { hv } = this.machine;
    const guest = this.pick(this.guests);
    const vcpu = this.pick(guest.domain.vcpus);
    const roll = this.below(1000);
    let name: string;
    let result: number;
    if (roll < 200) [name, result] = ['store', this.store(guest)];
    else if (roll < 330) {
      const level = this.chance(40) ? TYPE_l1 : this.below(TYPE_l3) + 1;
      [name, result] = ['pin', pin(hv, guest.domain, this.frame(guest), level)];
    } else if (roll < 400) [name, result] = ['unpin', unpin(hv, guest.domain, this.frame(guest))];
    else if (roll < 458) [name, result] = ['root', setRoot(hv, vcpu, this.frame(guest))];
    else if (roll < 460) {
      dropRoot(hv, vcpu);
      [name, result] = ['no root', 0];
    } else if (roll < 680) [name, result] = ['update', this.update(guest)];
    else if (roll < 760) {
      const { low, high } = this.entry(guest);
      const va = this.chance(80) ? this.below(6) * 4096 : this.random();
      [name, result] = ['va', updateVaMapping(hv, vcpu, guest.domain.id, va, low, high)];
    } else if (roll < 840) [name, result] = ['descriptors', this.descriptors(guest)];
    else if (roll < 880) [name, result] = ['give', giveFrames(hv, guest.domain, this.chance(90) ? 0 : 1)];
    else if (roll < 920) [name, result] = ['take', takeFrame(hv, guest.domain, this.frame(guest)) ? 0 : -1];
    else if (roll < 930) {
      const to = this.frame(guest);
      const owner = guest.domain.id;
      result = this.chance(50) ? clearPage(hv, owner, to) : copyPage(hv, owner, to, this.frame(guest));
      name = 'page';
    } else if (roll < 999) [name, result] = ['grant', this.grant(guest)];
    else {
      const { id } = guest.domain;
      releaseDomainMemory(hv, guest.domain);
      hv.domains[id] = undefined;
      this.guests[id] = this.born(id);
      [name, result] = ['rebirth', 0];
    }
    if (result >= 0) this.done.set(name, (this.done.get(name) ?? 0) + 1);
    return `${name} by domain ${guest.domain.id}`;
  }

  /** Every page that a vcpu's tables let the guest write, by a walk that knows no types. */
  writablePages(visit: (mfn: number, guest: Guest) => void): void {
    const { memory } = this.machine.hv;
    for (const guest of this.guests) {
      const { entryBytes } = guest.domain;
      const levels = entryBytes === 4 ? 2 : 3;
      const walk = (table: number, level: number): void => {
        const entries = level === 3 ? 4 : 4096 / entryBytes;
        for (let i = 0; i < entries; i++) {
          const at = table * 4096 + i * entryBytes;
          const low = memory.read32(at);
          if (!(low & 1) || (level < 3 && !(low & 2))) continue;
          const mfn = entryMfn(low, entryBytes === 8 ? memory.read32(at + 4) : 0);
          if (level === 1) visit(mfn, guest);
          else walk(mfn, level - 1);
        }
      };
      for (const vcpu of guest.domain.vcpus) if (vcpu.rootMfn !== 0) walk(vcpu.rootMfn, levels);
    }
  }
}

describe('random operations', () => {
  it.each([1, 2])('the books agree after each of %i * 10 000', { timeout: 60_000 }, (seed) => {
    const fuzzer = new Fuzzer(seed);
    const { hv } = fuzzer.machine;
    for (let i = 0; i < OPERATIONS / 2; i++) {
      const what = fuzzer.step();
      const wrong = audit(hv);
      if (wrong.length > 0) throw new Error(`operation ${i}, ${what}:\n${wrong.join('\n')}`);
      if (i % 10 !== 0) continue;
      fuzzer.writablePages((mfn, guest) => {
        const { frames } = hv;
        if (mfn >= frames.total || frames.type[mfn] !== TYPE_writable) {
          throw new Error(
            `operation ${i}, ${what}: domain ${guest.domain.id} can write frame ${mfn.toString(16)}`,
          );
        }
        const owner = frames.owner[mfn]!;
        const granted = guest.domain.grants.mappings.some(
          (mapping) => mapping?.mfn === mfn && !mapping.readonly,
        );
        if (owner !== guest.domain.id && !granted && !guest.domain.privileged) {
          throw new Error(`operation ${i}, ${what}: domain ${guest.domain.id} can write a frame of ${owner}`);
        }
      });
    }
    const names = [
      'store',
      'pin',
      'unpin',
      'root',
      'update',
      'va',
      'descriptors',
      'give',
      'take',
      'grant',
      'page',
    ];
    for (const name of names) expect(fuzzer.done.get(name) ?? 0, name).toBeGreaterThan(20);
  });
});
