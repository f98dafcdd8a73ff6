/**
 * The register stack around the arithmetic: stack faults, masked and unmasked exceptions, TOP and tags.
 *
 * An exception that is not masked: for IE, ZE and DE nothing is stored and TOP stays; for OE, UE and PE a register
 * result is stored, a memory result only for PE. ES then makes the next waiting instruction raise #MF.
 * Source: Intel SDM vol. 1, "x87 FPU Floating-Point Exception Handling", "Stack Overflow or Underflow Exception".
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import {
  type Bytes,
  type Callee,
  call32,
  callVoid,
  define,
  GIVES_32,
  give,
  type Int32,
  type Int64,
  i32,
  type Local32,
  store16,
  store64,
  VOID,
  when,
} from './expression.ts';
import {
  BUSY,
  C1,
  controlWord,
  DE,
  ES,
  FPR,
  IE,
  INDEFINITE,
  INDEFINITE_SE,
  isEmpty,
  physical,
  SF,
  setEmpty,
  setStatusWord,
  slot,
  statusWord,
  ZE,
} from './state.ts';

/** The register stack: what instructions do with TOP, tags and the status word. */
export interface Stack {
  /** (flags, at least one unmasked) -> 1 if a register result is to be stored. Sets the status word. */
  readonly unmasked: Callee;
  /** Notes `f` in the status word; leaves the (void) function if an unmasked exception forbids the result. */
  settle(f: Int32, leave?: Bytes): Bytes;
  setTop(top: Int32): Bytes;
  markEmpty(phys: Int32): Bytes;
  markUsed(phys: Int32): Bytes;
  /** Fills a slot. */
  put(at: Int32, sig: Int64 | bigint, se: Int32 | number): Bytes;
  readonly pop: Callee;
  popIf(count: Int32): Bytes;
  /** ST(0)'s physical number and slot, in locals. */
  top(phys: Local32, at: Local32): Bytes;
  /** (significand, sign-exponent, flags) */
  readonly push: Callee;
}
export const STACK_UNDERFLOW = i32(IE | SF);

export function defineStack(module: ModuleBuilder): Stack {
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
  const settle = (f: Int32, leave: Bytes = give()): Bytes =>
    when(
      f.and(controlWord().xor(-1)).and(0x3f),
      [when(call32(unmasked, f).eqz(), [leave])],
      [setStatusWord(statusWord().and(~C1).or(f))],
    );
  const setTop = (top: Int32): Bytes => setStatusWord(statusWord().and(~0x3800).or(top.and(7).shl(11)));
  const markEmpty = (phys: Int32): Bytes => setEmpty(phys, 1);
  const markUsed = (phys: Int32): Bytes => setEmpty(phys, 0);
  const put = (at: Int32, sig: Int64 | bigint, se: Int32 | number): Bytes => [
    ...store64(at, sig, FPR),
    ...store16(at, se, FPR + 8),
  ];
  const pop = define(module, VOID, (s) => {
    const top = s.local32();
    return [top.set(physical(statusWord(), 0)), markEmpty(top), setTop(top.add(1))];
  });
  const popIf = (count: Int32): Bytes => when(count, [callVoid(pop)]);

  const top = (phys: Local32, at: Local32): Bytes => [
    ...phys.set(physical(statusWord(), 0)),
    ...at.set(slot(phys)),
  ];

  /** (significand, sign-exponent, flags) */
  const push = define(module, VOID, (s) => {
    const sig = s.param64(),
      se = s.param32(),
      f = s.param32();
    const phys = s.local32();
    return [
      phys.set(physical(statusWord(), 7)),
      when(isEmpty(phys).eqz(), [
        // An empty source is told before the full stack.
        f.set(f.and(SF).pick(IE | SF, IE | SF | C1)),
        sig.set(INDEFINITE),
        se.set(INDEFINITE_SE),
      ]),
      // A denormal is pushed even if its exception is not masked.
      settle(f, when(f.and(IE), [give()])),
      setTop(phys),
      markUsed(phys),
      put(slot(phys), sig, se),
    ];
  });

  return { unmasked, settle, setTop, markEmpty, markUsed, put, pop, popIf, top, push };
}
