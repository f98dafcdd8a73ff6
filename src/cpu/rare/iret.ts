/**
 * IRET, and who may change which flag. Intel SDM vol. 2, IRET/IRETD, POPF; vol. 1, "EFLAGS Register".
 *
 * Left out on purpose, with the fault that tells so:
 * - NT set: IRET would return to the task that the TSS links to. There are no tasks, so the back link counts as the
 *   null selector, which is #TS(0).
 * - VM set in the popped flags, in ring 0 with 32-bit operands: there is no virtual-8086 mode. #GP(0).
 */
import type { Processor } from '../cpu.ts';
import { NT, RF } from '../flags.ts';
import { peekStack } from './checked-access.ts';
import { refusal, VECTOR_GP, VECTOR_TS } from './descriptors.ts';
import { returnFar } from './far-transfer.ts';
import { finish } from './finish.ts';
import { mergeFlags, noteInterruptFlag, VM } from './flag-rules.ts';
import { RARE_JUMP, type RareFunction } from './rare.ts';

/** $ The popped flags on their way to commitFlags. */
const $popped = { cpu: null as Processor | null, flags: 0, size: 4 };

function commitFlags(): void {
  const cpu = $popped.cpu!;
  cpu.eflags = mergeFlags(cpu, $popped.flags, $popped.size, RF);
}

export const iret: RareFunction = (m, insn) => {
  const { cpu } = m;
  const before = cpu.eflags;
  if (before & NT) return finish(m, refusal(VECTOR_TS, 0));
  const size = insn.operandSize >>> 3;
  const offset = peekStack(cpu, 0, size);
  if (offset < 0) return finish(m, -offset);
  const selector = peekStack(cpu, size, size);
  if (selector < 0) return finish(m, -selector);
  const flags = peekStack(cpu, 2 * size, size);
  if (flags < 0) return finish(m, -flags);
  if (size === 4 && flags & VM && cpu.cpl === 0) return finish(m, refusal(VECTOR_GP, 0));
  $popped.cpu = cpu;
  $popped.flags = flags;
  $popped.size = size;
  const refused = returnFar(cpu, selector & 0xffff, offset, size, 3 * size, 0, commitFlags);
  if (refused === 0) noteInterruptFlag(m, before);
  return finish(m, refused, RARE_JUMP);
};
