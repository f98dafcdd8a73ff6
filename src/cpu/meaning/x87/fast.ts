/**
 * The frequent instructions in their usual circumstances, without a call: registers in use, normal operands, a normal
 * result, rounding to nearest with 64 bits, inexact masked. Whatever else there is goes to the full function of
 * instructions.ts, which starts afresh; so these add speed and no meaning. The hardware vectors run through both.
 *
 * Shifts by 64 - d are written as one and 63 - d, so that d = 0 needs no branch (a shift count is taken modulo 64).
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import {
  type Bytes,
  type Callee,
  callVoid,
  define,
  GIVES_32,
  give,
  guarded,
  type Int32,
  type Int64,
  i32,
  i64,
  type Local32,
  type Local64,
  passOn,
  type Scope,
  store16,
  store64,
  VOID,
  when,
} from './expression.ts';
import type { Library } from './instructions.ts';
import type { Operation } from './operate.ts';
import {
  bit,
  C0,
  C1,
  C2,
  C3,
  controlWord,
  EXP_MAX,
  FPR,
  isEmpty,
  isNormalExponent,
  loadSe,
  loadSig,
  MSB,
  PC_64,
  PC_MASK,
  PE,
  physical,
  RC_MASK,
  SIGN,
  setStatusWord,
  setTagWord,
  slot,
  statusWord,
  tagWord,
} from './state.ts';

/** Nearest, 64 bits, inexact masked: then no exception that a normal result can bring is open. */
const usualControl = (): Int32 =>
  controlWord()
    .and(RC_MASK | PC_MASK | PE)
    .eq(PC_64 | PE);

/** A number being worked on: significand with its top bit set; sign and exponent, and the exponent alone. */
interface Number80 {
  readonly sig: Local64;
  readonly se: Local32;
  readonly e: Local32;
}
/** The result before rounding: hi | lo, exponent, sign. */
interface Wide {
  readonly hi: Local64;
  readonly lo: Local64;
  readonly e: Local32;
  readonly sign: Local32;
}
const number80 = (s: Scope): Number80 => ({ sig: s.local64(), se: s.local32(), e: s.local32() });
const unpack = (n: Number80, at: Int32): Bytes[] => [
  n.sig.set(loadSig(at)),
  n.se.set(loadSe(at)),
  n.e.set(n.se.and(EXP_MAX)),
];

function addition(s: Scope, a: Number80, b: Number80, negate: number, out: Wide): Bytes[] {
  const d = s.local32(),
    n = s.local64(),
    big = s.local64(),
    small = s.local64();
  return [
    // The operand with the larger exponent first.
    d.set(a.e.sub(b.e)),
    big.set(d.ltS(0).pick64(b.sig, a.sig)),
    small.set(d.ltS(0).pick64(a.sig, b.sig)),
    out.e.set(d.ltS(0).pick(b.e, a.e)),
    ...(negate === 0 ? [] : [b.se.set(b.se.xor(negate))]),
    out.sign.set(d.ltS(0).pick(b.se, a.se).and(SIGN)),
    d.set(d.xor(d.shrS(31)).sub(d.shrS(31))),
    when(
      d.ltU(64),
      [
        out.hi.set(small.shrU(d.wide())),
        out.lo.set(small.shl(1n).shl(i32(63).sub(d).wide())),
        when(
          a.se.xor(b.se).and(SIGN),
          [
            n.set(i64(0n).sub(out.lo.ne(0n).wide())),
            out.hi.set(big.sub(out.hi).add(n)),
            out.lo.set(i64(0n).sub(out.lo)),
            // Of equal exponents the second significand may be the larger one; then lo is 0.
            when(big.ltU(small).and(d.eqz()), [
              out.hi.set(i64(0n).sub(out.hi)),
              out.sign.set(out.sign.xor(SIGN)),
            ]),
            // Cancelled to nothing or nearly: not for here.
            when(out.hi.eqz(), [out.e.set(0)]),
            n.set(out.hi.clz()),
            out.hi.set(out.hi.shl(n).or(out.lo.shrU(1n).shrU(i64(63n).sub(n)))),
            out.lo.set(out.lo.shl(n)),
            out.e.set(out.e.sub(n.low())),
          ],
          [
            out.hi.set(out.hi.add(big)),
            n.set(out.hi.ltU(big).wide()), // the carry
            out.lo.set(out.lo.shrU(n).or(out.lo.and(n)).or(out.hi.and(n).shl(63n))),
            out.hi.set(out.hi.shrU(n).or(n.shl(63n))),
            out.e.set(out.e.add(n.low())),
          ],
        ),
      ],
      [out.e.set(0)],
    ),
  ];
}

const LOW = 0xffff_ffffn;
function multiplication(s: Scope, a: Number80, b: Number80, out: Wide): Bytes[] {
  const low = s.local64(),
    mid1 = s.local64(),
    mid2 = s.local64(),
    n = s.local64();
  return [
    low.set(a.sig.and(LOW).mul(b.sig.and(LOW))),
    mid1.set(a.sig.shrU(32n).mul(b.sig.and(LOW))),
    mid2.set(a.sig.and(LOW).mul(b.sig.shrU(32n))),
    out.hi.set(a.sig.shrU(32n).mul(b.sig.shrU(32n)).add(mid1.shrU(32n)).add(mid2.shrU(32n))),
    mid1.set(low.shrU(32n).add(mid1.and(LOW)).add(mid2.and(LOW))),
    out.hi.set(out.hi.add(mid1.shrU(32n))),
    out.lo.set(mid1.shl(32n).or(low.and(LOW))),
    // 1 to 4 becomes 1 to 2.
    n.set(out.hi.shrU(63n).xor(1n)),
    out.hi.set(out.hi.shl(n).or(out.lo.shrU(63n).and(n))),
    out.lo.set(out.lo.shl(n)),
    out.e.set(a.e.add(b.e).sub(0x3ffe).sub(n.low())),
    out.sign.set(a.se.xor(b.se).and(SIGN)),
  ];
}

/** Rounds and stores if the result is normal; `after` is done with the status word in `status`, then leaves. */
function store(s: Scope, w: Wide, at: Int32, status: Local32, after: Bytes[]): Bytes {
  const up = s.local32();
  return when(w.e.sub(1).ltU(0x7ffd), [
    up.set(
      w.lo
        .shrU(63n)
        .low()
        .and(w.lo.shl(1n).ne(0n).or(w.hi.low().and(1))),
    ),
    w.hi.set(w.hi.add(up.wide())),
    when(w.hi.eqz(), [w.hi.set(MSB), w.e.set(w.e.add(1))]),
    store64(at, w.hi, FPR),
    store16(at, w.sign.or(w.e), FPR + 8),
    status.set(
      status
        .and(~C1)
        .or(bit(w.lo.ne(0n), PE))
        .or(up.shl(9)),
    ),
    ...after,
    give(),
  ]);
}

const NO_DIVISION = ['add', 'mul', 'sub', 'subr'] as const;
type Fast = (typeof NO_DIVISION)[number];
/** The operation, in terms of addition and multiplication. */
const compute = (name: Fast, s: Scope, a: Number80, b: Number80, out: Wide): Bytes[] => {
  if (name === 'mul') return multiplication(s, a, b, out);
  return name === 'subr' ? addition(s, b, a, SIGN, out) : addition(s, a, b, name === 'sub' ? SIGN : 0, out);
};
const wide = (s: Scope): Wide => ({ hi: s.local64(), lo: s.local64(), e: s.local32(), sign: s.local32() });
const bothNormal = (a: Number80, b: Number80): Int32[] => [
  a.sig.and(b.sig).ltS(0n),
  isNormalExponent(a.e),
  isNormalExponent(b.e),
];

export function defineFastPaths(module: ModuleBuilder, full: Library): Library {
  const overlay = (
    slow: Readonly<Record<Operation, Callee>>,
    make: (name: Fast, slow: Callee) => Callee,
  ): Record<Operation, Callee> => {
    const out = { ...slow };
    for (const name of NO_DIVISION) out[name] = make(name, slow[name]);
    return out;
  };

  const onRegisters = (name: Fast, slow: Callee): Callee =>
    define(module, VOID, (s) => {
      const dst = s.param32(),
        src = s.param32(),
        pops = s.param32();
      const status = s.local32(),
        to = s.local32(),
        from = s.local32();
      const a = number80(s),
        b = number80(s),
        out = wide(s);
      return [
        status.set(statusWord()),
        to.set(physical(status, dst)),
        from.set(physical(status, src)),
        guarded(
          [isEmpty(tagWord(), to).eqz(), isEmpty(tagWord(), from).eqz(), usualControl()],
          [
            to.set(slot(to)),
            ...unpack(a, to),
            ...unpack(b, slot(from)),
            guarded(bothNormal(a, b), [
              ...compute(name, s, a, b, out),
              store(s, out, to, status, [
                when(pops, [
                  setTagWord(tagWord().or(i32(3).shl(physical(status, 0).shl(1)))),
                  status.set(status.and(~0x3800).or(physical(status, 1).shl(11))),
                ]),
                setStatusWord(status),
              ]),
            ]),
          ],
        ),
        callVoid(slow, dst, src, pops),
      ];
    });

  /** A memory operand's exponent field; the number it stands for if that is normal. */
  interface Format {
    readonly wide: boolean;
    readonly fractionBits: number;
    readonly exponentBits: number;
  }
  const SINGLE: Format = { wide: false, fractionBits: 23, exponentBits: 8 };
  const DOUBLE: Format = { wide: true, fractionBits: 52, exponentBits: 11 };
  const maxExponent = (f: Format): number => (1 << f.exponentBits) - 1;
  /** Sets n; its exponent is that of the memory format until `rebias`. */
  const unpackMemory = (f: Format, n: Number80, bits: Int32 | Int64): Bytes[] => {
    const value: Int64 = f.wide ? (bits as Int64) : (bits as Int32).wide();
    const top = f.fractionBits + f.exponentBits;
    return [
      n.e.set(value.shrU(BigInt(f.fractionBits)).low().and(maxExponent(f))),
      n.sig.set(value.shl(BigInt(63 - f.fractionBits)).or(MSB)),
      n.se.set(value.shrU(BigInt(top)).low().and(1).shl(15)),
    ];
  };
  const isNormalMemory = (f: Format, n: Number80): Int32 => n.e.sub(1).ltU(maxExponent(f) - 1);
  const rebias = (f: Format, n: Number80): Bytes[] => [
    n.e.set(n.e.add(0x3fff - (maxExponent(f) >> 1))),
    n.se.set(n.se.or(n.e)),
  ];

  const withMemory =
    (f: Format) =>
    (name: Fast, slow: Callee): Callee =>
      define(module, VOID, (s) => {
        const bits = f.wide ? s.param64() : s.param32();
        const status = s.local32(),
          to = s.local32();
        const a = number80(s),
          b = number80(s),
          out = wide(s);
        return [
          status.set(statusWord()),
          to.set(physical(status, 0)),
          ...unpackMemory(f, b, bits),
          guarded(
            [isEmpty(tagWord(), to).eqz(), usualControl(), isNormalMemory(f, b)],
            [
              to.set(slot(to)),
              ...rebias(f, b),
              ...unpack(a, to),
              guarded(bothNormal(a, b), [
                ...compute(name, s, a, b, out),
                store(s, out, to, status, [setStatusWord(status)]),
              ]),
            ],
          ),
          callVoid(slow, bits),
        ];
      });

  /** Pushes and leaves; the place must be empty. */
  const pushNow = (status: Local32, phys: Local32, sig: Int64, se: Int32): Bytes[] => [
    setStatusWord(status.and(~(0x3800 | C1)).or(phys.shl(11))),
    setTagWord(tagWord().and(i32(3).shl(phys.shl(1)).xor(-1))),
    store64(slot(phys), sig, FPR),
    store16(slot(phys), se, FPR + 8),
    give(),
  ];
  const pushMemory = (f: Format, slow: Callee): Callee =>
    define(module, VOID, (s) => {
      const bits = f.wide ? s.param64() : s.param32();
      const status = s.local32(),
        phys = s.local32(),
        n = number80(s);
      return [
        status.set(statusWord()),
        phys.set(physical(status, 7)),
        ...unpackMemory(f, n, bits),
        guarded(
          [isEmpty(tagWord(), phys), isNormalMemory(f, n)],
          [...rebias(f, n), ...pushNow(status, phys, n.sig, n.se)],
        ),
        callVoid(slow, bits),
      ];
    });
  const pushSt = define(module, VOID, (s) => {
    const i = s.param32();
    const status = s.local32(),
      phys = s.local32(),
      from = s.local32();
    return [
      status.set(statusWord()),
      phys.set(physical(status, 7)),
      from.set(physical(status, i)),
      guarded(
        [isEmpty(tagWord(), phys), isEmpty(tagWord(), from).eqz()],
        [from.set(slot(from)), ...pushNow(status, phys, loadSig(from), loadSe(from))],
      ),
      callVoid(full.pushSt, i),
    ];
  });
  const storeSt = define(module, VOID, (s) => {
    const i = s.param32(),
      pops = s.param32();
    const status = s.local32(),
      phys = s.local32(),
      to = s.local32(),
      tags = s.local32();
    return [
      status.set(statusWord()),
      tags.set(tagWord()),
      phys.set(physical(status, 0)),
      when(isEmpty(tags, phys).eqz(), [
        to.set(physical(status, i)),
        tags.set(tags.and(i32(3).shl(to.shl(1)).xor(-1))),
        to.set(slot(to)),
        status.set(status.and(~C1)),
        store64(to, loadSig(slot(phys)), FPR),
        store16(to, loadSe(slot(phys)), FPR + 8),
        when(pops, [
          tags.set(tags.or(i32(3).shl(phys.shl(1)))),
          status.set(status.and(~0x3800).or(phys.add(1).and(7).shl(11))),
        ]),
        setTagWord(tags),
        setStatusWord(status),
        give(),
      ]),
      callVoid(full.storeSt, i, pops),
    ];
  });
  const exchange = define(module, VOID, (s) => {
    const i = s.param32();
    const status = s.local32(),
      phys = s.local32(),
      other = s.local32(),
      sig = s.local64(),
      se = s.local32();
    return [
      status.set(statusWord()),
      phys.set(physical(status, 0)),
      other.set(physical(status, i)),
      guarded(
        [isEmpty(tagWord(), phys).eqz(), isEmpty(tagWord(), other).eqz()],
        [
          phys.set(slot(phys)),
          other.set(slot(other)),
          sig.set(loadSig(phys)),
          se.set(loadSe(phys)),
          store64(phys, loadSig(other), FPR),
          store16(phys, loadSe(other), FPR + 8),
          store64(other, sig, FPR),
          store16(other, se, FPR + 8),
          setStatusWord(status.and(~C1)),
          give(),
        ],
      ),
      callVoid(full.exchange, i),
    ];
  });

  /** C3, C2, C0 of two normal numbers. */
  const order = (a: Number80, b: Number80): Int32 => {
    const below = a.e.ltU(b.e).or(a.e.eq(b.e).and(a.sig.ltU(b.sig)));
    const same = a.se.eq(b.se).and(a.sig.eq(b.sig));
    // Of different signs the negative one is less; of two negative ones the one with the larger magnitude.
    const negative = a.se.shrU(15);
    const less = a.se.xor(b.se).and(SIGN).pick(negative, below.xor(negative));
    return same.pick(C3, bit(less, C0));
  };
  const comparison = (
    s: Scope,
    status: Local32,
    otherNumber: Int32,
    use: (codes: Int32) => Bytes[],
  ): Bytes[] => {
    const phys = s.local32(),
      other = s.local32(),
      a = number80(s),
      b = number80(s);
    return [
      status.set(statusWord()),
      phys.set(physical(status, 0)),
      other.set(physical(status, otherNumber)),
      guarded(
        [isEmpty(tagWord(), phys).eqz(), isEmpty(tagWord(), other).eqz()],
        [...unpack(a, slot(phys)), ...unpack(b, slot(other)), guarded(bothNormal(a, b), use(order(a, b)))],
      ),
    ];
  };
  const popOnce = (status: Local32): Bytes[] => [
    setTagWord(tagWord().or(i32(3).shl(physical(status, 0).shl(1)))),
    status.set(status.and(~0x3800).or(physical(status, 1).shl(11))),
  ];
  const compare = define(module, VOID, (s) => {
    const i = s.param32(),
      pops = s.param32(),
      quiet = s.param32(),
      status = s.local32();
    return [
      ...comparison(s, status, i, (codes) => [
        status.set(status.and(~(C0 | C1 | C2 | C3)).or(codes)),
        when(pops, popOnce(status)),
        when(pops.and(2), popOnce(status)),
        setStatusWord(status),
        give(),
      ]),
      callVoid(full.compare, i, pops, quiet),
    ];
  });
  const compareToFlags = define(module, GIVES_32, (s) => {
    const i = s.param32(),
      pops = s.param32(),
      quiet = s.param32(),
      status = s.local32(),
      result = s.local32();
    return [
      ...comparison(s, status, i, (codes) => [
        result.set(codes.shrU(8)),
        status.set(status.and(~C1)),
        when(pops, popOnce(status)),
        setStatusWord(status),
        give(result),
      ]),
      passOn(full.compareToFlags, i, pops, quiet),
    ];
  });

  return {
    ...full,
    binary: overlay(full.binary, onRegisters),
    binaryF32: overlay(full.binaryF32, withMemory(SINGLE)),
    binaryF64: overlay(full.binaryF64, withMemory(DOUBLE)),
    pushF32: pushMemory(SINGLE, full.pushF32),
    pushF64: pushMemory(DOUBLE, full.pushF64),
    pushSt,
    storeSt,
    exchange,
    compare,
    compareToFlags,
  };
}
