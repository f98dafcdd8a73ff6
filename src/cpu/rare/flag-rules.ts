/**
 * Which flags POPF and IRET may change. Intel SDM vol. 2, POPF and IRET; vol. 1, "System Flags and IOPL Field".
 */
import type { Processor } from '../cpu.ts';
import type { RareMachine } from './rare.ts';

export const FLAG_CF = 1 << 0;
export const FLAG_ZF = 1 << 6;
export const FLAG_TF = 1 << 8;
export const FLAG_IF = 1 << 9;
export const FLAG_DF = 1 << 10;
export const FLAG_OF = 1 << 11;
export const FLAG_IOPL = 3 << 12;
export const FLAG_NT = 1 << 14;
export const FLAG_RF = 1 << 16;
export const FLAG_VM = 1 << 17;
export const FLAG_AC = 1 << 18;
export const FLAG_ID = 1 << 21;
const ARITHMETIC = 0x8d5;
/** Anybody may change these. VIF and VIP stay 0: there are no virtual-8086 extensions. */
const ALWAYS = ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID;

export const iopl = (flags: number): number => (flags >>> 12) & 3;

/**
 * EFLAGS after `popped` was taken from the stack: IF changes only with CPL <= IOPL, IOPL only in ring 0, silently.
 * @param size 2: the upper half stays. @param also flags that this instruction may set besides (IRET: RF).
 */
export function mergeFlags(cpu: Processor, popped: number, size: number, also: number): number {
  const old = cpu.eflags;
  let mask = ALWAYS | also;
  if (cpu.cpl <= iopl(old)) mask |= FLAG_IF;
  if (cpu.cpl === 0) mask |= FLAG_IOPL;
  if (size === 2) mask &= 0xffff;
  return ((old & ~mask) | (popped & mask)) >>> 0;
}

/** Tells the sink that IF went from 0 to 1, so that a waiting interrupt can be let in. */
export function noteInterruptFlag(m: RareMachine, before: number): void {
  if ((before & FLAG_IF) === 0 && (m.cpu.eflags & FLAG_IF) !== 0) m.sink.interruptsEnabled?.();
}
