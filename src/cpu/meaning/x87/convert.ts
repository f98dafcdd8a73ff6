/**
 * Between the 80-bit registers and the memory formats: single, double, and integers of 16, 32 and 64 bits.
 * Sources: Intel SDM vol. 1, "x87 FPU Data Types", "Floating-Point Exception Handling"; vol. 2, FLD, FST, FIST.
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import {
  type Bytes,
  type Callee,
  define,
  GIVES_32,
  GIVES_64,
  GIVES_PAIR,
  give,
  type Int32,
  type Int64,
  i32,
  i64,
  type Local32,
  type Local64,
  passOn,
  when,
} from './expression.ts';
import { type Rounding, roundsUp } from './round.ts';
import {
  bit,
  C1,
  controlWord,
  DE,
  EXP_MAX,
  exponentOf,
  IE,
  isBad,
  isDenormal,
  isUnsupported,
  MSB,
  OE,
  PE,
  QUIET,
  RC_DOWN,
  RC_MASK,
  RC_UP,
  SIGN,
  UE,
} from './state.ts';

export interface Conversions {
  /** bits -> register, exact, NaNs untouched; flags = DE for a denormal, else 0. */
  readonly fromF32: Callee;
  readonly fromF64: Callee;
  /** Sign-extended 64 bits -> register; flags = 0. */
  readonly fromInt: Callee;
  /** register -> bits, rounded; sets flags. */
  readonly toF32: Callee;
  readonly toF64: Callee;
  /** (register, magnitude of the most negative value) -> integer; sets flags. Gives that value when out of range. */
  readonly toInt: Callee;
  /** FRNDINT. */
  readonly roundToInt: Callee;
}

interface Format {
  readonly fractionBits: number;
  readonly exponentBits: number;
}
const SINGLE: Format = { fractionBits: 23, exponentBits: 8 };
const DOUBLE: Format = { fractionBits: 52, exponentBits: 11 };

export function defineConversions(module: ModuleBuilder, r: Rounding): Conversions {
  const widen = (format: Format, bits: Int64, frac: Local64, e: Local32, sign: Local32): Bytes[] => {
    const { fractionBits, exponentBits } = format;
    const maxExponent = (1 << exponentBits) - 1;
    const bias = maxExponent >> 1;
    const room = BigInt(63 - fractionBits);
    return [
      frac.set(bits.and((1n << BigInt(fractionBits)) - 1n)),
      e.set(bits.shrU(BigInt(fractionBits)).low().and(maxExponent)),
      sign.set(
        bits
          .shrU(BigInt(fractionBits + exponentBits))
          .low()
          .and(1)
          .shl(15),
      ),
      r.flags.set(0),
      when(e.sub(1).ltU(maxExponent - 1), [give(frac.shl(room).or(MSB), sign.or(e.add(0x3fff - bias)))]),
      when(e, [give(frac.shl(room).or(MSB), sign.or(EXP_MAX))]),
      when(frac.eqz(), [give(i64(0n), sign)]),
      r.flags.set(DE),
      give(frac.shl(frac.clz()), sign.or(i32(0x3fff + 63 - (bias - 1 + fractionBits)).sub(frac.clz().low()))),
    ];
  };
  const fromF64 = define(module, GIVES_PAIR, (s) => {
    const bits = s.param64();
    return widen(DOUBLE, bits, s.local64(), s.local32(), s.local32());
  });
  const fromF32 = define(module, GIVES_PAIR, (s) => {
    const bits = s.param32();
    return widen(SINGLE, bits.wide(), s.local64(), s.local32(), s.local32());
  });
  const fromInt = define(module, GIVES_PAIR, (s) => {
    const value = s.param64();
    const sign = s.local32();
    return [
      r.flags.set(0),
      when(value.eqz(), [give(i64(0n), i32(0))]),
      when(value.negative(), [sign.set(SIGN), value.set(i64(0n).sub(value))]),
      give(value.shl(value.clz()), sign.or(i32(0x3fff + 63).sub(value.clz().low()))),
    ];
  });

  const narrow = (format: Format) =>
    define(module, format === DOUBLE ? GIVES_64 : GIVES_32, (s) => {
      const { fractionBits, exponentBits } = format;
      const sig = s.param64(),
        se = s.param32();
      const e = s.local32(),
        cw = s.local32(),
        up = s.local32(),
        tiny = s.local32();
      const kept = s.local64(),
        rest = s.local64(),
        sign = s.local64();
      const maxExponent = (1 << exponentBits) - 1;
      const bias = maxExponent >> 1;
      const cutBits = BigInt(63 - fractionBits);
      const unit = i64(1n << cutBits);
      const result = (bits: Int64): Bytes => (format === DOUBLE ? give(bits) : give(bits.low()));
      const infinity = BigInt(maxExponent) << BigInt(fractionBits);
      const cut: Bytes[] = [kept.set(sig.and(-(1n << cutBits))), rest.set(sig.shl(64n - cutBits))];
      // Significand with its integer bit, and the exponent: where the integer bit is set they simply add.
      const pack = (exponent: Int32): Int64 =>
        sign.or(
          kept
            .shl(1n)
            .shrU(cutBits + 1n)
            .or(exponent.wide().shl(BigInt(fractionBits))),
        );
      return [
        e.set(exponentOf(se)),
        sign.set(
          se
            .shrU(15)
            .wide()
            .shl(BigInt(fractionBits + exponentBits)),
        ),
        cw.set(controlWord()),
        r.flags.set(0),
        when(isBad(sig, e), [
          when(isUnsupported(sig, e), [
            r.flags.set(IE),
            result(i64(((1n << BigInt(exponentBits + 2)) - 1n) << BigInt(fractionBits - 1))),
          ]),
          r.flags.set(sig.and(QUIET).eqz()), // IE is bit 0
          result(
            sign.or(infinity).or(
              sig
                .or(QUIET)
                .shl(1n)
                .shrU(cutBits + 1n),
            ),
          ),
        ]),
        when(e.eq(EXP_MAX), [result(sign.or(infinity))]),
        when(sig.eqz(), [result(sign)]),
        // A denormal register is far below every denormal of the smaller formats: any value as small will do.
        e.set(e.sub(0x3fff - bias)),
        ...cut,
        up.set(roundsUp(cw, se.and(SIGN), kept, unit, rest)),
        when(e.ltS(1), [
          tiny.set(e.eqz().and(up).and(kept.add(unit).eqz()).eqz()),
          when(tiny.and(cw.and(UE).eqz()), [r.flags.set(UE), result(i64(0n))]),
          // Shift right by 1 - e, what falls off is sticky.
          when(
            e.gtS(-62),
            [
              rest.set(sig.and(i64(1n).shl(i32(1).sub(e).wide()).sub(1n))),
              sig.set(sig.shrU(i32(1).sub(e).wide()).or(rest.ne(0n).wide())),
            ],
            [sig.set(1n)],
          ),
          ...cut,
          up.set(roundsUp(cw, se.and(SIGN), kept, unit, rest)),
          when(up, [kept.set(kept.add(unit))]),
          when(rest.ne(0n), [r.flags.set(bit(tiny, UE).or(up.shl(9)).or(PE))]),
          result(pack(kept.shrU(63n).low())),
        ]),
        when(up, [kept.set(kept.add(unit)), when(kept.eqz(), [e.set(e.add(1))])]),
        when(e.geS(maxExponent), [
          when(cw.and(OE).eqz(), [r.flags.set(OE), result(i64(0n))]),
          when(
            cw
              .and(RC_MASK)
              .eqz()
              .or(cw.and(RC_MASK).eq(RC_UP).and(sign.eqz()))
              .or(cw.and(RC_MASK).eq(RC_DOWN).and(sign.ne(0n))),
            [r.flags.set(OE | PE | C1), result(sign.or(infinity))],
          ),
          r.flags.set(OE | PE),
          result(sign.or(infinity - 1n)),
        ]),
        r.flags.set(bit(rest.ne(0n), PE).or(up.shl(9))),
        result(pack(e)),
      ];
    });

  // hi | lo: the magnitude cut at the binary point. Exponents below 0x403e.
  const integerPart = (sig: Int64, e: Local32, hi: Local64, lo: Local64): Bytes =>
    when(
      e.gtS(0x403e - 64),
      [hi.set(sig.shrU(i32(0x403e).sub(e).wide())), lo.set(sig.shl(e.sub(0x403e - 64).wide()))],
      [hi.set(0n), lo.set(e.eq(0x403e - 64).pick64(sig, sig.ne(0n).wide()))],
    );

  const toInt = define(module, GIVES_64, (s) => {
    const sig = s.param64(),
      se = s.param32(),
      limit = s.param64();
    const e = s.local32(),
      up = s.local32(),
      hi = s.local64(),
      lo = s.local64();
    const outOfRange = [r.flags.set(IE), give(i64(0n).sub(limit))];
    return [
      e.set(exponentOf(se)),
      when(isUnsupported(sig, e).or(e.gtS(0x403e)), outOfRange),
      when(e.eq(0x403e), [hi.set(sig)], [integerPart(sig, e, hi, lo)]),
      up.set(roundsUp(controlWord(), se.and(SIGN), hi, i64(1n), lo)),
      hi.set(hi.add(up.wide())),
      when(hi.geU(limit).and(se.and(SIGN).eqz().or(hi.ne(limit))), outOfRange),
      r.flags.set(bit(lo.ne(0n), PE).or(up.shl(9))),
      when(se.and(SIGN), [give(i64(0n).sub(hi))]),
      give(hi),
    ];
  });

  const roundToInt = define(module, GIVES_PAIR, (s) => {
    const sig = s.param64(),
      se = s.param32();
    const e = s.local32(),
      up = s.local32(),
      hi = s.local64(),
      lo = s.local64();
    return [
      e.set(exponentOf(se)),
      when(isBad(sig, e), [passOn(r.nan, sig, se, sig, se)]),
      r.flags.set(0),
      when(e.geS(0x403e).or(sig.eqz()), [give(sig, se)]),
      r.flags.set(bit(isDenormal(sig, e), DE)),
      integerPart(sig, e, hi, lo),
      up.set(roundsUp(controlWord(), se.and(SIGN), hi, i64(1n), lo)),
      hi.set(hi.add(up.wide())),
      r.flags.set(r.flags.or(bit(lo.ne(0n), PE)).or(up.shl(9))),
      when(hi.eqz(), [give(hi, se.and(SIGN))]),
      give(hi.shl(hi.clz()), se.and(SIGN).or(i32(0x403e).sub(hi.clz().low()))),
    ];
  });

  return { fromF32, fromF64, fromInt, toF32: narrow(SINGLE), toF64: narrow(DOUBLE), toInt, roundToInt };
}
