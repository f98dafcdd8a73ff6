/**
 * The four operations and the square root on 80-bit operands: (significand, sign-exponent) in, the same out, flags
 * beside. Normal operands go straight through; NaNs, infinities, zeros and denormals are sorted out first.
 * Sources: Intel SDM vol. 1, "Floating-Point Exception Handling"; vol. 2, tables of FADD, FMUL, FDIV, FSQRT.
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import {
  type Bytes,
  type Callee,
  define,
  GIVES_PAIR,
  give,
  type Int64,
  i32,
  i64,
  type Local32,
  type Local64,
  passOn,
  repeatWhile,
  type Scope,
  when,
} from './expression.ts';
import { finish, infinityOf, invalid, type Rounding, zeroOf } from './round.ts';
import {
  bit,
  controlWord,
  DE,
  EXP_MAX,
  exponentOf,
  isBad,
  isDenormal,
  isNormalExponent,
  MSB,
  RC_DOWN,
  RC_MASK,
  SIGN,
  ZE,
} from './state.ts';

export interface Arithmetic {
  /** (a, b, SIGN to subtract) */
  readonly add: Callee;
  readonly multiply: Callee;
  readonly divide: Callee;
  readonly squareRoot: Callee;
}

/** A denormal becomes a normal number with an exponent below 1. Zero stays. */
export const normalise = (sig: Local64, e: Local32): Bytes =>
  when(e.eqz(), [e.set(i32(1).sub(sig.clz().low())), sig.set(sig.shl(sig.clz()))]);

const LOW = 0xffff_ffffn;

export function defineArithmetic(module: ModuleBuilder, r: Rounding): Arithmetic {
  const operands = (s: Scope) => ({
    aSig: s.param64(),
    aSe: s.param32(),
    bSig: s.param64(),
    bSe: s.param32(),
  });
  type Operands = ReturnType<typeof operands>;
  const bothNormal = (o: Operands, aE: Local32, bE: Local32) =>
    o.aSig.and(o.bSig).shrU(63n).low().and(isNormalExponent(aE)).and(isNormalExponent(bE));
  const sortOutNans = (o: Operands, aE: Local32, bE: Local32): Bytes[] => [
    when(isBad(o.aSig, aE).or(isBad(o.bSig, bE)), [passOn(r.nan, o.aSig, o.aSe, o.bSig, o.bSe)]),
    r.flags.set(bit(isDenormal(o.aSig, aE).or(isDenormal(o.bSig, bE)), DE)),
  ];
  const noFraction = i64(0n);

  const add = define(module, GIVES_PAIR, (s) => {
    const o = operands(s);
    const { aSig, aSe, bSig, bSe } = o;
    const negate = s.param32();
    const aE = s.local32(),
      bE = s.local32(),
      aSign = s.local32(),
      bSign = s.local32(),
      d = s.local32();
    const hi = s.local64(),
      lo = s.local64();
    return [
      aE.set(exponentOf(aSe)),
      bE.set(exponentOf(bSe)),
      aSign.set(aSe.and(SIGN)),
      bSign.set(bSe.xor(negate).and(SIGN)),
      r.flags.set(0),
      when(bothNormal(o, aE, bE).eqz(), [
        ...sortOutNans(o, aE, bE),
        when(aE.eq(EXP_MAX), [when(bE.eq(EXP_MAX).and(aSign.ne(bSign)), [invalid(r)]), give(aSig, aSe)]),
        when(bE.eq(EXP_MAX), [infinityOf(bSign)]),
        normalise(aSig, aE),
        normalise(bSig, bE),
        when(aSig.eqz(), [
          when(bSig.eqz(), [
            when(aSign.eq(bSign), [zeroOf(aSign)]),
            zeroOf(bit(controlWord().and(RC_MASK).eq(RC_DOWN), SIGN)),
          ]),
          passOn(r.round, controlWord(), bSign, bE, bSig, noFraction),
        ]),
        when(bSig.eqz(), [passOn(r.round, controlWord(), aSign, aE, aSig, noFraction)]),
      ]),
      // The larger magnitude first.
      when(aE.ltS(bE).or(aE.eq(bE).and(aSig.ltU(bSig))), [
        d.set(aE),
        aE.set(bE),
        bE.set(d),
        d.set(aSign),
        aSign.set(bSign),
        bSign.set(d),
        hi.set(aSig),
        aSig.set(bSig),
        bSig.set(hi),
      ]),
      // hi:lo = b moved to a's exponent, what falls off kept as a sticky bit.
      d.set(aE.sub(bE)),
      hi.set(bSig),
      when(d, [
        when(
          d.ltU(64),
          [hi.set(bSig.shrU(d.wide())), lo.set(bSig.shl(i32(64).sub(d).wide()))],
          [hi.set(0n), lo.set(d.eq(64).pick64(bSig, d.eq(65).pick64(bSig.shrU(1n).or(bSig.and(1n)), 1n)))],
        ),
      ]),
      when(
        aSign.eq(bSign),
        [
          hi.set(hi.add(aSig)),
          when(hi.ltU(aSig), [
            lo.set(lo.shrU(1n).or(lo.and(1n)).or(hi.shl(63n))),
            hi.set(hi.shrU(1n).or(MSB)),
            aE.set(aE.add(1)),
          ]),
        ],
        [
          hi.set(aSig.sub(hi).sub(lo.ne(0n).wide())),
          lo.set(noFraction.sub(lo)),
          when(hi.shrU(63n).low().eqz(), [
            when(hi.eqz(), [
              when(lo.eqz(), [zeroOf(bit(controlWord().and(RC_MASK).eq(RC_DOWN), SIGN))]),
              hi.set(lo),
              lo.set(0n),
              aE.set(aE.sub(64)),
            ]),
            d.set(hi.clz().low()),
            when(d, [
              hi.set(hi.shl(d.wide()).or(lo.shrU(i32(64).sub(d).wide()))),
              lo.set(lo.shl(d.wide())),
              aE.set(aE.sub(d)),
            ]),
          ]),
        ],
      ),
      finish(r, s, aSign, aE, hi, lo),
    ];
  });

  const multiply = define(module, GIVES_PAIR, (s) => {
    const o = operands(s);
    const { aSig, aSe, bSig, bSe } = o;
    const aE = s.local32(),
      bE = s.local32(),
      sign = s.local32();
    const hi = s.local64(),
      lo = s.local64(),
      low = s.local64(),
      mid = s.local64(),
      mid2 = s.local64();
    return [
      aE.set(exponentOf(aSe)),
      bE.set(exponentOf(bSe)),
      sign.set(aSe.xor(bSe).and(SIGN)),
      r.flags.set(0),
      when(bothNormal(o, aE, bE).eqz(), [
        ...sortOutNans(o, aE, bE),
        when(aE.eq(EXP_MAX).or(bE.eq(EXP_MAX)), [
          when(
            aE
              .or(aSig.ne(0n))
              .eqz()
              .or(bE.or(bSig.ne(0n)).eqz()),
            [invalid(r)],
          ),
          infinityOf(sign),
        ]),
        when(aSig.eqz().or(bSig.eqz()), [zeroOf(sign)]),
        normalise(aSig, aE),
        normalise(bSig, bE),
      ]),
      low.set(aSig.and(LOW).mul(bSig.and(LOW))),
      mid.set(aSig.shrU(32n).mul(bSig.and(LOW)).add(low.shrU(32n))),
      mid2.set(aSig.and(LOW).mul(bSig.shrU(32n)).add(mid.and(LOW))),
      hi.set(aSig.shrU(32n).mul(bSig.shrU(32n)).add(mid.shrU(32n)).add(mid2.shrU(32n))),
      lo.set(mid2.shl(32n).or(low.and(LOW))),
      aE.set(aE.add(bE).sub(0x3ffe)),
      when(hi.shrU(63n).low().eqz(), [
        hi.set(hi.shl(1n).or(lo.shrU(63n))),
        lo.set(lo.shl(1n)),
        aE.set(aE.sub(1)),
      ]),
      finish(r, s, sign, aE, hi, lo),
    ];
  });

  const divide = define(module, GIVES_PAIR, (s) => {
    const o = operands(s);
    const { aSig, aSe, bSig, bSe } = o;
    const aE = s.local32(),
      bE = s.local32(),
      sign = s.local32();
    const hi = s.local64(),
      lo = s.local64(),
      q = s.local64(),
      rem = s.local64(),
      top = s.local64();
    // One 32-bit digit of the quotient of rem:digit / bSig, by the schoolbook estimate from the divisor's high half.
    const digit = (next: Int64): Bytes[] => {
      const tooLarge = q
        .shrU(32n)
        .ne(0n)
        .or(q.mul(bSig.and(LOW)).gtU(top.shl(32n).or(next)));
      const correct = when(top.shrU(32n).eqz(), [
        when(tooLarge, [q.set(q.sub(1n)), top.set(top.add(bSig.shrU(32n)))]),
      ]);
      return [
        q.set(rem.divU(bSig.shrU(32n))),
        top.set(rem.sub(q.mul(bSig.shrU(32n)))),
        correct,
        correct,
        rem.set(rem.shl(32n).or(next).sub(q.mul(bSig))),
      ];
    };
    return [
      aE.set(exponentOf(aSe)),
      bE.set(exponentOf(bSe)),
      sign.set(aSe.xor(bSe).and(SIGN)),
      r.flags.set(0),
      when(bothNormal(o, aE, bE).eqz(), [
        ...sortOutNans(o, aE, bE),
        when(aE.eq(EXP_MAX), [when(bE.eq(EXP_MAX), [invalid(r)]), infinityOf(sign)]),
        when(bE.eq(EXP_MAX), [zeroOf(sign)]),
        when(bSig.eqz(), [
          when(aSig.eqz(), [invalid(r)]),
          r.flags.set(ZE), // alone, also for a denormal dividend
          infinityOf(sign),
        ]),
        when(aSig.eqz(), [zeroOf(sign)]),
        normalise(aSig, aE),
        normalise(bSig, bE),
      ]),
      aE.set(aE.sub(bE).add(0x3fff)),
      // rem:lo / b with rem < b, so that the quotient has its top bit set and fits 64 bits.
      when(
        aSig.ltU(bSig),
        [rem.set(aSig), aE.set(aE.sub(1))],
        [rem.set(aSig.shrU(1n)), lo.set(aSig.shl(63n))],
      ),
      ...digit(lo.shrU(32n)),
      hi.set(q.shl(32n)),
      ...digit(i64(0n)),
      hi.set(hi.or(q)),
      // What is left over, against half the divisor.
      lo.set(
        rem.eqz().pick64(0n, rem.gtU(bSig.sub(rem)).pick64(MSB | 1n, rem.eq(bSig.sub(rem)).pick64(MSB, 1n))),
      ),
      finish(r, s, sign, aE, hi, lo),
    ];
  });

  const squareRoot = define(module, GIVES_PAIR, (s) => {
    const sig = s.param64(),
      se = s.param32();
    const e = s.local32(),
      hi = s.local64(),
      lo = s.local64(),
      rem = s.local64(),
      trial = s.local64(),
      over = s.local32();
    const count = s.local32();
    return [
      e.set(exponentOf(se)),
      r.flags.set(0),
      when(isBad(sig, e), [passOn(r.nan, sig, se, sig, se)]),
      when(e.or(sig.ne(0n)).eqz(), [give(sig, se)]),
      when(se.and(SIGN), [invalid(r)]),
      when(e.eq(EXP_MAX), [give(sig, se)]),
      when(e.eqz(), [r.flags.set(DE), normalise(sig, e)]),
      // Root of sig (exponent even: halved first) bit by bit: hi is the root so far, rem what is left.
      // The radicand, 128 bits, is taken two bits at a time from the top of sig, then zeros.
      e.set(e.sub(0x3fff)),
      // rem starts with the integer part (1, 2 or 3) minus 1.
      when(e.and(1), [rem.set(sig.shrU(62n).sub(1n)), sig.set(sig.shl(2n))], [sig.set(sig.shl(1n))]),
      e.set(e.shrS(1).add(0x3fff)),
      hi.set(1n),
      count.set(63),
      repeatWhile(
        [
          // rem < 2 * hi + 1 <= 2^64: the bit that leaves rem at the left is kept in `over`.
          over.set(rem.shrU(62n).low()),
          rem.set(rem.shl(2n).or(sig.shrU(62n))),
          sig.set(sig.shl(2n)),
          trial.set(hi.shl(2n).or(1n)),
          lo.set(hi.shrU(62n)),
          hi.set(hi.shl(1n)),
          when(
            over
              .wide()
              .gtU(lo)
              .or(over.wide().eq(lo).and(rem.geU(trial))),
            [over.set(over.sub(lo.low()).sub(rem.ltU(trial))), rem.set(rem.sub(trial)), hi.set(hi.or(1n))],
          ),
          count.set(count.sub(1)),
        ],
        count.ne(0),
      ),
      // A root is never exactly half way: rem > hi means above the middle. Only the last rem can have 65 bits.
      lo.set(over.pick64(MSB | 1n, rem.eqz().pick64(0n, rem.gtU(hi).pick64(MSB | 1n, 1n)))),
      finish(r, s, i32(0), e, hi, lo),
    ];
  });

  return { add, multiply, divide, squareRoot };
}
