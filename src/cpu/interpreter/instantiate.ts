/**
 * From opcode rows, emitters and rare functions to a running loop. The module is generated once; each processor has its own instance. A row that neither an emitter nor a rare function carries out stops
 * the start-up.
 */
import { invariant } from '../../base/assert.ts';
import { alu } from '../meaning/alu.ts';
import { bits } from '../meaning/bits.ts';
import { control } from '../meaning/control.ts';
import { move } from '../meaning/move.ts';
import { multiplication } from '../meaning/multiply.ts';
import { shift } from '../meaning/shift.ts';
import { stack } from '../meaning/stack.ts';
import { string } from '../meaning/string.ts';
import { frequentX87 } from '../meaning/x87/frequent.ts';
import { x87Meaning } from '../meaning/x87/index.ts';
import { ROWS } from '../opcodes/table.ts';
import type { PhysicalMemory } from '../physical-memory.ts';
import { decimalInstructions } from '../rare/decimal.ts';
import type { RareFunction } from '../rare/rare.ts';
import { rareInstructions } from '../rare/table.ts';
import { x87Rare } from '../rare/x87-table.ts';
import { buildInterpreter, type Interpreter } from './dispatch.ts';

export interface Imports {
  slowRead(linear: number, size: number): number;
  slowWrite(linear: number, size: number, value: number): void;
  slowCheck(linear: number, size: number, write: number): void;
  slowSegment(segment: number, offset: number, size: number, write: number): number;
  fetch(eip: number): number;
  straddle(eip: number): number;
  rare(record: number, pageEip: number): number;
}

export interface InterpreterFor {
  readonly interpreter: Interpreter;
  /** By row number. */
  readonly isRare: Uint8Array;
  readonly rareOf: readonly (RareFunction | undefined)[];
  start(imports: Imports): Started;
}

/** What the module exports. */
export interface Started {
  /** @returns EXIT_* */
  run(): number;
  /** The page walk (page-walk.ts); the module calls it by itself. */
  walk(linear: number, write: number): number;
}

const MEANINGS = [alu, move, shift, multiplication, bits, stack, control, string, x87Meaning];
let built: { interpreter: Interpreter; module: WebAssembly.Module } | null = null;

export function interpreterFor(memory: PhysicalMemory): InterpreterFor {
  if (built === null) {
    const interpreter = buildInterpreter(ROWS, MEANINGS, frequentX87);
    built = { interpreter, module: new WebAssembly.Module(interpreter.bytes as BufferSource) };
  }
  const { interpreter, module } = built;
  const isRare = new Uint8Array(ROWS.length);
  const rareOf = ROWS.map((row, number) => {
    let done = false;
    for (let variant = 0; variant < 16; variant++) done ||= interpreter.outer[number * 16 + variant] !== 0;
    if (done) return undefined;
    isRare[number] = 1;
    const f = rareInstructions[row.id] ?? decimalInstructions[row.id] ?? x87Rare[row.id];
    invariant(f !== undefined, `opcode row ${row.id} has no meaning`);
    return f;
  });
  return {
    interpreter,
    isRare,
    rareOf,
    start: (imports) => {
      const env = { ...imports, memory: memory.memory };
      return new WebAssembly.Instance(module, { env }).exports as unknown as Started;
    },
  };
}
