/** Indices of the state block's fields in the linear memory as 32-bit words, for code that reads them often. */
import { STINT_LEFT } from './interpreter/memory-map.ts';
import { addressOf } from './layout.ts';

export const word = (at: number): number => at >>> 2;
export const GPR = word(addressOf('gpr'));
export const EIP = word(addressOf('eip'));
export const EFLAGS = word(addressOf('eflags'));
export const FLAG_ZERO = word(addressOf('flagZero'));
export const FLAG_SIGN = word(addressOf('flagSign'));
export const FLAG_CARRY = word(addressOf('flagCarry'));
export const SELECTOR = word(addressOf('segSelector'));
export const BASE = word(addressOf('segBase'));
export const LIMIT = word(addressOf('segLimit'));
export const ACCESS = word(addressOf('segAccess'));
export const CPL = word(addressOf('cpl'));
export const CR0 = word(addressOf('cr0'));
export const CR2 = word(addressOf('cr2'));
export const CR3 = word(addressOf('cr3'));
export const CR4 = word(addressOf('cr4'));
export const EFER = word(addressOf('efer'));
export const DR = word(addressOf('dr'));
export const FAULT_VECTOR = word(addressOf('faultVector'));
export const FAULT_CODE = word(addressOf('faultCode'));
export const SHADOW = word(addressOf('interruptShadow'));
export const COUNTDOWN = word(addressOf('countdown'));
/** A byte address: the field is a double. */
export const SLICE_END = addressOf('sliceEnd');
/** What the stint may still retire. */
export const LEFT = word(STINT_LEFT);
/** faultVector when nothing is being raised. */
export const NO_FAULT = 0xffffffff;
