/**
 * The eight bytes of a descriptor, and what each segment register may be loaded with. Pure: words in, verdict out.
 * Rules: Intel SDM vol. 3A, "Segment Descriptors", "System Descriptor Types", "Privilege Level Checking"; vol. 2,
 * MOV and Lxx to segment registers.
 *
 *   high word   31......24 23 22 21 20 19..16 15 14 13 12 11..8 7......0
 *               base 31-24 G  DB L  AVL limit P  DPL    S  type  base 23-16
 *   low word    31..............16 15...............0
 *               base 15-0          limit 15-0
 *   gates: offset 31-16 and 15-0 in the outer halves, selector in the upper half of the low word, and for call gates
 *   the parameter count in bits 0-4 of the high word.
 */

export const DESC_ACCESSED = 1 << 8;
/** Data: writable. Code: readable. */
export const DESC_READ_WRITE = 1 << 9;
/** Data: expand-down. Code: conforming. */
export const DESC_CONFORMING = 1 << 10;
export const DESC_EXPAND_DOWN = 1 << 10;
export const DESC_CODE = 1 << 11;
/** S: code or data, not a system descriptor. */
export const DESC_S = 1 << 12;
export const DESC_PRESENT = 1 << 15;
/** D/B: 32-bit code, or a 32-bit stack. */
export const DESC_BIG = 1 << 22;
export const DESC_GRANULAR = 1 << 23;
/** What a segment register keeps of the high word (see layout.ts, segAccess). */
export const DESC_ACCESS_MASK = 0x00ffff00;

/** System descriptor types. */
export const SYS_TSS16 = 1;
export const SYS_LDT = 2;
export const SYS_TSS16_BUSY = 3;
export const SYS_CALL_GATE16 = 4;
export const SYS_TASK_GATE = 5;
export const SYS_INTERRUPT_GATE16 = 6;
export const SYS_TRAP_GATE16 = 7;
export const SYS_TSS32 = 9;
export const SYS_TSS32_BUSY = 11;
export const SYS_CALL_GATE32 = 12;
export const SYS_INTERRUPT_GATE32 = 14;
export const SYS_TRAP_GATE32 = 15;

export const VECTOR_DE = 0;
export const VECTOR_DB = 1;
export const VECTOR_BP = 3;
export const VECTOR_OF = 4;
export const VECTOR_BR = 5;
export const VECTOR_UD = 6;
export const VECTOR_NM = 7;
export const VECTOR_DF = 8;
export const VECTOR_TS = 10;
export const VECTOR_NP = 11;
export const VECTOR_SS = 12;
export const VECTOR_GP = 13;
export const VECTOR_PF = 14;

/** A refusal as one number: vector in the upper half, error code in the lower. 0 means none (no #DE comes here). */
export const refusal = (vector: number, code: number): number => (vector << 16) | (code & 0xffff);
export const refusalVector = (r: number): number => r >>> 16;
export const refusalCode = (r: number): number => r & 0xffff;
/** A fault that names a selector: the RPL bits of the code are EXT and IDT, both 0 for instructions. */
export const faultOnSelector = (vector: number, selector: number): number =>
  refusal(vector, selector & 0xfffc);

/** Index 0 of the GDT, with any RPL. */
export const isNullSelector = (selector: number): boolean => (selector & 0xfffc) === 0;
export const selectorRpl = (selector: number): number => selector & 3;

export const descriptorDpl = (high: number): number => (high >>> 13) & 3;
export const descriptorType = (high: number): number => (high >>> 8) & 15;
export const descriptorBase = (low: number, high: number): number =>
  ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0;
/** In bytes: the last offset of an ordinary segment, the last one below an expand-down segment. */
export function descriptorLimit(low: number, high: number): number {
  const limit = (low & 0xffff) | (high & 0xf0000);
  return (high & DESC_GRANULAR ? (limit << 12) | 0xfff : limit) >>> 0;
}
export const gateSelector = (low: number): number => low >>> 16;
export const gateOffset = (low: number, high: number): number => ((low & 0xffff) | (high & 0xffff0000)) >>> 0;
export const gateParameters = (high: number): number => high & 31;

export const isCodeOrData = (high: number): boolean => (high & DESC_S) !== 0;
export const isCode = (high: number): boolean => (high & (DESC_S | DESC_CODE)) === (DESC_S | DESC_CODE);
export const isConforming = (high: number): boolean => (high & DESC_CONFORMING) !== 0;
export const isWritableData = (high: number): boolean =>
  (high & (DESC_S | DESC_CODE | DESC_READ_WRITE)) === (DESC_S | DESC_READ_WRITE);
/** Data of either kind, or readable code. */
export const isReadable = (high: number): boolean =>
  (high & DESC_S) !== 0 && ((high & DESC_CODE) === 0 || (high & DESC_READ_WRITE) !== 0);
export const isPresent = (high: number): boolean => (high & DESC_PRESENT) !== 0;

/** May DS, ES, FS or GS be loaded with this descriptor? */
export function checkDataLoad(selector: number, high: number, cpl: number): number {
  if (!isReadable(high)) return faultOnSelector(VECTOR_GP, selector);
  if (!(isCode(high) && isConforming(high))) {
    const dpl = descriptorDpl(high);
    if (dpl < cpl || dpl < selectorRpl(selector)) return faultOnSelector(VECTOR_GP, selector);
  }
  return isPresent(high) ? 0 : faultOnSelector(VECTOR_NP, selector);
}

/**
 * May SS be loaded with this descriptor at privilege level `cpl`?
 * @param wrong #GP for instructions, #TS where the selector comes from a TSS.
 */
export function checkStackLoad(
  selector: number,
  high: number,
  cpl: number,
  wrong: number = VECTOR_GP,
): number {
  if (selectorRpl(selector) !== cpl || !isWritableData(high) || descriptorDpl(high) !== cpl)
    return faultOnSelector(wrong, selector);
  return isPresent(high) ? 0 : faultOnSelector(VECTOR_SS, selector);
}

/** May a far JMP or CALL go straight to this code segment? */
export function checkDirectTransfer(selector: number, high: number, cpl: number): number {
  const dpl = descriptorDpl(high);
  const allowed = isConforming(high) ? dpl <= cpl : selectorRpl(selector) <= cpl && dpl === cpl;
  if (!isCode(high) || !allowed) return faultOnSelector(VECTOR_GP, selector);
  return isPresent(high) ? 0 : faultOnSelector(VECTOR_NP, selector);
}

/** May RETF or IRET return to this code segment? The privilege level afterwards is the selector's RPL. */
export function checkReturnTransfer(selector: number, high: number, cpl: number): number {
  const rpl = selectorRpl(selector);
  const dpl = descriptorDpl(high);
  const allowed = rpl >= cpl && (isConforming(high) ? dpl <= rpl : dpl === rpl);
  if (!isCode(high) || !allowed) return faultOnSelector(VECTOR_GP, selector);
  return isPresent(high) ? 0 : faultOnSelector(VECTOR_NP, selector);
}

/** Must a return to the outer level `cpl` null a data register that holds a segment with this access word? */
export function isTooPrivileged(access: number, cpl: number): boolean {
  if (access === 0) return false;
  return descriptorDpl(access) < cpl && !(isCode(access) && isConforming(access));
}

/** Are `size` bytes at `offset` inside a segment with this access word and limit? */
export function offsetAllowed(access: number, limit: number, offset: number, size: number): boolean {
  const last = offset + size - 1;
  if ((access & (DESC_CODE | DESC_EXPAND_DOWN)) === DESC_EXPAND_DOWN)
    return offset > limit && last <= (access & DESC_BIG ? 0xffffffff : 0xffff);
  return last <= limit;
}

/** What ESP is masked with when this segment is the stack. */
export const stackMask = (access: number): number => (access & DESC_BIG ? 0xffffffff : 0xffff);
