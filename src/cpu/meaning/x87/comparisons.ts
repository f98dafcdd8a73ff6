/** FCOM and its kin, FTST, FXAM. Source: Intel SDM vol. 2, FCOM, FCOMI, FUCOM, FTST, FXAM. */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import {
  type Bytes,
  type Callee,
  call32,
  define,
  GIVES_32,
  give,
  type Int32,
  type Int64,
  i32,
  i64,
  VOID,
  when,
} from './expression.ts';
import type { MemoryOperands, Widen } from './memory-operand.ts';
import type { Rounding } from './round.ts';
import { STACK_UNDERFLOW, type Stack } from './stack.ts';
import {
  C0,
  C1,
  C2,
  C3,
  controlWord,
  EXP_MAX,
  exponentOf,
  IE,
  isEmpty,
  isUnsupported,
  loadSe,
  loadSig,
  physical,
  setStatusWord,
  slot,
  statusWord,
} from './state.ts';

export interface Comparisons {
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
}

export function defineComparisons(
  module: ModuleBuilder,
  { settle, popIf, top }: Stack,
  { flags }: Rounding,
  compareValues: Callee,
  operands: MemoryOperands,
): Comparisons {
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
        isEmpty(phys).or(isEmpty(i)),
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
  const compareWith = (widen: Widen): Callee =>
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
          isEmpty(phys),
          [flags.set(STACK_UNDERFLOW), codes.set(UNORDERED)],
          [
            operands.into(sig, se, widen, bits),
            pre.set(flags),
            codes.set(call32(compareValues, loadSig(at), loadSe(at), sig, se, i32(0))),
            operands.withOperandFlags(pre, loadSig(at), loadSe(at)),
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
        isEmpty(phys),
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
        isEmpty(phys).or(isEmpty(i)),
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
      when(isEmpty(phys), [codes.set(C3 | C0)]),
      setStatusWord(
        statusWord()
          .and(~(C0 | C1 | C2 | C3))
          .or(codes)
          .or(loadSe(at).shrU(15).shl(9)),
      ),
    ];
  });

  return {
    compare,
    compareF32: compareWith(operands.f32),
    compareF64: compareWith(operands.f64),
    compareInt: compareWith(null),
    compareZero,
    compareToFlags,
    examine,
  };
}
