/**
 * What was filled into the TLB and code tables, so that it can be dropped: all of it at the cost of what was filled,
 * what derives from one page-table entry, or what maps one frame writable or as code. Never architecturally visible.
 */
import { MUST_LOOK_UP } from './interpreter/memory-map.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import { FRAME_IS_TABLE } from './physical-memory.ts';

const CAPACITY = 1 << 16;
const HASH_MASK = 0xffff;

export class TlbLog {
  private readonly memory: PhysicalMemory;
  private count = 0;
  /** Index of the filled word in the linear memory; machine address of its page-table entry, -1 without paging. */
  private readonly word = new Int32Array(CAPACITY + 1);
  private readonly pte = new Int32Array(CAPACITY + 1);
  private readonly frame = new Int32Array(CAPACITY + 1);
  private readonly nextOfPte = new Int32Array(CAPACITY + 1);
  private readonly nextOfFrame = new Int32Array(CAPACITY + 1);
  /** First entry of a chain; entries are numbered from 1. */
  private readonly pteHead = new Int32Array(HASH_MASK + 1);
  private readonly frameHead: Int32Array;
  /** Frames that the walker used, and marked; bit 1 of `role`: as an upper level. */
  private readonly walked: number[] = [];
  private readonly role: Uint8Array;
  flushes = 0;

  constructor(memory: PhysicalMemory) {
    this.memory = memory;
    this.frameHead = new Int32Array(memory.frames);
    this.role = new Uint8Array(memory.frames);
  }

  /** @param frame mfn for entries that must go when the frame becomes code or a table, -1 for others. */
  fill(wordIndex: number, value: number, pte: number, frame: number): void {
    const u32 = this.memory.u32;
    if (this.count === CAPACITY) this.flush();
    u32[wordIndex] = value;
    const n = ++this.count;
    this.word[n] = wordIndex;
    this.pte[n] = pte;
    this.frame[n] = frame;
    const hash = (pte >>> 3) & HASH_MASK;
    this.nextOfPte[n] = this.pteHead[hash]!;
    this.pteHead[hash] = n;
    if (frame >= 0) {
      this.nextOfFrame[n] = this.frameHead[frame]!;
      this.frameHead[frame] = n;
    }
  }

  flush(): void {
    const { u32, frameFlags } = this.memory;
    this.flushes++;
    u32[MUST_LOOK_UP >>> 2] = 1;
    for (let n = 1; n <= this.count; n++) {
      u32[this.word[n]!] = 0;
      this.pteHead[(this.pte[n]! >>> 3) & HASH_MASK] = 0;
      if (this.frame[n]! >= 0) this.frameHead[this.frame[n]!] = 0;
    }
    this.count = 0;
    for (const mfn of this.walked) {
      if (this.role[mfn]! & 4) frameFlags[mfn]! &= ~FRAME_IS_TABLE;
      this.role[mfn] = 0;
    }
    this.walked.length = 0;
  }

  /** Drops the entries that let the frame be written or executed. */
  dropFrame(mfn: number): void {
    const u32 = this.memory.u32;
    for (let n = this.frameHead[mfn]!; n !== 0; n = this.nextOfFrame[n]!) u32[this.word[n]!] = 0;
    this.frameHead[mfn] = 0;
  }

  /** The walker read an entry of this frame. Marks it, so that stores into it are seen. */
  noteTable(mfn: number, isUpper: boolean): void {
    const bit = isUpper ? 3 : 1;
    if ((this.role[mfn]! & bit) === bit) return;
    if (this.role[mfn] === 0) {
      this.walked.push(mfn);
      const flags = this.memory.frameFlags;
      if ((flags[mfn]! & FRAME_IS_TABLE) === 0) {
        flags[mfn]! |= FRAME_IS_TABLE;
        this.role[mfn] = 4;
        this.dropFrame(mfn);
      }
    }
    this.role[mfn]! |= bit;
  }

  /** Bytes from maddr on, inside one frame, changed. */
  tableChanged(maddr: number, length: number): void {
    const role = this.role[maddr >>> 12]!;
    if (role === 0) return;
    if (role & 2 || length > 64) {
      this.flush();
      return;
    }
    const u32 = this.memory.u32;
    u32[MUST_LOOK_UP >>> 2] = 1;
    for (let at = maddr & ~7; at < maddr + length; at += 8) {
      const hash = (at >>> 3) & HASH_MASK;
      let kept = 0;
      // What is dropped leaves its chain too: a page-table entry that changes often would make it ever longer.
      for (let n = this.pteHead[hash]!; n !== 0; n = this.nextOfPte[n]!) {
        if ((this.pte[n]! & ~7) !== at) {
          kept = n;
          continue;
        }
        u32[this.word[n]!] = 0;
        if (kept === 0) this.pteHead[hash] = this.nextOfPte[n]!;
        else this.nextOfPte[kept] = this.nextOfPte[n]!;
      }
    }
  }
}
