/**
 * The x87 loop: a second dispatch loop for code that uses the x87, with the frequent x87 instructions and the integer
 * instructions that compilers put between them. One loop for all would be beyond what V8's good register allocator
 * takes (8,192 virtual registers in V8 11.3), and the long arithmetic would make even the integer cases spill: with
 * it in, integer code lost 30 % (bench/README.md). The driver enters this loop at an x87 record and the other one at
 * any record that this one has no case for.
 */
import type { Case } from './loop.ts';

const CONDITIONS = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'];
const BETWEEN = new Set([
  ...CONDITIONS.map((c) => `j${c} Jz`),
  ...['add', 'sub', 'cmp', 'and', 'xor'].flatMap((name) => [
    `${name} Gv,Ev`,
    `${name} Ev,Gv`,
    `${name} Ev,Iz`,
  ]),
  ...['mov Gv,Ev', 'mov Ev,Gv', 'mov Zv,Iz', 'mov Ev,Iz', 'lea Gv,M', 'inc Zv', 'dec Zv', 'test Ev,Gv'],
  ...['test Eb,Ib', 'shl Ev,Ib', 'jmp Jz', 'push Zv', 'push Ev', 'pop Zv', 'call Jz', 'ret', 'leave', 'nop'],
]);
/** Rarely met between x87 instructions with a memory operand. */
const ONLY_REGISTERS = /^((and|xor|shl|test) |(sub|cmp) Ev,Gv)/;

export function isInX87Loop({ x87, variant }: Case): boolean {
  if (x87 !== undefined) return true;
  return BETWEEN.has(variant.row.id) && !(variant.isMemory && ONLY_REGISTERS.test(variant.row.id));
}
