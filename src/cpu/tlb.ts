/**
 * What was filled into the TLB and code tables, so that it can be dropped: all of it at the cost of what was filled,
 * what derives from one page-table entry, or what maps one frame writable or as code. Never architecturally visible.
 *
 * The log lies in the linear memory (`interpreter/memory-map.ts`), because the generated page walk fills the TLB and
 * writes it down in the same way as fillData does here.
 */
import * as map from './interpreter/memory-map.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import { FRAME_IS_TABLE } from './physical-memory.ts';

/** Roles of a frame: read as a table, as an upper level too; marked by us, and to be unmarked. */
export const ROLE_TABLE = 1;
export const ROLE_UPPER = 3;
const ROLE_MARKED = 4;

const { LOG_STRIDE, LOG_HASH_MASK, LOG_CAPACITY } = map;
/** Words of an entry: index of the filled word in the linear memory (of the read table; the write table's goes with
 *  it); machine address of its page-table entry (-1 without paging); mfn or -1; the next entry in the chain of the
 *  same table entry, of the same frame. Entries are named by their first word's index in the log; 0 is none. */
export const LOG_WORD = 0,
  LOG_PTE = 1,
  LOG_FRAME = 2,
  LOG_NEXT_OF_PTE = 3,
  LOG_NEXT_OF_FRAME = 4;

const COUNT = map.LOG_COUNT >>> 2;
const WRITE = map.TLB_WRITE >>> 2;
const FIRST_CODE_WORD = map.CODE_SUPERVISOR >>> 2;

export class TlbLog {
  private readonly memory: PhysicalMemory;
  private readonly entries: Int32Array;
  private readonly pteHead: Int32Array;
  private readonly frameHead: Int32Array;
  /** Frames that the walker used. */
  private readonly walked: number[] = [];
  readonly role: Uint8Array;
  flushes = 0;

  constructor(memory: PhysicalMemory) {
    this.memory = memory;
    const { buffer } = memory.memory;
    this.entries = new Int32Array(buffer, map.LOG_ENTRIES, (LOG_CAPACITY + 1) * LOG_STRIDE);
    this.pteHead = new Int32Array(buffer, map.LOG_PTE_HEADS, LOG_HASH_MASK + 1);
    this.frameHead = new Int32Array(buffer, map.LOG_FRAME_HEADS, memory.frames);
    this.role = new Uint8Array(buffer, map.FRAME_ROLES, memory.frames);
  }

  /** An entry of a code table; it goes when the frame's code changes. */
  fillCode(wordIndex: number, value: number, pte: number, frame: number): void {
    if (!this.note(wordIndex, pte, frame)) return;
    this.memory.u32[wordIndex] = value;
  }

  /** @param wordIndex of the read table @param frame mfn if the page may be written too without being seen, else -1. */
  fillData(wordIndex: number, delta: number, pte: number, frame: number): void {
    // 0 means not known; one linear page has no other way to say where it is.
    if (delta === 0 || !this.note(wordIndex, pte, frame)) return;
    const { u32 } = this.memory;
    u32[wordIndex] = delta;
    if (frame >= 0) u32[wordIndex + WRITE] = delta;
  }

  private note(wordIndex: number, pte: number, frame: number): boolean {
    const { entries, pteHead, frameHead } = this;
    const { u32 } = this.memory;
    const count = u32[COUNT]!;
    if (count === LOG_CAPACITY) {
      // The tables that this entry derives from are no longer watched: the next access walks again.
      this.flush();
      return false;
    }
    u32[COUNT] = count + 1;
    const at = (count + 1) * LOG_STRIDE;
    entries[at + LOG_WORD] = wordIndex;
    entries[at + LOG_PTE] = pte;
    entries[at + LOG_FRAME] = frame;
    const hash = (pte >>> 3) & LOG_HASH_MASK;
    entries[at + LOG_NEXT_OF_PTE] = pteHead[hash]!;
    pteHead[hash] = at;
    if (frame >= 0) {
      entries[at + LOG_NEXT_OF_FRAME] = frameHead[frame]!;
      frameHead[frame] = at;
    }
    return true;
  }

  private drop(at: number): void {
    const { u32 } = this.memory;
    const wordIndex = this.entries[at + LOG_WORD]!;
    u32[wordIndex] = 0;
    if (wordIndex < FIRST_CODE_WORD) u32[wordIndex + WRITE] = 0;
  }

  flush(): void {
    const { u32, frameFlags } = this.memory;
    const { entries, pteHead, frameHead } = this;
    this.flushes++;
    u32[map.MUST_LOOK_UP >>> 2] = 1;
    const last = u32[COUNT]! * LOG_STRIDE;
    for (let at = LOG_STRIDE; at <= last; at += LOG_STRIDE) {
      const wordIndex = entries[at + LOG_WORD]!;
      u32[wordIndex] = 0;
      pteHead[(entries[at + LOG_PTE]! >>> 3) & LOG_HASH_MASK] = 0;
      const frame = entries[at + LOG_FRAME]!;
      if (frame < 0) continue;
      // Only entries with a frame were filled into the write table.
      if (wordIndex < FIRST_CODE_WORD) u32[wordIndex + WRITE] = 0;
      frameHead[frame] = 0;
    }
    u32[COUNT] = 0;
    for (const mfn of this.walked) {
      if (this.role[mfn]! & ROLE_MARKED) frameFlags[mfn]! &= ~FRAME_IS_TABLE;
      this.role[mfn] = 0;
    }
    this.walked.length = 0;
  }

  /** Drops the entries that let the frame be written or executed. */
  dropFrame(mfn: number): void {
    const { entries } = this;
    for (let at = this.frameHead[mfn]!; at !== 0; at = entries[at + LOG_NEXT_OF_FRAME]!) this.drop(at);
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
    const { entries } = this;
    this.memory.u32[map.MUST_LOOK_UP >>> 2] = 1;
    for (let entry = maddr & ~7; entry < maddr + length; entry += 8) {
      const hash = (entry >>> 3) & LOG_HASH_MASK;
      let kept = 0;
      // What is dropped leaves its chain too: a page-table entry that changes often would make it ever longer.
      for (let at = this.pteHead[hash]!; at !== 0; at = entries[at + LOG_NEXT_OF_PTE]!) {
        if ((entries[at + LOG_PTE]! & ~7) !== entry) {
          kept = at;
          continue;
        }
        this.drop(at);
        if (kept === 0) this.pteHead[hash] = entries[at + LOG_NEXT_OF_PTE]!;
        else entries[kept + LOG_NEXT_OF_PTE] = entries[at + LOG_NEXT_OF_PTE]!;
      }
    }
  }
}
