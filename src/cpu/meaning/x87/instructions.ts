/**
 * The x87 library of the generated module: each function carries out one kind of instruction on the state block; the
 * emitters of index.ts call them. Read round.ts and stack.ts first, then the rest by need.
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import { defineArithmetic } from './arithmetic.ts';
import { defineCompare } from './compare.ts';
import { type Comparisons, defineComparisons } from './comparisons.ts';
import { defineConversions } from './convert.ts';
import type { Callee } from './expression.ts';
import { defineLoadsAndStores, type LoadsAndStores } from './load-store.ts';
import { memoryOperands } from './memory-operand.ts';
import { defineMoves, type Moves } from './moves.ts';
import { defineOperations, type Operations } from './operate.ts';
import { defineRemainder } from './remainder.ts';
import { defineRounding } from './round.ts';
import { defineStack } from './stack.ts';

export interface Library extends Operations, Comparisons, LoadsAndStores, Moves {
  readonly pop: Callee;
}

export function defineLibrary(module: ModuleBuilder): Library {
  const rounding = defineRounding(module);
  const stack = defineStack(module);
  const arithmetic = defineArithmetic(module, rounding);
  const conversions = defineConversions(module, rounding);
  const remainders = defineRemainder(module, rounding, conversions.fromInt);
  const operands = memoryOperands(conversions, rounding);
  const parts = { arithmetic, conversions, remainders, operands };
  return {
    ...defineOperations(module, stack, rounding, parts),
    ...defineComparisons(module, stack, rounding, defineCompare(module, rounding), operands),
    ...defineLoadsAndStores(module, stack, rounding, conversions, operands),
    ...defineMoves(module, stack),
    pop: stack.pop,
  };
}
