/**
 * A processor without instructions: registers, segments, selectors and page-table walks are real, but a step is
 * whatever its owner says (`step`). There is no TLB. For tests that drive the hypervisor from outside guest code.
 */
import { ACCESS_USER, ACCESS_WRITE, type Processor } from '../../cpu/cpu.ts';
import { CS, SS } from '../../cpu/layout.ts';
import { EFER_LMA } from '../../cpu/paging.ts';
import type { PhysicalMemory } from '../../cpu/physical-memory.ts';
import type { TrapSink } from '../../cpu/trap-sink.ts';
import { readHigh, readLow } from '../page-table-entries.ts';

const WORDS = 64;
/** Where the scripted state lies in its word array. */
const GPR = 0,
  EIP = 8,
  FLAGS = 9,
  CPL = 10,
  CR0 = 11,
  CR2 = 12,
  CR3 = 13,
  CR4 = 14,
  EFER = 15,
  SEG = 16,
  DR = 40;

const GP = (code: number) => (13 << 16) | code;
const NP = (code: number) => (11 << 16) | code;
const SS_FAULT = (code: number) => (12 << 16) | code;

/** Runs `step` again and again, a cycle or more each. */
export class ScriptedProcessor implements Processor {
  readonly memory: PhysicalMemory;
  sink: TrapSink;
  readonly translateFault = { code: 0, linear: 0 };
  readonly words = new Uint32Array(WORDS);
  instructions = 0;
  #now = 0;
  #exit = false;
  /** Runs one step at eip; set by the machine. */
  step: () => void = () => {};

  constructor(memory: PhysicalMemory, sink: TrapSink) {
    this.memory = memory;
    this.sink = sink;
  }

  getReg = (index: number): number => this.words[GPR + index]!;
  setReg = (index: number, value: number): void => {
    this.words[GPR + index] = value;
  };
  get eip(): number {
    return this.words[EIP]!;
  }
  set eip(value: number) {
    this.words[EIP] = value;
  }
  get eflags(): number {
    return this.words[FLAGS]!;
  }
  set eflags(value: number) {
    this.words[FLAGS] = value;
  }
  get cpl(): number {
    return this.words[CPL]!;
  }
  set cpl(value: number) {
    this.words[CPL] = value;
  }
  get cr0(): number {
    return this.words[CR0]!;
  }
  set cr0(value: number) {
    this.words[CR0] = value;
  }
  get cr2(): number {
    return this.words[CR2]!;
  }
  set cr2(value: number) {
    this.words[CR2] = value;
  }
  get cr3(): number {
    return this.words[CR3]!;
  }
  set cr3(value: number) {
    this.words[CR3] = value;
  }
  get cr4(): number {
    return this.words[CR4]!;
  }
  set cr4(value: number) {
    this.words[CR4] = value;
  }
  get efer(): number {
    return this.words[EFER]!;
  }
  set efer(value: number) {
    this.words[EFER] = value;
  }
  getSelector = (segment: number): number => this.words[SEG + segment * 4]!;
  getSegmentBase = (segment: number): number => this.words[SEG + segment * 4 + 1]!;
  getSegmentLimit = (segment: number): number => this.words[SEG + segment * 4 + 2]!;
  getSegmentAccess = (segment: number): number => this.words[SEG + segment * 4 + 3]!;
  getDr = (index: number): number => this.words[DR + index]!;
  setDr = (index: number, value: number): void => {
    this.words[DR + index] = value;
  };

  loadSegment = (segment: number, selector: number): number => {
    const code = selector & ~3;
    if (code === 0) {
      if (segment === CS || segment === SS) return GP(0);
      this.setSegmentHidden(segment, selector, 0, 0);
      return 0;
    }
    const at = this.sink.descriptorAddress(selector);
    if (at < 0) return GP(code);
    const low = this.memory.read32(at);
    const high = this.memory.read32(at + 4);
    const dpl = (high >>> 13) & 3;
    const isCode = (high & 0x1800) === 0x1800;
    const rpl = selector & 3;
    if (!(high & 0x1000)) return GP(code);
    if (segment === CS ? !isCode || dpl !== rpl || rpl < this.cpl : isCode && !(high & 0x200))
      return GP(code);
    if (segment === SS && (dpl !== this.cpl || rpl !== this.cpl || isCode || !(high & 0x200)))
      return GP(code);
    if (segment !== CS && segment !== SS && dpl < Math.max(rpl, this.cpl)) return GP(code);
    if (!(high & 0x8000)) return segment === SS ? SS_FAULT(code) : NP(code);
    this.setSegmentHidden(segment, selector, low, high);
    if (segment === CS) this.cpl = rpl;
    return 0;
  };
  setSegmentHidden = (segment: number, selector: number, low: number, high: number): void => {
    const at = SEG + segment * 4;
    const field = (low & 0xffff) | (high & 0xf_0000);
    this.words[at] = selector;
    this.words[at + 1] = (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000);
    this.words[at + 2] = high & 0x80_0000 ? field * 4096 + 4095 : field;
    this.words[at + 3] = high & 0x00ff_ff00;
  };

  run(cycles: number): number {
    const start = this.#now;
    this.#exit = false;
    while (this.#now - start < cycles && !this.#exit) this.step();
    return this.#now - start;
  }
  requestExit = (): void => {
    this.#exit = true;
  };
  charge = (cycles: number): void => {
    this.#now += cycles;
  };
  now = (): number => this.#now;
  advanceTo = (cycle: number): void => {
    this.#now = cycle;
  };
  setClock = (cycle: number): void => {
    this.#now = cycle;
  };
  retire = (): void => {
    this.instructions++;
    this.#now++;
  };

  translate = (linear: number, access: number): number => {
    const pae = (this.cr4 & 0x20) !== 0;
    const size = pae ? 8 : 4;
    // Bits 52 to 62 are reserved, but in long mode they are software's.
    const beyond = this.efer & EFER_LMA ? 0x000f_ffff : 0x7fff_ffff;
    let table = this.cr3;
    let rights = 6;
    for (let level = pae ? 3 : 2; level > 0; level--) {
      const shift = 12 + (level - 1) * (pae ? 9 : 10);
      const at = table + ((linear >>> shift) & (pae ? 511 : 1023)) * size;
      const low = readLow(this.memory, at);
      if (!(low & 1) || readHigh(this.memory, at, size) & beyond) return this.#fail(linear, access, 0);
      if (level < 3) rights &= low;
      table = (low & 0xffff_f000) >>> 0;
    }
    if ((access & ACCESS_WRITE && !(rights & 2)) || (access & ACCESS_USER && !(rights & 4))) {
      return this.#fail(linear, access, 1);
    }
    return table + (linear & 4095);
  };
  #fail(linear: number, access: number, present: number): number {
    this.translateFault.linear = linear;
    this.translateFault.code = access | present;
    return -1;
  }
  peekTranslate = (linear: number): number => this.translate(linear, 0);
  flushTlb = (): void => {};
  flushTlbPage: (linear: number) => void = () => {};
  tableEntryChanged: (maddr: number) => void = () => {};
  saveState = (into: Uint8Array): void => {
    into.fill(0);
    into.set(new Uint8Array(this.words.buffer));
  };
  loadState = (from: Uint8Array): void => {
    this.words.set(new Uint32Array(from.slice(0, WORDS * 4).buffer));
  };
}
