/**
 * The register stack around the arithmetic: operands by ST number, stack faults, masked and unmasked exceptions,
 * TOP and tags. Each function carries out one kind of instruction on the state block; the emitters call them.
 *
 * An exception that is not masked: for IE, ZE and DE nothing is stored and TOP stays; for OE, UE and PE a register
 * result is stored, a memory result only for PE. ES then makes the next waiting instruction raise #MF.
 * Source: Intel SDM vol. 1, "x87 FPU Floating-Point Exception Handling", "Stack Overflow or Underflow Exception".
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import { type Arithmetic, defineArithmetic } from './arithmetic.ts';
import { defineCompare } from './compare.ts';
import { type Conversions, defineConversions } from './convert.ts';
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
  type Int64,
  i32,
  i64,
  type Local32,
  type Local64,
  store16,
  store64,
  VOID,
  when,
} from './expression.ts';
import { defineRemainder, NO_QUOTIENT, type Remainder } from './remainder.ts';
import { defineRounding, type Rounding } from './round.ts';
import {
  BUSY,
  C0,
  C1,
  C2,
  C3,
  controlWord,
  DE,
  ES,
  EXP_MAX,
  exponentOf,
  FCW,
  FPR,
  IE,
  INDEFINITE,
  INDEFINITE_SE,
  isEmpty,
  isUnsupported,
  loadSe,
  loadSig,
  physical,
  QUIET,
  RC_DOWN,
  RC_MASK,
  RC_UP,
  SF,
  SIGN,
  setStatusWord,
  setTagWord,
  slot,
  statusWord,
  tagWord,
  ZE,
} from './state.ts';

export const OPERATIONS = ['add', 'mul', 'sub', 'subr', 'div', 'divr'] as const;
export type Operation = (typeof OPERATIONS)[number];
export const REMAINDER = 0,
  REMAINDER_IEEE = 1,
  SCALE = 2;
export const CHANGE_SIGN = 0,
  ABSOLUTE = 1,
  ROOT = 2,
  ROUND_INT = 3;

export interface Library {
  /** (dst, src, pop): ST(dst) = ST(dst) op ST(src) */
  readonly binary: Readonly<Record<Operation, Callee>>;
  /** (bits): ST(0) = ST(0) op value */
  readonly binaryF32: Readonly<Record<Operation, Callee>>;
  readonly binaryF64: Readonly<Record<Operation, Callee>>;
  /** (sign-extended 32 bits) */
  readonly binaryInt: Readonly<Record<Operation, Callee>>;
  /** (ST number, pops, quiet): ST(0) with ST(i) into C3 C2 C0 */
  readonly compare: Callee;
  /** (bits, pops) */
  readonly compareF32: Callee;
  readonly compareF64: Callee;
  readonly compareInt: Callee;
  readonly compareZero: Callee;
  /** (ST number, pops, quiet) -> ZF PF CF as EFLAGS bits, or -1 when an unmasked exception leaves EFLAGS alone */
  readonly compareToFlags: Callee;
  readonly examine: Callee;
  /** one of CHANGE_SIGN.. each */
  readonly unary: readonly Callee[];
  /** REMAINDER, REMAINDER_IEEE, SCALE */
  readonly withSt1: readonly Callee[];
  readonly extract: Callee;
  /** (bits) */
  readonly pushF32: Callee;
  readonly pushF64: Callee;
  /** (significand, sign-exponent) */
  readonly pushF80: Callee;
  /** (sign-extended 64 bits) */
  readonly pushInt: Callee;
  /** (ST number) */
  readonly pushSt: Callee;
  /** (significand when rounding is to nearest, 1 if that is above the true value, sign-exponent) */
  readonly pushConstant: Callee;
  /** Stores in three steps: value = prepare(); if `ready`, store it; finishStore(pop). prepare changes no state. */
  readonly prepareF32: Callee;
  readonly prepareF64: Callee;
  readonly prepareF80: Callee;
  /** (magnitude of the most negative value) -> i64 */
  readonly prepareInt: Callee;
  readonly ready: Global32;
  readonly finishStore: Callee;
  /** (ST number, pop): FST ST(i) */
  readonly storeSt: Callee;
  /** (ST number): as FSTP, but an empty ST(0) is no error and not copied */
  readonly storeQuietly: Callee;
  /** (new control word) */
  readonly loadControl: Callee;
  /** (ST number) */
  readonly exchange: Callee;
  /** (ST number, condition): FCMOVcc */
  readonly moveIf: Callee;
  /** (ST number) */
  readonly free: Callee;
  /** (1 to increment TOP, 7 to decrement) */
  readonly rotate: Callee;
  readonly pop: Callee;
}

export function defineLibrary(module: ModuleBuilder): Library {
  const r: Rounding = defineRounding(module);
  const arithmetic: Arithmetic = defineArithmetic(module, r);
  const compareValues = defineCompare(module, r);
  const conversions: Conversions = defineConversions(module, r);
  const remainders: Remainder = defineRemainder(module, r, conversions.fromInt);
  const { flags } = r;
  const ready = new Global32(module);

  // --- exceptions, tags, TOP

  /** (flags, at least one unmasked) -> 1 if a register result is to be stored. Sets the status word. */
  const unmasked = define(module, GIVES_32, (s) => {
    const f = s.param32(),
      open = s.local32(),
      stop = s.local32();
    return [
      open.set(f.and(controlWord().xor(-1))),
      stop.set(i32(0)),
      when(
        open.and(IE),
        [stop.set(1), f.set(f.and(IE | SF | C1))],
        [
          when(
            open.and(ZE),
            [stop.set(1), f.set(f.and(ZE))],
            [when(open.and(DE), [stop.set(1), f.set(f.and(DE))])],
          ),
        ],
      ),
      setStatusWord(
        statusWord()
          .and(~C1)
          .or(f)
          .or(ES | BUSY),
      ),
      give(stop.eqz()),
    ];
  });
  /** Notes `f` in the status word; leaves the (void) function if an unmasked exception forbids the result. */
  const settle = (f: Int32, leave: Bytes = give()): Bytes =>
    when(
      f.and(controlWord().xor(-1)).and(0x3f),
      [when(call32(unmasked, f).eqz(), [leave])],
      [setStatusWord(statusWord().and(~C1).or(f))],
    );
  const setTop = (top: Int32): Bytes => setStatusWord(statusWord().and(~0x3800).or(top.and(7).shl(11)));
  const markEmpty = (phys: Int32): Bytes => setTagWord(tagWord().or(i32(3).shl(phys.shl(1))));
  const markUsed = (phys: Int32): Bytes => setTagWord(tagWord().and(i32(3).shl(phys.shl(1)).xor(-1)));
  const put = (at: Int32, sig: Int64 | bigint, se: Int32 | number): Bytes => [
    ...store64(at, sig, FPR),
    ...store16(at, se, FPR + 8),
  ];
  const pop = define(module, VOID, (s) => {
    const top = s.local32();
    return [top.set(physical(statusWord(), 0)), markEmpty(top), setTop(top.add(1))];
  });
  const popIf = (count: Int32): Bytes => when(count, [callVoid(pop)]);
  const STACK_UNDERFLOW = i32(IE | SF);

  /** ST(0)'s physical number and slot, in locals. */
  const top = (phys: Local32, at: Local32): Bytes => [
    ...phys.set(physical(statusWord(), 0)),
    ...at.set(slot(phys)),
  ];

  // --- arithmetic

  type Core = (sig: Local64, se: Local32, a: [Int64, Int32], b: [Int64, Int32]) => Bytes;
  const CORES: Record<Operation, Core> = {
    add: (sig, se, a, b) => callPair(sig, se, arithmetic.add, ...a, ...b, i32(0)),
    mul: (sig, se, a, b) => callPair(sig, se, arithmetic.multiply, ...a, ...b),
    sub: (sig, se, a, b) => callPair(sig, se, arithmetic.add, ...a, ...b, i32(SIGN)),
    subr: (sig, se, a, b) => callPair(sig, se, arithmetic.add, ...b, ...a, i32(SIGN)),
    div: (sig, se, a, b) => callPair(sig, se, arithmetic.divide, ...a, ...b),
    divr: (sig, se, a, b) => callPair(sig, se, arithmetic.divide, ...b, ...a),
  };
  const perOperation = (make: (core: Core) => Callee): Record<Operation, Callee> => {
    const out = {} as Record<Operation, Callee>;
    for (const name of OPERATIONS) out[name] = make(CORES[name]);
    return out;
  };

  const binary = perOperation((core) =>
    define(module, VOID, (s) => {
      const dst = s.param32(),
        src = s.param32(),
        pops = s.param32();
      const status = s.local32(),
        tags = s.local32(),
        sig = s.local64(),
        se = s.local32();
      return [
        status.set(statusWord()),
        tags.set(tagWord()),
        dst.set(physical(status, dst)),
        src.set(physical(status, src)),
        when(
          isEmpty(tags, dst).or(isEmpty(tags, src)),
          [settle(STACK_UNDERFLOW), markUsed(dst), put(slot(dst), INDEFINITE, INDEFINITE_SE)],
          [
            dst.set(slot(dst)),
            src.set(slot(src)),
            core(sig, se, [loadSig(dst), loadSe(dst)], [loadSig(src), loadSe(src)]),
            settle(flags),
            put(dst, sig, se),
          ],
        ),
        popIf(pops),
      ];
    }),
  );

  type Widen = { readonly callee: Callee; readonly wide: boolean };
  const F32: Widen = { callee: conversions.fromF32, wide: false };
  const F64: Widen = { callee: conversions.fromF64, wide: true };
  /** Values that came with a denormal operand's flag: it is dropped where the operation met something worse. */
  const withOperandFlags = (pre: Local32, aSig: Int64, aSe: Int32): Bytes =>
    when(pre, [
      when(
        flags
          .and(IE | ZE)
          .eqz()
          .and(aSe.and(EXP_MAX).ne(EXP_MAX).or(aSig.shl(1n).eqz())),
        [flags.set(flags.or(pre))],
      ),
    ]);
  const binaryWith = (widen: Widen | null) =>
    perOperation((core) =>
      define(module, VOID, (s) => {
        const bits: Int32 | Int64 = widen?.wide ? s.param64() : s.param32();
        const phys = s.local32(),
          at = s.local32(),
          pre = s.local32();
        const sig = s.local64(),
          se = s.local32();
        return [
          top(phys, at),
          when(
            isEmpty(tagWord(), phys),
            [settle(STACK_UNDERFLOW), markUsed(phys), put(at, INDEFINITE, INDEFINITE_SE)],
            [
              widenInto(sig, se, widen, bits),
              pre.set(flags),
              core(sig, se, [loadSig(at), loadSe(at)], [sig, se]),
              withOperandFlags(pre, loadSig(at), loadSe(at)),
              settle(flags),
              put(at, sig, se),
            ],
          ),
        ];
      }),
    );
  const widenInto = (sig: Local64, se: Local32, widen: Widen | null, bits: Int32 | Int64): Bytes =>
    widen === null
      ? callPair(sig, se, conversions.fromInt, (bits as Int32).wideS())
      : callPair(sig, se, widen.callee, bits);

  const unaryOf = (body: (sig: Local64, se: Local32) => Bytes): Callee =>
    define(module, VOID, (s) => {
      const phys = s.local32(),
        at = s.local32(),
        sig = s.local64(),
        se = s.local32();
      return [
        top(phys, at),
        when(
          isEmpty(tagWord(), phys),
          [settle(STACK_UNDERFLOW), markUsed(phys), put(at, INDEFINITE, INDEFINITE_SE)],
          [
            sig.set(loadSig(at)),
            se.set(loadSe(at)),
            flags.set(0),
            body(sig, se),
            settle(flags),
            put(at, sig, se),
          ],
        ),
      ];
    });
  const unary = [
    unaryOf((_, se) => se.set(se.xor(SIGN))),
    unaryOf((_, se) => se.set(se.and(EXP_MAX))),
    unaryOf((sig, se) => callPair(sig, se, arithmetic.squareRoot, sig, se)),
    unaryOf((sig, se) => callPair(sig, se, conversions.roundToInt, sig, se)),
  ];

  const withSt1Of = (core: Core, codes: boolean): Callee =>
    define(module, VOID, (s) => {
      const phys = s.local32(),
        at = s.local32(),
        other = s.local32(),
        sig = s.local64(),
        se = s.local32();
      return [
        top(phys, at),
        other.set(physical(statusWord(), 1)),
        ...(codes ? [setStatusWord(statusWord().and(~C2))] : []),
        when(isEmpty(tagWord(), phys).or(isEmpty(tagWord(), other)), [
          settle(STACK_UNDERFLOW),
          markUsed(phys),
          put(at, INDEFINITE, INDEFINITE_SE),
          give(),
        ]),
        other.set(slot(other)),
        core(sig, se, [loadSig(at), loadSe(at)], [loadSig(other), loadSe(other)]),
        settle(flags),
        put(at, sig, se),
        ...(codes
          ? [
              when(remainders.quotient.ne(NO_QUOTIENT), [
                setStatusWord(
                  statusWord()
                    .and(~(C0 | C1 | C2 | C3))
                    .or(remainders.quotient),
                ),
              ]),
            ]
          : []),
      ];
    });
  const withSt1 = [
    withSt1Of((sig, se, a, b) => callPair(sig, se, remainders.remainder, ...a, ...b, i32(0)), true),
    withSt1Of((sig, se, a, b) => callPair(sig, se, remainders.remainder, ...a, ...b, i32(1)), true),
    withSt1Of((sig, se, a, b) => callPair(sig, se, remainders.scale, ...a, ...b), false),
  ];

  // --- pushing

  /** (significand, sign-exponent, flags) */
  const push = define(module, VOID, (s) => {
    const sig = s.param64(),
      se = s.param32(),
      f = s.param32();
    const phys = s.local32();
    return [
      phys.set(physical(statusWord(), 7)),
      when(isEmpty(tagWord(), phys).eqz(), [f.set(IE | SF | C1), sig.set(INDEFINITE), se.set(INDEFINITE_SE)]),
      // A denormal is pushed even if its exception is not masked.
      settle(f, when(f.and(IE), [give()])),
      setTop(phys),
      markUsed(phys),
      put(slot(phys), sig, se),
    ];
  });
  const pushWidened = (widen: Widen): Callee =>
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
        isEmpty(tagWord(), i),
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

  const extract = define(module, VOID, (s) => {
    const phys = s.local32(),
      at = s.local32(),
      sig = s.local64(),
      se = s.local32(),
      eSig = s.local64(),
      eSe = s.local32();
    const f = s.local32(),
      next = s.local32();
    return [
      top(phys, at),
      next.set(physical(statusWord(), 7)),
      when(
        isEmpty(tagWord(), phys).or(isEmpty(tagWord(), next).eqz()),
        [
          settle(isEmpty(tagWord(), phys).pick(IE | SF, IE | SF | C1)),
          put(at, INDEFINITE, INDEFINITE_SE),
          put(slot(next), INDEFINITE, INDEFINITE_SE),
        ],
        [
          callPair(eSig, eSe, remainders.exponent, loadSig(at), loadSe(at)),
          callPair(sig, se, remainders.significand, loadSig(at), loadSe(at)),
          f.set(flags),
          settle(f),
          put(at, eSig, eSe),
          put(slot(next), sig, se),
        ],
      ),
      markUsed(phys),
      markUsed(next),
      setTop(next),
    ];
  });

  // --- comparing

  /** Not after an invalid operation that is not masked ("the condition code flags are not set"). */
  const setCodes = (codes: Int32): Bytes =>
    when(flags.and(IE).and(controlWord().xor(-1)).eqz(), [
      setStatusWord(
        statusWord()
          .and(~(C0 | C2 | C3))
          .or(codes),
      ),
    ]);
  const UNORDERED = C0 | C2 | C3;
  const popTimes = (count: Int32): Bytes[] => [popIf(count), popIf(count.shrU(1))];
  const compare = define(module, VOID, (s) => {
    const i = s.param32(),
      pops = s.param32(),
      quiet = s.param32();
    const phys = s.local32(),
      at = s.local32(),
      codes = s.local32();
    return [
      top(phys, at),
      i.set(physical(statusWord(), i)),
      when(
        isEmpty(tagWord(), phys).or(isEmpty(tagWord(), i)),
        [flags.set(STACK_UNDERFLOW), codes.set(UNORDERED)],
        [
          i.set(slot(i)),
          codes.set(call32(compareValues, loadSig(at), loadSe(at), loadSig(i), loadSe(i), quiet)),
        ],
      ),
      setCodes(codes),
      settle(flags),
      ...popTimes(pops),
    ];
  });
  const compareWith = (widen: Widen | null): Callee =>
    define(module, VOID, (s) => {
      const bits: Int32 | Int64 = widen?.wide ? s.param64() : s.param32();
      const pops = s.param32();
      const phys = s.local32(),
        at = s.local32(),
        codes = s.local32(),
        pre = s.local32(),
        sig = s.local64(),
        se = s.local32();
      return [
        top(phys, at),
        when(
          isEmpty(tagWord(), phys),
          [flags.set(STACK_UNDERFLOW), codes.set(UNORDERED)],
          [
            widenInto(sig, se, widen, bits),
            pre.set(flags),
            codes.set(call32(compareValues, loadSig(at), loadSe(at), sig, se, i32(0))),
            withOperandFlags(pre, loadSig(at), loadSe(at)),
          ],
        ),
        setCodes(codes),
        settle(flags),
        popIf(pops),
      ];
    });
  const compareZero = define(module, VOID, (s) => {
    const phys = s.local32(),
      at = s.local32(),
      codes = s.local32();
    return [
      top(phys, at),
      when(
        isEmpty(tagWord(), phys),
        [flags.set(STACK_UNDERFLOW), codes.set(UNORDERED)],
        [codes.set(call32(compareValues, loadSig(at), loadSe(at), i64(0n), i32(0), i32(0)))],
      ),
      setCodes(codes),
      settle(flags),
    ];
  });
  const compareToFlags = define(module, GIVES_32, (s) => {
    const i = s.param32(),
      pops = s.param32(),
      quiet = s.param32();
    const phys = s.local32(),
      at = s.local32(),
      codes = s.local32();
    return [
      top(phys, at),
      i.set(physical(statusWord(), i)),
      when(
        isEmpty(tagWord(), phys).or(isEmpty(tagWord(), i)),
        [flags.set(STACK_UNDERFLOW), codes.set(UNORDERED)],
        [
          i.set(slot(i)),
          codes.set(call32(compareValues, loadSig(at), loadSe(at), loadSig(i), loadSe(i), quiet)),
        ],
      ),
      settle(flags, give(flags.and(IE).pick(-1, codes.shrU(8).and(0x45)))),
      popIf(pops),
      // C3 C2 C0 -> ZF PF CF
      give(codes.shrU(8).and(0x45)),
    ];
  });
  const examine = define(module, VOID, (s) => {
    const phys = s.local32(),
      at = s.local32(),
      sig = s.local64(),
      e = s.local32(),
      codes = s.local32();
    return [
      top(phys, at),
      sig.set(loadSig(at)),
      e.set(exponentOf(loadSe(at))),
      codes.set(C2),
      when(e.eqz(), [codes.set(sig.eqz().pick(C3, C3 | C2))]),
      when(e.eq(EXP_MAX), [
        codes.set(
          sig
            .shl(1n)
            .eqz()
            .pick(C2 | C0, C0),
        ),
      ]),
      when(isUnsupported(sig, e), [codes.set(0)]),
      when(isEmpty(tagWord(), phys), [codes.set(C3 | C0)]),
      setStatusWord(
        statusWord()
          .and(~(C0 | C1 | C2 | C3))
          .or(codes)
          .or(loadSe(at).shrU(15).shl(9)),
      ),
    ];
  });

  // --- storing

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
        when(isEmpty(tagWord(), phys), [
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
      flags.set(isEmpty(tagWord(), phys).pick(IE | SF, 0)),
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
        isEmpty(tagWord(), phys),
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
  const storeSt = define(module, VOID, (s) => {
    const i = s.param32(),
      pops = s.param32();
    const phys = s.local32(),
      at = s.local32();
    return [
      top(phys, at),
      i.set(physical(statusWord(), i)),
      when(
        isEmpty(tagWord(), phys),
        [settle(STACK_UNDERFLOW), put(slot(i), INDEFINITE, INDEFINITE_SE)],
        [settle(i32(0)), put(slot(i), loadSig(at), loadSe(at))],
      ),
      markUsed(i),
      popIf(pops),
    ];
  });

  const storeQuietly = define(module, VOID, (s) => {
    const i = s.param32(),
      phys = s.local32(),
      at = s.local32();
    return [
      top(phys, at),
      when(isEmpty(tagWord(), phys).eqz(), [
        i.set(physical(statusWord(), i)),
        put(slot(i), loadSig(at), loadSe(at)),
        markUsed(i),
      ]),
      setStatusWord(statusWord().and(~C1)),
      callVoid(pop),
    ];
  });
  /** An exception that is pending and no longer masked is signalled by the next instruction; and the reverse. */
  const loadControl = define(module, VOID, (s) => {
    const cw = s.param32();
    return [
      store16(0, cw.and(0x1f3f).or(0x40), FCW),
      setStatusWord(
        statusWord()
          .and(~(ES | BUSY))
          .or(
            statusWord()
              .and(cw.xor(-1))
              .and(0x3f)
              .ne(0)
              .pick(ES | BUSY, 0),
          ),
      ),
    ];
  });

  // --- moving and the stack itself

  const exchange = define(module, VOID, (s) => {
    const i = s.param32(),
      phys = s.local32(),
      at = s.local32(),
      sig = s.local64(),
      se = s.local32();
    const fill = (p: Int32): Bytes =>
      when(isEmpty(tagWord(), p), [put(slot(p), INDEFINITE, INDEFINITE_SE), markUsed(p)]);
    return [
      top(phys, at),
      i.set(physical(statusWord(), i)),
      when(
        isEmpty(tagWord(), phys).or(isEmpty(tagWord(), i)),
        [settle(STACK_UNDERFLOW), fill(phys), fill(i)],
        [setStatusWord(statusWord().and(~C1))],
      ),
      sig.set(loadSig(at)),
      se.set(loadSe(at)),
      i.set(slot(i)),
      put(at, loadSig(i), loadSe(i)),
      put(i, sig, se),
    ];
  });
  const moveIf = define(module, VOID, (s) => {
    const i = s.param32(),
      condition = s.param32(),
      phys = s.local32(),
      at = s.local32();
    return [
      top(phys, at),
      i.set(physical(statusWord(), i)),
      when(isEmpty(tagWord(), phys).or(isEmpty(tagWord(), i)), [
        settle(STACK_UNDERFLOW),
        markUsed(phys),
        put(at, INDEFINITE, INDEFINITE_SE),
        give(),
      ]),
      when(condition, [put(at, loadSig(slot(i)), loadSe(slot(i)))]),
    ];
  });
  const free = define(module, VOID, (s) => [
    markEmpty(physical(statusWord(), s.param32())),
    setStatusWord(statusWord().and(~C1)),
  ]);
  const rotate = define(module, VOID, (s) => {
    const by = s.param32();
    return [
      setStatusWord(
        statusWord()
          .and(~(0x3800 | C1))
          .or(physical(statusWord(), by).shl(11)),
      ),
    ];
  });

  return {
    binary,
    binaryF32: binaryWith(F32),
    binaryF64: binaryWith(F64),
    binaryInt: binaryWith(null),
    compare,
    compareF32: compareWith(F32),
    compareF64: compareWith(F64),
    compareInt: compareWith(null),
    compareZero,
    compareToFlags,
    examine,
    unary,
    withSt1,
    extract,
    pushF32: pushWidened(F32),
    pushF64: pushWidened(F64),
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
    storeSt,
    storeQuietly,
    loadControl,
    exchange,
    moveIf,
    free,
    rotate,
    pop,
  };
}
