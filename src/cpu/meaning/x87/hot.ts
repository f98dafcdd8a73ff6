/**
 * What the x87 cases of the x87 loop share (interpreter/x87-loop.ts). That loop must not call, so a frequent
 * instruction brings its operands into the locals below and branches to one of the tails that are written once
 * behind the cases: addition, multiplication, division, comparison, then rounding, then the store into the register.
 *
 * In the loop numbers are normal or zero, results too, rounding is to nearest with 64 or 53 bits, and no exception
 * is open but inexact, masked. Whatever else there is leaves for the out-of-line function of the same record, before
 * anything has happened; so this adds speed and no meaning.
 *
 * While the loop runs, TOP, C1 and whether a result was inexact are in words of their own: finding a register does
 * not wait for the flags of the arithmetic before it, and most instructions set them by one store. They come from the
 * status word at entry and go back into it at the exit.
 *
 * Shifts by 64 - d are written as one and 63 - d, so that d = 0 needs no branch (a shift count is taken modulo 64).
 */
import type { FunctionBuilder, Label } from '../../../wasm/encoder.ts';
import * as w from '../../../wasm/opcodes.ts';
import { addressOf, SCRATCH_BASE } from '../../layout.ts';
import type { HotSite } from '../site.ts';
import {
  type Bytes,
  flatten,
  type Int32,
  type Int64,
  i32,
  i64,
  Local32,
  Local64,
  load16,
  load32,
  load64,
  store16,
  store32,
  store64,
  when,
} from './expression.ts';
import {
  bit,
  C0,
  C1,
  C2,
  C3,
  ES,
  FCW,
  FPR,
  isNormalExponent,
  loadSig,
  MSB,
  PC_64,
  PC_MASK,
  PE,
  RC_MASK,
  SIGN,
  setStatusWord,
  statusWord,
} from './state.ts';
import { EMPTY_OFFSET } from './tags.ts';

const WORDS = SCRATCH_BASE + 128;
/** Offset of ST(0)'s slot from FPR. */
const X87_TOP = WORDS;
/** The control word's rounding, precision and inexact bits. */
const X87_MODE = WORDS + 4;
/** Not 0: rounding is to nearest, to 64 or 53 bits, and inexact is masked. */
const X87_USUAL = WORDS + 8;
/** 0 or 1. */
const X87_C1 = WORDS + 12;
/** 64 bits; not 0: a result was inexact. */
const X87_INEXACT = WORDS + 16;

const MODE_BITS = RC_MASK | PC_MASK | PE;
const USUAL_64 = PC_64 | PE;
const PRECISION_53_OR_64 = 0x100;
const CR0_EM = 4,
  CR0_TS = 8;
const TOP_IN_STATUS = 0x3800;
const SLOTS = 0x70;
const LOW = 0xffff_ffffn;
/** In a register's `se`, behind sign and exponent. */
export const EMPTY = 0x1_0000;
const EXPONENT_OR_EMPTY = EMPTY | 0x7fff;

/** Significand; sign and exponent, and EMPTY of a register. */
export interface Number80 {
  readonly sig: Local64;
  readonly se: Local32;
}
type Place = 'add' | 'multiply' | 'divide' | 'compare' | 'round' | 'put';
export type Tail = 'add' | 'multiply' | 'divide' | 'compare';
/** How a comparison tells: in C3, C2, C0 or in EFLAGS. */
export const TELL_CODES = 0,
  TELL_FLAGS = 1;

export class X87Hot {
  readonly f: FunctionBuilder;
  /** The operands of a tail: a + b, a * b, a / b, a against b. */
  readonly a: Number80;
  readonly b: Number80;
  /** Slot of the result; for a comparison TELL_*. */
  readonly to: Local32;
  /** How many registers are popped behind it: 0 or 1, of a comparison also 2. */
  readonly pops: Local32;
  /** A result before rounding: hi | lo, exponent, sign. */
  private readonly hi: Local64;
  private readonly lo: Local64;
  private readonly e: Local32;
  private readonly sign: Local32;
  private readonly up: Local32;
  /** For whatever a case has in mind. */
  readonly n: readonly Local32[];
  readonly m: readonly Local64[];
  private labels: Record<Place, Label> | undefined;
  private slow: Label = 0;

  constructor(f: FunctionBuilder) {
    this.f = f;
    const local32 = (): Local32 => new Local32(f.local(w.I32));
    const local64 = (): Local64 => new Local64(f.local(w.I64));
    this.a = { sig: local64(), se: local32() };
    this.b = { sig: local64(), se: local32() };
    this.to = local32();
    this.pops = local32();
    this.hi = local64();
    this.lo = local64();
    this.e = local32();
    this.sign = local32();
    this.up = local32();
    this.n = [local32(), local32(), local32(), local32()];
    this.m = [local64(), local64(), local64(), local64()];
  }

  run(...code: Bytes[]): void {
    this.f.op(...flatten(code));
  }

  // --- the loop's entry, exit, and the blocks around its cases
  /** #NM or #MF is due. */
  static isUnusable(): Int32 {
    return load32(0, addressOf('cr0'))
      .and(CR0_EM | CR0_TS)
      .or(statusWord().and(ES));
  }
  enter(): void {
    this.run(
      store32(0, statusWord().shrU(7).and(SLOTS), X87_TOP),
      store32(0, statusWord().shrU(9).and(1), X87_C1),
      store64(0, 0n, X87_INEXACT),
      this.setMode(load16(0, FCW)),
    );
  }
  leave(): void {
    this.run(setStatusWord(this.status()));
  }
  /** @param slow where a case goes that cannot go on; it must be around these blocks */
  open(slow: Label): void {
    this.slow = slow;
    const put = this.f.block();
    const round = this.f.block();
    const compare = this.f.block();
    const divide = this.f.block();
    const multiply = this.f.block();
    this.labels = { put, round, compare, divide, multiply, add: this.f.block() };
  }
  private goTo(place: Place): void {
    if (this.labels !== undefined) this.f.br(this.labels[place]);
  }
  tail(which: Tail): void {
    this.goTo(which);
  }

  // --- what cases ask and set
  leaveIf(condition: Int32): void {
    this.run(condition.bytes);
    this.f.brIf(this.slow);
  }
  leaveUnless(condition: Int32): void {
    this.leaveIf(condition.eqz());
  }
  needUsualRounding(): void {
    this.leaveUnless(load32(0, X87_USUAL));
  }
  mode(): Int32 {
    return load32(0, X87_MODE);
  }
  setMode(control: Int32): Bytes {
    const mode = control.and(MODE_BITS);
    return [
      store32(0, mode, X87_MODE),
      store32(0, this.mode().or(PRECISION_53_OR_64).eq(USUAL_64), X87_USUAL),
    ];
  }
  top(): Int32 {
    return load32(0, X87_TOP);
  }
  setTop(slot: Int32): Bytes {
    return store32(0, slot, X87_TOP);
  }
  setC1(value: Int32 | number): Bytes {
    return store32(0, value, X87_C1);
  }
  /** `rest` is what rounding dropped. */
  noteInexact(rest: Int64): Bytes {
    return store64(0, load64(0, X87_INEXACT).or(rest), X87_INEXACT);
  }
  status(): Int32 {
    return statusWord()
      .and(~(TOP_IN_STATUS | C1))
      .or(this.top().shl(7))
      .or(load32(0, X87_C1).shl(9))
      .or(bit(load64(0, X87_INEXACT).ne(0n), PE));
  }
  load(into: Number80, slot: Int32): Bytes {
    return [into.sig.set(loadSig(slot)), into.se.set(loadSe32(slot))];
  }
  /** Pops the register at TOP, whose slot is given. */
  pop(top: Int32): Bytes {
    return [store16(top, 1, FPR + EMPTY_OFFSET), this.setTop(slotAbove(top))];
  }

  // --- the tails
  /** Writes what the cases branch to. @param site of the instruction that is under way, for its end */
  writeTails(site: HotSite): void {
    const { f } = this;
    f.end();
    this.addition();
    f.end();
    this.multiplication();
    f.end();
    this.division();
    f.end();
    this.comparison(site);
    f.end();
    this.rounding();
    f.end();
    this.run(
      store64(this.to, this.hi, FPR),
      store32(this.to, this.sign, FPR + 8), // in use now
      this.setC1(this.up),
      this.noteInexact(this.lo),
      when(this.pops, [this.to.set(this.top()), this.pop(this.to)]),
    );
    site.finishCase();
  }

  /** Exponents of a and b, and a branch to `odd` unless both are normal. */
  private unlessBothNormal(aE: Local32, bE: Local32, odd: Label): void {
    const { f, a, b } = this;
    this.run(a.sig.and(b.sig).geS(0n).bytes);
    f.brIf(odd);
    this.run(aE.set(a.se.and(EXPONENT_OR_EMPTY)), isNormalExponent(aE).eqz().bytes);
    f.brIf(odd);
    this.run(bE.set(b.se.and(EXPONENT_OR_EMPTY)), isNormalExponent(bE).eqz().bytes);
    f.brIf(odd);
  }
  /** Not written as in unlessBothNormal: V8 would share the comparisons there, and then branch on stored bits. */
  private isNormal({ sig, se }: Number80): Int32 {
    return sig.shrU(63n).low().and(se.add(1).and(0x7ffe).ne(0)).and(se.and(EMPTY).eqz());
  }
  private isNormalOrZero(n: Number80): Int32 {
    return this.isNormal(n).or(n.se.and(EXPONENT_OR_EMPTY).wide().or(n.sig).eqz());
  }
  private exactly(sig: Int64, se: Int32): void {
    this.run(this.hi.set(sig), this.lo.set(0n), this.sign.set(se), this.up.set(0));
    this.goTo('put');
  }
  private signOfProduct(): Int32 {
    return this.a.se.xor(this.b.se).and(SIGN);
  }

  private addition(): void {
    const { f, a, b, hi, lo, e, sign } = this;
    const [aE, bE, d, swap] = [this.n[0]!, this.n[1]!, this.n[2]!, this.n[3]!];
    const [big, small, n, swap64] = [this.m[0]!, this.m[1]!, this.m[2]!, this.m[3]!];
    const odd = f.block();
    this.unlessBothNormal(aE, bE, odd);
    this.run(
      // The operand with the larger exponent first.
      d.set(aE.sub(bE)),
      swap.set(d.shrS(31)),
      swap64.set(a.sig.xor(b.sig).and(swap.wideS())),
      big.set(a.sig.xor(swap64)),
      small.set(b.sig.xor(swap64)),
      sign.set(a.se.xor(a.se.xor(b.se).and(swap))),
      e.set(sign.and(0x7fff)),
      sign.set(sign.and(SIGN)),
      d.set(d.xor(swap).sub(swap)),
      when(
        d.ltU(64),
        [hi.set(small.shrU(d.wide())), lo.set(small.shl(1n).shl(d.xor(-1).wide()))],
        // What is further down counts as a sticky bit.
        [hi.set(0n), lo.set(d.eq(64).pick64(small, d.eq(65).pick64(small.shrU(1n).or(small.and(1n)), 1n)))],
      ),
      this.signOfProduct().bytes,
    );
    f.if();
    this.run(
      // Of equal exponents the second significand may be the larger one; then lo is 0.
      n.set(hi),
      hi.set(big.sub(hi).sub(lo.ne(0n).wide())),
      lo.set(i64(0n).sub(lo)),
      when(big.ltU(n), [hi.set(i64(0n).sub(hi)), sign.set(sign.xor(SIGN))]),
      hi.eqz().bytes,
    );
    f.if();
    this.run(lo.eqz().bytes);
    f.if();
    this.exactly(i64(0n), i32(0));
    f.end();
    this.run(hi.set(lo), lo.set(0n), e.set(e.sub(64)));
    f.end();
    this.run(
      n.set(hi.clz()),
      hi.set(hi.shl(n).or(lo.shrU(1n).shrU(n.xor(-1n)))),
      lo.set(lo.shl(n)),
      e.set(e.sub(n.low())),
    );
    this.goTo('round');
    f.end();
    this.run(
      hi.set(hi.add(big)),
      n.set(hi.ltU(big).wide()), // the carry
      lo.set(lo.shrU(n).or(lo.and(n)).or(hi.and(n).shl(63n))),
      hi.set(hi.shrU(n).or(n.shl(63n))),
      e.set(e.add(n.low())),
    );
    this.goTo('round');
    f.end(); // odd
    this.leaveUnless(this.isNormalOrZero(a).and(this.isNormalOrZero(b)));
    this.run(
      hi.set(a.sig.or(b.sig)), // one is zero
      lo.set(0n),
      sign.set(a.sig.eqz().pick(b.se, a.se)),
      e.set(sign.and(0x7fff)),
      sign.set(sign.and(SIGN)),
      hi.ne(0n).bytes,
    );
    f.brIf(this.labels!.round);
    this.exactly(i64(0n), a.se.and(b.se).and(SIGN));
  }

  private multiplication(): void {
    const { f, a, b, hi, lo, e, sign } = this;
    const [aE, bE] = [this.n[0]!, this.n[1]!];
    const [low, mid1, mid2, n] = [this.m[0]!, this.m[1]!, this.m[2]!, this.m[3]!];
    const odd = f.block();
    this.unlessBothNormal(aE, bE, odd);
    this.run(
      low.set(a.sig.and(LOW).mul(b.sig.and(LOW))),
      mid1.set(a.sig.shrU(32n).mul(b.sig.and(LOW)).add(low.shrU(32n))),
      mid2.set(a.sig.and(LOW).mul(b.sig.shrU(32n)).add(mid1.and(LOW))),
      hi.set(a.sig.shrU(32n).mul(b.sig.shrU(32n)).add(mid1.shrU(32n)).add(mid2.shrU(32n))),
      lo.set(mid2.shl(32n).or(low.and(LOW))),
      // 1 to 4 becomes 1 to 2.
      n.set(hi.shrU(63n).xor(1n)),
      hi.set(hi.shl(n).or(lo.shrU(63n).and(n))),
      lo.set(lo.shl(n)),
      e.set(aE.add(bE).sub(0x3ffe).sub(n.low())),
      sign.set(this.signOfProduct()),
    );
    this.goTo('round');
    f.end(); // odd
    this.leaveUnless(this.isNormalOrZero(a).and(this.isNormalOrZero(b)));
    this.exactly(i64(0n), this.signOfProduct());
  }

  private division(): void {
    const { f, a, b, hi, lo, e, sign } = this;
    const [aE, bE] = [this.n[0]!, this.n[1]!];
    const [q, rem, top] = [this.m[0]!, this.m[1]!, this.m[2]!];
    // One 32-bit digit of the quotient of rem:digit / b, by the schoolbook estimate from the divisor's high half.
    const digit = (next: Int64): Bytes => {
      const tooLarge = q
        .shrU(32n)
        .ne(0n)
        .or(q.mul(b.sig.and(LOW)).gtU(top.shl(32n).or(next)));
      const correct = when(top.shrU(32n).eqz(), [
        when(tooLarge, [q.set(q.sub(1n)), top.set(top.add(b.sig.shrU(32n)))]),
      ]);
      return [
        q.set(rem.divU(b.sig.shrU(32n))),
        top.set(rem.sub(q.mul(b.sig.shrU(32n)))),
        correct,
        correct,
        rem.set(rem.shl(32n).or(next).sub(q.mul(b.sig))),
      ];
    };
    const odd = f.block();
    this.unlessBothNormal(aE, bE, odd);
    this.run(
      e.set(aE.sub(bE).add(0x3fff)),
      sign.set(this.signOfProduct()),
      // rem:lo / b with rem < b, so that the quotient has its top bit set and fits 64 bits.
      when(
        a.sig.ltU(b.sig),
        [rem.set(a.sig), lo.set(0n), e.set(e.sub(1))],
        [rem.set(a.sig.shrU(1n)), lo.set(a.sig.shl(63n))],
      ),
      digit(lo.shrU(32n)),
      hi.set(q.shl(32n)),
      digit(i64(0n)),
      hi.set(hi.or(q)),
      // What is left over, against half the divisor.
      lo.set(
        rem
          .eqz()
          .pick64(0n, rem.gtU(b.sig.sub(rem)).pick64(MSB | 1n, rem.eq(b.sig.sub(rem)).pick64(MSB, 1n))),
      ),
    );
    this.goTo('round');
    f.end(); // odd
    this.leaveUnless(this.isNormalOrZero(a).and(this.isNormal(b)));
    this.exactly(i64(0n), this.signOfProduct());
  }

  private comparison(site: HotSite): void {
    const { f, a, b } = this;
    const [aE, bE, same, less] = [this.n[0]!, this.n[1]!, this.n[2]!, this.n[3]!];
    const usual = f.block();
    const odd = f.block();
    this.unlessBothNormal(aE, bE, odd);
    f.br(usual).end();
    this.leaveUnless(this.isNormalOrZero(a).and(this.isNormalOrZero(b)));
    this.run(aE.set(a.se.and(0x7fff)), bE.set(b.se.and(0x7fff)));
    f.end();
    this.run(
      // Both zero: the sign does not count.
      same.set(a.sig.eq(b.sig).and(a.se.eq(b.se).or(a.sig.eqz()))),
      less.set(aE.ltU(bE).or(aE.eq(bE).and(a.sig.ltU(b.sig)))),
      // Of different signs the negative one is less; of two negative ones the one with the larger magnitude.
      less.set(
        this.signOfProduct()
          .pick(a.se.shrU(15), less.xor(a.se.shrU(15)))
          .and(same.eqz()),
      ),
      this.setC1(0),
      when(this.pops, [
        aE.set(this.top()),
        this.pop(aE),
        when(this.pops.and(2), [aE.set(this.top()), this.pop(aE)]),
      ]),
      this.to.bytes,
    );
    f.if();
    // ZF if equal, CF if less; the others are clear: an odd parity, and OF is the exclusive or of both carries.
    f.get(same.index).op(w.I32_EQZ).set(site.flagZero).const(1).set(site.flagSign);
    f.const(0).get(less.index).op(w.I32_SUB).const(0xc000_0000).op(w.I32_AND).set(site.flagCarry);
    f.else();
    this.run(
      setStatusWord(
        statusWord()
          .and(~(C0 | C2 | C3))
          .or(bit(same, C3))
          .or(bit(less, C0)),
      ),
    );
    f.end();
    site.finishCase();
  }

  /** To nearest, of two as near the even one; falls into the store. */
  private rounding(): void {
    const { hi, lo, e, sign, up } = this;
    this.leaveUnless(e.sub(1).ltU(0x7ffd));
    this.run(
      when(
        this.mode().eq(USUAL_64),
        [up.set(lo.gtU(i64(MSB).sub(hi.and(1n)))), hi.set(hi.add(up.wide()))],
        [
          lo.set(hi.shl(53n).or(lo.ne(0n).wide())),
          up.set(lo.gtU(i64(MSB).sub(hi.shrU(11n).and(1n)))),
          hi.set(hi.and(-(1n << 11n)).add(up.wide().shl(11n))),
        ],
      ),
      when(hi.eqz(), [hi.set(MSB), e.set(e.add(1))]),
      sign.set(sign.or(e)),
    );
  }
}

/** Sign, exponent and EMPTY. */
export const loadSe32 = (slot: Int32): Int32 => load32(slot, FPR + 8);
export const slotBelow = (slot: Int32): Int32 => slot.sub(16).and(SLOTS);
export const slotAbove = (slot: Int32): Int32 => slot.add(16).and(SLOTS);
/** @param number 4 * i of ST(i), as in records */
export const slotOf = (top: Int32, number: Int32): Int32 => top.add(number.shl(2)).and(SLOTS);
