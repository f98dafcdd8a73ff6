/**
 * PUSHA, POPA, ENTER. Intel SDM vol. 2. All stores are probed before the first one is made.
 */
import { EBP, ESP, SS } from '../layout.ts';
import {
  $pushes,
  currentStack,
  espAfter,
  load,
  peekStack,
  probeStore,
  pushAll,
  setStackPointer,
} from './checked-access.ts';
import { stackMask } from './descriptors.ts';
import { finish } from './finish.ts';
import { RARE_NEXT, type RareFunction } from './rare.ts';

/** Pushes EAX ECX EDX EBX, ESP as it was, EBP ESI EDI. */
export const pusha: RareFunction = (m, insn) => {
  const size = insn.operandSize >>> 3;
  const stack = currentStack(m.cpu);
  for (let i = 0; i < 8; i++) $pushes[i] = m.cpu.getReg(i);
  const refused = pushAll(m.cpu, stack, 8, size);
  if (refused === 0) m.cpu.setReg(ESP, espAfter(stack, 8 * size));
  return finish(m, refused);
};

/** $ What POPA read. */
const $popped = new Uint32Array(8);

/** Pops in the opposite order; the value for ESP is read and thrown away. */
export const popa: RareFunction = (m, insn) => {
  const size = insn.operandSize >>> 3;
  for (let i = 0; i < 8; i++) {
    const value = peekStack(m.cpu, i * size, size);
    if (value < 0) return finish(m, -value);
    $popped[7 - i] = value;
  }
  for (let i = 0; i < 8; i++) {
    if (i === ESP) continue;
    if (size === 4) m.setReg32(i, $popped[i]!);
    else m.setReg16(i, $popped[i]!);
  }
  setStackPointer(m.cpu, m.cpu.getReg(ESP) + 8 * size);
  return RARE_NEXT;
};

/**
 * A frame pointer as ENTER reads it after `count` of its own pushes: where the enclosing frame overlaps the new one,
 * the value is made of bytes that were pushed a moment ago.
 */
function overlay(
  value: number,
  offset: number,
  size: number,
  stackTop: number,
  count: number,
  mask: number,
): number {
  let seen = value;
  for (let byte = 0; byte < size; byte++) {
    const depth = ((stackTop - (offset + byte)) & mask) >>> 0;
    if (depth === 0 || depth > count * size) continue;
    const push = Math.ceil(depth / size) - 1;
    const pushed = ($pushes[push]! >>> (8 * ((push + 1) * size - depth))) & 0xff;
    seen = (seen & ~(0xff << (8 * byte))) | (pushed << (8 * byte));
  }
  return seen >>> 0;
}

/**
 * ENTER size, level: pushes eBP, then level - 1 frame pointers of the enclosing frames and the new one; reserves
 * `size` bytes. The last stack pointer must be writable too, although nothing is written there. Faults come in the
 * order of the manual's steps.
 */
export const enter: RareFunction = (m, insn) => {
  const { cpu } = m;
  const size = insn.operandSize >>> 3;
  const level = insn.immediate2 & 31;
  const stack = currentStack(cpu);
  const mask = stackMask(stack.access);
  const ebp = cpu.getReg(EBP);
  const top = stack.esp;
  let count = 0;
  const probePush = (): number => probeStore(cpu, SS, ((top - (count + 1) * size) & mask) >>> 0, size);
  let refused = probePush();
  $pushes[count++] = ebp;
  const frame = espAfter(stack, size);
  for (let i = 1; i < level && refused === 0; i++) {
    const offset = ((ebp - i * size) & mask) >>> 0;
    const value = load(cpu, SS, offset, size);
    if (value < 0) return finish(m, -value);
    refused = probePush();
    $pushes[count] = overlay(value, offset, size, top, count, mask);
    count++;
  }
  if (level > 0 && refused === 0) {
    refused = probePush();
    $pushes[count++] = frame;
  }
  const pushed = espAfter(stack, count * size);
  const esp = ((pushed & ~mask) | ((pushed - (insn.immediate & 0xffff)) & mask)) >>> 0;
  if (refused === 0) refused = probeStore(cpu, SS, (esp & mask) >>> 0, size);
  if (refused === 0) refused = pushAll(cpu, stack, count, size);
  if (refused !== 0) return finish(m, refused);
  if (size === 4) m.setReg32(EBP, frame);
  else m.setReg16(EBP, frame & 0xffff);
  cpu.setReg(ESP, esp);
  return RARE_NEXT;
};
