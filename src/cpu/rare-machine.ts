/**
 * What rare instructions (rare/rare.ts) see of the processor. Faults inside read, write and check leave by one
 * sentinel, which is thrown and caught in JavaScript only: `call` never lets it pass through WebAssembly.
 */

import type { Processor } from './cpu.ts';
import type { I386 } from './i386.ts';
import type { RareInstruction } from './interpreter/rare-instruction.ts';
import { addressOf, CPU_BASE, FIELDS, type FieldName, SS } from './layout.ts';
import { isReadable, isWritableData, offsetAllowed } from './rare/descriptors.ts';
import { RARE_FAULT, RARE_LEAVE, type RareFunction, type RareMachine, type RareStatus } from './rare/rare.ts';
import type { TrapSink } from './trap-sink.ts';

const VECTOR_SS = 12,
  VECTOR_GP = 13;
/** Thrown for a fault that is recorded in the state block. */
export const GUEST_FAULT = { guestFault: true };

/** What the run loop does after the generated loop has left. */
export const ACTION_NONE = 0,
  ACTION_INTERRUPT = 1,
  ACTION_TRAP = 2,
  ACTION_HALT = 3;

const GPR32 = addressOf('gpr') >>> 2;
const GPR8 = addressOf('gpr');

export class InnerMachine implements RareMachine {
  private readonly processor: I386;
  action = ACTION_NONE;
  vector = 0;
  code = -1;
  private instruction: RareInstruction | null = null;

  constructor(processor: I386) {
    this.processor = processor;
  }
  get cpu(): Processor {
    return this.processor;
  }
  get sink(): TrapSink {
    return this.processor.sink;
  }

  call(f: RareFunction, instruction: RareInstruction): RareStatus {
    this.instruction = instruction;
    try {
      return f(this, instruction);
    } catch (thrown) {
      if (thrown !== GUEST_FAULT) throw thrown;
      return RARE_FAULT;
    }
  }

  private placeOf(field: FieldName, index: number): number {
    return addressOf(field, index) - CPU_BASE;
  }
  getState(field: FieldName, index = 0): number {
    const at = CPU_BASE + this.placeOf(field, index);
    const { view } = this.processor.memory;
    switch (FIELDS[field].type) {
      case 'u8':
        return view.getUint8(at);
      case 'u16':
        return view.getUint16(at, true);
      case 'f64':
        return view.getFloat64(at, true);
      case 'u64':
        return view.getUint32(at, true);
      default:
        return view.getUint32(at, true);
    }
  }
  setState(field: FieldName, value: number, index = 0): void {
    const at = CPU_BASE + this.placeOf(field, index);
    const { view } = this.processor.memory;
    switch (FIELDS[field].type) {
      case 'u8':
        view.setUint8(at, value);
        break;
      case 'u16':
        view.setUint16(at, value, true);
        break;
      case 'f64':
        view.setFloat64(at, value, true);
        break;
      default:
        view.setUint32(at, value, true);
    }
  }

  getReg8(index: number): number {
    return this.processor.memory.u8[GPR8 + (index & 3) * 4 + (index >> 2)]!;
  }
  setReg8(index: number, value: number): void {
    this.processor.memory.u8[GPR8 + (index & 3) * 4 + (index >> 2)] = value;
  }
  getReg16(index: number): number {
    return this.processor.memory.u32[GPR32 + index]! & 0xffff;
  }
  setReg16(index: number, value: number): void {
    const { u32 } = this.processor.memory;
    u32[GPR32 + index] = (u32[GPR32 + index]! & 0xffff0000) | (value & 0xffff);
  }
  getReg32(index: number): number {
    return this.processor.memory.u32[GPR32 + index]!;
  }
  setReg32(index: number, value: number): void {
    this.processor.memory.u32[GPR32 + index] = value;
  }

  /** The linear address, after the segment's checks. */
  linear(segment: number, offset: number, size: number, write: boolean): number {
    const { processor } = this;
    const access = processor.getSegmentAccess(segment);
    const allowed =
      (write ? isWritableData(access) : isReadable(access)) &&
      offsetAllowed(access, processor.getSegmentLimit(segment), offset >>> 0, size);
    if (!allowed) this.fault(segment === SS ? VECTOR_SS : VECTOR_GP, 0);
    return (processor.getSegmentBase(segment) + offset) >>> 0;
  }
  private fault(vector: number, code: number): never {
    this.processor.linear.recordFault(vector, code);
    throw GUEST_FAULT;
  }
  private check(): void {
    if (this.processor.linear.isFaulting) throw GUEST_FAULT;
  }
  private read(segment: number, offset: number, size: number): number {
    const value = this.processor.linear.read(
      this.linear(segment, offset, size, false),
      size,
      this.processor.isUser,
    );
    this.check();
    return value;
  }
  private write(segment: number, offset: number, size: number, value: number): void {
    this.processor.linear.write(this.linear(segment, offset, size, true), size, value, this.processor.isUser);
    this.check();
  }
  read8(segment: number, offset: number): number {
    return this.read(segment, offset, 1);
  }
  read16(segment: number, offset: number): number {
    return this.read(segment, offset, 2);
  }
  read32(segment: number, offset: number): number {
    return this.read(segment, offset, 4);
  }
  write8(segment: number, offset: number, value: number): void {
    this.write(segment, offset, 1, value);
  }
  write16(segment: number, offset: number, value: number): void {
    this.write(segment, offset, 2, value);
  }
  write32(segment: number, offset: number, value: number): void {
    this.write(segment, offset, 4, value);
  }
  checkWrite(segment: number, offset: number, size: number): void {
    this.processor.linear.check(this.linear(segment, offset, size, true), size, true, this.processor.isUser);
    this.check();
  }
  checkRead(segment: number, offset: number, size: number): void {
    this.processor.linear.check(
      this.linear(segment, offset, size, false),
      size,
      false,
      this.processor.isUser,
    );
    this.check();
  }
  readSystem32(linear: number): number {
    const value = this.processor.linear.read(linear >>> 0, 4, false);
    this.check();
    return value;
  }
  writeSystem32(linear: number, value: number): void {
    this.processor.linear.write(linear >>> 0, 4, value, false);
    this.check();
  }
  writeSystem8(linear: number, value: number): void {
    this.processor.linear.write(linear >>> 0, 1, value, false);
    this.check();
  }

  private get bigStack(): boolean {
    return (this.processor.getSegmentAccess(SS) & (1 << 22)) !== 0;
  }
  stackOffset(below: number): number {
    const at = this.getReg32(4) - below;
    return this.bigStack ? at >>> 0 : at & 0xffff;
  }
  setStackPointer(value: number): void {
    if (this.bigStack) this.setReg32(4, value);
    else this.setReg16(4, value);
  }

  raise(vector: number, errorCode: number): RareStatus {
    this.processor.linear.recordFault(vector, errorCode);
    return RARE_FAULT;
  }
  softwareInterrupt(vector: number): RareStatus {
    this.action = ACTION_INTERRUPT;
    this.vector = vector;
    this.code = this.instruction!.length;
    return RARE_LEAVE;
  }
  trap(vector: number, errorCode: number): RareStatus {
    this.action = ACTION_TRAP;
    this.vector = vector;
    this.code = errorCode;
    return RARE_LEAVE;
  }
  halt(): RareStatus {
    this.action = ACTION_HALT;
    return RARE_LEAVE;
  }
}
