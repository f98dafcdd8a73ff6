/**
 * "Bare hardware": the TrapSink of a processor whose guest owns ring 0. Exceptions, interrupts and `int n` go through
 * the guest's own IDT; descriptors, stacks and port rights come from its own GDT, LDT and TSS.
 * Intel SDM vol. 3A, "Interrupt and Exception Handling"; the double-fault rule is the table "Conditions for
 * Generating a Double Fault".
 */
import type { Processor } from '../cpu.ts';
import { IF } from '../flags.ts';
import {
  refusalCode,
  refusalVector,
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_TS,
} from '../rare/descriptors.ts';
import { DESCRIPTOR_FAULT, type TrapSink } from '../trap-sink.ts';
import { deliverThroughIdt, EXTERNAL, SOFTWARE } from './delivery.ts';
import type { Ports } from './ports.ts';
import { bitmapAllows, segmentDescriptor, setStateWord, stackOfRing, stateWord } from './tables.ts';

/** What becomes of the machine when its processor can go no further by itself. */
export interface BareEvents {
  /** A fault while a double fault was delivered: the processor shuts down. The state stays as it was. */
  onTripleFault(): void;
  /** HLT: nothing happens until the next interrupt. */
  onHalt(): void;
}

const isContributory = (vector: number): boolean =>
  vector === VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);

/** Fault-class exceptions: their saved EFLAGS has RF set. #DB is not among them: it may be a trap. */
const isFault = (vector: number): boolean =>
  vector === VECTOR_DE || (vector >= 5 && vector !== VECTOR_DF && vector !== 18);

export class BareSink implements TrapSink {
  private readonly cpu: Processor;
  private readonly ports: Ports;
  private readonly events: BareEvents;
  /** Raised, not yet delivered, in order of arrival. */
  private readonly waiting: number[] = [];
  /** Set by HLT, cleared by the interrupt that ends it. */
  isHalted = false;
  isShutDown = false;

  constructor(cpu: Processor, ports: Ports, events: BareEvents) {
    this.cpu = cpu;
    this.ports = ports;
    this.events = events;
  }

  exception(vector: number, errorCode: number): void {
    // #BP and #OF come from INT3 and INTO alone: software interrupts of one byte, which eip is behind already.
    if (vector === VECTOR_BP || vector === VECTOR_OF) {
      this.cpu.eip = (this.cpu.eip - 1) >>> 0;
      this.softwareInterrupt(vector, 1);
    } else this.deliver(vector, errorCode, true);
  }

  softwareInterrupt(vector: number, instructionLength: number): void {
    const behind = (this.cpu.eip + instructionLength) >>> 0;
    const refused = deliverThroughIdt(this.cpu, vector, -1, SOFTWARE, behind, false);
    // The interrupt itself is benign: whatever came up is delivered as an ordinary fault of the instruction.
    if (refused !== 0) this.deliver(refusalVector(refused), refusalCode(refused), true);
  }

  heldBreakpoints(hits: number): void {
    if (this.isShutDown) return;
    this.cpu.setDr(6, this.cpu.getDr(6) | hits);
    this.exception(VECTOR_DB, -1);
  }

  /** An external interrupt. It is delivered as soon as IF and the interrupt shadow allow: see deliverWaiting. */
  raiseInterrupt(vector: number): void {
    this.waiting.push(vector);
    this.cpu.requestExit();
  }
  get hasWaiting(): boolean {
    return this.waiting.length > 0;
  }
  /** @returns true if an interrupt was delivered. Only between run() calls. */
  deliverWaiting(): boolean {
    if (this.waiting.length === 0 || this.isShutDown) return false;
    if ((this.cpu.eflags & IF) === 0 || stateWord(this.cpu, 'interruptShadow') !== 0) return false;
    this.isHalted = false;
    this.deliver(this.waiting.shift()!, -1, false);
    return true;
  }

  /** An exception or external interrupt, and what comes up while it is delivered, up to the triple fault. */
  private deliver(vector: number, errorCode: number, isException: boolean): void {
    const eip = this.cpu.eip;
    for (;;) {
      const rf = isException && isFault(vector);
      const refused = deliverThroughIdt(this.cpu, vector, errorCode, EXTERNAL, eip, rf);
      if (refused === 0) return;
      if (vector === VECTOR_DF) {
        this.isShutDown = true;
        this.cpu.requestExit();
        this.events.onTripleFault();
        return;
      }
      const second = refusalVector(refused);
      const doubled =
        isException &&
        ((isContributory(vector) && isContributory(second)) ||
          (vector === VECTOR_PF && (isContributory(second) || second === VECTOR_PF)));
      vector = doubled ? VECTOR_DF : second;
      errorCode = doubled ? 0 : refusalCode(refused);
      isException = true;
    }
  }

  descriptorAddress(selector: number): number {
    const maddr = segmentDescriptor(this.cpu, selector);
    if (maddr === DESCRIPTOR_FAULT) {
      const { code, linear } = this.cpu.translateFault;
      this.cpu.cr2 = linear;
      setStateWord(this.cpu, 'faultVector', VECTOR_PF);
      setStateWord(this.cpu, 'faultCode', code);
    }
    return maddr;
  }

  kernelStack(ring: number): { ss: number; esp: number } {
    const stack = stackOfRing(this.cpu, ring);
    if (stack.ss === DESCRIPTOR_FAULT) {
      const { code, linear } = this.cpu.translateFault;
      this.cpu.cr2 = linear;
      setStateWord(this.cpu, 'faultVector', VECTOR_PF);
      setStateWord(this.cpu, 'faultCode', code);
    }
    return stack;
  }

  portRead(port: number, size: number): number {
    return this.ports.read(port, size);
  }
  portWrite(port: number, size: number, value: number): void {
    this.ports.write(port, size, value);
  }
  portAllowed(port: number, size: number): boolean {
    return bitmapAllows(this.cpu, port, size);
  }

  interruptsEnabled(): void {
    if (this.waiting.length > 0) this.cpu.requestExit();
  }

  halted(): void {
    this.isHalted = true;
    this.cpu.requestExit();
    this.events.onHalt();
  }
}
