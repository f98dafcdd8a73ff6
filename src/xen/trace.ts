/**
 * What happened, newest in a ring of plain columns, and counters that never wrap. Recording costs a few stores: no
 * strings, no objects. Text is made on demand by trace-text.ts from the hypercall table.
 *
 *   column   hypercall            exception   upcall   switch        emulate   virq   event          domain
 *   number   hypercall number     vector      -        new runstate  opcode    virq   sender's port  reason code
 *   sub      sub-op, -1 none      CPL         CPL      old runstate  operand   port   remote port    -
 *   result   EAX                  error code  port?    -             value     -      remote domid   -
 *   words    EBX ECX EDX ESI EDI EBP; of sub-operations with a struct: the first six words of the struct
 *   eip      of the instruction, where there is one
 *
 * pirq as virq; its number is the line.
 */
import type { Refusal } from './refusal.ts';
import { UnfinishedCalls } from './unfinished-calls.ts';

export const TRACE_hypercall = 0;
export const TRACE_exception = 1;
export const TRACE_upcall = 2;
export const TRACE_switch = 3;
export const TRACE_emulate = 4;
export const TRACE_virq = 5;
export const TRACE_event = 6;
export const TRACE_domain = 7;
export const TRACE_pirq = 8;
export const TRACE_KIND_NAMES = [
  'hypercall',
  'exception',
  'upcall',
  'switch',
  'emulate',
  'virq',
  'event',
  'domain',
  'pirq',
] as const;

export const TRACE_WORDS = 6;
/** `result` of a hypercall that has not come back (it is running, or its domain ended in it). */
export const NO_RESULT = -0x8000_0000;
const HYPERCALLS = 64;
export const SUB_OPS = 64;

export class Trace {
  /** Power of two. */
  readonly capacity: number;
  readonly at: Float64Array;
  readonly kind: Uint8Array;
  readonly domid: Uint16Array;
  readonly vcpu: Uint8Array;
  readonly number: Int32Array;
  readonly sub: Int32Array;
  readonly result: Int32Array;
  readonly eip: Uint32Array;
  readonly words: Uint32Array;
  /** How often a hypercall was put aside and met again (continuation.ts). */
  readonly continued: Uint32Array;
  /** The refusal that goes with an event; sparse. */
  readonly refusal: (Refusal | null)[];
  /** Events recorded since the machine started; event n is in slot n mod capacity. */
  total = 0;

  // --- counters
  readonly calls = new Float64Array(HYPERCALLS);
  /** Calls that returned an errno. */
  readonly refusedCalls = new Float64Array(HYPERCALLS);
  /** Index: hypercall number * 64 + sub-operation. */
  readonly subCalls = new Float64Array(HYPERCALLS * SUB_OPS);
  readonly refusedSubCalls = new Float64Array(HYPERCALLS * SUB_OPS);
  readonly exceptions = new Float64Array(256);
  upcalls = 0;
  switches = 0;
  emulated = 0;
  eventsSent = 0;

  /** Hypercalls that are put aside at the moment. */
  readonly unfinished = new UnfinishedCalls();

  /** Told of each hypercall when it comes back, with its slot; for whoever must see all of them. */
  onHypercall: ((slot: number) => void) | null = null;

  constructor(capacity = 16384) {
    this.capacity = capacity;
    this.at = new Float64Array(capacity);
    this.kind = new Uint8Array(capacity);
    this.domid = new Uint16Array(capacity);
    this.vcpu = new Uint8Array(capacity);
    this.number = new Int32Array(capacity);
    this.sub = new Int32Array(capacity);
    this.result = new Int32Array(capacity);
    this.eip = new Uint32Array(capacity);
    this.words = new Uint32Array(capacity * TRACE_WORDS);
    this.continued = new Uint32Array(capacity);
    this.refusal = new Array<Refusal | null>(capacity).fill(null);
  }

  /** @returns the event's sequence number. */
  record(
    at: number,
    kind: number,
    domid: number,
    vcpu: number,
    number: number,
    sub: number,
    result: number,
    eip: number,
  ): number {
    const sequence = this.total++;
    const slot = sequence & (this.capacity - 1);
    this.at[slot] = at;
    this.kind[slot] = kind;
    this.domid[slot] = domid;
    this.vcpu[slot] = vcpu;
    this.number[slot] = number;
    this.sub[slot] = sub;
    this.result[slot] = result;
    this.eip[slot] = eip;
    this.continued[slot] = 0;
    if (this.refusal[slot] !== null) this.refusal[slot] = null;
    return sequence;
  }

  /** Slot of an event, or -1 when it has been overwritten. */
  slotOf(sequence: number): number {
    return sequence < 0 || sequence >= this.total || this.total - sequence > this.capacity
      ? -1
      : sequence & (this.capacity - 1);
  }

  countSubCall(hypercall: number, sub: number, refused: boolean): void {
    if (sub < 0 || sub >= SUB_OPS) return;
    const index = hypercall * SUB_OPS + sub;
    this.subCalls[index]!++;
    if (refused) this.refusedSubCalls[index]!++;
  }
}
