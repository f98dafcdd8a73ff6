/**
 * Names for the x87 state and the words in it, and the two questions every instruction asks: where is ST(i), is it
 * empty (tags.ts).
 */
import { addressOf } from '../../layout.ts';
import { type Int32, type Int64, i32, type Local32, load16, load64, store16 } from './expression.ts';
import { EMPTY_OFFSET } from './tags.ts';

/** Exception bits, the same in status and control word. */
export const IE = 1,
  DE = 2,
  ZE = 4,
  OE = 8,
  UE = 16,
  PE = 32;
/** Status word. */
export const SF = 0x40,
  ES = 0x80,
  C0 = 0x100,
  C1 = 0x200,
  C2 = 0x400,
  C3 = 0x4000,
  BUSY = 0x8000;
/** Control word: rounding. */
export const RC_DOWN = 0x400,
  RC_UP = 0x800,
  RC_ZERO = 0xc00,
  RC_MASK = 0xc00;
export const PC_MASK = 0x300,
  PC_24 = 0,
  PC_53 = 0x200,
  PC_64 = 0x300;

export const SIGN = 0x8000;
export const EXP_MAX = 0x7fff;
export const MSB = 1n << 63n;
export const QUIET = 1n << 62n;
/** The default NaN, "real indefinite". */
export const INDEFINITE = 0xc000_0000_0000_0000n;
export const INDEFINITE_SE = 0xffff;

/** In `fop`: the opcode is the one at FCS:FIP. */
export const FOP_FROM_CODE = 0x8000;

export const FPR = addressOf('fpr');
export const FCW = addressOf('fcw');
export const FSW = addressOf('fsw');

export const controlWord = (): Int32 => load16(0, FCW);
export const statusWord = (): Int32 => load16(0, FSW);
export const setStatusWord = (value: Int32) => store16(0, value, FSW);

/** Physical number of ST(i). */
export const physical = (status: Int32, i: Int32 | number): Int32 => {
  const top = status.shrU(11);
  return (i === 0 ? top : top.add(i)).and(7);
};
/** Offset of a register's slot from FPR. */
export const slot = (phys: Int32): Int32 => phys.shl(4);
export const isEmpty = (phys: Int32): Int32 => load16(slot(phys), FPR + EMPTY_OFFSET);
export const setEmpty = (phys: Int32, empty: 0 | 1) => store16(slot(phys), empty, FPR + EMPTY_OFFSET);
export const loadSig = (slotOffset: Int32): Int64 => load64(slotOffset, FPR);
export const loadSe = (slotOffset: Int32): Int32 => load16(slotOffset, FPR + 8);

export const exponentOf = (se: Int32): Int32 => se.and(EXP_MAX);
/** Normal: integer bit set, exponent 1 to 0x7ffe. */
export const isNormalExponent = (e: Int32): Int32 => e.sub(1).ltU(0x7ffe);
/** A NaN, or a bit pattern that the processor does not support (unnormal, pseudo-NaN, pseudo-infinity). */
export const isBad = (sig: Int64, e: Local32): Int32 =>
  e
    .ne(0)
    .and(sig.shrU(63n).low().eqz())
    .or(e.eq(EXP_MAX).and(sig.shl(1n).ne(0n)));
export const isUnsupported = (sig: Int64, e: Local32): Int32 => e.ne(0).and(sig.shrU(63n).low().eqz());
export const isDenormal = (sig: Int64, e: Int32): Int32 => e.eqz().and(sig.ne(0n));
export const bit = (condition: Int32, value: number): Int32 => i32(0).sub(condition).and(value);
