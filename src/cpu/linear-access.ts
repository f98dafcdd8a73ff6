/**
 * Access to linear memory by the slow way: what the generated code calls when the TLB does not answer. Limits of flat
 * segments, data breakpoints, page walk, filling of the TLB, values in two pages, what lies beyond RAM. Faults are
 * recorded in the state block; the first one counts.
 */

import type { Breakpoints } from './breakpoints.ts';
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from './cpu.ts';
import * as map from './interpreter/memory-map.ts';
import { SS } from './layout.ts';
import { isPlainFrame, type PageWalker } from './paging.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import {
  isReadable,
  isWritableData,
  offsetAllowed,
  VECTOR_GP,
  VECTOR_PF,
  VECTOR_SS,
} from './rare/descriptors.ts';
import { ACCESS, BASE, CR0, CR2, FAULT_CODE, FAULT_VECTOR, LIMIT, NO_FAULT, word } from './state-words.ts';
import type { TlbLog } from './tlb.ts';

export const CR0_PG = 0x80000000;

export class LinearAccess {
  readonly walker: PageWalker;
  readonly breakpoints: Breakpoints;
  private readonly memory: PhysicalMemory;
  private readonly log: TlbLog;
  private readonly u32: Uint32Array;
  /** Accesses above it fault as a limit violation when segments are flat. */
  flatLimit = 0xffffffff;
  /** The fault being raised is one of beyondLimit(). */
  limitFault = false;
  /** Machine address of the entry that the last translation came from, -1 without paging. */
  lastPte = -1;

  constructor(memory: PhysicalMemory, log: TlbLog, walker: PageWalker, breakpoints: Breakpoints) {
    this.memory = memory;
    this.log = log;
    this.walker = walker;
    this.breakpoints = breakpoints;
    this.u32 = memory.u32;
  }

  /** An instruction raises the first fault that it meets; an operand in two halves may meet two. */
  recordFault(vector: number, code: number): void {
    if (this.isFaulting) return;
    this.u32[FAULT_VECTOR] = vector;
    this.u32[FAULT_CODE] = code;
  }
  get isFaulting(): boolean {
    return this.u32[FAULT_VECTOR] !== NO_FAULT;
  }
  pageFault(linear: number): void {
    if (this.isFaulting) return;
    this.u32[CR2] = linear;
    this.recordFault(VECTOR_PF, this.walker.code);
  }

  /** Machine address, or -1 with walker.code set. Sets A and D. */
  physical(linear: number, access: number): number {
    if ((this.u32[CR0]! & CR0_PG) === 0) {
      this.walker.writable = true;
      this.walker.dirty = true;
      this.lastPte = -1;
      return linear;
    }
    const maddr = this.walker.walk(linear, access, true);
    this.lastPte = this.walker.pte;
    return maddr;
  }

  /** As physical; fills the TLB. */
  access(linear: number, access: number): number {
    const maddr = this.physical(linear, access);
    if (maddr < 0) return -1;
    const mfn = maddr >>> 12;
    if (mfn >= this.memory.frames || (linear | 4095) >>> 0 > this.flatLimit) return maddr;
    const table = word(access & ACCESS_USER ? map.TLB_USER : map.TLB_SUPERVISOR) + (linear >>> 12);
    const delta = (this.memory.ramBase + maddr - linear) | 0;
    const pte = this.lastPte;
    const { writable, dirty } = this.walker;
    const mayStore = writable && dirty && isPlainFrame(this.memory, mfn);
    if (this.u32[table] === 0 || (mayStore && this.u32[table + (map.TLB_WRITE >>> 2)] === 0))
      this.log.fillData(table, delta, pte, mayStore ? mfn : -1);
    return maddr;
  }

  /** In flat code, is the access beyond the segments' limit? The fault is recorded. */
  private beyondLimit(linear: number, size: number): boolean {
    if (linear + size - 1 <= this.flatLimit) return false;
    this.recordFault(VECTOR_GP, 0);
    this.limitFault = true;
    return true;
  }

  read(linear: number, size: number, user: boolean): number {
    if (this.breakpoints.watching) this.breakpoints.note(linear, size, false);
    if (this.beyondLimit(linear, size)) return 0;
    const access = user ? ACCESS_READ | ACCESS_USER : ACCESS_READ;
    const maddr = this.access(linear, access);
    if (maddr < 0) {
      this.pageFault(linear);
      return 0;
    }
    if ((linear & 4095) + size <= 4096) return this.readMachine(maddr, size);
    const secondPage = ((linear | 4095) + 1) >>> 0;
    const second = this.access(secondPage, access);
    if (second < 0) {
      this.pageFault(secondPage);
      return 0;
    }
    const head = 4096 - (linear & 4095);
    let value = 0;
    for (let i = 0; i < size; i++)
      value += this.readMachine(i < head ? maddr + i : second + i - head, 1) * 2 ** (8 * i);
    return value;
  }
  write(linear: number, size: number, value: number, user: boolean): void {
    if (this.breakpoints.watching) this.breakpoints.note(linear, size, true);
    if (this.beyondLimit(linear, size)) return;
    const access = user ? ACCESS_WRITE | ACCESS_USER : ACCESS_WRITE;
    const maddr = this.access(linear, access);
    if (maddr < 0) {
      this.pageFault(linear);
      return;
    }
    if ((linear & 4095) + size <= 4096) {
      this.writeMachine(maddr, size, value);
      return;
    }
    const secondPage = ((linear | 4095) + 1) >>> 0;
    const second = this.access(secondPage, access);
    if (second < 0) {
      this.pageFault(secondPage);
      return;
    }
    const head = 4096 - (linear & 4095);
    for (let i = 0; i < size; i++)
      this.writeMachine(i < head ? maddr + i : second + i - head, 1, (value >>> (8 * i)) & 255);
  }
  check(linear: number, size: number, write: boolean, user: boolean): void {
    if (this.breakpoints.watching) this.breakpoints.note(linear, size, write);
    if (this.beyondLimit(linear, size)) return;
    const access = (write ? ACCESS_WRITE : ACCESS_READ) | (user ? ACCESS_USER : 0);
    if (this.access(linear, access) < 0) {
      this.pageFault(linear);
      return;
    }
    const last = (linear + size - 1) >>> 0;
    if ((linear ^ last) >>> 12 === 0) return;
    const secondPage = (last & ~4095) >>> 0;
    if (this.access(secondPage, access) < 0) this.pageFault(secondPage);
  }
  /** Beyond RAM reads give all ones and writes vanish. */
  private readMachine(maddr: number, size: number): number {
    if (maddr >>> 12 >= this.memory.frames) return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
    return size === 4
      ? this.memory.read32(maddr)
      : size === 2
        ? this.memory.read16(maddr)
        : this.memory.read8(maddr);
  }
  private writeMachine(maddr: number, size: number, value: number): void {
    if (maddr >>> 12 >= this.memory.frames) return;
    if (size === 4) this.memory.write32(maddr, value);
    else if (size === 2) this.memory.write16(maddr, value & 0xffff);
    else this.memory.write8(maddr, value & 0xff);
  }

  inSegment(segment: number, offset: number, size: number, write: boolean): number {
    const { u32 } = this;
    const access = u32[ACCESS + segment]!;
    const allowed =
      (write ? isWritableData(access) : isReadable(access)) &&
      offset + size - 1 <= 0xffffffff &&
      offsetAllowed(access, u32[LIMIT + segment]!, offset, size);
    if (allowed) return (u32[BASE + segment]! + offset) | 0;
    this.recordFault(segment === SS ? VECTOR_SS : VECTOR_GP, 0);
    return 0;
  }
}
