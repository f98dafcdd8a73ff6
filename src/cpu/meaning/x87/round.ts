/**
 * Rounding a result into an 80-bit register: rounding and precision control, overflow, underflow, inexact and C1.
 * Sources: Intel SDM vol. 1, "x87 FPU Floating-Point Exception Handling", "Numeric Overflow/Underflow Exception";
 * what the text leaves open is as the committed hardware vectors say.
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import {
  type Bytes,
  type Callee,
  define,
  GIVES_PAIR,
  Global32,
  give,
  type Int32,
  type Int64,
  i32,
  i64,
  type Local32,
  type Local64,
  passOn,
  type Scope,
  when,
} from './expression.ts';
import {
  bit,
  C1,
  controlWord,
  EXP_MAX,
  IE,
  INDEFINITE,
  INDEFINITE_SE,
  isUnsupported,
  MSB,
  OE,
  PC_24,
  PC_53,
  PC_64,
  PC_MASK,
  PE,
  QUIET,
  RC_DOWN,
  RC_MASK,
  RC_UP,
  UE,
} from './state.ts';

/** How far a result is moved towards 1 when overflow or underflow is not masked. */
export const EXPONENT_WRAP = 24576;

export interface Rounding {
  /** Exception bits and C1 of the operation under way, at their places in the status word. */
  readonly flags: Global32;
  /** (control word, sign, exponent, significand with the top bit set, 64 bits below it) -> register; ors into flags. */
  readonly round: Callee;
  /** The result for two operands of which one at least is a NaN or unsupported; sets flags. */
  readonly nan: Callee;
}

/**
 * Is the last kept place to be raised?
 * @param kept the significand without the bits below `unit`; @param rest those bits, at the top of a word, sticky
 */
export function roundsUp(cw: Int32, sign: Int32, kept: Int64, unit: Int64, rest: Int64): Int32 {
  const nearest = rest
    .shrU(63n)
    .low()
    .and(rest.shl(1n).ne(0n).or(kept.and(unit).ne(0n)));
  const inexact = rest.ne(0n);
  const rc = cw.and(RC_MASK);
  return rc.eqz().pick(
    nearest,
    inexact.and(
      rc
        .eq(RC_UP)
        .and(sign.eqz())
        .or(rc.eq(RC_DOWN).and(sign.ne(0))),
    ),
  );
}

/** The end of an operation: the common case in line, the rest by a call. Leaves the function. */
export function finish(r: Rounding, s: Scope, sign: Int32, e: Local32, hi: Local64, lo: Local64): Bytes {
  const up = s.local32();
  return [
    ...when(
      controlWord()
        .and(PC_MASK | RC_MASK)
        .eq(PC_64)
        .and(e.sub(1).ltU(0x7ffd)),
      [
        when(lo.eqz(), [give(hi, sign.or(e))]),
        up.set(
          lo
            .shrU(63n)
            .low()
            .and(lo.shl(1n).ne(0n).or(hi.low().and(1))),
        ),
        r.flags.set(r.flags.or(PE).or(up.shl(9))),
        hi.set(hi.add(up.wide())),
        when(hi.eqz(), [hi.set(MSB_EXPR), e.set(e.add(1))]),
        give(hi, sign.or(e)),
      ],
    ),
    ...passOn(r.round, controlWord(), sign, e, hi, lo),
  ];
}
const MSB_EXPR = i64(MSB);

export function defineRounding(module: ModuleBuilder): Rounding {
  const flags = new Global32(module);

  const round = define(module, GIVES_PAIR, (s) => {
    const cw = s.param32(),
      sign = s.param32(),
      e = s.param32(),
      hi = s.param64(),
      lo = s.param64();
    const up = s.local32(),
      tiny = s.local32(),
      shift = s.local32();
    const kept = s.local64(),
      rest = s.local64(),
      unit = s.local64();
    // kept | rest: the significand cut at the last place that precision control allows.
    const cut: Bytes[] = [
      when(
        cw.and(PC_MASK).eq(PC_24),
        [unit.set(1n << 40n), rest.set(hi.shl(24n).or(lo.ne(0n).wide())), kept.set(hi.and(-(1n << 40n)))],
        [
          when(
            cw.and(PC_MASK).eq(PC_53),
            [unit.set(1n << 11n), rest.set(hi.shl(53n).or(lo.ne(0n).wide())), kept.set(hi.and(-(1n << 11n)))],
            [unit.set(1n), rest.set(lo), kept.set(hi)],
          ),
        ],
      ),
      up.set(roundsUp(cw, sign, kept, unit, rest)),
    ];
    const inexact = (): Int32 => bit(rest.ne(0n), PE).or(up.shl(9));
    const raise = (bits: Int32): Bytes => flags.set(flags.or(bits));
    return [
      ...cut,
      when(e.geS(1).or(cw.and(UE).eqz()), [
        when(up, [kept.set(kept.add(unit)), when(kept.eqz(), [kept.set(MSB), e.set(e.add(1))])]),
        when(e.ltS(1), [
          when(e.ltS(1 - EXPONENT_WRAP), [raise(i32(UE | PE)), zeroOf(sign)]), // FSCALE again
          raise(inexact().or(UE)),
          give(kept, sign.or(e.add(EXPONENT_WRAP))),
        ]),
        when(e.gtS(0x7ffe), [
          when(cw.and(OE).eqz(), [
            when(e.leS(0x7ffe + EXPONENT_WRAP), [
              raise(inexact().or(OE)),
              give(kept, sign.or(e.sub(EXPONENT_WRAP))),
            ]),
            raise(i32(OE | PE | C1)), // FSCALE: "a properly signed infinity"
            give(MSB_EXPR, sign.or(EXP_MAX)),
          ]),
          // Masked: infinity, or the largest number where rounding leads towards zero.
          when(
            cw
              .and(RC_MASK)
              .eqz()
              .or(cw.and(RC_MASK).eq(RC_UP).and(sign.eqz()))
              .or(cw.and(RC_MASK).eq(RC_DOWN).and(sign.ne(0))),
            [raise(i32(OE | PE | C1)), give(MSB_EXPR, sign.or(EXP_MAX))],
          ),
          raise(i32(OE | PE)),
          give(i64(0n).sub(unit), sign.or(0x7ffe)),
        ]),
        raise(inexact()),
        give(kept, sign.or(e)),
      ]),
      // Underflow, masked. Tiny unless rounding with unbounded exponent would reach the smallest normal number.
      tiny.set(bit(e.eqz().and(up).and(kept.add(unit).eqz()).eqz(), UE)),
      shift.set(i32(1).sub(e)),
      when(
        shift.ltS(64),
        [lo.set(hi.shl(i32(64).sub(shift).wide()).or(lo.ne(0n).wide())), hi.set(hi.shrU(shift.wide()))],
        [lo.set(shift.eq(64).pick64(hi.or(lo.ne(0n).wide()), 1n)), hi.set(0n)],
      ),
      ...cut,
      when(up, [kept.set(kept.add(unit))]),
      when(rest.ne(0n), [raise(inexact().or(tiny))]),
      give(kept, sign.or(kept.shrU(63n).low())),
    ];
  });

  const nan = define(module, GIVES_PAIR, (s) => {
    const aSig = s.param64(),
      aSe = s.param32(),
      bSig = s.param64(),
      bSe = s.param32();
    const aE = s.local32(),
      bE = s.local32(),
      aNan = s.local32(),
      bNan = s.local32(),
      aQuiet = s.local32(),
      bQuiet = s.local32();
    const isNan = (sig: Int64, e: Int32): Int32 => e.eq(EXP_MAX).and(sig.shl(1n).ne(0n));
    return [
      aE.set(aSe.and(EXP_MAX)),
      bE.set(bSe.and(EXP_MAX)),
      when(isUnsupported(aSig, aE).or(isUnsupported(bSig, bE)), [
        flags.set(IE),
        give(i64(INDEFINITE), i32(INDEFINITE_SE)),
      ]),
      aNan.set(isNan(aSig, aE)),
      bNan.set(isNan(bSig, bE)),
      aQuiet.set(aNan.and(aSig.and(QUIET).ne(0n))),
      bQuiet.set(bNan.and(bSig.and(QUIET).ne(0n))),
      flags.set(aNan.ne(aQuiet).or(bNan.ne(bQuiet))), // IE is bit 0
      when(bNan.eqz(), [give(aSig.or(QUIET), aSe)]),
      when(aNan.eqz(), [give(bSig.or(QUIET), bSe)]),
      // A quiet NaN wins over a signalling one; of two alike the larger significand, then the positive one.
      when(aQuiet.and(bQuiet.eqz()), [give(aSig, aSe)]),
      when(bQuiet.and(aQuiet.eqz()), [give(bSig, bSe)]),
      when(aSig.ltU(bSig).or(aSig.eq(bSig).and(bSe.ltU(aSe))), [give(bSig.or(QUIET), bSe)]),
      give(aSig.or(QUIET), aSe),
    ];
  });

  return { flags, round, nan };
}

/** Masked answer to an invalid operation. Leaves the function. */
export const invalid = (r: Rounding): Bytes => [
  ...r.flags.set(IE),
  ...give(i64(INDEFINITE), i32(INDEFINITE_SE)),
];
export const zeroOf = (sign: Int32): Bytes => give(i64(0n), sign);
export const infinityOf = (sign: Int32): Bytes => give(i64(MSB), sign.or(EXP_MAX));
