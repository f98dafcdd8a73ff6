/**
 * The scripted processor with the real one's memory management: linear addresses go through the page walk and the TLB
 * of cpu/i386.ts, which drops entries when the hypervisor or a watched table says so, and only then. What is in
 * the TLB after a call can be compared with what the tables say.
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../cpu/cpu.ts';
import { createCpu, type I386 } from '../../cpu/i386.ts';
import { TLB_SUPERVISOR, TLB_USER, TLB_WRITE } from '../../cpu/interpreter/memory-map.ts';

import type { PhysicalMemory } from '../../cpu/physical-memory.ts';
import type { TrapSink } from '../../cpu/trap-sink.ts';
import { OWNER_FREE, TYPE_writable } from '../frames.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { ScriptedProcessor } from '../testing/scripted-processor.ts';

const PAGES = 1 << 20;
const ACCESSES = [ACCESS_READ, ACCESS_WRITE, ACCESS_USER | ACCESS_READ, ACCESS_USER | ACCESS_WRITE];

/** Place of the TLB's word for page 0, in 32-bit words. */
function tableOf(access: number): number {
  return ((access & ACCESS_USER ? TLB_USER : TLB_SUPERVISOR) + (access & ACCESS_WRITE ? TLB_WRITE : 0)) >>> 2;
}

export class CachingProcessor extends ScriptedProcessor {
  readonly #real: I386;
  /** Linear pages that may be in the TLB, and whether a page is in the list. */
  readonly #pages: number[] = [];
  readonly #listed = new Uint8Array(PAGES);
  /** Entries that were compared with a walk. */
  compared = 0;

  constructor(memory: PhysicalMemory, sink: TrapSink) {
    super(memory, sink);
    this.#real = createCpu(memory, sink);
    const walkTables = this.translate;
    const load = this.loadState;
    this.walkTables = walkTables;
    this.translate = (linear, access) => {
      const page = linear >>> 12;
      if (this.#listed[page] === 0) {
        this.#listed[page] = 1;
        this.#pages.push(page);
      }
      const maddr = this.#real.translate(linear, access);
      if (maddr < 0) {
        this.translateFault.linear = this.#real.translateFault.linear;
        this.translateFault.code = this.#real.translateFault.code;
      }
      return maddr;
    };
    this.peekTranslate = (linear) => this.#real.peekTranslate(linear);
    this.flushTlb = () => {
      this.#real.flushTlb();
      this.#forget();
    };
    this.flushTlbPage = (linear) => this.#real.flushTlbPage(linear);
    this.tableEntryChanged = (maddr) => this.#real.tableEntryChanged(maddr);
    this.loadState = (from) => {
      load(from);
      this.#real.cr0 = this.cr0;
      this.#real.cr4 = this.cr4;
      this.#real.efer = this.efer;
      this.#real.cr3 = this.cr3;
      this.flushTlb();
    };
  }

  /** What the tables say, by a walk that caches nothing and marks nothing. */
  readonly walkTables: (linear: number, access: number) => number;

  override get cr0(): number {
    return super.cr0;
  }
  override set cr0(value: number) {
    super.cr0 = value;
    this.#real.cr0 = value;
  }
  override get cr3(): number {
    return super.cr3;
  }
  override set cr3(value: number) {
    super.cr3 = value;
    this.#real.cr3 = value;
    this.#forget();
  }
  override get cr4(): number {
    return super.cr4;
  }
  override set cr4(value: number) {
    super.cr4 = value;
    this.#real.cr4 = value;
  }
  override get efer(): number {
    return super.efer;
  }
  override set efer(value: number) {
    super.efer = value;
    this.#real.efer = value;
  }

  #forget(): void {
    for (const page of this.#pages) this.#listed[page] = 0;
    this.#pages.length = 0;
  }

  /**
   * Every translation in the TLB must be what a walk gives now, of a frame that somebody owns; one for writing of a
   * frame that is in use as a writable one, so neither table nor descriptor page.
   */
  staleEntries({ memory, frames }: Hypervisor): string[] {
    const wrong: string[] = [];
    const { u32, ramBase } = memory;
    for (let i = 0; i < this.#pages.length; i++) {
      const page = this.#pages[i]!;
      for (let kind = 0; kind < ACCESSES.length; kind++) {
        const access = ACCESSES[kind]!;
        const delta = u32[tableOf(access) + page]!;
        if (delta === 0) continue;
        this.compared++;
        const linear = page * 4096;
        const cached = ((linear + delta) >>> 0) - ramBase;
        const mfn = cached >>> 12;
        const isWrite = (access & ACCESS_WRITE) !== 0;
        const now = this.walkTables(linear, access);
        let what = '';
        if (now !== cached) what = now < 0 ? 'which the tables refuse' : `not ${(now >>> 12).toString(16)}`;
        else if (mfn >= frames.total || frames.owner[mfn] === OWNER_FREE) what = 'which is free';
        else if (isWrite && (frames.type[mfn] !== TYPE_writable || frames.typeCount[mfn] === 0))
          what = `for writing, although its type is ${frames.type[mfn]}`;
        if (what !== '')
          wrong.push(
            `the TLB maps ${linear.toString(16)} to frame ${mfn.toString(16)}, ${what} (access ${access})`,
          );
      }
    }
    return wrong;
  }
}
