/** Pushing values and storing ST(0) to memory. Source: Intel SDM vol. 2, FLD, FILD, FST, FIST. */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import type { Conversions } from './convert.ts';
import {
  type Bytes,
  type Callee,
  call32,
  call64,
  callPair,
  callVoid,
  define,
  GIVES_32,
  GIVES_64,
  GIVES_PAIR,
  Global32,
  give,
  type Int32,
  i32,
  i64,
  VOID,
  when,
} from './expression.ts';
import type { MemoryOperands, Widen } from './memory-operand.ts';
import type { Rounding } from './round.ts';
import { STACK_UNDERFLOW, type Stack } from './stack.ts';
import {
  C1,
  controlWord,
  EXP_MAX,
  IE,
  INDEFINITE,
  INDEFINITE_SE,
  isEmpty,
  loadSe,
  loadSig,
  physical,
  QUIET,
  RC_DOWN,
  RC_MASK,
  RC_UP,
  SF,
  setStatusWord,
  slot,
  statusWord,
} from './state.ts';

export interface LoadsAndStores {
  /** (bits) */
  readonly pushF32: Callee;
  readonly pushF64: Callee;
  /** (significand, sign-exponent) */
  readonly pushF80: Callee;
  /** (sign-extended 64 bits) */
  readonly pushInt: Callee;
  /** (ST number) */
  readonly pushSt: Callee;
  /** (significand rounded to nearest, 1 if that is above the true value, 2 if below, sign-exponent) */
  readonly pushConstant: Callee;
  /** Stores in three steps: value = prepare(); if `ready`, store it; finishStore(pop). prepare changes no state. */
  readonly prepareF32: Callee;
  readonly prepareF64: Callee;
  readonly prepareF80: Callee;
  /** (magnitude of the most negative value) -> i64 */
  readonly prepareInt: Callee;
  readonly ready: Global32;
  readonly finishStore: Callee;
}

export function defineLoadsAndStores(
  module: ModuleBuilder,
  { unmasked, push, popIf, top }: Stack,
  { flags }: Rounding,
  conversions: Conversions,
  operands: MemoryOperands,
): LoadsAndStores {
  const ready = new Global32(module);

  const pushWidened = (widen: Exclude<Widen, null>): Callee =>
    define(module, VOID, (s) => {
      const bits = widen.wide ? s.param64() : s.param32();
      const sig = s.local64(),
        se = s.local32();
      return [
        callPair(sig, se, widen.callee, bits),
        // A signalling NaN becomes quiet.
        when(se.and(EXP_MAX).eq(EXP_MAX).and(sig.shl(1n).ne(0n)).and(sig.and(QUIET).eqz()), [
          flags.set(IE),
          sig.set(sig.or(QUIET)),
        ]),
        callVoid(push, sig, se, flags),
      ];
    });
  const pushF80 = define(module, VOID, (s) => [callVoid(push, s.param64(), s.param32(), i32(0))]);
  const pushInt = define(module, VOID, (s) => {
    const value = s.param64(),
      sig = s.local64(),
      se = s.local32();
    return [callPair(sig, se, conversions.fromInt, value), callVoid(push, sig, se, i32(0))];
  });
  const pushSt = define(module, VOID, (s) => {
    const i = s.param32();
    return [
      i.set(physical(statusWord(), i)),
      when(
        isEmpty(i),
        [callVoid(push, i64(INDEFINITE), i32(INDEFINITE_SE), STACK_UNDERFLOW)],
        [callVoid(push, loadSig(slot(i)), loadSe(slot(i)), i32(0))],
      ),
    ];
  });
  const pushConstant = define(module, VOID, (s) => {
    const sig = s.param64(),
      above = s.param32(),
      se = s.param32();
    const rc = (): Int32 => controlWord().and(RC_MASK);
    return [
      // Towards zero and down: one less where nearest went up; up: one more where nearest went down (above = 2).
      when(above.eq(1).and(rc().eq(RC_DOWN).or(rc().eq(RC_MASK))), [sig.set(sig.sub(1n))]),
      when(above.eq(2).and(rc().eq(RC_UP)), [sig.set(sig.add(1n))]),
      callVoid(push, sig, se, i32(0)),
    ];
  });

  const whenStored = (): Bytes => ready.set(flags.and(controlWord().xor(-1)).and(0x1f).eqz());
  const prepare = (convert: Callee, results: typeof GIVES_32, indefinite: bigint): Callee =>
    define(module, results, (s) => {
      const phys = s.local32(),
        at = s.local32(),
        v32 = s.local32(),
        v64 = s.local64();
      const wide = results === GIVES_64;
      return [
        top(phys, at),
        when(isEmpty(phys), [
          flags.set(STACK_UNDERFLOW),
          whenStored(),
          wide ? give(i64(indefinite)) : give(i32(Number(indefinite))),
        ]),
        wide
          ? v64.set(call64(convert, loadSig(at), loadSe(at)))
          : v32.set(call32(convert, loadSig(at), loadSe(at))),
        whenStored(),
        wide ? give(v64) : give(v32),
      ];
    });
  const prepareF80 = define(module, GIVES_PAIR, (s) => {
    const phys = s.local32(),
      at = s.local32();
    return [
      top(phys, at),
      flags.set(isEmpty(phys).pick(IE | SF, 0)),
      whenStored(),
      when(flags, [give(i64(INDEFINITE), i32(INDEFINITE_SE))]),
      give(loadSig(at), loadSe(at)),
    ];
  });
  const prepareInt = define(module, GIVES_64, (s) => {
    const limit = s.param64(),
      phys = s.local32(),
      at = s.local32(),
      value = s.local64();
    return [
      top(phys, at),
      when(
        isEmpty(phys),
        [flags.set(STACK_UNDERFLOW), value.set(i64(0n).sub(limit))],
        [value.set(call64(conversions.toInt, loadSig(at), loadSe(at), limit))],
      ),
      whenStored(),
      give(value),
    ];
  });
  const finishStore = define(module, VOID, (s) => {
    const pops = s.param32();
    const done = s.local32();
    return [
      done.set(ready),
      when(
        flags.and(controlWord().xor(-1)).and(0x3f),
        [when(call32(unmasked, flags), [])],
        [setStatusWord(statusWord().and(~C1).or(flags))],
      ),
      popIf(done.and(pops)),
    ];
  });

  return {
    pushF32: pushWidened(operands.f32),
    pushF64: pushWidened(operands.f64),
    pushF80,
    pushInt,
    pushSt,
    pushConstant,
    prepareF32: prepare(conversions.toF32, GIVES_32, 0xffc0_0000n),
    prepareF64: prepare(conversions.toF64, GIVES_64, 0xfff8_0000_0000_0000n),
    prepareF80,
    prepareInt,
    ready,
    finishStore,
  };
}
