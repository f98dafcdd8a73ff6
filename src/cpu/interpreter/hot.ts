/**
 * Which forms are cases of the dispatch loop. Measured on compiled code; everything else works out of line, 2 to 4 ns
 * slower. The loop must stay small enough for the optimising compiler's good register allocator (bench/README.md).
 */
import type { Variant } from './sites.ts';

const ALU = ['add', 'or', 'and', 'sub', 'xor', 'cmp'];
const CONDITIONS = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'];

function ids(): Set<string> {
  const hot = new Set<string>();
  for (const name of [...ALU, 'adc', 'sbb']) {
    for (const operands of ['Ev,Gv', 'Gv,Ev', 'Ev,Iz']) hot.add(`${name} ${operands}`);
  }
  for (const name of ['add', 'or', 'and', 'xor', 'cmp', 'sub']) hot.add(`${name} Eb,Ib`);
  for (const name of ['cmp', 'xor', 'add']) hot.add(`${name} Eb,Gb`).add(`${name} Gb,Eb`);
  for (const operands of ['Eb,Gb', 'Ev,Gv', 'Eb,Ib', 'Ev,Iz']) hot.add(`test ${operands}`);
  for (const operands of ['Eb,Gb', 'Ev,Gv', 'Gb,Eb', 'Gv,Ev', 'Zb,Ib', 'Zv,Iz', 'Eb,Ib', 'Ev,Iz'])
    hot.add(`mov ${operands}`);
  for (const operands of ['Gv,Eb', 'Gv,Ew']) hot.add(`movzx ${operands}`).add(`movsx ${operands}`);
  for (const name of ['inc Zv', 'dec Zv', 'inc Ev', 'dec Ev', 'neg Ev', 'not Ev', 'lea Gv,M', 'xchg Ev,Gv'])
    hot.add(name);
  for (const name of [
    'push Zv',
    'push Iz',
    'push Ev',
    'pop Zv',
    'leave',
    'call Jz',
    'call Ev',
    'jmp Ev',
    'ret',
    'ret Iw',
    'jmp Jz',
  ])
    hot.add(name);
  for (const name of ['shl', 'shr', 'sar', 'rol', 'ror']) hot.add(`${name} Ev,Ib`);
  for (const name of ['shl', 'shr', 'sar']) hot.add(`${name} Ev,CL`);
  for (const name of [
    'imul Gv,Ev',
    'imul Gv,Ev,Iz',
    'mul Ev',
    'cwd',
    'nop',
    'shld Ev,Gv,Ib',
    'shrd Ev,Gv,Ib',
  ])
    hot.add(name);
  for (const c of CONDITIONS) hot.add(`j${c} Jz`);
  for (const c of ['b', 'ae', 'e', 'ne', 'be', 'a', 'l', 'ge', 'le', 'g', 's', 'ns'])
    hot.add(`set${c} Eb`).add(`cmov${c} Gv,Ev`);
  return hot;
}
const HOT = ids();
/** Rare enough with a memory operand. */
const ONLY_REGISTERS = /^(rol|ror|set|neg|not|shld|shrd|adc Ev|sbb Ev|(shl|shr|sar) Ev,CL)/;

export function isHot({ row, operandSize, addressSize, isMemory, isGeneral }: Variant): boolean {
  if (operandSize === 16 || addressSize === 16 || isGeneral) return false;
  return HOT.has(row.id) && !(isMemory && ONLY_REGISTERS.test(row.id));
}

/** Rows that mean the same once the record is made: immediates are extended, an accumulator is a register. */
export function sameRecord(id: string): string {
  const [, name, operands] = /^(\S+) (.*)$/.exec(id) ?? [];
  if (operands === 'Ev,Ibs' || operands === 'eAX,Iz') return `${name} Ev,Iz`;
  if (operands === 'AL,Ib') return `${name} Eb,Ib`;
  if (operands === 'Gv,Ev,Ibs') return `${name} Gv,Ev,Iz`;
  if (operands === 'Ibs') return `${name} Iz`;
  if (operands === 'Ev,1') return `${name} Ev,Ib`;
  if (operands === 'Eb,1') return `${name} Eb,Ib`;
  if (operands === 'Jb' && name !== undefined && /^j/.test(name) && !/cxz/.test(name)) return `${name} Jz`;
  if (operands === 'eAX,Ov' || operands === 'AL,Ob') return operands === 'eAX,Ov' ? 'mov Gv,Ev' : 'mov Gb,Eb';
  if (operands === 'Ov,eAX' || operands === 'Ob,AL') return operands === 'Ov,eAX' ? 'mov Ev,Gv' : 'mov Eb,Gb';
  return id;
}
