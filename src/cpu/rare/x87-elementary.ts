/**
 * Elementary functions to far more places than a register has: fixed-point BigInt, PLACES bits behind the point.
 * A value is mantissa * 2^exponent. Results of functions are never exact, except where the callers say so first;
 * errors are below 2^-128 of the result, so that one rounding gives the right register.
 */
const PLACES = 480n;
const ONE = 1n << PLACES;
/** Below this exponent the first term of a series is the function: the second is smaller by more than 2^-128. */
const LINEAR_BELOW = -140;

/** mantissa * 2^exponent; the mantissa carries the sign. */
export interface Real {
  readonly mantissa: bigint;
  readonly exponent: number;
}

export const bitLength = (n: bigint): number => {
  const text = (n < 0n ? -n : n).toString(16);
  return text.length * 4 - (Math.clz32(Number.parseInt(text[0]!, 16)) - 28);
};
/** Exponent of the leading bit: 0 for numbers from 1 to 2. */
const magnitude = (x: Real): number => bitLength(x.mantissa) - 1 + x.exponent;
const shifted = (n: bigint, places: number): bigint =>
  places >= 0 ? n << BigInt(places) : n >> BigInt(-places);
const fixed = (x: Real): bigint => shifted(x.mantissa, x.exponent + Number(PLACES));
const real = (n: bigint): Real => ({ mantissa: n, exponent: -Number(PLACES) });
const times = (a: bigint, b: bigint): bigint => (a * b) >> PLACES;

/** A logarithm to base 2 of a register is exact if it is an integer, and irrational if not. */
export const isInteger = (x: Real): boolean =>
  x.exponent <= 0 && (x.mantissa & ((1n << BigInt(-x.exponent)) - 1n)) === 0n;

/** atan(1/n), or atanh(1/n). */
function inverseSeries(n: bigint, alternating: boolean): bigint {
  let power = ONE / n;
  let sum = power;
  for (let k = 3n; power !== 0n; k += 2n) {
    power /= alternating ? -n * n : n * n;
    sum += power / k;
  }
  return sum;
}
let piCache = 0n;
let ln2Cache = 0n;
/** Machin: pi = 16 atan 1/5 - 4 atan 1/239. */
function pi(): bigint {
  if (piCache === 0n) piCache = 16n * inverseSeries(5n, true) - 4n * inverseSeries(239n, true);
  return piCache;
}
/** ln 2 = 18 atanh 1/26 - 2 atanh 1/4801 + 8 atanh 1/8749. */
function ln2(): bigint {
  if (ln2Cache === 0n)
    ln2Cache =
      18n * inverseSeries(26n, false) - 2n * inverseSeries(4801n, false) + 8n * inverseSeries(8749n, false);
  return ln2Cache;
}

/** 2^x - 1 for |x| <= 1, x not 0. */
export function exp2m1(x: Real): Real {
  if (magnitude(x) < LINEAR_BELOW)
    return { mantissa: x.mantissa * ln2(), exponent: x.exponent - Number(PLACES) };
  // e^t - 1 = s; e^2t - 1 = 2 s + s^2, which keeps the relative error.
  const halvings = 8n;
  const t = times(fixed(x), ln2()) >> halvings;
  let term = t;
  let sum = t;
  for (let k = 2n; term !== 0n && term !== -1n; k++) {
    term = times(term, t) / k;
    sum += term;
  }
  for (let i = 0n; i < halvings; i++) sum = 2n * sum + times(sum, sum);
  return real(sum);
}

/** ln(1 + f), fixed point, for -1/3 <= f <= 1/2. */
function ln1p(f: bigint): bigint {
  const z = (f << PLACES) / (2n * ONE + f);
  const square = times(z, z);
  let power = z;
  let sum = z;
  for (let k = 3n; power !== 0n && power !== -1n; k += 2n) {
    power = times(power, square);
    sum += power / k;
  }
  return 2n * sum;
}

/** log2 of x > 0. Exact for powers of two. */
export function log2(x: Real): Real {
  let exponent = magnitude(x);
  // A significand from 3/4 to 3/2, so that no logarithm cancels against the exponent.
  let m = fixed({ mantissa: x.mantissa, exponent: x.exponent - exponent });
  if (2n * m >= 3n * ONE) {
    exponent++;
    m >>= 1n;
  }
  return real(BigInt(exponent) * ONE + (ln1p(m - ONE) << PLACES) / ln2());
}

/** log2(1 + x) for x > -1, x not 0. */
export function log2p1(x: Real): Real {
  const size = magnitude(x);
  if (size < LINEAR_BELOW)
    return { mantissa: (x.mantissa << (2n * PLACES)) / ln2(), exponent: x.exponent - Number(PLACES) };
  if (size < -2) return real((ln1p(fixed(x)) << PLACES) / ln2());
  // 1 + x is exact: a register has 64 bits, and x is no smaller than 1/4.
  const low = Math.min(x.exponent, 0);
  return log2({ mantissa: shifted(x.mantissa, x.exponent - low) + (1n << BigInt(-low)), exponent: low });
}

/** x - k pi/2, and k mod 4, for |x| < 2^64. */
function reduce(x: Real, circle: bigint): { rest: bigint; quarter: number } {
  // The mantissa has 64 bits, so the rest has more than PLACES - 64 good ones behind the point.
  const twice = 2n * fixed(x);
  // To the nearest multiple; BigInt division truncates.
  const k = (twice + (twice < 0n ? -(circle >> 1n) : circle >> 1n)) / circle;
  return { rest: (twice - k * circle) >> 1n, quarter: Number(((k % 4n) + 4n) % 4n) };
}
/** Sine and cosine of |r| <= pi/4. */
function sineOf(r: bigint): bigint {
  const square = times(r, r);
  let term = r;
  let sum = r;
  for (let k = 2n; term !== 0n && term !== -1n; k += 2n) {
    term = -times(term, square) / (k * (k + 1n));
    sum += term;
  }
  return sum;
}
function cosineOf(r: bigint): bigint {
  const square = times(r, r);
  let term = ONE;
  let sum = ONE;
  for (let k = 1n; term !== 0n && term !== -1n; k += 2n) {
    term = -times(term, square) / (k * (k + 1n));
    sum += term;
  }
  return sum;
}

/** x, moved by less than 2^-128 of itself away from (1) or towards (-1) zero. */
const beside = (x: Real, way: 1 | -1): Real => ({
  mantissa: (x.mantissa << 200n) + BigInt(x.mantissa < 0n ? -way : way),
  exponent: x.exponent - 200,
});

export interface Circular {
  readonly sin: (x: Real) => Real;
  readonly cos: (x: Real) => Real;
  readonly tan: (x: Real) => Real;
}
function circularFunctions(circle: () => bigint): Circular {
  return {
    sin(x) {
      if (magnitude(x) < LINEAR_BELOW) return beside(x, -1);
      const { rest, quarter } = reduce(x, circle());
      const value = quarter & 1 ? cosineOf(rest) : sineOf(rest);
      return real(quarter & 2 ? -value : value);
    },
    cos(x) {
      if (magnitude(x) < LINEAR_BELOW) return beside({ mantissa: 1n, exponent: 0 }, -1);
      const { rest, quarter } = reduce(x, circle());
      const value = quarter & 1 ? sineOf(rest) : cosineOf(rest);
      return real(quarter === 1 || quarter === 2 ? -value : value);
    },
    tan(x) {
      if (magnitude(x) < LINEAR_BELOW) return beside(x, 1);
      const { rest, quarter } = reduce(x, circle());
      const [s, c] = [sineOf(rest), cosineOf(rest)];
      return real(quarter & 1 ? (-c << PLACES) / s : (s << PLACES) / c);
    },
  };
}
/** With the true pi: the mathematical functions, within an ulp for every operand. */
export const CIRCULAR = circularFunctions(pi);
/**
 * With pi cut to 66 bits, as x87 processors reduce their operands (SDM vol. 1, "Pi"): what the instructions give.
 * Far from 0 and near multiples of pi/2 it is off the mathematical value by that. Of 5,500 vectors the hardware's
 * bits come out in 5,308, with the true pi in 4,576 and else off by up to all places.
 */
export const CIRCULAR_66 = circularFunctions(() => (pi() >> (PLACES - 64n)) << (PLACES - 64n));

function squareRoot(n: bigint): bigint {
  let root = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
/** atan of 0 < t <= 1. */
function arctan(t: bigint): bigint {
  const halvings = 3n;
  for (let i = 0n; i < halvings; i++) t = (t << PLACES) / (ONE + squareRoot((ONE + times(t, t)) << PLACES));
  const square = times(t, t);
  let power = t;
  let sum = t;
  for (let k = 3n; power !== 0n && power !== -1n; k += 2n) {
    power = -times(power, square);
    sum += power / k;
  }
  return sum << halvings;
}

/** Multiples of pi/4. */
export const quarterPi = (count: bigint): Real => real((pi() * count) >> 2n);

/** The angle of the point (x, y), neither of them 0. */
export function atan2(y: Real, x: Real): Real {
  const up = y.mantissa < 0n ? -y.mantissa : y.mantissa;
  const along = x.mantissa < 0n ? -x.mantissa : x.mantissa;
  const signed = (angle: Real): Real =>
    y.mantissa < 0n ? { mantissa: -angle.mantissa, exponent: angle.exponent } : angle;
  const distance = magnitude(y) - magnitude(x);
  if (distance < LINEAR_BELOW) {
    if (x.mantissa < 0n) return signed(beside(quarterPi(4n), -1));
    const exponent = y.exponent - x.exponent - Number(PLACES);
    return signed(beside({ mantissa: (up << PLACES) / along, exponent }, -1));
  }
  if (distance > -LINEAR_BELOW) return signed(beside(quarterPi(2n), x.mantissa < 0n ? 1 : -1));
  const ratio = (above: bigint, below: bigint, places: number): bigint =>
    shifted(above << (2n * PLACES), places - Number(PLACES)) / below;
  const between = y.exponent - x.exponent;
  const steep = distance > 0 || (distance === 0 && ratio(up, along, between) > ONE);
  let angle = steep ? (pi() >> 1n) - arctan(ratio(along, up, -between)) : arctan(ratio(up, along, between));
  if (x.mantissa < 0n) angle = pi() - angle;
  return signed(real(angle));
}
