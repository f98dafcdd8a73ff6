/**
 * FPREM, FPREM1, FSCALE, FXTRACT. None is rounded by precision control.
 * Source: Intel SDM vol. 2, the four instructions. A partial remainder takes N = 32 + D mod 32 quotient bits off, one
 * of the choices that the text leaves to the processor.
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import { normalise } from './arithmetic.ts';
import {
  type Bytes,
  type Callee,
  define,
  GIVES_PAIR,
  Global32,
  give,
  i32,
  i64,
  passOn,
  repeatWhile,
  when,
} from './expression.ts';
import { infinityOf, invalid, type Rounding, zeroOf } from './round.ts';
import {
  bit,
  C0,
  C1,
  C2,
  C3,
  controlWord,
  DE,
  EXP_MAX,
  exponentOf,
  isBad,
  isDenormal,
  PC_64,
  SIGN,
  ZE,
} from './state.ts';

export interface Remainder {
  /** (ST(0), ST(1), 1 for FPREM1) -> ST(0); sets flags and quotient. */
  readonly remainder: Callee;
  /** C3 C1 C0 (low quotient bits) and C2 (not finished) of the last remainder. */
  readonly quotient: Global32;
  /** (ST(0), ST(1)) -> ST(0) */
  readonly scale: Callee;
  /** significand of a register, as a number from 1 to 2; sets flags and `exponent` */
  readonly significand: Callee;
  /** exponent of a register, as a number: (ST(0)) -> register */
  readonly exponent: Callee;
}

/** No quotient bits: the condition codes stay. */
export const NO_QUOTIENT = -1;
const FULL_PRECISION = () => controlWord().or(PC_64);

export function defineRemainder(module: ModuleBuilder, r: Rounding, fromInt: Callee): Remainder {
  const quotient = new Global32(module);

  const remainder = define(module, GIVES_PAIR, (s) => {
    const aSig = s.param64(),
      aSe = s.param32(),
      bSig = s.param64(),
      bSe = s.param32(),
      nearest = s.param32();
    const aE = s.local32(),
      bE = s.local32(),
      sign = s.local32(),
      d = s.local32(),
      q = s.local32(),
      carry = s.local32();
    const last = s.local32();
    const result = (): Bytes => passOn(r.round, FULL_PRECISION(), sign, aE, aSig, i64(0n));
    return [
      aE.set(exponentOf(aSe)),
      bE.set(exponentOf(bSe)),
      sign.set(aSe.and(SIGN)),
      quotient.set(NO_QUOTIENT),
      when(isBad(aSig, aE).or(isBad(bSig, bE)), [passOn(r.nan, aSig, aSe, bSig, bSe)]),
      when(aE.eq(EXP_MAX).or(bSig.eqz()), [invalid(r)]),
      quotient.set(0),
      r.flags.set(bit(isDenormal(aSig, aE).or(isDenormal(bSig, bE)), DE)),
      when(aSig.eqz(), [give(aSig, aSe)]),
      normalise(aSig, aE),
      when(bE.eq(EXP_MAX), [result()]),
      normalise(bSig, bE),
      d.set(aE.sub(bE)),
      when(d.ltS(0), [
        // Only the nearest multiple can be another than zero: b itself, if a is above its half.
        when(nearest.and(d.eq(-1)).and(aSig.gtU(bSig)), [
          // b - a, in units of a's last place: 2 b - a.
          aSig.set(bSig.sub(aSig).add(bSig)),
          sign.set(sign.xor(SIGN)),
          quotient.set(C1),
          aE.set(aE.sub(aSig.clz().low())),
          aSig.set(aSig.shl(aSig.clz())),
        ]),
        result(),
      ]),
      when(d.geS(64), [last.set(d.sub(d.and(31).or(32)))]),
      // Schoolbook division; carry:aSig is what is left.
      carry.set(0),
      repeatWhile(
        [
          q.set(q.shl(1)),
          when(carry.or(aSig.geU(bSig)), [aSig.set(aSig.sub(bSig)), q.set(q.or(1))]),
          d.set(d.sub(1)),
          when(d.geS(last), [carry.set(aSig.shrU(63n).low()), aSig.set(aSig.shl(1n))]),
        ],
        d.geS(last),
      ),
      aE.set(bE.add(last)),
      when(
        last,
        [quotient.set(C2)],
        [
          when(nearest.and(aSig.gtU(bSig.sub(aSig)).or(aSig.eq(bSig.sub(aSig)).and(q.and(1)))), [
            aSig.set(bSig.sub(aSig)),
            sign.set(sign.xor(SIGN)),
            q.set(q.add(1)),
          ]),
          quotient.set(
            bit(q.and(1).ne(0), C1)
              .or(bit(q.and(2).ne(0), C3))
              .or(bit(q.and(4).ne(0), C0)),
          ),
        ],
      ),
      when(aSig.eqz(), [zeroOf(aSe.and(SIGN))]),
      aE.set(aE.sub(aSig.clz().low())),
      aSig.set(aSig.shl(aSig.clz())),
      result(),
    ];
  });

  const scale = define(module, GIVES_PAIR, (s) => {
    const aSig = s.param64(),
      aSe = s.param32(),
      bSig = s.param64(),
      bSe = s.param32();
    const aE = s.local32(),
      bE = s.local32(),
      sign = s.local32(),
      n = s.local32();
    return [
      aE.set(exponentOf(aSe)),
      bE.set(exponentOf(bSe)),
      sign.set(aSe.and(SIGN)),
      when(isBad(aSig, aE).or(isBad(bSig, bE)), [passOn(r.nan, aSig, aSe, bSig, bSe)]),
      r.flags.set(bit(isDenormal(aSig, aE).or(isDenormal(bSig, bE)), DE)),
      when(bE.eq(EXP_MAX), [
        when(bSe.and(SIGN), [when(aE.eq(EXP_MAX), [invalid(r)]), zeroOf(sign)]),
        when(aSig.eqz(), [invalid(r)]),
        infinityOf(sign),
      ]),
      when(aE.eq(EXP_MAX).or(aSig.eqz()), [give(aSig, aSe)]),
      normalise(aSig, aE),
      // Integer part of b, held within what can matter.
      when(bE.geS(0x3fff), [
        n.set(bE.gtS(0x3fff + 16).pick(0x1_0000, bSig.shrU(i32(0x403e).sub(bE).wide()).low())),
        when(bSe.and(SIGN), [n.set(i32(0).sub(n))]),
      ]),
      passOn(r.round, FULL_PRECISION(), sign, aE.add(n), aSig, i64(0n)),
    ];
  });

  const significand = define(module, GIVES_PAIR, (s) => {
    const sig = s.param64(),
      se = s.param32();
    const e = s.local32();
    return [
      e.set(exponentOf(se)),
      when(isBad(sig, e), [passOn(r.nan, sig, se, sig, se)]),
      r.flags.set(bit(isDenormal(sig, e), DE)),
      when(e.eq(EXP_MAX), [give(sig, se)]),
      when(sig.eqz(), [r.flags.set(ZE), give(sig, se)]),
      normalise(sig, e),
      give(sig, se.and(SIGN).or(0x3fff)),
    ];
  });

  const exponent = define(module, GIVES_PAIR, (s) => {
    const sig = s.param64(),
      se = s.param32();
    const e = s.local32();
    return [
      e.set(exponentOf(se)),
      when(isBad(sig, e), [passOn(r.nan, sig, se, sig, se)]),
      when(e.eq(EXP_MAX), [infinityOf(i32(0))]),
      when(sig.eqz(), [infinityOf(i32(SIGN))]),
      normalise(sig, e),
      passOn(fromInt, e.sub(0x3fff).wideS()),
    ];
  });

  return { remainder, quotient, scale, significand, exponent };
}
