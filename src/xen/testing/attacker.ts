/**
 * A guest that tries what it must not: an address space of its own, and short names for the hypercalls that could
 * open it further. Each call is audited. Virtual pages: 1 `args` (writable, holds the arguments), 2 the L1 table `t`
 * itself, 3 `a` writable, 4 `b` read-only; pages from 5 on are free.
 */
import { DOMID_SELF } from '../domain.ts';
import { TYPE_l2, TYPE_l3 } from '../frames.ts';
import { setGdtRow, updateDescriptorRow } from '../hypercalls/descriptors.ts';
import { grantTableOpRow } from '../hypercalls/grant-table-op.ts';
import { memoryOpRow } from '../hypercalls/memory-op.ts';
import { mmuUpdateRow } from '../hypercalls/mmu-update.ts';
import { mmuextOpRow } from '../hypercalls/mmuext-op.ts';
import { updateVaMappingRow } from '../hypercalls/update-va-mapping.ts';
import type { Abi, Personality } from '../personality.ts';
import { pin } from '../pinning.ts';
import { setRoot } from '../roots.ts';
import type { Guest, MemoryMachine } from './memory-machine.ts';

/** What a guest may be: every combination that there is. */
export const COMBINATIONS = [
  ['x86_32', '3.0.2'],
  ['x86_32p', '3.0.2'],
  ['x86_32p', '4.17'],
] as const;

const ARGS = 0x1000;
const LIST = 0x1800;
const UVMF_NONE = 0;

export class Attacker {
  readonly machine: MemoryMachine;
  readonly guest: Guest;

  constructor(machine: MemoryMachine, abi: Abi, personality: Personality, privileged = false) {
    this.machine = machine;
    this.guest = machine.domain(abi, { personality, privileged, vcpus: 2, id: privileged ? 0 : 1 });
    const { guest } = this;
    guest.write('L1 t: 1 -> args rw, 2 -> t, 3 -> a rw, 4 -> b');
    if (abi === 'x86_32') guest.write('L2 r: 0 -> t rw us');
    else guest.write('L2 d: 0 -> t rw us\n L3 r: 0 -> d, 3 -> top');
    const level = abi === 'x86_32' ? TYPE_l2 : TYPE_l3;
    if (pin(machine.hv, guest.domain, guest.mfn('r'), level) !== 0) throw new Error('no address space');
    if (setRoot(machine.hv, guest.vcpu, guest.mfn('r')) !== 0) throw new Error('no address space');
    guest.run();
    machine.check();
  }

  get modern(): boolean {
    return this.guest.domain.personality !== '3.0.2';
  }
  /** Name of the L2 table that holds the entry of virtual page 0. */
  get l2(): string {
    return this.guest.domain.abi === 'x86_32' ? 'r' : 'd';
  }
  mfn(name: string): number {
    return this.guest.mfn(name);
  }

  put(at: number, words: readonly number[]): void {
    for (const [i, word] of words.entries()) {
      this.machine.hv.memory.write32(this.mfn('args') * 4096 + (at & 4095) + 4 * i, word >>> 0);
    }
  }
  word(at: number): number {
    return this.machine.hv.memory.read32(this.mfn('args') * 4096 + (at & 4095));
  }

  /** mmu_update of one entry, as words. */
  store(maddr: number, low: number, high = 0, foreign = DOMID_SELF): number {
    this.put(ARGS, [maddr, 0, low, high]);
    return this.guest.call(mmuUpdateRow, ARGS, 1, 0, foreign);
  }
  /** mmu_update of an entry by name: update('t', 5, 'page rw'). */
  update(table: string, index: number, entry: string, command = 0): number {
    const { low, high } = this.guest.entry(entry);
    return this.store(this.guest.at(table, index) + command, low, high);
  }
  /** update_va_mapping of a page. */
  remap(page: number, entry: string): number {
    const { low, high } = this.guest.entry(entry);
    return this.guest.call(updateVaMappingRow, page * 4096, low, high, UVMF_NONE);
  }
  /** mmuext_op. */
  ext(cmd: number, arg1: number, arg2 = 0, foreign = DOMID_SELF): number {
    this.put(ARGS, [cmd, arg1, arg2]);
    return this.guest.call(mmuextOpRow, ARGS, 1, 0, foreign);
  }
  pin(level: 1 | 2 | 3, name: string): number {
    return this.ext(level - 1, this.mfn(name));
  }
  unpin(name: string): number {
    return this.ext(4, this.mfn(name));
  }
  setGdt(names: readonly string[], entries: number): number {
    this.put(
      LIST,
      names.map((name) => this.mfn(name)),
    );
    return this.guest.call(setGdtRow, LIST, entries);
  }
  descriptor(name: string, index: number, low: number, high: number): number {
    return this.guest.call(updateDescriptorRow, this.mfn(name) * 4096 + index * 8, 0, low, high);
  }
  /** A reservation call of memory_op over a list of extents. */
  reservation(op: number, extents: readonly number[], order = 0, domid = DOMID_SELF): number {
    this.put(LIST, extents);
    this.put(ARGS, [LIST, extents.length, order, 0, domid]);
    return this.guest.call(memoryOpRow, op, ARGS);
  }
  decrease(...names: string[]): number {
    return this.reservation(
      1,
      names.map((name) => this.mfn(name)),
    );
  }
  exchange(
    inList: readonly number[],
    inOrder: number,
    outCount: number,
    outOrder: number,
    pointer = LIST,
  ): number {
    this.put(LIST, inList);
    const out = LIST + 4 * inList.length;
    this.put(ARGS, [
      pointer,
      inList.length,
      inOrder,
      0,
      DOMID_SELF,
      out,
      outCount,
      outOrder,
      0,
      DOMID_SELF,
      0,
    ]);
    return this.guest.call(memoryOpRow, 11, ARGS);
  }
  /** One grant operation; the words of its struct afterwards. */
  grantOp(cmd: number, words: readonly number[]): number[] {
    this.put(ARGS, words);
    const result = this.guest.call(grantTableOpRow, cmd, ARGS, 1);
    if (result !== 0) throw new Error(`grant_table_op ${cmd}: ${result}`);
    return words.map((_, i) => this.word(ARGS + 4 * i));
  }
  /** Writes entry `ref` of the own grant table. */
  grant(ref: number, flags: number, domid: number, mfn: number): void {
    const at = this.guest.domain.grantFrames[0]! * 4096 + ref * 8;
    this.machine.hv.memory.write32(at, flags | (domid << 16));
    this.machine.hv.memory.write32(at + 4, mfn);
  }
  /** map_grant_ref. */
  map(va: number, flags: number, ref: number, domid: number): { status: number; handle: number } {
    const words = this.grantOp(0, [va, 0, flags, ref, domid, 0, 0, 0]);
    return { status: words[4]! >> 16, handle: words[5]! };
  }
  /** unmap_grant_ref. */
  unmap(va: number, handle: number, bus = 0): number {
    return (this.grantOp(1, [va, 0, bus, 0, handle, 0])[5]! << 16) >> 16;
  }
  /** What an entry holds: low word. */
  entry(table: string, index: number): number {
    return this.machine.hv.memory.read32(this.guest.at(table, index));
  }
}
