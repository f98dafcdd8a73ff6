/**
 * The frequent x87 instructions as cases of the x87 loop, by row id. Each does its work on usual operands, as hot.ts
 * says, or leaves before anything has happened. The hardware vectors run through them.
 */
import * as w from '../../../wasm/opcodes.ts';
import { EAX } from '../../layout.ts';
import type { HotSite } from '../site.ts';
import {
  type Bytes,
  type Int32,
  type Int64,
  i32,
  i64,
  type Local32,
  store16,
  store32,
  store64,
  when,
} from './expression.ts';
import {
  EMPTY,
  loadSe32,
  type Number80,
  slotBelow,
  slotOf,
  type Tail,
  TELL_CODES,
  TELL_FLAGS,
  type X87Hot,
} from './hot.ts';
import { BUSY, EXP_MAX, FCW, FPR, MSB, PE, RC_MASK, SIGN } from './state.ts';

/** Writes a case, to its end: a tail, or `site.finishCase()`. */
export type HotX87 = (site: HotSite, x: X87Hot) => void;

function end(site: HotSite): void {
  site.noteX87();
  site.finishCase();
}

// --- memory formats

interface Format {
  readonly bits: 32 | 64;
  readonly fraction: number;
  readonly maxExponent: number;
}
const SINGLE: Format = { bits: 32, fraction: 23, maxExponent: 0xff };
const DOUBLE: Format = { bits: 64, fraction: 52, maxExponent: 0x7ff };
const rebiasOf = (format: Format): number => 0x3fff - (format.maxExponent >> 1);

/** The memory operand into `to`; leaves unless it is normal or zero. */
function loadFloat(site: HotSite, x: X87Hot, format: Format, to: Number80): void {
  const bits = x.m[0]!,
    e = x.n[0]!;
  const { f } = site;
  site.load(format.bits);
  if (format.bits === 32) f.op(w.I64_EXTEND_I32_U);
  f.set(bits.index);
  x.run(
    e.set(bits.shrU(BigInt(format.fraction)).low().and(format.maxExponent)),
    to.se.set(
      bits
        .shrU(BigInt(format.bits - 16))
        .low()
        .and(SIGN),
    ),
    to.sig.set(bits.shl(BigInt(63 - format.fraction)).or(MSB)),
    e.sub(1).geU(format.maxExponent - 1).bytes,
  );
  f.if();
  x.leaveUnless(bits.shl(BigInt(65 - format.bits)).eqz());
  x.run(to.sig.set(0n));
  f.else();
  x.run(to.se.set(to.se.or(e.add(rebiasOf(format)))));
  f.end();
}
/** The integer operand into `to`. */
function loadInteger(site: HotSite, x: X87Hot, bits: 16 | 32 | 64, to: Number80): void {
  const value = x.m[0]!,
    n = x.m[1]!;
  const { f } = site;
  site.load(bits);
  if (bits === 16) f.op(w.I32_EXTEND16_S);
  if (bits !== 64) f.op(w.I64_EXTEND_I32_S);
  f.set(value.index);
  x.run(
    to.sig.set(value.xor(value.shrS(63n)).sub(value.shrS(63n))),
    n.set(to.sig.clz()),
    to.sig.set(to.sig.shl(n)),
    to.se.set(value.eqz().pick(0, i32(0x403e).sub(n.low()).or(value.shrU(48n).low().and(SIGN)))),
  );
}

// --- loads

/** Makes room for a push: the slot in `x.to`. */
function findRoom(x: X87Hot): void {
  x.run(x.to.set(slotBelow(x.top())));
  x.leaveUnless(loadSe32(x.to).and(EMPTY));
}
const push = (x: X87Hot, sig: Int64, se: Int32): Bytes => [
  x.setTop(x.to),
  x.setC1(0),
  store64(x.to, sig, FPR),
  store32(x.to, se, FPR + 8), // in use now
];
const pushMemory =
  (load: (site: HotSite, x: X87Hot, to: Number80) => void): HotX87 =>
  (site, x) => {
    findRoom(x);
    load(site, x, x.a);
    x.run(push(x, x.a.sig, x.a.se));
    end(site);
  };
const pushFloat = (format: Format): HotX87 => pushMemory((site, x, to) => loadFloat(site, x, format, to));
const pushInteger = (bits: 16 | 32 | 64): HotX87 =>
  pushMemory((site, x, to) => loadInteger(site, x, bits, to));
const pushExtended = pushMemory((site, _x, to) => {
  site.prepareLoad(10);
  site.load(64);
  site.f.set(to.sig.index);
  site.load(16, 8);
  site.f.set(to.se.index);
});
const pushConstant =
  (sig: bigint, se: number): HotX87 =>
  (site, x) => {
    findRoom(x);
    x.run(push(x, i64(sig), i32(se)));
    end(site);
  };

/** ST(i) of the record, in `slot`. */
function numbered(site: HotSite, x: X87Hot, slot: Local32): void {
  site.rmOffset();
  site.f.set(slot.index);
  x.run(slot.set(slotOf(x.top(), slot)));
}
const pushSt: HotX87 = (site, x) => {
  const from = x.n[0]!,
    { a } = x;
  numbered(site, x, from);
  x.run(x.load(a, from));
  x.leaveIf(a.se.and(EMPTY));
  findRoom(x);
  x.run(push(x, a.sig, a.se));
  end(site);
};

// --- arithmetic

type Operation = 'add' | 'mul' | 'sub' | 'subr' | 'div' | 'divr';
const TAILS: Record<Operation, Tail> = {
  add: 'add',
  sub: 'add',
  subr: 'add',
  mul: 'multiply',
  div: 'divide',
  divr: 'divide',
};
/** Which of a and b is the register operand (the destination). */
const destinationOf = (x: X87Hot, name: Operation): [destination: Number80, source: Number80] =>
  name === 'subr' || name === 'divr' ? [x.b, x.a] : [x.a, x.b];
function operate(site: HotSite, x: X87Hot, name: Operation): void {
  site.noteX87();
  if (name === 'sub' || name === 'subr') x.run(x.b.se.set(x.b.se.xor(SIGN)));
  x.tail(TAILS[name]);
}
/** @param reversed the destination is ST(i) */
const onRegisters =
  (name: Operation, reversed: boolean, pops: boolean): HotX87 =>
  (site, x) => {
    const top = x.n[0]!,
      other = x.n[1]!;
    const [destination, source] = destinationOf(x, name);
    x.needUsualRounding();
    numbered(site, x, other);
    x.run(
      top.set(x.top()),
      x.load(reversed ? source : destination, top),
      x.load(reversed ? destination : source, other),
      x.to.set(reversed ? other : top),
      x.pops.set(pops ? 1 : 0),
    );
    operate(site, x, name);
  };
const withMemory =
  (name: Operation, load: (site: HotSite, x: X87Hot, to: Number80) => void): HotX87 =>
  (site, x) => {
    const [destination, source] = destinationOf(x, name);
    x.needUsualRounding();
    load(site, x, source);
    x.run(x.to.set(x.top()), x.load(destination, x.to), x.pops.set(0));
    operate(site, x, name);
  };
const onSign =
  (change: (se: Int32) => Int32): HotX87 =>
  (site, x) => {
    const top = x.n[0]!,
      { se } = x.a;
    x.run(top.set(x.top()), se.set(loadSe32(top)));
    x.leaveIf(se.and(EMPTY));
    x.run(store16(top, change(se), FPR + 8), x.setC1(0));
    end(site);
  };

// --- between registers

const storeSt =
  (pops: boolean): HotX87 =>
  (site, x) => {
    const [top, to] = [x.n[0]!, x.n[1]!];
    const { a } = x;
    x.run(top.set(x.top()), x.load(a, top));
    x.leaveIf(a.se.and(EMPTY));
    numbered(site, x, to);
    x.run(
      store64(to, a.sig, FPR),
      store32(to, a.se, FPR + 8), // in use now
      pops ? x.pop(top) : [],
      x.setC1(0),
    );
    end(site);
  };
const exchange: HotX87 = (site, x) => {
  const [top, other] = [x.n[0]!, x.n[1]!];
  const { a, b } = x;
  numbered(site, x, other);
  x.run(top.set(x.top()), x.load(a, top), x.load(b, other));
  x.leaveIf(a.se.or(b.se).and(EMPTY));
  x.run(
    store64(other, a.sig, FPR),
    store32(other, a.se, FPR + 8),
    store64(top, b.sig, FPR),
    store32(top, b.se, FPR + 8),
    x.setC1(0),
  );
  end(site);
};

// --- comparisons

/** Of ST(0) with x.b, which is loaded. */
function compareWith(site: HotSite, x: X87Hot, how: number, pops: number): void {
  x.run(x.load(x.a, x.top()), x.to.set(how), x.pops.set(pops));
  site.noteX87();
  x.tail('compare');
}
const compare =
  (how: number, pops: number): HotX87 =>
  (site, x) => {
    const other = x.n[0]!;
    numbered(site, x, other);
    x.run(x.load(x.b, other));
    compareWith(site, x, how, pops);
  };
const compareMemory =
  (format: Format, pops: number): HotX87 =>
  (site, x) => {
    loadFloat(site, x, format, x.b);
    compareWith(site, x, TELL_CODES, pops);
  };
const compareZero: HotX87 = (site, x) => {
  x.run(x.b.sig.set(0n), x.b.se.set(0));
  compareWith(site, x, TELL_CODES, 0);
};

// --- stores to memory

/** `write` stores ST(0), in x.a, and sets C1; it may still leave before that. */
function storeMemory(site: HotSite, x: X87Hot, bytes: number, pops: boolean, write: () => void): void {
  const top = x.n[0]!;
  x.run(top.set(x.top()), x.load(x.a, top));
  x.leaveIf(x.a.se.and(EMPTY));
  site.checkStore(bytes);
  write();
  if (pops) x.run(x.pop(top));
  end(site);
}
const noteRounding = (x: X87Hot, rest: Int64, up: Int32): Bytes => [x.setC1(up), x.noteInexact(rest)];

const storeFloat =
  (format: Format, pops: boolean): HotX87 =>
  (site, x) => {
    const { f } = site;
    const { sig, se } = x.a;
    const e = x.n[1]!,
      up = x.n[2]!,
      value = x.m[0]!,
      rest = x.m[1]!;
    const dropped = BigInt(63 - format.fraction);
    storeMemory(site, x, format.bits / 8, pops, () => {
      x.leaveUnless(
        x
          .mode()
          .and(RC_MASK | PE)
          .eq(PE),
      );
      x.run(e.set(se.and(EXP_MAX)), sig.eqz().bytes);
      f.if();
      x.leaveIf(e.ne(0));
      x.run(value.set(0n), rest.set(0n), up.set(0));
      f.else();
      // Not the largest exponent: rounding must not lead to infinity.
      x.leaveUnless(sig.ltS(0n).and(e.sub(rebiasOf(format) + 1).ltU(format.maxExponent - 2)));
      x.run(
        rest.set(sig.shl(BigInt(format.fraction + 1))),
        up.set(rest.gtU(i64(MSB).sub(sig.shrU(dropped).and(1n)))),
        // The integer bit adds one to the exponent, and so does a carry out of the fraction.
        value.set(
          e
            .sub(rebiasOf(format) + 1)
            .wide()
            .shl(BigInt(format.fraction))
            .add(sig.shrU(dropped))
            .add(up.wide()),
        ),
      );
      f.end();
      x.run(
        value.or(
          se
            .and(SIGN)
            .wide()
            .shl(BigInt(format.bits - 16)),
        ).bytes,
      );
      if (format.bits === 32) f.op(w.I32_WRAP_I64);
      site.store(format.bits);
      x.run(noteRounding(x, rest, up));
    });
  };
const storeInteger =
  (bits: 16 | 32 | 64, pops: boolean): HotX87 =>
  (site, x) => {
    const { f } = site;
    const { sig, se } = x.a;
    const e = x.n[1]!,
      up = x.n[2]!,
      value = x.m[0]!,
      rest = x.m[1]!,
      shift = x.m[2]!;
    storeMemory(site, x, bits / 8, pops, () => {
      // Nearest or towards zero.
      x.leaveUnless(x.mode().and(PE));
      x.run(up.set(x.mode().and(RC_MASK)));
      x.leaveUnless(up.eqz().or(up.eq(RC_MASK)));
      x.run(e.set(se.and(EXP_MAX)));
      x.leaveUnless(
        sig
          .ltS(0n)
          .and(e.ltU(0x3fff + bits - 1))
          .or(e.wide().or(sig).eqz()),
      );
      x.run(
        shift.set(i32(0x403e).sub(e).wide()), // 1 and more
        when(
          e.ltU(0x3fff),
          // Below one: below, at or above the half.
          [value.set(0n), rest.set(e.eq(0x3ffe).pick64(sig, sig.ne(0n).wide()))],
          [value.set(sig.shrU(shift)), rest.set(sig.shl(i64(64n).sub(shift)))],
        ),
        up.set(up.eqz().and(rest.gtU(i64(MSB).sub(value.and(1n))))),
        value.set(value.add(up.wide())),
      );
      x.leaveIf(value.shrU(BigInt(bits - 1)).ne(0n));
      x.run(shift.set(i64(0n).sub(se.shrU(15).wide())), value.xor(shift).sub(shift).bytes);
      if (bits !== 64) f.op(w.I32_WRAP_I64);
      site.store(bits);
      x.run(noteRounding(x, rest, up));
    });
  };
const storeExtended: HotX87 = (site, x) =>
  storeMemory(site, x, 10, true, () => {
    site.f.get(x.a.sig.index);
    site.store(64);
    site.f.get(x.a.se.index);
    site.store(16, 8);
    x.run(x.setC1(0));
  });

// --- control

/** Only where it opens no pending exception. */
const loadControl: HotX87 = (site, x) => {
  const control = x.n[0]!;
  site.load(16);
  site.f.set(control.index);
  x.run(control.set(control.and(0x1f3f).or(0x40)));
  x.leaveIf(x.status().and(control.xor(-1).and(0x3f).or(BUSY)));
  x.run(store16(0, control, FCW), x.setMode(control));
  site.finishCase();
};
const storeControl: HotX87 = (site) => {
  site.checkStore(2);
  site.f.const(0).mem(w.I32_LOAD16_U, FCW);
  site.store(16);
  site.finishCase();
};
const storeStatus: HotX87 = (site, x) => {
  x.run(x.status().bytes);
  site.setFixed(EAX, 16);
  site.finishCase();
};

function table(): Map<string, HotX87> {
  const cases: Record<string, HotX87> = {
    'fld Mf32': pushFloat(SINGLE),
    'fld Mf64': pushFloat(DOUBLE),
    'fld Mf80': pushExtended,
    'fld STi': pushSt,
    'fild Mi16': pushInteger(16),
    'fild Mi32': pushInteger(32),
    'fild Mi64': pushInteger(64),
    fld1: pushConstant(MSB, 0x3fff),
    fldz: pushConstant(0n, 0),
    'fst Mf32': storeFloat(SINGLE, false),
    'fstp Mf32': storeFloat(SINGLE, true),
    'fst Mf64': storeFloat(DOUBLE, false),
    'fstp Mf64': storeFloat(DOUBLE, true),
    'fstp Mf80': storeExtended,
    'fist Mi32': storeInteger(32, false),
    'fistp Mi16': storeInteger(16, true),
    'fistp Mi32': storeInteger(32, true),
    'fistp Mi64': storeInteger(64, true),
    'fst STi': storeSt(false),
    'fstp STi': storeSt(true),
    'fxch ST0,STi': exchange,
    fchs: onSign((se) => se.xor(SIGN)),
    fabs: onSign((se) => se.and(EXP_MAX)),
    fcompp: compare(TELL_CODES, 2),
    fucompp: compare(TELL_CODES, 2),
    ftst: compareZero,
    'fldcw Mw': loadControl,
    'fnstcw Mw': storeControl,
    'fnstsw AX': storeStatus,
  };
  for (const [suffix, pops] of [
    ['', 0],
    ['p', 1],
  ] as const) {
    cases[`fcom${suffix} Mf32`] = compareMemory(SINGLE, pops);
    cases[`fcom${suffix} Mf64`] = compareMemory(DOUBLE, pops);
    for (const name of ['com', 'ucom']) {
      cases[`f${name}${suffix} ST0,STi`] = compare(TELL_CODES, pops);
      cases[`f${name}i${suffix} ST0,STi`] = compare(TELL_FLAGS, pops);
    }
  }
  for (const name of Object.keys(TAILS) as Operation[]) {
    cases[`f${name} ST0,STi`] = onRegisters(name, false, false);
    cases[`f${name} STi,ST0`] = onRegisters(name, true, false);
    cases[`f${name}p STi,ST0`] = onRegisters(name, true, true);
    cases[`f${name} Mf32`] = withMemory(name, (site, x, to) => loadFloat(site, x, SINGLE, to));
    cases[`f${name} Mf64`] = withMemory(name, (site, x, to) => loadFloat(site, x, DOUBLE, to));
    cases[`fi${name} Mi32`] = withMemory(name, (site, x, to) => loadInteger(site, x, 32, to));
  }
  return new Map(Object.entries(cases));
}
export const frequentX87: ReadonlyMap<string, HotX87> = table();
