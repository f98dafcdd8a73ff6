/**
 * Decoded code by physical page: which record starts at which byte, for each page and each mode of the processor
 * (default sizes, flat segments or not). Links and positions are relative to the page, so a page serves every
 * mapping of it. A store into decoded bytes makes all records of the page stale at once: they stay where they are
 * and lead back to the look-up, so that even the instruction that is being executed finds its successor changed.
 */
import { FRAME_HAS_CODE, type PhysicalMemory } from '../physical-memory.ts';
import type { TlbLog } from '../tlb.ts';
import { ENTRY_TABLE_COUNT, ENTRY_TABLE_SIZE, ENTRY_TABLES, RECORDS, RECORDS_END } from './memory-map.ts';
import { HANDLER_STALE, RECORD_SIZE } from './records.ts';

export interface CodePage {
  readonly mfn: number;
  readonly mode: number;
  /** Address of the entry table. */
  readonly table: number;
  /** Pairs: first record, address behind the last. */
  readonly runs: number[];
  /** Straddling instructions that start here: offset -> record, mfn of the second page, end. */
  readonly straddling: Map<number, { record: number; mfn: number; end: number }>;
}

interface CodeFrame {
  /** 1 for each byte that is part of a decoded instruction. */
  readonly covered: Uint8Array;
  readonly pages: CodePage[];
}

const MODES = 16;

export class CodePages {
  private readonly memory: PhysicalMemory;
  private readonly log: TlbLog;
  private readonly frames = new Map<number, CodeFrame>();
  private readonly pages = new Map<number, CodePage>();
  private readonly freeTables: number[] = [];
  private tablesUsed = 0;
  /** Where the next record goes. */
  free = RECORDS;
  /** Set when there is no room; everything is dropped before the loop is entered again. */
  isFull = false;
  invalidations = 0;

  constructor(memory: PhysicalMemory, log: TlbLog) {
    this.memory = memory;
    this.log = log;
  }

  /** The page, made if it is new; undefined if there is no room. */
  page(mfn: number, mode: number): CodePage | undefined {
    const key = mfn * MODES + mode;
    const known = this.pages.get(key);
    if (known !== undefined) return known;
    if (
      this.free > RECORDS_END - 8192 * RECORD_SIZE ||
      (this.freeTables.length === 0 && this.tablesUsed === ENTRY_TABLE_COUNT)
    ) {
      this.isFull = true;
      return undefined;
    }
    const table = this.freeTables.pop() ?? ENTRY_TABLES + ENTRY_TABLE_SIZE * this.tablesUsed++;
    this.memory.u32.fill(0, table >>> 2, (table + ENTRY_TABLE_SIZE) >>> 2);
    const page: CodePage = { mfn, mode, table, runs: [], straddling: new Map() };
    this.pages.set(key, page);
    let frame = this.frames.get(mfn);
    if (frame === undefined) {
      frame = { covered: new Uint8Array(4096), pages: [] };
      this.frames.set(mfn, frame);
      this.memory.frameFlags[mfn]! |= FRAME_HAS_CODE;
      this.log.dropFrame(mfn);
    }
    frame.pages.push(page);
    return page;
  }

  cover(mfn: number, from: number, to: number): void {
    this.frames.get(mfn)?.covered.fill(1, from, to);
  }

  /** Bytes of RAM are about to change. */
  changed(maddr: number, length: number): void {
    const mfn = maddr >>> 12;
    const frame = this.frames.get(mfn);
    if (frame === undefined) return;
    const from = maddr & 4095;
    const { covered } = frame;
    for (let at = from; at < from + length; at++) {
      if (covered[at] !== 0) {
        this.drop(mfn, frame);
        return;
      }
    }
  }

  private drop(mfn: number, frame: CodeFrame): void {
    this.invalidations++;
    for (const page of frame.pages) {
      this.makeStale(page);
      this.freeTables.push(page.table);
      this.pages.delete(mfn * MODES + page.mode);
    }
    this.frames.delete(mfn);
    this.memory.frameFlags[mfn]! &= ~FRAME_HAS_CODE;
    this.log.dropFrame(mfn);
  }
  private makeStale(page: CodePage): void {
    const { u8 } = this.memory;
    for (let i = 0; i < page.runs.length; i += 2) {
      for (let at = page.runs[i]!; at < page.runs[i + 1]!; at += RECORD_SIZE) {
        u8[at] = HANDLER_STALE;
        u8[at + 1] = 0;
      }
    }
  }

  /** Forgets all code. Only while the loop is not running. */
  reset(): void {
    for (const mfn of this.frames.keys()) this.memory.frameFlags[mfn]! &= ~FRAME_HAS_CODE;
    this.frames.clear();
    this.pages.clear();
    this.freeTables.length = 0;
    this.tablesUsed = 0;
    this.free = RECORDS;
    this.isFull = false;
  }
}
