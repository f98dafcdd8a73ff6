/**
 * F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FSINCOS, FPTAN, FPATAN: special operands, then the function to many places
 * (x87-elementary.ts) and one rounding. The results are the correctly rounded ones (of an angle reduced with 66
 * bits of pi); a processor's own may differ from them by an ulp. Precision control has no part in it. Source: Intel SDM vol. 2, the tables of each instruction.
 *
 * PE is set even where a result happens to be exact (F2XM1 of 1, FYL2X of a power of two), as processors do.
 * Outside its domain an instruction's result is undefined: F2XM1 and FYL2XP1 then leave ST(0)'s value, as AMD's do.
 */

import { EXPONENT_WRAP } from '../meaning/x87/round.ts';
import {
  C1,
  C2,
  DE,
  EXP_MAX,
  IE,
  MSB,
  OE,
  PE,
  QUIET,
  RC_DOWN,
  RC_MASK,
  RC_UP,
  SF,
  SIGN,
  UE,
  ZE,
} from '../meaning/x87/state.ts';
import { RARE_NEXT, type RareFunction } from './rare.ts';
import {
  atan2,
  bitLength,
  CIRCULAR_66,
  type Circular,
  exp2m1,
  isInteger,
  log2,
  log2p1,
  quarterPi,
  type Real,
} from './x87-elementary.ts';
import { enterX87, type F80, noteX87, type Outcome, REAL_INDEFINITE, X87Registers } from './x87-registers.ts';

const INVALID: Outcome = { ...REAL_INDEFINITE, flags: IE };
const ONE: F80 = { sig: MSB, se: 0x3fff };
const zero = (sign: number, flags = 0): Outcome => ({ sig: 0n, se: sign, flags });
const infinity = (sign: number, flags = 0): Outcome => ({ sig: MSB, se: sign | EXP_MAX, flags });

const exponentOf = (v: F80): number => v.se & EXP_MAX;
const signOf = (v: F80): number => v.se & SIGN;
const isUnsupported = (v: F80): boolean => exponentOf(v) !== 0 && v.sig < MSB;
const isNan = (v: F80): boolean => exponentOf(v) === EXP_MAX && v.sig > MSB;
const isInfinite = (v: F80): boolean => exponentOf(v) === EXP_MAX && v.sig === MSB;
const isZero = (v: F80): boolean => exponentOf(v) === 0 && v.sig === 0n;
const denormal = (...values: F80[]): number =>
  values.some((v) => exponentOf(v) === 0 && v.sig !== 0n) ? DE : 0;

/** As meaning/x87/round.ts has it for the arithmetic; null if none is a NaN. */
function nanOf(...values: F80[]): Outcome | null {
  if (values.some(isUnsupported)) return INVALID;
  const nans = values.filter(isNan);
  if (nans.length === 0) return null;
  const quiet = nans.filter((v) => v.sig & QUIET);
  const flags = quiet.length < nans.length ? IE : 0;
  const candidates = quiet.length > 0 ? quiet : nans;
  let best = candidates[0]!;
  for (const v of candidates) if (v.sig > best.sig || (v.sig === best.sig && v.se < best.se)) best = v;
  return { sig: best.sig | QUIET, se: best.se, flags };
}

function toReal(v: F80): Real {
  return { mantissa: signOf(v) ? -v.sig : v.sig, exponent: Math.max(exponentOf(v), 1) - 0x3fff - 63 };
}

/**
 * The register nearest to a value in the direction that the control word says.
 * @param exact false for values that stand for something a little larger in magnitude than they are
 */
export function roundReal(value: Real, exact: boolean, control: number, flags: number): Outcome {
  const negative = value.mantissa < 0n;
  const sign = negative ? SIGN : 0;
  // Room below for 64 significant bits, two bits for the rounding and the sticky one.
  let m = (negative ? -value.mantissa : value.mantissa) << 68n;
  if (!exact) m |= 1n;
  const length = bitLength(m);
  let e = value.exponent - 68 + length - 1 + 0x3fff;
  const cut = (places: number): { sig: bigint; rest: boolean; up: boolean } => {
    const shift = BigInt(places);
    const kept = m >> shift;
    const rest = m - (kept << shift);
    const half = 1n << (shift - 1n);
    const mode = control & RC_MASK;
    const up =
      mode === 0
        ? rest > half || (rest === half && (kept & 1n) === 1n)
        : rest !== 0n && ((mode === RC_UP && !negative) || (mode === RC_DOWN && negative));
    return { sig: up ? kept + 1n : kept, rest: rest !== 0n, up };
  };
  const inexact = (c: { rest: boolean; up: boolean }): number => (c.rest ? PE : 0) | (c.up ? C1 : 0);
  const wide = cut(length - 64);
  let sig = wide.sig;
  if (sig >> 64n) {
    sig >>= 1n;
    e++;
  }
  if (e > 0x7ffe) {
    if ((control & OE) === 0)
      return { sig, se: sign | (e - EXPONENT_WRAP), flags: flags | OE | inexact(wide) };
    const mode = control & RC_MASK;
    if (mode === 0 || mode === (negative ? RC_DOWN : RC_UP)) return infinity(sign, flags | OE | PE | C1);
    return { sig: 2n * MSB - 1n, se: sign | 0x7ffe, flags: flags | OE | PE };
  }
  if (e >= 1) return { sig, se: sign | e, flags: flags | inexact(wide) };
  if ((control & UE) === 0) return { sig, se: sign | (e + EXPONENT_WRAP), flags: flags | UE | inexact(wide) };
  // The exponent before rounding decides how far the significand is moved.
  const unrounded = value.exponent - 68 + length - 1 + 0x3fff;
  const small = cut(length - 64 + 1 - unrounded);
  return {
    sig: small.sig,
    se: sign | (small.sig >= MSB ? 1 : 0),
    flags: flags | inexact(small) | (small.rest || flags & PE ? UE : 0),
  };
}

export function f2xm1Of(x: F80, control: number): Outcome {
  const nan = nanOf(x);
  if (nan) return nan;
  if (isZero(x)) return { ...x, flags: 0 };
  if (isInfinite(x)) return signOf(x) ? { sig: MSB, se: SIGN | 0x3fff, flags: 0 } : infinity(0);
  const flags = denormal(x);
  if (exponentOf(x) >= 0x3fff) {
    if (exponentOf(x) === 0x3fff && x.sig === MSB)
      return signOf(x) ? { sig: MSB, se: SIGN | 0x3ffe, flags: flags | PE } : { ...ONE, flags: flags | PE };
    return { ...x, flags: flags | PE };
  }
  return roundReal(exp2m1(toReal(x)), false, control, flags);
}

/** y * l */
const product = (y: F80, l: Real): Real => {
  const r = toReal(y);
  return { mantissa: r.mantissa * l.mantissa, exponent: r.exponent + l.exponent };
};

/** y log2 x */
export function fyl2xOf(x: F80, y: F80, control: number): Outcome {
  const nan = nanOf(x, y);
  if (nan) return nan;
  const flags = denormal(x, y);
  if (isZero(x)) {
    if (isZero(y)) return INVALID;
    if (isInfinite(y)) return infinity(signOf(y) ^ SIGN, flags);
    return infinity(signOf(y) ^ SIGN, ZE);
  }
  if (signOf(x)) return INVALID;
  if (isInfinite(x)) return isZero(y) ? INVALID : infinity(signOf(y), flags);
  const isOne = exponentOf(x) === 0x3fff && x.sig === MSB;
  const below = exponentOf(x) < 0x3fff ? SIGN : 0;
  if (isInfinite(y)) return isOne ? INVALID : infinity(signOf(y) ^ below, flags);
  if (isZero(y) || isOne) return zero(signOf(y) ^ below, flags);
  const logarithm = log2(toReal(x));
  return roundReal(product(y, logarithm), isInteger(logarithm), control, flags | PE);
}

/** y log2(x + 1) */
export function fyl2xp1Of(x: F80, y: F80, control: number): Outcome {
  const nan = nanOf(x, y);
  if (nan) return nan;
  const flags = denormal(x, y);
  const sign = signOf(x) ^ signOf(y);
  if (isInfinite(x)) return signOf(x) || isZero(y) ? INVALID : infinity(sign, flags);
  if (isInfinite(y)) return isZero(x) ? INVALID : infinity(sign, flags);
  if (isZero(x) || isZero(y)) return zero(sign, flags);
  if (signOf(x) && exponentOf(x) >= 0x3fff) return { ...x, flags: flags | PE };
  const logarithm = log2p1(toReal(x));
  return roundReal(product(y, logarithm), isInteger(logarithm), control, flags | PE);
}

/** atan(y / x) in the right quadrant */
export function fpatanOf(x: F80, y: F80, control: number): Outcome {
  const nan = nanOf(x, y);
  if (nan) return nan;
  const flags = denormal(x, y);
  const angle = (quarters: bigint): Outcome =>
    roundReal(quarterPi(signOf(y) ? -quarters : quarters), false, control, flags);
  if (isInfinite(y)) return angle(isInfinite(x) ? (signOf(x) ? 3n : 1n) : 2n);
  if (isInfinite(x) || isZero(y)) return signOf(x) ? angle(4n) : zero(signOf(y), flags);
  if (isZero(x)) return angle(2n);
  return roundReal(atan2(toReal(y), toReal(x)), false, control, flags);
}

/** Sine, cosine or tangent of an operand below 2^63; atZero is what it is at 0. */
function circular(f: (x: Real) => Real, atZero: F80 | null, x: F80, control: number): Outcome {
  const nan = nanOf(x);
  if (nan) return nan;
  if (isInfinite(x)) return INVALID;
  if (isZero(x)) return { ...(atZero ?? x), flags: 0 };
  return roundReal(f(toReal(x)), false, control, denormal(x));
}
const isTooLarge = (v: F80): boolean =>
  exponentOf(v) >= 0x3fff + 63 && exponentOf(v) < EXP_MAX && v.sig >= MSB;

// --- on the register stack

const unary =
  (f: (x: F80, control: number) => Outcome) =>
  (x: X87Registers): void => {
    if (x.isEmpty(0)) {
      x.underflow(0, false);
      return;
    }
    const result = f(x.get(0), x.control);
    if (x.settle(result.flags)) x.put(0, result);
  };
/** ST(1) = f(ST(0), ST(1)), then pop. */
const binary =
  (f: (x: F80, y: F80, control: number) => Outcome) =>
  (x: X87Registers): void => {
    if (x.isEmpty(0) || x.isEmpty(1)) {
      x.underflow(1, true);
      return;
    }
    const result = f(x.get(0), x.get(1), x.control);
    if (!x.settle(result.flags)) return;
    x.put(1, result);
    x.pop();
  };
/** C2 says that the operand was too large and nothing was done. */
function outOfRange(x: X87Registers): boolean {
  x.status &= ~C2;
  if (x.isEmpty(0) || !isTooLarge(x.get(0))) return false;
  x.status = (x.status & ~C1) | C2;
  return true;
}
/** ST(0) = first, then push second; NaNs fill both. */
const twoResults =
  (first: (v: F80, control: number) => Outcome, second: (v: F80, control: number) => Outcome) =>
  (x: X87Registers): void => {
    const overflow = !x.isEmpty(7);
    if (x.isEmpty(0) || overflow) {
      x.status &= ~C2;
      if (!x.settle(IE | SF | (overflow && !x.isEmpty(0) ? C1 : 0))) return;
      x.put(0, REAL_INDEFINITE);
      x.top = x.top + 7;
      x.put(0, REAL_INDEFINITE);
      return;
    }
    if (outOfRange(x)) return;
    const operand = x.get(0);
    const result = first(operand, x.control);
    const other =
      exponentOf(operand) === EXP_MAX || isUnsupported(operand) ? result : second(operand, x.control);
    if (!x.settle(result.flags | other.flags)) return;
    x.put(0, result);
    x.top = x.top + 7;
    x.put(0, other);
  };

/** FSIN, FCOS, FSINCOS, FPTAN with the given reduction. */
export function circularInstructions({ sin, cos, tan }: Circular) {
  const sine = (v: F80, control: number): Outcome => circular(sin, null, v, control);
  const cosine = (v: F80, control: number): Outcome => circular(cos, ONE, v, control);
  const ranged =
    (f: (v: F80, control: number) => Outcome) =>
    (x: X87Registers): void => {
      if (!outOfRange(x)) unary(f)(x);
    };
  return {
    fsin: ranged(sine),
    fcos: ranged(cosine),
    fsincos: twoResults(sine, cosine),
    fptan: twoResults(
      (v, control) => circular(tan, null, v, control),
      () => ({ ...ONE, flags: 0 }),
    ),
  };
}
/** What each does to the registers. */
export const TRANSCENDENTALS = {
  f2xm1: unary(f2xm1Of),
  fyl2x: binary(fyl2xOf),
  fyl2xp1: binary(fyl2xp1Of),
  fpatan: binary(fpatanOf),
  ...circularInstructions(CIRCULAR_66),
} as const;

const instruction =
  (work: (x: X87Registers) => void): RareFunction =>
  (m, insn) => {
    const refused = enterX87(m, true);
    if (refused !== RARE_NEXT) return refused;
    noteX87(m, insn);
    work(new X87Registers(m.cpu.memory.view));
    return RARE_NEXT;
  };
export const f2xm1 = instruction(TRANSCENDENTALS.f2xm1);
export const fyl2x = instruction(TRANSCENDENTALS.fyl2x);
export const fyl2xp1 = instruction(TRANSCENDENTALS.fyl2xp1);
export const fpatan = instruction(TRANSCENDENTALS.fpatan);
export const fsin = instruction(TRANSCENDENTALS.fsin);
export const fcos = instruction(TRANSCENDENTALS.fcos);
export const fsincos = instruction(TRANSCENDENTALS.fsincos);
export const fptan = instruction(TRANSCENDENTALS.fptan);
