/**
 * Memory as an intricate instruction sees it: through a segment with its checks, then through the page tables with
 * the rights of the current ring. Intel SDM vol. 3A, "Limit Checking", "Type Checking", "Page-Level Protection".
 *
 * Nothing here throws. A refusal is (vector << 16 | error code), cr2 set for #PF; functions that return a value give
 * the refusal negated. An instruction of several stores probes all of them before the first, so that a fault finds
 * nothing done.
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE, type Processor } from '../cpu.ts';
import { ESP, SS } from '../layout.ts';
import type { PhysicalMemory } from '../physical-memory.ts';
import {
  isReadable,
  isWritableData,
  offsetAllowed,
  refusal,
  stackMask,
  VECTOR_GP,
  VECTOR_PF,
  VECTOR_SS,
} from './descriptors.ts';

/** Of the page fault that the last translate() reported. */
export function pageFault(cpu: Processor): number {
  cpu.cr2 = cpu.translateFault.linear;
  return refusal(VECTOR_PF, cpu.translateFault.code);
}

const userBit = (cpu: Processor): number => (cpu.cpl === 3 ? ACCESS_USER : 0);

/** Segment checks alone: 0 or a refusal. */
function checkSegment(cpu: Processor, segment: number, offset: number, size: number, write: boolean): number {
  const access = cpu.getSegmentAccess(segment);
  const allowed =
    (write ? isWritableData(access) : isReadable(access)) &&
    offsetAllowed(access, cpu.getSegmentLimit(segment), offset, size);
  return allowed ? 0 : refusal(segment === SS ? VECTOR_SS : VECTOR_GP, 0);
}

/** Both ends of a linear range of at most a page: 0 or a refusal. The lower end is looked at first. */
export function probeLinear(cpu: Processor, linear: number, size: number, access: number): number {
  if (cpu.translate(linear, access) < 0) return pageFault(cpu);
  if ((linear & 0xfff) + size > 4096 && cpu.translate((linear + size - 1) >>> 0, access) < 0)
    return pageFault(cpu);
  return 0;
}

/** Machine addresses beyond RAM exist in page tables only: reads give all ones, writes vanish. */
const isRam = (memory: PhysicalMemory, maddr: number): boolean => maddr >>> 12 < memory.frames;
const ONES = [0, 0xff, 0xffff, 0, 0xffffffff];

/** A little-endian value inside one frame. */
function readFrame(memory: PhysicalMemory, maddr: number, size: number): number {
  if (!isRam(memory, maddr)) return ONES[size]!;
  return size === 4 ? memory.read32(maddr) : size === 2 ? memory.read16(maddr) : memory.read8(maddr);
}
function writeFrame(memory: PhysicalMemory, maddr: number, size: number, value: number): void {
  if (!isRam(memory, maddr)) return;
  if (size === 4) memory.write32(maddr, value);
  else if (size === 2) memory.write16(maddr, value & 0xffff);
  else memory.write8(maddr, value & 0xff);
}

/** A little-endian value at a linear address, or a negated refusal. */
export function loadLinear(cpu: Processor, linear: number, size: number, access: number): number {
  const maddr = cpu.translate(linear, access);
  if (maddr < 0) return -pageFault(cpu);
  cpu.noteAccess?.(linear, size, false);
  if ((linear & 0xfff) + size <= 4096) return readFrame(cpu.memory, maddr, size);
  let value = readFrame(cpu.memory, maddr, 1);
  for (let i = 1; i < size; i++) {
    const next = cpu.translate((linear + i) >>> 0, access);
    if (next < 0) return -pageFault(cpu);
    value += readFrame(cpu.memory, next, 1) * 2 ** (8 * i);
  }
  return value;
}

/** 0 or a refusal; a value in two pages is stored wholly or not at all. */
export function storeLinear(
  cpu: Processor,
  linear: number,
  size: number,
  access: number,
  value: number,
): number {
  const refused = probeLinear(cpu, linear, size, access);
  if (refused !== 0) return refused;
  cpu.noteAccess?.(linear, size, true);
  if ((linear & 0xfff) + size <= 4096) {
    writeFrame(cpu.memory, cpu.translate(linear, access), size, value);
    return 0;
  }
  for (let i = 0; i < size; i++)
    writeFrame(cpu.memory, cpu.translate((linear + i) >>> 0, access), 1, value >>> (8 * i));
  return 0;
}

/** The value at segment:offset, or a negated refusal. */
export function load(cpu: Processor, segment: number, offset: number, size: number): number {
  const refused = checkSegment(cpu, segment, offset, size, false);
  if (refused !== 0) return -refused;
  const linear = (cpu.getSegmentBase(segment) + offset) >>> 0;
  return loadLinear(cpu, linear, size, ACCESS_READ | userBit(cpu));
}

export function store(cpu: Processor, segment: number, offset: number, size: number, value: number): number {
  const refused = checkSegment(cpu, segment, offset, size, true);
  if (refused !== 0) return refused;
  const linear = (cpu.getSegmentBase(segment) + offset) >>> 0;
  return storeLinear(cpu, linear, size, ACCESS_WRITE | userBit(cpu), value);
}

/** Could this be stored? */
export function probeStore(cpu: Processor, segment: number, offset: number, size: number): number {
  const refused = checkSegment(cpu, segment, offset, size, true);
  if (refused !== 0) return refused;
  const linear = (cpu.getSegmentBase(segment) + offset) >>> 0;
  return probeLinear(cpu, linear, size, ACCESS_WRITE | userBit(cpu));
}

/** The value `depth` bytes above the top of the stack, or a negated refusal. */
export function peekStack(cpu: Processor, depth: number, size: number): number {
  const mask = stackMask(cpu.getSegmentAccess(SS));
  return load(cpu, SS, ((cpu.getReg(ESP) + depth) & mask) >>> 0, size);
}

/** Moves the stack pointer: ESP, or SP alone on a 16-bit stack. */
export function moveStackPointer(cpu: Processor, bytes: number): void {
  setStackPointer(cpu, cpu.getReg(ESP) + bytes);
}
export function setStackPointer(cpu: Processor, value: number): void {
  const mask = stackMask(cpu.getSegmentAccess(SS));
  cpu.setReg(ESP, ((cpu.getReg(ESP) & ~mask) | (value & mask)) >>> 0);
}

/** A stack to push on, which need not be the current one: a call gate fills the inner ring's first. */
export interface StackView {
  access: number;
  base: number;
  limit: number;
  esp: number;
  /** ACCESS_USER when the pushes happen in ring 3. */
  user: number;
  /** What a limit violation raises. */
  fault: number;
}

/** $ Filled by currentStack() or by the caller. */
export const $stack: StackView = { access: 0, base: 0, limit: 0, esp: 0, user: 0, fault: 0 };
/** $ What to push, in push order. */
export const $pushes = new Uint32Array(40);

export function currentStack(cpu: Processor): StackView {
  $stack.access = cpu.getSegmentAccess(SS);
  $stack.base = cpu.getSegmentBase(SS);
  $stack.limit = cpu.getSegmentLimit(SS);
  $stack.esp = cpu.getReg(ESP);
  $stack.user = userBit(cpu);
  $stack.fault = refusal(VECTOR_SS, 0);
  return $stack;
}

const pushOffset = (stack: StackView, bytes: number): number =>
  ((stack.esp - bytes) & stackMask(stack.access)) >>> 0;

/** Stores the first `count` words of $pushes, all or none: 0 or a refusal. The stack pointer is left to the caller. */
export function pushAll(cpu: Processor, stack: StackView, count: number, size: number): number {
  const access = ACCESS_WRITE | stack.user;
  const lowest = pushOffset(stack, count * size);
  const bytes = count * size;
  if (!isWritableData(stack.access)) return stack.fault;
  const linear = (stack.base + lowest) >>> 0;
  if (lowest + bytes <= stackMask(stack.access) && (linear & 0xfff) + bytes <= 4096) {
    // The usual case: one page, no wrap.
    if (!offsetAllowed(stack.access, stack.limit, lowest, bytes)) return stack.fault;
    const maddr = cpu.translate(linear, access);
    if (maddr >= 0) {
      cpu.noteAccess?.(linear, bytes, true);
      for (let i = 1; i <= count; i++) {
        writeFrame(cpu.memory, maddr + bytes - i * size, size, $pushes[i - 1]!);
      }
      return 0;
    }
  }
  for (let i = 1; i <= count; i++) {
    const offset = pushOffset(stack, i * size);
    if (!offsetAllowed(stack.access, stack.limit, offset, size)) return stack.fault;
    const refused = probeLinear(cpu, (stack.base + offset) >>> 0, size, access);
    if (refused !== 0) return refused;
  }
  for (let i = 1; i <= count; i++)
    storeLinear(cpu, (stack.base + pushOffset(stack, i * size)) >>> 0, size, access, $pushes[i - 1]!);
  return 0;
}

/** The stack pointer after `bytes` were pushed on this stack. */
export function espAfter(stack: StackView, bytes: number): number {
  const mask = stackMask(stack.access);
  return ((stack.esp & ~mask) | ((stack.esp - bytes) & mask)) >>> 0;
}
