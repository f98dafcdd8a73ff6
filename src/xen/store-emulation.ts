/**
 * What one storing instruction would do, worked out without doing it: the instruction at eip, the bytes it would
 * store and where, the registers and flags it would leave. For stores that the hypervisor carries out itself
 * (writable-page-tables.ts). Intel SDM vol. 2; flags that the manual leaves undefined are cleared.
 *
 * Known: MOV, MOVS, STOS, XCHG, XADD, CMPXCHG, CMPXCHG8B, ADD OR ADC SBB AND SUB XOR, INC DEC NOT NEG, BTS BTR BTC.
 */
import { ACCESS_READ } from '../cpu/cpu.ts';
import {
  decodeInstruction,
  type Instruction,
  type MemoryOperand,
  type Operand,
} from '../cpu/decode-instruction.ts';
import { AF, CF, OF, PF, SF, ZF } from '../cpu/flags.ts';
import { CS, EAX, EBX, ECX, EDI, EDX, ESI } from '../cpu/layout.ts';
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import type { Hypervisor } from './hypervisor.ts';

const MAX_LENGTH = 15;
const DF = 0x400;
const CODE_32_BIT = 0x40_0000;

/** The instruction that was planned. SCRATCH: valid until the next planStore. */
export const plan = {
  /** Linear address and bytes of the store: 1, 2, 4 or 8. */
  address: 0,
  size: 0,
  /** What memory holds there, and what it would hold: 32-bit words, `high` for 8 bytes. */
  oldLow: 0,
  oldHigh: 0,
  low: 0,
  high: 0,
  /** An exchange that compared unequal: memory keeps its value. */
  stores: true,
  /** CMPXCHG and CMPXCHG8B. */
  comparing: false,
  opcode: 0,
  eflags: 0,
  eip: 0,
};
/** Register writes of the plan: index, size in bits, value. */
const writes: number[] = [];

/** Carries out the plan except for its store. */
export function finishPlan(hv: Hypervisor): void {
  const { cpu } = hv;
  for (let i = 0; i < writes.length; i += 3) writeRegister(hv, writes[i]!, writes[i + 1]!, writes[i + 2]!);
  cpu.eflags = plan.eflags;
  cpu.eip = plan.eip;
}

/**
 * Plans the instruction at eip.
 * @param read machine memory of the store's target: the frame's address, to read the old value from.
 * @returns false when it is no store that is known here, or does not store to the page of `va`, naturally aligned.
 */
export function planStore(hv: Hypervisor, va: number, frameAddress: number): boolean {
  const { cpu } = hv;
  writes.length = 0;
  const bits = cpu.getSegmentAccess(CS) & CODE_32_BIT ? 32 : 16;
  const decoded = decodeAt(hv, bits);
  if (decoded === null) return false;
  const { instruction, name } = decoded;
  const target = instruction.operands[0];
  if (target?.kind !== 'memory') return false;
  const size = name === 'cmpxchg8b' ? 8 : target.size / 8;
  if (size < 1) return false;

  let address = memoryOperandAddress(hv, target);
  if (name === 'bts' || name === 'btr' || name === 'btc')
    address = bitAddress(hv, instruction, address, size);
  if (address % size !== 0 || va < address || va >= address + size) return false;
  plan.address = address;
  plan.size = size;
  plan.opcode = instruction.opcode;
  plan.stores = true;
  plan.comparing = false;
  plan.eflags = cpu.eflags;
  plan.eip = (cpu.eip + instruction.length) >>> 0;
  if (bits === 16) plan.eip &= 0xffff;
  const at = frameAddress + (address & 4095);
  plan.oldLow = readSized(hv, at, size);
  plan.oldHigh = size === 8 ? hv.memory.read32(at + 4) : 0;
  plan.high = 0;
  return compute(hv, instruction, name, target);
}

/** An instruction that was decoded, for the next time: the same few stores of a kernel come again and again. */
interface Decoded {
  readonly bits: number;
  readonly bytes: Uint8Array;
  readonly instruction: Instruction;
  readonly name: string;
}
/** By eip. What is found there counts only while memory still holds the same bytes. */
const decodedAt = new Map<number, Decoded>();
const MOST_DECODED = 256;
const code = new Uint8Array(MAX_LENGTH); // scratch

function decodeAt(hv: Hypervisor, bits: 16 | 32): Decoded | null {
  const { eip } = hv.cpu;
  const length = fetch(hv);
  const known = decodedAt.get(eip);
  if (known !== undefined && known.bits === bits && startsWith(length, known.bytes)) return known;
  const bytes = code.slice(0, length);
  const decoded = decodeInstruction(bytes, eip, bits);
  if (!decoded.ok) return null;
  const { instruction } = decoded;
  const entry = {
    bits,
    bytes: bytes.subarray(0, instruction.length),
    instruction,
    name: instruction.row.id.split(' ')[0]!,
  };
  if (decodedAt.size >= MOST_DECODED) decodedAt.clear();
  decodedAt.set(eip, entry);
  return entry;
}

function startsWith(length: number, bytes: Uint8Array): boolean {
  if (length < bytes.length) return false;
  for (let i = 0; i < bytes.length; i++) if (code[i] !== bytes[i]) return false;
  return true;
}

/** Fills `code` with what lies at eip. @returns the number of bytes, fewer where a page is missing. */
function fetch(hv: Hypervisor): number {
  const { cpu, memory } = hv;
  let at = (cpu.getSegmentBase(CS) + cpu.eip) >>> 0;
  let done = 0;
  while (done < MAX_LENGTH) {
    const maddr = cpu.peekTranslate(at);
    if (maddr < 0) return done;
    const end = Math.min(MAX_LENGTH, done + FRAME_SIZE - (at & (FRAME_SIZE - 1)));
    for (let from = maddr; done < end; done++, from++) code[done] = memory.read8(from);
    at = ((at & -FRAME_SIZE) + FRAME_SIZE) >>> 0;
  }
  return done;
}

function readSized(hv: Hypervisor, maddr: number, size: number): number {
  if (size === 1) return hv.memory.read8(maddr);
  return size === 2 ? hv.memory.read16(maddr) : hv.memory.read32(maddr);
}

function readRegister(hv: Hypervisor, index: number, bits: number): number {
  if (bits === 32) return hv.cpu.getReg(index);
  if (bits === 16) return hv.cpu.getReg(index) & 0xffff;
  return index < 4 ? hv.cpu.getReg(index) & 0xff : (hv.cpu.getReg(index - 4) >>> 8) & 0xff;
}

function writeRegister(hv: Hypervisor, index: number, bits: number, value: number): void {
  const { cpu } = hv;
  if (bits === 32) cpu.setReg(index, value >>> 0);
  else if (bits === 16) cpu.setReg(index, ((cpu.getReg(index) & 0xffff_0000) | (value & 0xffff)) >>> 0);
  else if (index < 4) cpu.setReg(index, ((cpu.getReg(index) & 0xffff_ff00) | (value & 0xff)) >>> 0);
  else cpu.setReg(index - 4, ((cpu.getReg(index - 4) & 0xffff_00ff) | ((value & 0xff) << 8)) >>> 0);
}

/** Linear address of a memory operand, with the registers as they are. */
export function memoryOperandAddress(hv: Hypervisor, operand: MemoryOperand): number {
  const { cpu } = hv;
  let offset = operand.displacement;
  if (operand.base >= 0) offset += cpu.getReg(operand.base);
  if (operand.index >= 0) offset += cpu.getReg(operand.index) * operand.scale;
  offset = operand.addressSize === 16 ? offset & 0xffff : offset % 0x1_0000_0000;
  return (cpu.getSegmentBase(operand.segment) + offset) >>> 0;
}

/** With the bit number in a register, the word that holds the bit is so many words away. */
function bitAddress(hv: Hypervisor, instruction: Instruction, address: number, size: number): number {
  const index = instruction.operands[1];
  if (index?.kind !== 'register') return address;
  const number = readRegister(hv, index.index, index.size);
  const signed = index.size === 16 ? (number << 16) >> 16 : number | 0;
  return (address + (signed >> (size === 2 ? 4 : 5)) * size) >>> 0;
}

/** Value of a register or immediate operand. */
function operandValue(hv: Hypervisor, operand: Operand | undefined): number {
  if (operand?.kind === 'register') return readRegister(hv, operand.index, operand.size);
  return operand?.kind === 'immediate' ? operand.value : 0;
}

function compute(hv: Hypervisor, instruction: Instruction, name: string, target: MemoryOperand): boolean {
  const bits = plan.size * 8;
  const old = plan.oldLow;
  const source = instruction.operands[1];
  const value = operandValue(hv, source);
  switch (name) {
    case 'mov':
      plan.low = value;
      return true;
    case 'movs':
    case 'stos':
      return string(hv, instruction, name, target);
    case 'xchg':
    case 'xadd':
      if (source?.kind !== 'register') return false;
      plan.low = name === 'xchg' ? value : add(old, value, 0, bits);
      writes.push(source.index, bits, old);
      return true;
    case 'cmpxchg':
      plan.comparing = true;
      plan.stores = readRegister(hv, EAX, bits) === old;
      subtract(readRegister(hv, EAX, bits), old, 0, bits);
      plan.low = value;
      if (!plan.stores) writes.push(EAX, bits, old);
      return true;
    case 'cmpxchg8b':
      return compareExchange8(hv);
    case 'add':
    case 'adc':
      plan.low = add(old, value, name === 'adc' ? plan.eflags & CF : 0, bits);
      return true;
    case 'sub':
    case 'sbb':
      plan.low = subtract(old, value, name === 'sbb' ? plan.eflags & CF : 0, bits);
      return true;
    case 'and':
    case 'or':
    case 'xor':
      plan.low = (name === 'and' ? old & value : name === 'or' ? old | value : old ^ value) >>> 0;
      setFlags(plan.low, bits, 0);
      return true;
    case 'inc':
    case 'dec': {
      const carry = plan.eflags & CF;
      plan.low = name === 'inc' ? add(old, 1, 0, bits) : subtract(old, 1, 0, bits);
      plan.eflags = (plan.eflags & ~CF) | carry;
      return true;
    }
    case 'not':
      plan.low = mask(~old, bits);
      return true;
    case 'neg':
      plan.low = subtract(0, old, 0, bits);
      return true;
    case 'bts':
    case 'btr':
    case 'btc': {
      const bit = (2 ** (value & (bits - 1))) | 0;
      plan.eflags = old & bit ? plan.eflags | CF : plan.eflags & ~CF;
      plan.low = (name === 'bts' ? old | bit : name === 'btr' ? old & ~bit : old ^ bit) >>> 0;
      return true;
    }
    default:
      return false;
  }
}

function compareExchange8(hv: Hypervisor): boolean {
  const { cpu } = hv;
  plan.comparing = true;
  plan.stores = cpu.getReg(EAX) === plan.oldLow && cpu.getReg(EDX) === plan.oldHigh;
  if (plan.stores) {
    plan.low = cpu.getReg(EBX);
    plan.high = cpu.getReg(ECX);
    plan.eflags |= ZF;
  } else {
    plan.eflags &= ~ZF;
    writes.push(EAX, 32, plan.oldLow, EDX, 32, plan.oldHigh);
  }
  return true;
}

/** One element; with REP the instruction stays where it is until the count is used up. */
function string(hv: Hypervisor, instruction: Instruction, name: string, target: MemoryOperand): boolean {
  const { cpu } = hv;
  const step = cpu.eflags & DF ? -plan.size : plan.size;
  const addressBits = target.addressSize;
  if (name === 'movs') {
    const source = instruction.operands[1];
    if (source?.kind !== 'memory') return false;
    const maddr = sourceAddress(hv, memoryOperandAddress(hv, source), plan.size);
    if (maddr < 0) return false;
    plan.low = readSized(hv, maddr, plan.size);
    writes.push(ESI, addressBits, mask(readRegister(hv, ESI, addressBits) + step, addressBits));
  } else plan.low = readRegister(hv, EAX, plan.size * 8);
  writes.push(EDI, addressBits, mask(readRegister(hv, EDI, addressBits) + step, addressBits));
  if (instruction.repeat !== 0) {
    const left = mask(readRegister(hv, ECX, addressBits) - 1, addressBits);
    writes.push(ECX, addressBits, left);
    if (left !== 0) plan.eip = cpu.eip;
  }
  return true;
}

/** Machine address of a source that lies in one page; -1: it does not, or cannot be read. */
function sourceAddress(hv: Hypervisor, address: number, size: number): number {
  return (address & 4095) + size > 4096 ? -1 : hv.cpu.translate(address, ACCESS_READ);
}

// ---------------------------------------------------------------- arithmetic flags

function mask(value: number, bits: number): number {
  return bits === 32 ? value >>> 0 : value & (2 ** bits - 1);
}

function add(a: number, b: number, carry: number, bits: number): number {
  const result = mask(a + b + carry, bits);
  const sign = 2 ** (bits - 1);
  let flags = a + b + carry >= 2 ** bits ? CF : 0;
  if ((a ^ result) & (b ^ result) & sign) flags |= OF;
  if ((a ^ b ^ result) & 0x10) flags |= AF;
  setFlags(result, bits, flags);
  return result;
}

function subtract(a: number, b: number, borrow: number, bits: number): number {
  const result = mask(a - b - borrow, bits);
  const sign = 2 ** (bits - 1);
  let flags = a < b + borrow ? CF : 0;
  if ((a ^ b) & (a ^ result) & sign) flags |= OF;
  if ((a ^ b ^ result) & 0x10) flags |= AF;
  setFlags(result, bits, flags);
  return result;
}

function setFlags(result: number, bits: number, flags: number): void {
  let parity = result & 0xff;
  parity ^= parity >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  if (!(parity & 1)) flags |= PF;
  if (result === 0) flags |= ZF;
  if (result & (2 ** (bits - 1))) flags |= SF;
  plan.eflags = (plan.eflags & ~(CF | PF | AF | ZF | SF | OF)) | flags;
}
