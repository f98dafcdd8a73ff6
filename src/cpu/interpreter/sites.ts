/**
 * The interpreter's sites: emitters find their operands in the decoded record that a local points to.
 *
 * The same emitter is written at one or two sites. Out of line it is a function that can do everything: fault, cross
 * pages, check segments. In line it is a case of the dispatch loop and knows only the fast way: flat segments,
 * a TLB hit inside one page. Whatever else comes up leaves for the out-of-line function of the same record; nothing
 * of the instruction has happened by then.
 */
import { EngineBug } from '../../base/assert.ts';
import type { FunctionBuilder, Label } from '../../wasm/encoder.ts';
import * as w from '../../wasm/opcodes.ts';
import { I32, type ValueType } from '../../wasm/opcodes.ts';
import { AF, CF, OF, PF, SF, ZF } from '../flags.ts';
import { addressOf, CS, EAX, ECX, EDI, EDX, ES, ESI, ESP, SS } from '../layout.ts';
import type { HotSite, Site, Width } from '../meaning/site.ts';
import type { StringSite } from '../meaning/string.ts';
import type { Row } from '../opcodes/row.ts';
import { type Helpers, LOAD, STORE } from './helpers.ts';
import { STINT_LEFT, TLB_BASE, TLB_WRITE } from './memory-map.ts';
import {
  NEXT_POSITION,
  R_DISPLACEMENT,
  R_IMMEDIATE,
  R_POSITION,
  R_REG,
  R_RM,
  RECORD_SIZE,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_NEXT,
  STATUS_REPEAT,
} from './records.ts';
import { writeX87Note } from './x87-note.ts';

const GPR = addressOf('gpr');

/** Which form of a row a handler is for. */
export interface Variant {
  readonly row: Row;
  readonly operandSize: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly isMemory: boolean;
  readonly isGeneral: boolean;
}

/** Locals of the function that is being written. */
export interface Frame {
  readonly f: FunctionBuilder;
  readonly record: number;
  /** Offset in CS of the start of the record's page. */
  readonly pageEip: number;
  /** Linear address of the memory operand. */
  readonly address: number;
  readonly flagZero: number;
  readonly flagSign: number;
  readonly flagCarry: number;
  /** By type << 8 | number. */
  readonly scratchLocals: Map<number, number>;
}

const E_FORM = /^(E[bwv]|M.*)$/;

/** Bits of an operand form, by the operand size. */
export function formWidth(form: string, size: 16 | 32, isMemory: boolean): Width {
  if (form === 'Mw/Rv') return isMemory ? 16 : size;
  if (/^(Eb|Gb|Zb|Ob|AL|CL)$/.test(form)) return 8;
  if (/^(Ew|Gw|DX|Sw)$/.test(form)) return 16;
  return size;
}
const isImmediate = (form: string): boolean => /^(I.*|1)$/.test(form);

abstract class BaseSite {
  readonly f: FunctionBuilder;
  readonly row: Row;
  readonly operandSize: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly isMemory: boolean;
  readonly isGeneral: boolean;
  readonly flagZero: number;
  readonly flagSign: number;
  readonly flagCarry: number;
  protected readonly frame: Frame;

  constructor(frame: Frame, variant: Variant) {
    this.frame = frame;
    this.f = frame.f;
    this.row = variant.row;
    this.operandSize = variant.operandSize;
    this.addressSize = variant.addressSize;
    this.isMemory = variant.isMemory;
    this.isGeneral = variant.isGeneral;
    this.flagZero = frame.flagZero;
    this.flagSign = frame.flagSign;
    this.flagCarry = frame.flagCarry;
  }

  abstract load(bits: 8 | 16 | 32 | 64, offset?: number): void;
  abstract prepareStore(bytes: number): void;
  abstract store(bits: 8 | 16 | 32 | 64, offset?: number): void;

  scratch(type: ValueType, number: number): number {
    const key = (type << 8) | number;
    let local = this.frame.scratchLocals.get(key);
    if (local === undefined) {
      local = this.f.local(type);
      this.frame.scratchLocals.set(key, local);
    }
    return local;
  }

  // --- operands
  private isOperandMemory(operand: number): boolean {
    const form = this.row.operands[operand]!;
    return form[0] === 'O' || (this.isMemory && E_FORM.test(form));
  }
  width(operand: number): Width {
    const form = this.row.operands[operand]!;
    if (isImmediate(form)) return operand === 0 ? this.operandSize : this.width(0);
    return formWidth(form, this.operandSize, this.isMemory);
  }
  read(operand: number): void {
    const form = this.row.operands[operand]!;
    const width = this.width(operand);
    if (form === '1') this.f.const(1);
    else if (isImmediate(form)) this.immediate();
    else if (this.isOperandMemory(operand)) this.load(width);
    else if (form === 'AL' || form === 'eAX') this.getFixed(EAX, width);
    else if (form === 'CL') this.getFixed(ECX, 8);
    else if (form === 'DX') this.getFixed(EDX, 16);
    else if (form === 'Sw') this.field(w.I32_LOAD8_U, R_REG).mem(w.I32_LOAD, addressOf('segSelector'));
    else if (form[0] === 'G' || form[0] === 'Z') this.getReg(width);
    else if (E_FORM.test(form)) this.getRm(width);
    else throw new EngineBug(`operand form ${form} of ${this.row.id} cannot be read`);
  }
  prepare(operand: number): void {
    if (this.isOperandMemory(operand)) this.prepareStore(this.width(operand) / 8);
  }
  write(operand: number, local: number): void {
    const form = this.row.operands[operand]!;
    const width = this.width(operand);
    this.f.get(local);
    if (this.isOperandMemory(operand)) this.store(width);
    else if (form === 'AL' || form === 'eAX') this.setFixed(EAX, width);
    else if (form[0] === 'G' || form[0] === 'Z') this.setReg(width);
    else if (E_FORM.test(form)) this.setRm(width);
    else throw new EngineBug(`operand form ${form} of ${this.row.id} cannot be written`);
  }
  checkStore(bytes: number): void {
    this.prepareStore(bytes);
  }

  address(): void {
    this.f.get(this.frame.address);
  }
  operandOffset(): void {
    this.f.get(this.frame.address);
    this.field(w.I32_LOAD, R_IMMEDIATE).mem(w.I32_LOAD, addressOf('segBase')).op(w.I32_SUB);
  }
  operandSelector(): void {
    this.field(w.I32_LOAD, R_IMMEDIATE).mem(w.I32_LOAD, addressOf('segSelector'));
  }

  // --- registers
  /** Pushes a field of the record. */
  protected field(opcode: number, at: number): FunctionBuilder {
    return this.f.get(this.frame.record).mem(opcode, at);
  }
  getReg(width: Width): void {
    this.field(w.I32_LOAD8_U, R_REG).mem(LOAD[width], GPR);
  }
  getRm(width: Width): void {
    this.field(w.I32_LOAD8_U, R_RM).mem(LOAD[width], GPR);
  }
  private setNamed(at: number, width: Width): void {
    const value = this.scratch(I32, 30);
    this.f.set(value);
    this.field(w.I32_LOAD8_U, at).get(value).mem(STORE[width], GPR);
  }
  setReg(width: Width): void {
    this.setNamed(R_REG, width);
  }
  setRm(width: Width): void {
    this.setNamed(R_RM, width);
  }
  rmOffset(): void {
    this.field(w.I32_LOAD8_U, R_RM);
  }
  rmNumber(): void {
    this.rmOffset();
    this.f.const(2).op(w.I32_SHR_U);
  }
  private fixedAddress(register: number, width: Width): number {
    return width === 8 ? GPR + (register & 3) * 4 + (register >> 2) : GPR + register * 4;
  }
  getFixed(register: number, width: Width): void {
    this.f.const(0).mem(LOAD[width], this.fixedAddress(register, width));
  }
  setFixed(register: number, width: Width): void {
    const value = this.scratch(I32, 30);
    this.f.set(value).const(0).get(value).mem(STORE[width], this.fixedAddress(register, width));
  }
  immediate(): void {
    this.field(w.I32_LOAD, R_IMMEDIATE);
  }

  // --- places in the code
  eip(): void {
    this.field(w.I32_LOAD16_U, R_POSITION).get(this.frame.pageEip).op(w.I32_ADD);
  }
  nextEip(): void {
    this.field(w.I32_LOAD16_U, NEXT_POSITION).get(this.frame.pageEip).op(w.I32_ADD);
  }
  relativeTarget(): void {
    this.field(w.I32_LOAD, R_DISPLACEMENT).get(this.frame.pageEip).op(w.I32_ADD);
    if (this.operandSize === 16) this.f.const(0xffff).op(w.I32_AND);
  }

  setFlagBits(): void {
    const f = this.f;
    const bits = this.scratch(I32, 30);
    const bit = (mask: number): FunctionBuilder => f.get(bits).const(mask).op(w.I32_AND);
    f.set(bits);
    bit(ZF).op(w.I32_EQZ).set(this.flagZero);
    bit(SF).const(24).op(w.I32_SHL);
    bit(PF).op(w.I32_EQZ, w.I32_OR).set(this.flagSign);
    bit(CF).const(31).op(w.I32_SHL);
    bit(CF).const(30).op(w.I32_SHL);
    bit(OF).const(19).op(w.I32_SHL, w.I32_XOR, w.I32_OR);
    bit(AF).const(1).op(w.I32_SHR_U, w.I32_OR).set(this.flagCarry);
  }
}

/** A function (record, page's eip, address of the memory operand) -> STATUS_*. */
export class OuterSite extends BaseSite implements Site, StringSite {
  private readonly helpers: Helpers;
  private readonly usesFlags: boolean;

  constructor(f: FunctionBuilder, variant: Variant, helpers: Helpers, shared?: Frame) {
    const { readsFlags, writesFlags, undefinedFlags } = variant.row;
    const frame: Frame = shared ?? {
      f,
      record: 0,
      pageEip: 1,
      address: 2,
      flagZero: f.local(I32),
      flagSign: f.local(I32),
      flagCarry: f.local(I32),
      scratchLocals: new Map(),
    };
    super(frame, variant);
    this.helpers = helpers;
    this.usesFlags = (readsFlags ?? writesFlags ?? undefinedFlags) !== undefined;
    if (this.usesFlags) {
      f.const(0).mem(w.I32_LOAD, addressOf('flagZero')).set(frame.flagZero);
      f.const(0).mem(w.I32_LOAD, addressOf('flagSign')).set(frame.flagSign);
      f.const(0).mem(w.I32_LOAD, addressOf('flagCarry')).set(frame.flagCarry);
    }
  }

  storeFlags(): void {
    const { writesFlags, undefinedFlags } = this.row;
    if (writesFlags === undefined && undefinedFlags === undefined) return;
    this.f.const(0).get(this.flagZero).mem(w.I32_STORE, addressOf('flagZero'));
    this.f.const(0).get(this.flagSign).mem(w.I32_STORE, addressOf('flagSign'));
    this.f.const(0).get(this.flagCarry).mem(w.I32_STORE, addressOf('flagCarry'));
  }
  protected leave(status: number): void {
    if (status !== STATUS_FAULT) this.storeFlags();
    this.f.const(status).return();
  }
  private checkFault(): void {
    this.f.const(0).mem(w.I32_LOAD, addressOf('faultVector')).const(0).op(w.I32_GE_S);
    this.f.if();
    this.leave(STATUS_FAULT);
    this.f.end();
  }
  /** The end of the function. */
  finishFunction(): void {
    this.storeFlags();
    this.f.const(STATUS_NEXT);
  }
  finish(): void {
    this.leave(STATUS_NEXT);
  }

  private pushAddress(offset: number): void {
    this.f.get(this.frame.address);
    if (offset !== 0) this.f.const(offset).op(w.I32_ADD);
  }
  load(bits: 8 | 16 | 32 | 64, offset = 0): void {
    this.pushAddress(offset);
    this.f.call(this.helpers.load[bits]);
    this.checkFault();
  }
  prepareStore(bytes: number): void {
    this.f.get(this.frame.address).const(bytes).call(this.helpers.checkWrite);
    this.checkFault();
  }
  store(bits: 8 | 16 | 32 | 64, offset = 0): void {
    const value = this.scratch(bits === 64 ? w.I64 : I32, 31);
    this.f.set(value);
    this.pushAddress(offset);
    this.f.get(value).call(this.helpers.store[bits]);
  }

  raise(vector: number, code: number): void {
    this.f.const(0).const(vector).mem(w.I32_STORE, addressOf('faultVector'));
    this.f.const(0).const(code).mem(w.I32_STORE, addressOf('faultCode'));
    this.leave(STATUS_FAULT);
  }

  // --- stack
  private stackIsBig(): void {
    this.f
      .const(0)
      .mem(w.I32_LOAD, addressOf('segAccess', SS))
      .const(1 << 22)
      .op(w.I32_AND);
  }
  /** Pops an offset, pushes the linear address of it in SS. */
  private stackAddress(bytes: number, write: boolean): void {
    if (!this.isGeneral) return;
    const f = this.f;
    const offset = this.scratch(I32, 29);
    f.const(-1).const(0xffff);
    this.stackIsBig();
    f.op(w.SELECT, w.I32_AND).set(offset);
    f.const(SS)
      .get(offset)
      .const(bytes)
      .const(write ? 1 : 0)
      .call(this.helpers.segment);
    f.set(offset);
    this.checkFault();
    f.get(offset);
  }
  stackLoad(bits: 16 | 32, offset = 0, base = ESP): void {
    this.getFixed(base, 32);
    if (offset !== 0) this.f.const(offset).op(w.I32_ADD);
    this.stackAddress(bits / 8, false);
    this.f.call(this.helpers.load[bits]);
    this.checkFault();
  }
  stackPush(bits: 16 | 32, local: number): void {
    const f = this.f;
    this.getFixed(ESP, 32);
    f.const(bits / 8).op(w.I32_SUB);
    this.stackAddress(bits / 8, true);
    f.get(local).call(this.helpers.store[bits]);
    this.checkFault();
    f.const(-bits / 8);
    this.stackRelease();
  }
  stackRelease(): void {
    const f = this.f;
    const top = this.scratch(I32, 29);
    this.getFixed(ESP, 32);
    f.op(w.I32_ADD).set(top);
    if (!this.isGeneral) {
      f.get(top);
      this.setFixed(ESP, 32);
      return;
    }
    this.stackIsBig();
    f.if();
    f.get(top);
    this.setFixed(ESP, 32);
    f.else();
    f.get(top);
    this.setFixed(ESP, 16);
    f.end();
  }

  // --- control
  jump(): void {
    const target = this.scratch(I32, 30);
    this.f.set(target).const(0).get(target).mem(w.I32_STORE, addressOf('eip'));
    this.leave(STATUS_JUMP);
  }
  jumpRelative(): void {
    this.relativeTarget();
    this.jump();
  }
  checkTarget(local: number): void {
    if (!this.isGeneral) return;
    this.f.get(local).const(0).mem(w.I32_LOAD, addressOf('segLimit', CS)).op(w.I32_GT_U);
    this.f.if();
    this.raise(13, 0);
    this.f.end();
  }

  // --- strings
  private stringAddress(register: number, segment: () => void, bytes: number, write: boolean): void {
    if (!this.isGeneral) {
      this.getFixed(register, 32);
      return;
    }
    const linear = this.scratch(I32, 29);
    segment();
    this.getFixed(register, this.addressSize);
    this.f
      .const(bytes)
      .const(write ? 1 : 0)
      .call(this.helpers.segment)
      .set(linear);
    this.checkFault();
    this.f.get(linear);
  }
  sourceAddress(bytes: number): void {
    this.stringAddress(ESI, () => this.field(w.I32_LOAD8_U, R_RM), bytes, false);
  }
  destinationAddress(bytes: number, write: boolean): void {
    this.stringAddress(EDI, () => this.f.const(ES), bytes, write);
  }
  loadAt(bits: Width): void {
    this.f.call(this.helpers.load[bits]);
    this.checkFault();
  }
  storeAt(bits: Width): void {
    this.f.call(this.helpers.store[bits]);
    this.checkFault();
  }
  repPrefix(): void {
    this.field(w.I32_LOAD8_U, R_REG);
  }
  left(): void {
    this.f.const(0).mem(w.I32_LOAD, STINT_LEFT);
  }
  setLeft(): void {
    const value = this.scratch(I32, 30);
    this.f.set(value).const(0).get(value).mem(w.I32_STORE, STINT_LEFT);
  }
  repeatLater(): void {
    this.leave(STATUS_REPEAT);
  }
  direct(address: number, write: boolean): void {
    this.f.const(0).mem(w.I32_LOAD, TLB_BASE).get(address).const(10).op(w.I32_SHR_U).const(0x3ffffc);
    this.f.op(w.I32_AND, w.I32_ADD).mem(w.I32_LOAD, write ? TLB_WRITE : 0);
  }
}

/** Where a case of the dispatch loop can go. */
export interface Exits {
  /** Top of the loop: dispatch the record. */
  readonly next: Label;
  /** Look `target` up and go on there. */
  readonly resolve: Label;
  /** The out-of-line function of this record. */
  readonly slow: Label;
  /** Find the record that a jump inside the page leads to, and remember it. */
  readonly link: Label;
  /** The stint is over; go on later at the record, or at `target`. */
  readonly stopAtRecord: Label;
  readonly stopAtTarget: Label;
  readonly target: number;
  readonly left: number;
  readonly tlb: number;
}

/** How an in-line case gets the address of its memory operand. */
export type AddressForm = 'none' | 'base' | 'indexed';

export class InlineSite extends BaseSite implements HotSite {
  private readonly exits: Exits;
  private readonly near: boolean;
  private place = -1;

  /** @param near jumps: the target is in the page of the jump. */
  constructor(frame: Frame, variant: Variant, exits: Exits, near: boolean) {
    super(frame, variant);
    this.exits = exits;
    this.near = near;
  }

  /** Pushes the place in linear memory of `bytes` at the address in a local, or leaves for the slow way. */
  private direct(address: number, bytes: number, write: boolean, aligned = false): void {
    const f = this.f;
    const delta = this.scratch(I32, 28);
    f.get(this.exits.tlb).get(address).const(10).op(w.I32_SHR_U).const(0x3ffffc).op(w.I32_AND, w.I32_ADD);
    f.mem(w.I32_LOAD, write ? TLB_WRITE : 0)
      .tee(delta)
      .op(w.I32_EQZ);
    if (bytes > 1) {
      f.get(address);
      if (aligned) f.const(bytes - 1).op(w.I32_AND, w.I32_OR);
      else
        f.const(4095)
          .op(w.I32_AND)
          .const(4096 - bytes)
          .op(w.I32_GT_U, w.I32_OR);
    }
    f.brIf(this.exits.slow).get(address).get(delta).op(w.I32_ADD);
  }
  load(bits: 8 | 16 | 32 | 64, offset = 0): void {
    if (this.place >= 0) this.f.get(this.place);
    else this.direct(this.frame.address, bits / 8, false);
    this.f.mem(LOAD[bits], offset);
  }
  private findPlace(bytes: number, write: boolean): void {
    const place = this.scratch(I32, 27);
    this.direct(this.frame.address, bytes, write);
    this.f.set(place);
    this.place = place;
  }
  prepareLoad(bytes: number): void {
    this.findPlace(bytes, false);
  }
  prepareStore(bytes: number): void {
    this.findPlace(bytes, true);
  }
  store(bits: 8 | 16 | 32 | 64, offset = 0): void {
    const value = this.scratch(bits === 64 ? w.I64 : I32, 31);
    this.f.set(value).get(this.place).get(value).mem(STORE[bits], offset);
  }
  noteX87(): void {
    writeX87Note(this.frame, this.isMemory);
  }
  raise(): void {
    this.f.br(this.exits.slow);
  }

  stackLoad(bits: 16 | 32, offset = 0, base = ESP): void {
    const top = this.scratch(I32, 29);
    this.getFixed(base, 32);
    if (offset !== 0) this.f.const(offset).op(w.I32_ADD);
    this.f.set(top);
    this.direct(top, bits / 8, false, true);
    this.f.mem(LOAD[bits]);
  }
  stackPush(bits: 16 | 32, local: number): void {
    const top = this.scratch(I32, 29);
    this.getFixed(ESP, 32);
    this.f
      .const(bits / 8)
      .op(w.I32_SUB)
      .set(top);
    this.direct(top, bits / 8, true, true);
    this.f.get(local).mem(STORE[bits]).get(top);
    this.setFixed(ESP, 32);
  }
  stackRelease(): void {
    this.getFixed(ESP, 32);
    this.f.op(w.I32_ADD);
    this.setFixed(ESP, 32);
  }

  /** The end of a case whose instruction went on behind it. */
  finishCase(): void {
    const { f, frame, exits } = this;
    f.get(frame.record).const(RECORD_SIZE).op(w.I32_ADD).set(frame.record);
    f.get(exits.left).const(1).op(w.I32_SUB).tee(exits.left).brIf(exits.next).br(exits.stopAtRecord);
  }
  jump(): void {
    const { f, exits } = this;
    f.set(exits.target);
    f.get(exits.left).const(1).op(w.I32_SUB).tee(exits.left).brIf(exits.resolve).br(exits.stopAtTarget);
  }
  jumpRelative(): void {
    const { f, frame, exits } = this;
    if (!this.near) {
      this.relativeTarget();
      this.jump();
      return;
    }
    const link = this.scratch(I32, 30);
    f.get(frame.record).mem(w.I32_LOAD, R_IMMEDIATE).tee(link).op(w.I32_EQZ).brIf(exits.link);
    f.get(link).set(frame.record);
    f.get(exits.left).const(1).op(w.I32_SUB).tee(exits.left).brIf(exits.next).br(exits.stopAtRecord);
  }
  checkTarget(): void {}
}
