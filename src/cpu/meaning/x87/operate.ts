/** Arithmetic instructions: operands by ST number or from memory, the result in a register. */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import type { Arithmetic } from './arithmetic.ts';
import type { Conversions } from './convert.ts';
import {
  type Bytes,
  type Callee,
  callPair,
  define,
  give,
  type Int32,
  type Int64,
  i32,
  type Local32,
  type Local64,
  VOID,
  when,
} from './expression.ts';
import type { MemoryOperands, Widen } from './memory-operand.ts';
import { NO_QUOTIENT, type Remainder } from './remainder.ts';
import type { Rounding } from './round.ts';
import { STACK_UNDERFLOW, type Stack } from './stack.ts';
import {
  C0,
  C1,
  C2,
  C3,
  EXP_MAX,
  IE,
  INDEFINITE,
  INDEFINITE_SE,
  isEmpty,
  loadSe,
  loadSig,
  physical,
  SF,
  SIGN,
  setStatusWord,
  slot,
  statusWord,
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

export interface Operations {
  /** (dst, src, pop): ST(dst) = ST(dst) op ST(src) */
  readonly binary: Readonly<Record<Operation, Callee>>;
  /** (bits): ST(0) = ST(0) op value */
  readonly binaryF32: Readonly<Record<Operation, Callee>>;
  readonly binaryF64: Readonly<Record<Operation, Callee>>;
  /** (sign-extended 32 bits) */
  readonly binaryInt: Readonly<Record<Operation, Callee>>;
  /** one of CHANGE_SIGN.. each */
  readonly unary: readonly Callee[];
  /** REMAINDER, REMAINDER_IEEE, SCALE */
  readonly withSt1: readonly Callee[];
  readonly extract: Callee;
}

export function defineOperations(
  module: ModuleBuilder,
  stack: Stack,
  { flags }: Rounding,
  parts: {
    readonly arithmetic: Arithmetic;
    readonly conversions: Conversions;
    readonly remainders: Remainder;
    readonly operands: MemoryOperands;
  },
): Operations {
  const { settle, setTop, markUsed, put, popIf, top } = stack;
  const { arithmetic, conversions, remainders, operands } = parts;

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
        sig = s.local64(),
        se = s.local32();
      return [
        status.set(statusWord()),
        dst.set(physical(status, dst)),
        src.set(physical(status, src)),
        when(
          isEmpty(dst).or(isEmpty(src)),
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

  const binaryWith = (widen: Widen) =>
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
            isEmpty(phys),
            [settle(STACK_UNDERFLOW), markUsed(phys), put(at, INDEFINITE, INDEFINITE_SE)],
            [
              operands.into(sig, se, widen, bits),
              pre.set(flags),
              core(sig, se, [loadSig(at), loadSe(at)], [sig, se]),
              operands.withOperandFlags(pre, loadSig(at), loadSe(at)),
              settle(flags),
              put(at, sig, se),
            ],
          ),
        ];
      }),
    );
  const unaryOf = (body: (sig: Local64, se: Local32) => Bytes): Callee =>
    define(module, VOID, (s) => {
      const phys = s.local32(),
        at = s.local32(),
        sig = s.local64(),
        se = s.local32();
      return [
        top(phys, at),
        when(
          isEmpty(phys),
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
        when(isEmpty(phys).or(isEmpty(other)), [
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
        isEmpty(phys).or(isEmpty(next).eqz()),
        [
          settle(isEmpty(phys).pick(IE | SF, IE | SF | C1)),
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

  return {
    binary,
    binaryF32: binaryWith(operands.f32),
    binaryF64: binaryWith(operands.f64),
    binaryInt: binaryWith(null),
    unary,
    withSt1,
    extract,
  };
}
