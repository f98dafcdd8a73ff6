/** The operand of an arithmetic instruction or comparison that comes from memory. */

import type { Conversions } from './convert.ts';
import {
  type Bytes,
  type Callee,
  callPair,
  type Int32,
  type Int64,
  type Local32,
  type Local64,
  when,
} from './expression.ts';
import type { Rounding } from './round.ts';
import { EXP_MAX, IE, ZE } from './state.ts';

/** How a memory operand's bits become a register: by what, and whether they are 64; null: a 32-bit integer. */
export type Widen = { readonly callee: Callee; readonly wide: boolean } | null;

export interface MemoryOperands {
  readonly f32: Exclude<Widen, null>;
  readonly f64: Exclude<Widen, null>;
  /** Sets the two locals and the flags of the conversion. */
  into(sig: Local64, se: Local32, widen: Widen, bits: Int32 | Int64): Bytes;
  /** Adds a denormal operand's flag, unless the operation met something worse or the other operand is a NaN. */
  withOperandFlags(pre: Local32, aSig: Int64, aSe: Int32): Bytes;
}

export function memoryOperands(conversions: Conversions, { flags }: Rounding): MemoryOperands {
  const withOperandFlags = (pre: Local32, aSig: Int64, aSe: Int32): Bytes =>
    when(pre, [
      when(
        flags
          .and(IE | ZE)
          .eqz()
          .and(aSe.and(EXP_MAX).ne(EXP_MAX).or(aSig.shl(1n).eqz())),
        [flags.set(flags.or(pre))],
      ),
    ]);
  const into = (sig: Local64, se: Local32, widen: Widen, bits: Int32 | Int64): Bytes =>
    widen === null
      ? callPair(sig, se, conversions.fromInt, (bits as Int32).wideS())
      : callPair(sig, se, widen.callee, bits);

  return {
    f32: { callee: conversions.fromF32, wide: false },
    f64: { callee: conversions.fromF64, wide: true },
    into,
    withOperandFlags,
  };
}
