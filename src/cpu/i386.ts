/**
 * The processor: state accessors, the run loop around the generated interpreter, translation, and what must be
 * dropped when memory changes. cpu.ts holds the contract.
 *
 * A stint is one call of the generated loop. While it lasts, STINT_LEFT counts down what it may still retire and
 * `countdown` stays as it was at its start; consumed() joins the two.
 */

import { Breakpoints } from './breakpoints.ts';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, type Processor } from './cpu.ts';
import { decodeInstruction, MAX_INSTRUCTION_LENGTH } from './decode-instruction.ts';
import { ARITHMETIC_FLAGS, carryWord, EFLAGS_BITS, packFlags, RF, signWord, TF, zeroWord } from './flags.ts';
import { CodeFetch } from './interpreter/code-fetch.ts';
import { CodePages } from './interpreter/code-pages.ts';
import { Decoder, MODE_CODE32, MODE_SEGMENTED, MODE_STACK32 } from './interpreter/decode.ts';
import { interpreterFor } from './interpreter/instantiate.ts';
import * as map from './interpreter/memory-map.ts';
import type { RareInstruction } from './interpreter/rare-instruction.ts';
import {
  EXIT_FAULT,
  EXIT_LEAVE,
  HANDLER_STALE,
  NEXT_POSITION,
  R_IMMEDIATE,
  R_POSITION,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_LEAVE,
  STATUS_NEXT,
  STATUS_REPEAT,
} from './interpreter/records.ts';
import { addressOf, CPU_BASE, CPU_STATE_SIZE, CS, DS, EBP, ES, ESP, FIELDS, SS } from './layout.ts';
import { CR0_PG, LinearAccess } from './linear-access.ts';
import { emptyTags, setEmptyTags } from './meaning/x87/tags.ts';
import { CR0_WP, CR4_PAE, EFER_LMA, EFER_NXE, PageWalker } from './paging.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import {
  DESC_ACCESS_MASK,
  DESC_BIG,
  descriptorBase,
  descriptorLimit,
  isReadable,
  VECTOR_DB,
  VECTOR_SS,
} from './rare/descriptors.ts';
import { RARE_FAULT, RARE_JUMP, RARE_NEXT, RARE_REPEAT, type RareFunction } from './rare/rare.ts';
import { loadSegment } from './rare/segments.ts';
import { ACTION_HALT, ACTION_INTERRUPT, ACTION_NONE, ACTION_TRAP, InnerMachine } from './rare-machine.ts';
import {
  ACCESS,
  BASE,
  COUNTDOWN,
  CPL,
  CR0,
  CR2,
  CR3,
  CR4,
  DR,
  EFER,
  EFLAGS,
  EIP,
  FAULT_CODE,
  FAULT_VECTOR,
  FLAG_CARRY,
  FLAG_SIGN,
  FLAG_ZERO,
  GPR,
  LEFT,
  LIMIT,
  NO_FAULT,
  SELECTOR,
  SHADOW,
  SLICE_END,
  word,
} from './state-words.ts';
import { TlbLog } from './tlb.ts';
import type { TrapSink } from './trap-sink.ts';

/** The loop comes back this often: V8 moves nothing to optimised code that never returns. */
const STINT_MAX = 100_000;
/** Limits from here on count as flat: nothing above is ever mapped for a guest of Xen. */
const FLAT_LIMIT = 0xf67fffff;
const DR6_BS = 0x4000;
/** The interrupt shadow's word carries the data breakpoints (bits of DR6) that it holds back from here on. */
const HELD_SHIFT = 8;
const NOT_SAVED = ['countdown', 'retired', 'sliceEnd', 'faultVector', 'faultCode'] as const;

export class I386 implements Processor {
  readonly memory: PhysicalMemory;
  sink: TrapSink;
  readonly translateFault = { code: 0, linear: 0 };
  instructions = 0;
  private readonly u32: Uint32Array;
  private readonly log: TlbLog;
  private readonly walker: PageWalker;
  private readonly code: CodePages;
  private readonly decoder: Decoder;
  private readonly fetcher: CodeFetch;
  private readonly breakpoints: Breakpoints;
  readonly linear: LinearAccess;
  private readonly inner: InnerMachine;
  private readonly rareOf: readonly (RareFunction | undefined)[];
  private readonly loop: () => number;
  private stintTotal = 0;
  private exitWanted = false;
  /** Segments or privilege changed: what derives from them is brought up to date before the loop goes on. */
  private isStale = true;
  /** Instructions of this stint up to and with the one that cast the interrupt shadow. */
  private shadowFrom = 0;

  constructor(memory: PhysicalMemory, sink: TrapSink) {
    this.memory = memory;
    this.sink = sink;
    this.u32 = memory.u32;
    this.log = new TlbLog(memory);
    this.walker = new PageWalker(memory, this.log);
    this.breakpoints = new Breakpoints(memory.u32);
    this.linear = new LinearAccess(memory, this.log, this.walker, this.breakpoints);
    const { linear } = this;
    this.code = new CodePages(memory, this.log);
    this.inner = new InnerMachine(this);
    const { interpreter, isRare, rareOf, start } = interpreterFor(memory);
    this.rareOf = rareOf;
    this.decoder = new Decoder(memory, this.code, interpreter, isRare);
    this.fetcher = new CodeFetch(memory, this.log, linear, this.code, this.decoder);
    this.loop = start({
      slowRead: (at, size) => linear.read(at >>> 0, size, this.isUser) | 0,
      slowWrite: (at, size, value) => linear.write(at >>> 0, size, value, this.isUser),
      slowCheck: (at, size, write) => linear.check(at >>> 0, size, write !== 0, this.isUser),
      slowSegment: (segment, offset, size, write) =>
        linear.inSegment(segment, offset >>> 0, size, write !== 0),
      fetch: (eip) => this.fetcher.fetch(eip),
      straddle: (eip) => this.fetcher.straddle(eip),
      rare: (record, pageEip) => this.rare(record, pageEip),
    }).run;
    memory.watcher = {
      codeChanged: (maddr, length) => this.code.changed(maddr, length),
      tableChanged: (maddr, length) => this.log.tableChanged(maddr, length),
    };
    this.u32[FAULT_VECTOR] = NO_FAULT;
    // The x87 and SSE as FNINIT and a reset leave them.
    memory.view.setUint16(addressOf('fcw'), 0x37f, true);
    setEmptyTags(memory.view, 0xffff);
    this.u32[word(addressOf('mxcsr'))] = 0x1f80;
    this.eflags = 2;
    this.refresh();
  }

  // --- architectural state
  getReg(index: number): number {
    return this.u32[GPR + index]!;
  }
  setReg(index: number, value: number): void {
    this.u32[GPR + index] = value;
  }
  get eip(): number {
    return this.u32[EIP]!;
  }
  set eip(value: number) {
    this.u32[EIP] = value;
  }
  get eflags(): number {
    const { u32 } = this;
    const arithmetic = packFlags(u32[FLAG_ZERO]! | 0, u32[FLAG_SIGN]! | 0, u32[FLAG_CARRY]! | 0);
    return (u32[EFLAGS]! | arithmetic | 2) >>> 0;
  }
  set eflags(value: number) {
    const { u32 } = this;
    u32[EFLAGS] = (value & EFLAGS_BITS & ~ARITHMETIC_FLAGS) | 2;
    u32[FLAG_ZERO] = zeroWord(value);
    u32[FLAG_SIGN] = signWord(value);
    u32[FLAG_CARRY] = carryWord(value);
  }
  get cr0(): number {
    return this.u32[CR0]!;
  }
  set cr0(value: number) {
    if (((this.u32[CR0]! ^ value) & (CR0_PG | CR0_WP)) !== 0) this.log.flush();
    this.u32[CR0] = value;
    this.refresh();
  }
  get cr2(): number {
    return this.u32[CR2]!;
  }
  set cr2(value: number) {
    this.u32[CR2] = value;
  }
  get cr3(): number {
    return this.u32[CR3]!;
  }
  set cr3(value: number) {
    this.u32[CR3] = value;
    this.log.flush();
    this.refresh();
  }
  get cr4(): number {
    return this.u32[CR4]!;
  }
  set cr4(value: number) {
    if (((this.u32[CR4]! ^ value) & CR4_PAE) !== 0) this.log.flush();
    this.u32[CR4] = value;
    this.refresh();
  }
  get efer(): number {
    return this.u32[EFER]!;
  }
  set efer(value: number) {
    if (((this.u32[EFER]! ^ value) & (EFER_NXE | EFER_LMA)) !== 0) this.log.flush();
    this.u32[EFER] = value;
    this.refresh();
  }
  get cpl(): number {
    return this.u32[CPL]!;
  }
  set cpl(value: number) {
    this.u32[CPL] = value;
    this.isStale = true;
  }
  get isUser(): boolean {
    return this.u32[CPL] === 3;
  }
  getSelector(segment: number): number {
    return this.u32[SELECTOR + segment]!;
  }
  getSegmentBase(segment: number): number {
    return this.u32[BASE + segment]!;
  }
  getSegmentLimit(segment: number): number {
    return this.u32[LIMIT + segment]!;
  }
  getSegmentAccess(segment: number): number {
    return this.u32[ACCESS + segment]!;
  }
  getDr(index: number): number {
    return this.u32[DR + index]!;
  }
  setDr(index: number, value: number): void {
    this.u32[DR + index] = value;
    this.refresh();
  }
  loadSegment(segment: number, selector: number): number {
    return loadSegment(this, segment, selector);
  }
  setSegmentHidden(segment: number, selector: number, low: number, high: number): void {
    const { u32 } = this;
    u32[SELECTOR + segment] = selector & 0xffff;
    u32[BASE + segment] = descriptorBase(low, high);
    u32[LIMIT + segment] = descriptorLimit(low, high);
    u32[ACCESS + segment] = high & DESC_ACCESS_MASK;
    this.isStale = true;
  }

  /** Brings everything derived from control registers, segments and privilege up to date. */
  private refresh(): void {
    const { u32, walker } = this;
    this.isStale = false;
    walker.cr3 = u32[CR3]!;
    walker.pae = (u32[CR4]! & CR4_PAE) !== 0;
    walker.nx = (u32[EFER]! & EFER_NXE) !== 0;
    walker.longMode = (u32[EFER]! & EFER_LMA) !== 0;
    walker.wp = (u32[CR0]! & CR0_WP) !== 0;
    const user = u32[CPL] === 3;
    this.breakpoints.refresh();
    u32[word(map.TLB_BASE)] = this.breakpoints.watching
      ? map.TLB_EMPTY
      : user
        ? map.TLB_USER
        : map.TLB_SUPERVISOR;
    u32[word(map.CODE_BASE)] = user ? map.CODE_USER : map.CODE_SUPERVISOR;
    this.refreshMode();
    const walks = (u32[CR0]! & CR0_PG) !== 0 && !this.breakpoints.watching;
    walker.publish(walks, user, this.linear.flatLimit);
  }
  private refreshMode(): void {
    const { u32 } = this;
    let mode = u32[ACCESS + CS]! & DESC_BIG ? MODE_CODE32 : 0;
    if (u32[ACCESS + SS]! & DESC_BIG) mode |= MODE_STACK32;
    let limit = u32[LIMIT + CS]!;
    let flat = u32[BASE + CS] === 0 && isReadable(u32[ACCESS + CS]!) && limit >= FLAT_LIMIT;
    for (let i = 0; i < 3 && flat; i++) {
      const segment = i === 0 ? DS : i === 1 ? ES : SS;
      // Writable, expand-up data.
      flat =
        u32[BASE + segment] === 0 &&
        (u32[ACCESS + segment]! & 0x1e00) === 0x1200 &&
        u32[LIMIT + segment]! >= FLAT_LIMIT;
      if (u32[LIMIT + segment]! < limit) limit = u32[LIMIT + segment]!;
    }
    if (!flat) {
      mode |= MODE_SEGMENTED;
      limit = 0xffffffff;
    }
    if (mode !== this.fetcher.mode || limit !== this.linear.flatLimit) {
      // Code tables name pages of one mode; TLB entries lie below one limit.
      this.log.flush();
      this.fetcher.mode = mode;
      this.linear.flatLimit = limit;
    }
  }
  // --- execution
  private consumed(): number {
    return this.stintTotal - this.u32[LEFT]!;
  }
  now(): number {
    return this.memory.view.getFloat64(SLICE_END, true) - (this.u32[COUNTDOWN]! | 0) + this.consumed();
  }
  advanceTo(cycle: number): void {
    this.memory.view.setFloat64(SLICE_END, Math.max(cycle, this.now()), true);
    this.u32[COUNTDOWN] = 0;
  }
  setClock(cycle: number): void {
    this.memory.view.setFloat64(SLICE_END, cycle, true);
    this.u32[COUNTDOWN] = 0;
  }
  charge(cycles: number): void {
    const { u32 } = this;
    const countdown = (u32[COUNTDOWN]! | 0) - cycles;
    u32[COUNTDOWN] = countdown;
    if (this.stintTotal > 0) this.shrink(countdown - this.consumed());
  }
  /** The stint may retire at most this many more; at least the instruction in hand. */
  private shrink(most: number): void {
    const { u32 } = this;
    if (most < 1) most = 1;
    const left = u32[LEFT]!;
    if (most >= left) return;
    this.stintTotal -= left - most;
    u32[LEFT] = most;
  }
  requestExit(): void {
    this.exitWanted = true;
    if (this.stintTotal > 0) this.shrink(1);
  }
  retire(): void {
    this.instructions++;
    this.u32[COUNTDOWN] = (this.u32[COUNTDOWN]! | 0) - 1;
  }

  run(cycles: number): number {
    const { u32 } = this;
    const start = this.now();
    this.memory.view.setFloat64(SLICE_END, start + cycles, true);
    u32[COUNTDOWN] = cycles;
    this.exitWanted = false;
    while ((u32[COUNTDOWN]! | 0) > 0 && !this.exitWanted) this.step(u32[COUNTDOWN]! | 0);
    return this.now() - start;
  }

  /** Must each instruction be looked at? */
  private isSlow(): boolean {
    const { u32 } = this;
    return (u32[EFLAGS]! & (TF | RF)) !== 0 || this.breakpoints.areOn;
  }

  /** One stint, and what it left for. */
  private step(most: number): void {
    const { u32, inner } = this;
    if (this.isStale) this.refresh();
    let stepped = false;
    let slow = false;
    let held = 0;
    if (this.isSlow()) {
      slow = true;
      if (this.breakpoints.areOn && (u32[EFLAGS]! & RF) === 0 && u32[SHADOW] === 0) {
        const hits = this.breakpoints.instruction();
        if (hits !== 0) {
          u32[DR + 6]! |= hits;
          this.sink.exception(VECTOR_DB, -1);
          return;
        }
      }
      stepped = (u32[EFLAGS]! & TF) !== 0;
      held = u32[SHADOW]! >>> HELD_SHIFT;
      u32[SHADOW] = 0;
      this.breakpoints.hits = 0;
      most = 1;
    }
    this.shadowFrom = 0;
    if (this.code.isFull) this.dropCode();
    this.stintTotal = Math.min(most, STINT_MAX);
    u32[LEFT] = this.stintTotal;
    inner.action = ACTION_NONE;
    const exit = this.loop();
    const done = this.consumed();
    this.stintTotal = 0;
    u32[LEFT] = 0;
    this.instructions += done;
    u32[COUNTDOWN] = (u32[COUNTDOWN]! | 0) - done;
    // The instruction behind the one that cast the shadow was carried out, or raised something.
    if (done > this.shadowFrom || exit === EXIT_FAULT || inner.action !== ACTION_NONE) u32[SHADOW] = 0;

    // A fault at the first byte of the next instruction does not belong to the one that was stepped over.
    if (exit === EXIT_FAULT) this.deliverFault();
    else if (exit === EXIT_LEAVE) this.act(done, held !== 0);
    else if (slow && done > 0) {
      u32[EFLAGS]! &= ~RF;
      const hits = this.breakpoints.hits | held;
      // MOV SS: its step is not reported at all, what it touched is held back.
      if (u32[SHADOW] !== 0) u32[SHADOW]! |= hits << HELD_SHIFT;
      else if (stepped || hits !== 0) {
        u32[DR + 6]! |= hits | (stepped ? DR6_BS : 0);
        this.sink.exception(VECTOR_DB, -1);
      }
      held = 0;
    }
    if (held !== 0) this.sink.heldBreakpoints?.(held);
  }

  private deliverFault(): void {
    const { u32 } = this;
    const vector = this.linear.limitFault && this.isStackAccess() ? VECTOR_SS : u32[FAULT_VECTOR]! | 0;
    this.linear.limitFault = false;
    u32[FAULT_VECTOR] = NO_FAULT;
    this.sink.exception(vector, u32[FAULT_CODE]! | 0);
  }

  /** A limit violation in flat code: was it SS whose limit was passed? The fast path does not know; look again. */
  private isStackAccess(): boolean {
    const { u32 } = this;
    const bytes = new Uint8Array(MAX_INSTRUCTION_LENGTH);
    for (let i = 0; i < bytes.length; i++) {
      const maddr = this.peekTranslate((u32[EIP]! + i) >>> 0);
      if (maddr >= 0 && maddr >>> 12 < this.memory.frames) bytes[i] = this.memory.read8(maddr);
    }
    const decoded = decodeInstruction(bytes, u32[EIP]!, u32[ACCESS + CS]! & DESC_BIG ? 32 : 16);
    if (!decoded.ok) return false;
    const { row, operands } = decoded.instruction;
    const top = u32[GPR + (row.id === 'leave' ? EBP : ESP)]!;
    const usesStack = /^(push|pop|call|ret|leave)/.test(row.mnemonic);
    if (usesStack && (top - 4) >>> 0 > this.linear.flatLimit - 8) return true;
    return operands.some((operand) => operand.kind === 'memory' && operand.segment === SS);
  }

  /** @param isWoken a trap is due: HLT ends at once. */
  private act(done: number, isWoken: boolean): void {
    const { inner, sink } = this;
    if (done > 0) this.u32[EFLAGS]! &= ~RF;
    switch (inner.action) {
      case ACTION_INTERRUPT:
        sink.softwareInterrupt(inner.vector, inner.code);
        break;
      case ACTION_TRAP:
        sink.exception(inner.vector, inner.code);
        break;
      case ACTION_HALT:
        if (!isWoken) sink.halted();
        break;
    }
  }

  private dropCode(): void {
    this.log.flush();
    this.code.reset();
    this.decoder.rare.length = 0;
  }

  // --- imports of the generated module
  private rare(record: number, pageEip: number): number {
    const { u32, memory } = this;
    const insn = this.decoder.rare[u32[(record + R_IMMEDIATE) >>> 2]!]!;
    const { view } = memory;
    insn.eip = (pageEip + view.getUint16(record + R_POSITION, true)) >>> 0;
    insn.nextEip = (pageEip + view.getUint16(record + NEXT_POSITION, true)) >>> 0;
    u32[EIP] = insn.eip;
    u32[SHADOW] = 0;
    if (insn.isMemory) {
      const offset =
        u32[GPR + (insn.base >>> 2)]! +
        (u32[GPR + (insn.index >>> 2)]! << (insn.index & 3)) +
        insn.displacement;
      insn.offset = insn.addressSize === 16 ? offset & 0xffff : offset >>> 0;
    }
    const f = this.rareOf[insn.rowNumber]!;
    for (;;) {
      const status = this.inner.call(f, insn);
      if (status === RARE_FAULT) return STATUS_FAULT;
      if (status === RARE_REPEAT) {
        const left = u32[LEFT]! - 1;
        u32[LEFT] = left;
        if (left > 0) continue;
        return STATUS_REPEAT;
      }
      return this.afterRare(status, insn, record);
    }
  }
  private afterRare(status: number, insn: RareInstruction, record: number): number {
    const { u32, inner } = this;
    if (status === RARE_NEXT) {
      u32[EIP] = insn.nextEip;
      const { mode } = this.fetcher;
      const flushes = this.log.flushes;
      if (this.isStale) this.refresh();
      if (this.isSlow()) this.shrink(1);
      if (u32[SHADOW] !== 0) this.shadowFrom = this.consumed() + 1;
      const stale = this.memory.u8[record] === HANDLER_STALE && this.memory.u8[record + 1] === 0;
      return mode === this.fetcher.mode && flushes === this.log.flushes && !insn.row.privilege && !stale
        ? STATUS_NEXT
        : STATUS_JUMP;
    }
    if (status === RARE_JUMP) {
      if (this.isStale) this.refresh();
      if (this.isSlow()) this.shrink(1);
      return STATUS_JUMP;
    }
    if (inner.action !== ACTION_INTERRUPT) {
      u32[EIP] = insn.nextEip;
      u32[LEFT]!--;
    }
    return STATUS_LEAVE;
  }

  noteAccess(linear: number, size: number, write: boolean): void {
    if (this.breakpoints.watching) this.breakpoints.note(linear, size, write);
  }

  // --- linear memory
  translate(linear: number, access: number): number {
    const { u32 } = this;
    const fetch = (access & ACCESS_FETCH) !== 0;
    if (!fetch) {
      const table =
        (access & ACCESS_USER ? map.TLB_USER : map.TLB_SUPERVISOR) +
        (access & ACCESS_WRITE ? map.TLB_WRITE : 0);
      const delta = u32[word(table) + (linear >>> 12)]!;
      if (delta !== 0) return ((linear + delta) >>> 0) - this.memory.ramBase;
    }
    const maddr = fetch
      ? this.linear.physical(linear >>> 0, access)
      : this.linear.access(linear >>> 0, access);
    if (maddr < 0) {
      this.translateFault.code = this.walker.code;
      this.translateFault.linear = linear >>> 0;
    }
    return maddr;
  }
  peekTranslate(linear: number): number {
    if ((this.u32[CR0]! & CR0_PG) === 0) return linear;
    return this.walker.walk(linear >>> 0, ACCESS_READ, false);
  }

  // --- what was derived from memory
  flushTlb(): void {
    this.log.flush();
  }
  flushTlbPage(linear: number): void {
    const page = linear >>> 12;
    for (const table of [map.TLB_SUPERVISOR, map.TLB_USER]) {
      this.u32[word(table) + page] = 0;
      this.u32[word(table + map.TLB_WRITE) + page] = 0;
    }
    this.u32[word(map.CODE_SUPERVISOR) + page] = 0;
    this.u32[word(map.CODE_USER) + page] = 0;
  }
  tableEntryChanged(maddr: number): void {
    this.log.tableChanged(maddr, 8);
  }

  // --- vcpu switching
  saveState(into: Uint8Array): void {
    const flags = this.eflags;
    into.set(this.memory.u8.subarray(CPU_BASE, CPU_BASE + CPU_STATE_SIZE));
    const view = new DataView(into.buffer, into.byteOffset, CPU_STATE_SIZE);
    const put = (name: keyof typeof FIELDS, value: number): void =>
      view.setUint32(FIELDS[name].offset, value, true);
    put('eflags', flags);
    put('flagZero', 0);
    put('flagSign', 0);
    put('flagCarry', 0);
    view.setUint16(FIELDS.ftw.offset, emptyTags(view, FIELDS.fpr.offset), true);
    setEmptyTags(view, 0, FIELDS.fpr.offset);
    for (const name of NOT_SAVED) {
      put(name, name === 'faultVector' ? NO_FAULT : 0);
      if (FIELDS[name].type === 'f64') view.setUint32(FIELDS[name].offset + 4, 0, true);
    }
  }
  loadState(from: Uint8Array): void {
    const { u32 } = this;
    const sliceEnd = this.memory.view.getFloat64(SLICE_END, true);
    const countdown = u32[COUNTDOWN]!;
    this.memory.u8.set(from.subarray(0, CPU_STATE_SIZE), CPU_BASE);
    this.memory.view.setFloat64(SLICE_END, sliceEnd, true);
    u32[COUNTDOWN] = countdown;
    u32[FAULT_VECTOR] = NO_FAULT;
    this.eflags = u32[EFLAGS]!;
    setEmptyTags(this.memory.view, this.memory.view.getUint16(addressOf('ftw'), true));
    this.log.flush();
    this.refresh();
  }
}

export function createCpu(memory: PhysicalMemory, sink: TrapSink): I386 {
  return new I386(memory, sink);
}
