/** Between registers, the stack itself, the control word. Source: Intel SDM vol. 2, FST, FXCH, FCMOVcc, FFREE, FLDCW. */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import {
  type Bytes,
  type Callee,
  callVoid,
  define,
  give,
  type Int32,
  i32,
  store16,
  VOID,
  when,
} from './expression.ts';
import { STACK_UNDERFLOW, type Stack } from './stack.ts';
import {
  BUSY,
  C1,
  ES,
  FCW,
  INDEFINITE,
  INDEFINITE_SE,
  isEmpty,
  loadSe,
  loadSig,
  physical,
  setStatusWord,
  slot,
  statusWord,
} from './state.ts';

export interface Moves {
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
}

export function defineMoves(
  module: ModuleBuilder,
  { settle, markEmpty, markUsed, put, pop, popIf, top }: Stack,
): Moves {
  const storeSt = define(module, VOID, (s) => {
    const i = s.param32(),
      pops = s.param32();
    const phys = s.local32(),
      at = s.local32();
    return [
      top(phys, at),
      i.set(physical(statusWord(), i)),
      when(
        isEmpty(phys),
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
      when(isEmpty(phys).eqz(), [
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

  const exchange = define(module, VOID, (s) => {
    const i = s.param32(),
      phys = s.local32(),
      at = s.local32(),
      sig = s.local64(),
      se = s.local32();
    const fill = (p: Int32): Bytes =>
      when(isEmpty(p), [put(slot(p), INDEFINITE, INDEFINITE_SE), markUsed(p)]);
    return [
      top(phys, at),
      i.set(physical(statusWord(), i)),
      when(
        isEmpty(phys).or(isEmpty(i)),
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
      when(isEmpty(phys).or(isEmpty(i)), [
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

  return { storeSt, storeQuietly, loadControl, exchange, moveIf, free, rotate };
}
