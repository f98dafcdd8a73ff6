/**
 * What was filled into the TLB and code tables, so that it can be dropped: all of it at the cost of what was filled,
 * what derives from one page-table entry, or what maps one frame writable or as code. Never architecturally visible.
 */
import { MUST_LOOK_UP } from './interpreter/memory-map.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import { FRAME_IS_TABLE } from './physical-memory.ts';

const CAPACITY = 1 << 16;
const HASH_MASK = 0xffff;

/** Roles of a frame: read as a table, as an upper level too; marked by us, and to be unmarked. */
export const ROLE_TABLE = 1;
export const ROLE_UPPER = 3;
const ROLE_MARKED = 4;

/** Words of an entry: index of the filled word in the linear memory; machine address of its page-table entry (-1
 *  without paging); mfn or -1; the next entry in the chain of the same table entry, of the same frame. */
const STRIDE = 5;
const WORD = 0,
  PTE = 1,
  FRAME = 2,
  NEXT_OF_PTE = 3,
  NEXT_OF_FRAME = 4;

export class TlbLog {
  private readonly memory: PhysicalMemory;
  private count = 0;
  private readonly entries = new Int32Array((CAPACITY + 1) * STRIDE);
  /** Place of the first entry of a chain; 0: none. */
  private readonly pteHead = new Int32Array(HASH_MASK + 1);
  private readonly frameHead: Int32Array;
  /** Frames that the walker used. */
  private readonly walked: number[] = [];
  readonly role: Uint8Array;
  flushes = 0;

  constructor(memory: PhysicalMemory) {
    this.memory = memory;
    this.frameHead = new Int32Array(memory.frames);
    this.role = new Uint8Array(memory.frames);
  }

  /** @param frame mfn for entries that must go when the frame becomes code or a table, -1 for others. */
  fill(wordIndex: number, value: number, pte: number, frame: number): void {
    if (this.count === CAPACITY) {
      // The tables that this entry derives from are no longer watched: the next access walks again.
      this.flush();
      return;
    }
    const { entries } = this;
    this.memory.u32[wordIndex] = value;
    const at = ++this.count * STRIDE;
    entries[at + WORD] = wordIndex;
    entries[at + PTE] = pte;
    entries[at + FRAME] = frame;
    const hash = (pte >>> 3) & HASH_MASK;
    entries[at + NEXT_OF_PTE] = this.pteHead[hash]!;
    this.pteHead[hash] = at;
    if (frame >= 0) {
      entries[at + NEXT_OF_FRAME] = this.frameHead[frame]!;
      this.frameHead[frame] = at;
    }
  }

  flush(): void {
    const { u32, frameFlags } = this.memory;
    const { entries, pteHead, frameHead } = this;
    this.flushes++;
    u32[MUST_LOOK_UP >>> 2] = 1;
    const last = this.count * STRIDE;
    for (let at = STRIDE; at <= last; at += STRIDE) {
      u32[entries[at + WORD]!] = 0;
      pteHead[(entries[at + PTE]! >>> 3) & HASH_MASK] = 0;
      const frame = entries[at + FRAME]!;
      if (frame >= 0) frameHead[frame] = 0;
    }
    this.count = 0;
    for (const mfn of this.walked) {
      if (this.role[mfn]! & ROLE_MARKED) frameFlags[mfn]! &= ~FRAME_IS_TABLE;
      this.role[mfn] = 0;
    }
    this.walked.length = 0;
  }

  /** Drops the entries that let the frame be written or executed. */
  dropFrame(mfn: number): void {
    const { u32 } = this.memory;
    const { entries } = this;
    for (let at = this.frameHead[mfn]!; at !== 0; at = entries[at + NEXT_OF_FRAME]!)
      u32[entries[at + WORD]!] = 0;
    this.frameHead[mfn] = 0;
  }

  /** The walker read an entry of this frame. Marks it, so that stores into it are seen. */
  noteTable(mfn: number, isUpper: boolean): void {
    const role = isUpper ? ROLE_UPPER : ROLE_TABLE;
    if ((this.role[mfn]! & role) === role) return;
    if (this.role[mfn] === 0) {
      this.walked.push(mfn);
      const flags = this.memory.frameFlags;
      if ((flags[mfn]! & FRAME_IS_TABLE) === 0) {
        flags[mfn]! |= FRAME_IS_TABLE;
        this.role[mfn] = ROLE_MARKED;
        this.dropFrame(mfn);
      }
    }
    this.role[mfn]! |= role;
  }

  /** Bytes from maddr on, inside one frame, changed. */
  tableChanged(maddr: number, length: number): void {
    const role = this.role[maddr >>> 12]!;
    if (role === 0) return;
    if ((role & ROLE_UPPER) === ROLE_UPPER || length > 64) {
      this.flush();
      return;
    }
    const { u32 } = this.memory;
    const { entries } = this;
    u32[MUST_LOOK_UP >>> 2] = 1;
    for (let entry = maddr & ~7; entry < maddr + length; entry += 8) {
      const hash = (entry >>> 3) & HASH_MASK;
      let kept = 0;
      // What is dropped leaves its chain too: a page-table entry that changes often would make it ever longer.
      for (let at = this.pteHead[hash]!; at !== 0; at = entries[at + NEXT_OF_PTE]!) {
        if ((entries[at + PTE]! & ~7) !== entry) {
          kept = at;
          continue;
        }
        u32[entries[at + WORD]!] = 0;
        if (kept === 0) this.pteHead[hash] = entries[at + NEXT_OF_PTE]!;
        else entries[kept + NEXT_OF_PTE] = entries[at + NEXT_OF_PTE]!;
      }
    }
  }
}
