/**
 * The frame table: one row per machine frame, in typed arrays, and who may be given a frame (memory.md section 2).
 * This file holds the columns and the allocator. Counts and types change in page-types.ts only.
 *
 *   mfn 0..255           owner DOMID_IO: the first MiB, as on a PC
 *   mfn 256..heapStart   domain frames, handed out in a seeded shuffled order so that mfn and pfn differ
 *   mfn heapStart..end   the Xen heap: M2P, Xen's page tables, shared_info, grant frames
 *
 * The order is shuffled in chunks of 512 frames (chunks among themselves, frames within a chunk), so that untouched
 * chunks stay whole for contiguous requests.
 */
import { EngineBug } from '../base/assert.ts';
import type { PhysicalMemory } from '../cpu/physical-memory.ts';
import { DOMID_IO, DOMID_XEN } from './domain.ts';
import { RESERVED_GDT_KINDS, writeReservedGdt } from './reserved-gdt.ts';

export const TYPE_none = 0;
export const TYPE_l1 = 1;
export const TYPE_l2 = 2;
export const TYPE_l3 = 3;
/** A page of descriptors: 3.0.2 GDT pages; 4.17 GDT and LDT pages alike. */
export const TYPE_descriptor = 5;
/** 3.0.2 only: LDT pages are a type of their own. */
export const TYPE_ldt = 6;
export const TYPE_writable = 7;

const TYPE_NAMES = ['none', 'L1', 'L2', 'L3', 'L4', 'descriptor', 'LDT', 'writable'] as const;
/** typeName(2) = "L2". */
export function typeName(type: number): string {
  return TYPE_NAMES[type] ?? `type ${type}`;
}
/** As a noun with its article: "an L1 table", "a descriptor page". */
export function typeNoun(type: number): string {
  if (type >= TYPE_l1 && type <= TYPE_l3) return `an ${typeName(type)} table`;
  if (type === TYPE_descriptor) return 'a descriptor page';
  if (type === TYPE_ldt) return 'an LDT page';
  if (type === TYPE_writable) return 'a writable page';
  return 'a page without type';
}

/** The owner has not given the frame back: one reference belongs to this flag. */
export const FRAME_ALLOCATED = 1;
/** The contents were checked for the frame's type. */
export const FRAME_VALIDATED = 2;
/** The guest holds the type: one reference and one type reference belong to this flag. */
export const FRAME_PINNED = 4;
/** Of the Xen heap: never handed back by a guest, never changes its type. */
export const FRAME_XEN_HEAP = 8;
/** A DOMID_XEN frame that privileged domains may map read-only (the M2P). */
export const FRAME_SHARED = 16;

/** Owner of free frames. */
export const OWNER_FREE = 0xffff;
/** Owner of frames whose domain is gone but which somebody else still maps. */
export const OWNER_ORPHAN = 0xfffe;

export const IO_FRAMES = 256;
const CHUNK = 512;
/** l2Slot of frames that are no L2 table of a PAE domain. */
export const NO_SLOT = 0xff;

export interface FrameTableOptions {
  /** Unsigned 32-bit random numbers; called at creation only. */
  random(): number;
  /** Frames at the top for Xen; default: what the M2P and eight domains need. */
  heapFrames?: number;
  /** 'ascending' hands out the lowest free frame first (for identity-mapped guests). */
  order?: 'shuffled' | 'ascending';
}

export class FrameTable {
  readonly memory: PhysicalMemory;
  /** Number of frames of the machine. */
  readonly total: number;
  /** First mfn of the Xen heap. */
  readonly heapStart: number;

  readonly owner: Uint16Array;
  readonly references: Uint32Array;
  readonly type: Uint8Array;
  readonly typeCount: Uint32Array;
  /** FRAME_* bits. */
  readonly flags: Uint8Array;
  /**
   * L2 tables of PAE domains: which L3 slot they are for. 3.0.2: the slot (0-3). 4.17: 3 for slot 3, 0 for any
   * other. NO_SLOT when the frame is no L2 table.
   */
  readonly l2Slot: Uint8Array;

  /** Frames with the hypervisor's GDT page, by reservedGdtKind(). */
  readonly reservedGdt: readonly number[];

  /** Counts may not grow beyond these; tests lower them. */
  referenceLimit = 0xffff_ffff;
  typeCountLimit = 0xffff_ffff;

  /** Free domain frames: a stack, and where in it a frame is (-1: not free). */
  readonly #free: Int32Array;
  readonly #freeIndex: Int32Array;
  #freeCount = 0;
  /** Places that the last search for contiguous frames looked at. */
  searched = 0;
  readonly #heapFree: number[] = [];

  constructor(memory: PhysicalMemory, options: FrameTableOptions) {
    const total = memory.frames;
    const heapFrames = options.heapFrames ?? defaultHeapFrames(total);
    if (total < IO_FRAMES + heapFrames) throw new EngineBug(`${total} frames leave no room for domains`);
    this.memory = memory;
    this.total = total;
    this.heapStart = total - heapFrames;
    this.owner = new Uint16Array(total).fill(OWNER_FREE);
    this.references = new Uint32Array(total);
    this.type = new Uint8Array(total);
    this.typeCount = new Uint32Array(total);
    this.flags = new Uint8Array(total);
    this.l2Slot = new Uint8Array(total).fill(NO_SLOT);
    this.#free = new Int32Array(total);
    this.#freeIndex = new Int32Array(total).fill(-1);

    for (let mfn = 0; mfn < IO_FRAMES; mfn++) {
      this.owner[mfn] = DOMID_IO;
      this.references[mfn] = 1;
      this.flags[mfn] = FRAME_ALLOCATED;
    }
    for (let mfn = this.heapStart; mfn < total; mfn++) this.#heapFree.push(mfn);
    for (const mfn of handingOutOrder(IO_FRAMES, this.heapStart, options)) this.#push(mfn);
    this.reservedGdt = RESERVED_GDT_KINDS.map((_, kind) => {
      const mfn = this.allocXenFrame();
      writeReservedGdt(memory, mfn, kind);
      return mfn;
    });
  }

  get freeFrames(): number {
    return this.#freeCount;
  }
  get freeHeapFrames(): number {
    return this.#heapFree.length;
  }

  isFree(mfn: number): boolean {
    return this.owner[mfn] === OWNER_FREE;
  }

  /** The next domain frame, zeroed and owned by `domid`, with its allocation reference; -1: none is left. */
  allocDomainFrame(domid: number): number {
    if (this.#freeCount === 0) return -1;
    const mfn = this.#free[--this.#freeCount]!;
    this.#freeIndex[mfn] = -1;
    this.#own(mfn, domid, FRAME_ALLOCATED);
    return mfn;
  }

  /** 2^order contiguous, aligned frames; the first mfn, or -1. */
  allocDomainFrames(domid: number, order: number): number {
    this.searched = 0;
    if (order === 0) return this.allocDomainFrame(domid);
    const size = 2 ** order;
    if (size > this.#freeCount) return -1;
    // From the top, as far as possible from where single frames are taken in an ascending machine.
    for (let first = Math.floor((this.heapStart - size) / size) * size; first >= IO_FRAMES; first -= size) {
      this.searched++;
      let run = 0;
      while (run < size && this.#freeIndex[first + run]! >= 0) run++;
      if (run < size) continue;
      for (let i = 0; i < size; i++) {
        this.#remove(first + i);
        this.#own(first + i, domid, FRAME_ALLOCATED);
      }
      return first;
    }
    return -1;
  }

  /** A frame of the Xen heap, zeroed: Xen's own (DOMID_XEN), or shared with a domain. -1: the heap is empty. */
  allocXenFrame(owner: number = DOMID_XEN): number {
    const mfn = this.#heapFree.pop();
    if (mfn === undefined) return -1;
    this.#own(mfn, owner, FRAME_ALLOCATED | FRAME_XEN_HEAP);
    // A permanent type reference. Shared frames are writable for ever; Xen's own take no type at all.
    this.type[mfn] = owner === DOMID_XEN ? TYPE_none : TYPE_writable;
    this.typeCount[mfn] = 1;
    if (owner !== DOMID_XEN) this.flags[mfn]! |= FRAME_VALIDATED;
    return mfn;
  }

  /** `count` consecutive frames of the heap; the first mfn. Only while the heap is fresh (start-up). */
  allocXenFrames(count: number): number {
    const end = this.#heapFree.length;
    const first = this.#heapFree[end - count];
    if (first === undefined || this.#heapFree[end - 1] !== first + count - 1) {
      throw new EngineBug(`no ${count} consecutive frames in the Xen heap`);
    }
    for (let i = 0; i < count; i++) this.allocXenFrame(DOMID_XEN);
    return first;
  }

  /** The free lists, next one to be handed out last: order is state. */
  freeLists(): { domain: Int32Array; heap: Int32Array } {
    return { domain: this.#free.slice(0, this.#freeCount), heap: Int32Array.from(this.#heapFree) };
  }

  /** Takes over free lists. @returns false, and does nothing, unless they name each free frame exactly once. */
  setFreeLists({ domain, heap }: { domain: Int32Array; heap: Int32Array }): boolean {
    const named = new Uint8Array(this.total);
    for (const mfn of domain) {
      if (mfn < IO_FRAMES || mfn >= this.heapStart) return false;
      named[mfn]!++;
    }
    for (const mfn of heap) {
      if (mfn < this.heapStart || mfn >= this.total) return false;
      named[mfn]!++;
    }
    for (let mfn = 0; mfn < this.total; mfn++) if (named[mfn] !== Number(this.isFree(mfn))) return false;
    this.#freeIndex.fill(-1);
    this.#freeCount = 0;
    for (const mfn of domain) this.#push(mfn);
    this.#heapFree.splice(0, this.#heapFree.length, ...heap);
    return true;
  }

  /** Gives a frame without references back. Only page-types.ts calls this. */
  free(mfn: number): void {
    if (this.references[mfn] !== 0) throw new EngineBug(`freeing mfn ${mfn}, which is referenced`);
    this.owner[mfn] = OWNER_FREE;
    this.type[mfn] = TYPE_none;
    this.typeCount[mfn] = 0;
    this.l2Slot[mfn] = NO_SLOT;
    const heap = this.flags[mfn]! & FRAME_XEN_HEAP;
    this.flags[mfn] = 0;
    if (heap) this.#heapFree.push(mfn);
    else this.#push(mfn);
  }

  #own(mfn: number, domid: number, flags: number): void {
    this.owner[mfn] = domid;
    this.references[mfn] = 1;
    this.type[mfn] = TYPE_none;
    this.typeCount[mfn] = 0;
    this.flags[mfn] = flags;
    this.l2Slot[mfn] = NO_SLOT;
    this.memory.zeroFrame(mfn);
  }

  #push(mfn: number): void {
    this.#freeIndex[mfn] = this.#freeCount;
    this.#free[this.#freeCount++] = mfn;
  }

  #remove(mfn: number): void {
    const at = this.#freeIndex[mfn]!;
    const last = this.#free[--this.#freeCount]!;
    this.#free[at] = last;
    this.#freeIndex[last] = at;
    this.#freeIndex[mfn] = -1;
  }
}

/** M2P (4 bytes per frame), its tables, and room for shared_info and 64 grant frames of many domains. */
function defaultHeapFrames(total: number): number {
  return Math.ceil(total / 1024) + 16 + Math.min(1024, total >> 5);
}

/** Frames first..end-1 so that the one to hand out first comes last. */
function handingOutOrder(first: number, end: number, options: FrameTableOptions): number[] {
  const order: number[] = [];
  if (options.order === 'ascending') {
    for (let mfn = end - 1; mfn >= first; mfn--) order.push(mfn);
    return order;
  }
  const chunks: number[] = [];
  for (let chunk = Math.floor(first / CHUNK); chunk * CHUNK < end; chunk++) chunks.push(chunk);
  shuffle(chunks, options.random);
  for (const chunk of chunks) {
    const frames: number[] = [];
    for (let mfn = Math.max(first, chunk * CHUNK); mfn < Math.min(end, (chunk + 1) * CHUNK); mfn++)
      frames.push(mfn);
    shuffle(frames, options.random);
    order.push(...frames);
  }
  return order;
}

function shuffle(list: number[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random() % (i + 1);
    const kept = list[i]!;
    list[i] = list[j]!;
    list[j] = kept;
  }
}
