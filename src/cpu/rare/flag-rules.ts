/**
 * Which flags POPF and IRET may change. Intel SDM vol. 2, POPF and IRET; vol. 1, "System Flags and IOPL Field".
 */
import type { Processor } from '../cpu.ts';
import { AC, ARITHMETIC_FLAGS, DF, ID, IF, NT, TF } from '../flags.ts';
import type { RareMachine } from './rare.ts';

export const IOPL = 3 << 12;
/** Virtual-8086 mode does not exist; the bit is looked at only to refuse it. */
export const VM = 1 << 17;
/** Anybody may change these. VIF and VIP stay 0: there are no virtual-8086 extensions. */
const ALWAYS = ARITHMETIC_FLAGS | TF | DF | NT | AC | ID;

export const iopl = (flags: number): number => (flags >>> 12) & 3;

/**
 * EFLAGS after `popped` was taken from the stack: IF changes only with CPL <= IOPL, IOPL only in ring 0, silently.
 * @param size 2: the upper half stays. @param also flags that this instruction may set besides (IRET: RF).
 */
export function mergeFlags(cpu: Processor, popped: number, size: number, also: number): number {
  const old = cpu.eflags;
  let mask = ALWAYS | also;
  if (cpu.cpl <= iopl(old)) mask |= IF;
  if (cpu.cpl === 0) mask |= IOPL;
  if (size === 2) mask &= 0xffff;
  return ((old & ~mask) | (popped & mask)) >>> 0;
}

/** Tells the sink that IF went from 0 to 1, so that a waiting interrupt can be let in. */
export function noteInterruptFlag(m: RareMachine, before: number): void {
  if ((before & IF) === 0 && (m.cpu.eflags & IF) !== 0) m.sink.interruptsEnabled?.();
}
