/**
 * One i386 processor. Registers live in the state block of the linear memory (`layout.ts`); this class names them,
 * runs guest code, and hands everything that leaves the guest to a TrapSink.
 *
 * Cycles: an instruction costs one; charge() adds more. countdown holds what is left of the slice, so that the
 * moment of every event is exact: now() = sliceEnd - countdown.
 */
import type { PhysicalMemory } from './physical-memory.ts';
import type { TrapSink } from './trap-sink.ts';

/** What a linear access wants, in the bits of a page-fault error code. */
export const ACCESS_READ = 0;
export const ACCESS_WRITE = 2;
export const ACCESS_USER = 4;
export const ACCESS_FETCH = 16;

/**
 * THE CONTRACT. cpu.ts implements this interface; everything above src/cpu is written against it.
 */
export interface Processor {
  readonly memory: PhysicalMemory;
  sink: TrapSink;

  // --- architectural state; numbers are unsigned 32-bit unless said
  getReg(index: number): number;
  setReg(index: number, value: number): void;
  eip: number;
  /** Materialised on reading. Writing sets every bit (no privilege rules). */
  eflags: number;
  cr0: number;
  cr2: number;
  /** Writing drops the whole TLB. */
  cr3: number;
  cr4: number;
  efer: number;
  cpl: number;
  getSelector(segment: number): number;
  getSegmentBase(segment: number): number;
  getSegmentLimit(segment: number): number;
  getSegmentAccess(segment: number): number;
  getDr(index: number): number;
  setDr(index: number, value: number): void;

  /** Loads a segment with all checks of the SDM (CS too: as a far return to `cpl` of the selector would).
   *  @returns 0, or (vector << 16 | error code) of the fault; nothing is changed then. */
  loadSegment(segment: number, selector: number): number;
  /** Sets a segment register without any check or table access; `high`, `low` are the descriptor's words. */
  setSegmentHidden(segment: number, selector: number, low: number, high: number): void;

  // --- execution
  /** Runs until `cycles` have passed or requestExit() was called. @returns cycles spent (charges included). */
  run(cycles: number): number;
  requestExit(): void;
  charge(cycles: number): void;
  /** Virtual cycles (= ns) since the machine started. */
  now(): number;
  /** Idle time: moves now() on to an absolute cycle count. Only between run() calls. */
  advanceTo(cycle: number): void;
  /** Another simulated CPU goes on: now() is its count of cycles from here on. Only between run() calls. */
  setClock(cycle: number): void;
  /** Instructions retired since power-on. Set only when a saved machine goes on. */
  instructions: number;
  /** Counts one retired instruction that the sink carried out (a hypercall, an emulated instruction). */
  retire(): void;

  // --- linear memory, as the current tables map it
  /** @param access ACCESS_* bits. @returns machine address, or -1: faultCode and cr2-to-be are then in
   *  translateFault. Sets A and D as the processor does. Never delivers a fault. */
  translate(linear: number, access: number): number;
  readonly translateFault: { code: number; linear: number };
  /** An instruction touched memory that it found through translate(): data breakpoints want to know. */
  noteAccess?(linear: number, size: number, write: boolean): void;
  /** As translate, for looking only: sets no A or D bits, -1 if not mapped. For inspection. */
  peekTranslate(linear: number): number;

  // --- what was derived from memory
  /** Drops all TLB entries. */
  flushTlb(): void;
  flushTlbPage(linear: number): void;
  /** A page-table entry at this machine address changed: drops every TLB entry that was derived from it. */
  tableEntryChanged(maddr: number): void;

  // --- vcpu switching
  /** Architectural state, CPU_STATE_SIZE bytes, flags materialised. */
  saveState(into: Uint8Array): void;
  /** Also drops the TLB. */
  loadState(from: Uint8Array): void;
}
