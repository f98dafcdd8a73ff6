/**
 * From an offset in CS to the record of the instruction there: limit of CS, page walk for execution, decoding where
 * nobody has been before, instructions in two pages.
 */
import { ACCESS_FETCH, ACCESS_USER } from '../cpu.ts';
import { CS } from '../layout.ts';
import type { LinearAccess } from '../linear-access.ts';
import type { PhysicalMemory } from '../physical-memory.ts';
import { VECTOR_GP, VECTOR_UD } from '../rare/descriptors.ts';
import { BASE, CPL, LIMIT, word } from '../state-words.ts';
import type { TlbLog } from '../tlb.ts';
import type { CodePage, CodePages } from './code-pages.ts';
import { type Decoder, MODE_SEGMENTED } from './decode.ts';
import * as map from './memory-map.ts';
import { HANDLER_STALE } from './records.ts';

export class CodeFetch {
  private readonly memory: PhysicalMemory;
  private readonly log: TlbLog;
  private readonly linear: LinearAccess;
  private readonly code: CodePages;
  private readonly decoder: Decoder;
  private readonly u32: Uint32Array;
  /** Mode of the processor; see decode.ts. */
  mode = -1;

  constructor(memory: PhysicalMemory, log: TlbLog, linear: LinearAccess, code: CodePages, decoder: Decoder) {
    this.memory = memory;
    this.log = log;
    this.linear = linear;
    this.code = code;
    this.decoder = decoder;
    this.u32 = memory.u32;
  }
  private get isUser(): boolean {
    return this.u32[CPL] === 3;
  }

  /** Where the instruction at eip starts: its record, or 0 after a fault or if the run loop is wanted. */
  fetch(eip: number): number {
    const { u32 } = this;
    const linear = (u32[BASE + CS]! + eip) >>> 0;
    if (eip >>> 0 > u32[LIMIT + CS]!) {
      this.linear.recordFault(VECTOR_GP, 0);
      return 0;
    }
    const page = this.codePage(linear);
    if (page === undefined) return 0;
    const offset = linear & 4095;
    // A limit inside the page: each instruction is checked by itself.
    const last = eip >>> 0 > 0xfffff000 ? 0xffffffff : (eip >>> 0) - offset + 4095;
    if ((this.mode & MODE_SEGMENTED) !== 0 && u32[LIMIT + CS]! < last) {
      const record = this.decoder.single(page, offset);
      if ((eip >>> 0) + this.decoder.loneEnd - offset - 1 > u32[LIMIT + CS]!) {
        this.linear.recordFault(VECTOR_GP, 0);
        return 0;
      }
      if (this.decoder.loneEnd > 4096) return this.straddle(eip);
      return record;
    }
    const tables = this.isUser ? map.CODE_USER : map.CODE_SUPERVISOR;
    this.log.fillCode(word(tables) + (linear >>> 12), page.table, this.linear.lastPte, page.mfn);
    return u32[(page.table >>> 2) + offset]! || this.decoder.run(page, offset);
  }

  /** The decoded page that a linear address fetches from; undefined after a fault or without room. */
  private codePage(linear: number): CodePage | undefined {
    const access = ACCESS_FETCH | (this.isUser ? ACCESS_USER : 0);
    const maddr = this.linear.physical(linear, access);
    if (maddr < 0) {
      this.linear.pageFault(linear);
      return undefined;
    }
    const mfn = maddr >>> 12;
    if (mfn >= this.memory.frames) {
      // All ones: FF /7 is undefined.
      this.linear.recordFault(VECTOR_UD, -1);
      return undefined;
    }
    return this.code.page(mfn, this.mode);
  }

  straddle(eip: number): number {
    const linear = (this.u32[BASE + CS]! + eip) >>> 0;
    const first = this.codePage(linear);
    if (first === undefined) return 0;
    const second = this.codePage(((linear | 4095) + 1) >>> 0);
    if (second === undefined) return 0;
    const offset = linear & 4095;
    const known = first.straddling.get(offset);
    if (
      known !== undefined &&
      known.mfn === second.mfn &&
      this.memory.u8[known.record]! + this.memory.u8[known.record + 1]! * 256 !== HANDLER_STALE
    )
      return this.checkEnd(eip, known.end, offset) ? known.record : 0;
    const record = this.decoder.straddle(first, second, offset);
    const end = this.decoder.loneEnd;
    first.straddling.set(offset, { record, mfn: second.mfn, end });
    return this.checkEnd(eip, end, offset) ? record : 0;
  }
  private checkEnd(eip: number, end: number, offset: number): boolean {
    if ((eip >>> 0) + end - offset - 1 <= this.u32[LIMIT + CS]!) return true;
    this.linear.recordFault(VECTOR_GP, 0);
    return false;
  }
}
