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
 * ENTER size, level: pushes eBP, then level - 1 frame pointers of the enclosing frames and the new one; reserves
 * `size` bytes. The last stack pointer must be writable too, although nothing is written there.
 */
export const enter: RareFunction = (m, insn) => {
  const { cpu } = m;
  const size = insn.operandSize >>> 3;
  const level = insn.immediate2 & 31;
  const stack = currentStack(cpu);
  const mask = stackMask(stack.access);
  const ebp = cpu.getReg(EBP);
  let count = 0;
  $pushes[count++] = ebp;
  const frame = espAfter(stack, size);
  for (let i = 1; i < level; i++) {
    const value = load(cpu, SS, ((ebp - i * size) & mask) >>> 0, size);
    if (value < 0) return finish(m, -value);
    $pushes[count++] = value;
  }
  if (level > 0) $pushes[count++] = frame;
  const pushed = espAfter(stack, count * size);
  const esp = ((pushed & ~mask) | ((pushed - (insn.immediate & 0xffff)) & mask)) >>> 0;
  let refused = probeStore(cpu, SS, (esp & mask) >>> 0, size);
  if (refused === 0) refused = pushAll(cpu, stack, count, size);
  if (refused !== 0) return finish(m, refused);
  if (size === 4) m.setReg32(EBP, frame);
  else m.setReg16(EBP, frame & 0xffff);
  cpu.setReg(ESP, esp);
  return RARE_NEXT;
};
