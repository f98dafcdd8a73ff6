/**
 * The x87 as plain functions see it: its fields in linear memory, the checks before an instruction, and the same
 * rules of stack faults and masked exceptions that meaning/x87/instructions.ts has for the frequent ones.
 * Source: Intel SDM vol. 1, "Programming with the x87 FPU".
 */
import { addressOf, CS } from '../layout.ts';
import {
  BUSY,
  C1,
  DE,
  ES,
  FCW,
  FPR,
  FSW,
  IE,
  INDEFINITE,
  INDEFINITE_SE,
  SF,
  ZE,
} from '../meaning/x87/state.ts';
import { EMPTY_OFFSET, emptyTags, setEmptyTags } from '../meaning/x87/tags.ts';
import { RARE_NEXT, type RareMachine, type RareOperands, type RareStatus } from './rare.ts';

const VECTOR_NM = 7,
  VECTOR_MF = 16;
const CR0_EM = 4,
  CR0_TS = 8;

/** A register's content. */
export interface F80 {
  readonly sig: bigint;
  readonly se: number;
}
export const REAL_INDEFINITE: F80 = { sig: INDEFINITE, se: INDEFINITE_SE };

/** A result with the exceptions (and C1) that it came with. */
export interface Outcome extends F80 {
  readonly flags: number;
}

/** Bits of the control word that exist; bit 6 reads as 1. */
export const legalControl = (value: number): number => (value & 0x1f3f) | 0x40;

/** Forgets all: what FNINIT does, and power-on. @param view the whole linear memory */
export function resetX87(view: DataView): void {
  view.setUint16(FCW, 0x37f, true);
  view.setUint16(FSW, 0, true);
  setEmptyTags(view, 0xffff);
  view.setUint16(addressOf('fop'), 0, true);
  for (const field of ['fip', 'fcs', 'fdp', 'fds'] as const) view.setUint32(addressOf(field), 0, true);
}

export class X87Registers {
  private readonly view: DataView;
  /** @param view the whole linear memory */
  constructor(view: DataView) {
    this.view = view;
  }
  get control(): number {
    return this.view.getUint16(FCW, true);
  }
  set control(value: number) {
    this.view.setUint16(FCW, value, true);
  }
  get status(): number {
    return this.view.getUint16(FSW, true);
  }
  set status(value: number) {
    this.view.setUint16(FSW, value, true);
  }
  /** Empty (11) or in use (00), by physical register. */
  get tags(): number {
    return emptyTags(this.view);
  }
  set tags(value: number) {
    setEmptyTags(this.view, value);
  }
  get top(): number {
    return (this.status >> 11) & 7;
  }
  set top(value: number) {
    this.status = (this.status & ~0x3800) | ((value & 7) << 11);
  }
  private physical(st: number): number {
    return (this.top + st) & 7;
  }
  isEmpty(st: number): boolean {
    return this.view.getUint16(FPR + this.physical(st) * 16 + EMPTY_OFFSET, true) !== 0;
  }
  setEmpty(st: number, empty: boolean): void {
    this.view.setUint16(FPR + this.physical(st) * 16 + EMPTY_OFFSET, empty ? 1 : 0, true);
  }
  get(st: number): F80 {
    const at = FPR + this.physical(st) * 16;
    return { sig: this.view.getBigUint64(at, true), se: this.view.getUint16(at + 8, true) };
  }
  /** Fills a register and marks it used. */
  put(st: number, value: F80): void {
    const at = FPR + this.physical(st) * 16;
    this.view.setBigUint64(at, value.sig, true);
    this.view.setUint16(at + 8, value.se, true);
    this.setEmpty(st, false);
  }
  pop(): void {
    this.setEmpty(0, true);
    this.top = this.top + 1;
  }

  /**
   * Notes exceptions in the status word. @returns whether a register result is to be stored
   */
  settle(flags: number): boolean {
    const open = flags & ~this.control;
    let proceed = true;
    if (open & (IE | ZE | DE)) {
      proceed = false;
      flags &= open & IE ? IE | SF | C1 : open & ZE ? ZE : DE;
    }
    this.status = (this.status & ~C1) | flags;
    if (open & 0x3f) this.status |= ES | BUSY;
    return proceed;
  }
  /** ES and B follow the exceptions that are not masked. */
  updateSummary(): void {
    const pending = (this.status & ~this.control & 0x3f) !== 0;
    this.status = pending ? this.status | ES | BUSY : this.status & ~(ES | BUSY);
  }
  /** Pushes, unless the place is taken. */
  push({ sig, se, flags }: Outcome): void {
    const overflow = !this.isEmpty(7);
    if (!this.settle(overflow ? IE | SF | C1 : flags)) return;
    this.top = this.top + 7;
    this.put(0, overflow ? REAL_INDEFINITE : { sig, se });
  }
  /** As the stack underflow of an instruction with one result says; `pops` if the instruction pops. */
  underflow(st: number, pops: boolean): void {
    if (!this.settle(IE | SF)) return;
    this.put(st, REAL_INDEFINITE);
    if (pops) this.pop();
  }
}

/** @returns RARE_NEXT, or the status of #NM or #MF */
export function enterX87(m: RareMachine, waits: boolean): RareStatus {
  if (m.cpu.cr0 & (CR0_EM | CR0_TS)) return m.raise(VECTOR_NM, -1);
  if (waits && m.getState('fsw') & ES) return m.raise(VECTOR_MF, -1);
  return RARE_NEXT;
}

/** Where the last instruction and its memory operand are. */
export function noteX87(m: RareMachine, insn: RareOperands): void {
  m.setState('fip', insn.eip);
  m.setState('fcs', m.cpu.getSelector(CS));
  m.setState('fop', ((insn.row.opcode & 7) << 8) | insn.modrm);
  if (!insn.isMemory) return;
  m.setState('fdp', insn.offset);
  m.setState('fds', m.cpu.getSelector(insn.segment));
}
