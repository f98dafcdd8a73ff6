/**
 * PUSHF, POPF, CLI, STI. Intel SDM vol. 2. CLI and STI need CPL <= IOPL, else #GP(0); POPF ignores what it may not
 * change. There are no virtual interrupts (CR4.VME, CR4.PVI are reserved on this processor).
 */

import { IF, RF } from '../flags.ts';
import { addressOf, ESP } from '../layout.ts';
import { $pushes, currentStack, espAfter, moveStackPointer, peekStack, pushAll } from './checked-access.ts';
import { refusal, VECTOR_GP } from './descriptors.ts';
import { finish } from './finish.ts';
import { iopl, mergeFlags, noteInterruptFlag, VM } from './flag-rules.ts';
import { RARE_NEXT, type RareFunction } from './rare.ts';

/** VM and RF are pushed as 0. */
export const pushf: RareFunction = (m, insn) => {
  const size = insn.operandSize >>> 3;
  const stack = currentStack(m.cpu);
  $pushes[0] = m.cpu.eflags & ~(VM | RF);
  const refused = pushAll(m.cpu, stack, 1, size);
  if (refused === 0) m.cpu.setReg(ESP, espAfter(stack, size));
  return finish(m, refused);
};

export const popf: RareFunction = (m, insn) => {
  const { cpu } = m;
  const size = insn.operandSize >>> 3;
  const popped = peekStack(cpu, 0, size);
  if (popped < 0) return finish(m, -popped);
  moveStackPointer(cpu, size);
  const before = cpu.eflags;
  cpu.eflags = mergeFlags(cpu, popped, size, 0) & ~RF;
  noteInterruptFlag(m, before);
  return RARE_NEXT;
};

/** EFLAGS without the arithmetic flags, which CLI and STI leave alone. */
const EFLAGS = addressOf('eflags') >>> 2;
const SHADOW = addressOf('interruptShadow') >>> 2;

export const cli: RareFunction = (m) => {
  const words = m.cpu.memory.u32;
  const flags = words[EFLAGS]!;
  if (m.cpu.cpl > iopl(flags)) return finish(m, refusal(VECTOR_GP, 0));
  words[EFLAGS] = flags & ~IF;
  return RARE_NEXT;
};

/** An STI that turns IF on lets interrupts in only behind the next instruction. */
export const sti: RareFunction = (m) => {
  const words = m.cpu.memory.u32;
  const flags = words[EFLAGS]!;
  if (m.cpu.cpl > iopl(flags)) return finish(m, refusal(VECTOR_GP, 0));
  if ((flags & IF) === 0) {
    words[EFLAGS] = flags | IF;
    words[SHADOW] = 1;
    m.sink.interruptsEnabled?.();
  }
  return RARE_NEXT;
};
