/**
 * Generates the interpreter: one WebAssembly module whose function `run` dispatches decoded records by br_table.
 * Frequent forms are cases of that loop; every form, frequent or not, has an out-of-line function in the table, which
 * the default case calls and into which a case leaves when its fast way is closed.
 */
import { invariant } from '../../base/assert.ts';
import { type Callable, ModuleBuilder } from '../../wasm/encoder.ts';
import * as w from '../../wasm/opcodes.ts';
import { I32 } from '../../wasm/opcodes.ts';
import { addressOf } from '../layout.ts';
import type { Emitter, EmitterTable, Meaning } from '../meaning/site.ts';
import type { HotX87 } from '../meaning/x87/frequent.ts';
import type { Row } from '../opcodes/row.ts';
import { hasModrm } from '../opcodes/table.ts';
import { defineHelpers, type Helpers } from './helpers.ts';
import { isHot, sameRecord } from './hot.ts';
import { type Case, pushFlatAddress, writeDriver, writeHotLoop } from './loop.ts';
import { EA_LINEAR } from './memory-map.ts';
import { FIRST_CASE, R_IMMEDIATE, STATUS_ADDRESS, STATUS_FAULT } from './records.ts';
import { type AddressForm, OuterSite, type Variant } from './sites.ts';
import { isInX87Loop } from './x87-loop.ts';

/** Index of a row's variant in the handler tables: row * 16 + these bits. */
export const V_SIZE16 = 1,
  V_MEMORY = 2,
  V_GENERAL = 4,
  V_ADDRESS16 = 8;

/** Immediate of an address record with checks: segment, size, write, and what is special. */
export const EA_SIZE_SHIFT = 4,
  EA_WRITE = 1 << 16,
  EA_ADDRESS16 = 1 << 17;
/** The bit number in the reg register moves the address: by 16-bit or 32-bit units. */
export const EA_BIT16 = 1 << 18,
  EA_BIT32 = 1 << 19;
/** The index register is AL (XLAT). */
export const EA_XLAT = 1 << 20;
/** Immediate of a raise record: vector, and the error code + 1. */
export const RAISE_CODE_SHIFT = 8;

export interface Interpreter {
  readonly bytes: Uint8Array;
  /** Out-of-line handler by variant; 0: the row is not carried out by an emitter, or has no such variant. */
  readonly outer: Uint16Array;
  /** In-line cases, 0 if there is none: no memory operand (or base and displacement) / with an index register. */
  readonly inline: Uint16Array;
  readonly indexed: Uint16Array;
  /** For relative jumps: the case whose target is in the same page. */
  readonly near: Uint16Array;
  readonly raise: number;
  readonly rare: number;
  readonly checkedAddress: number;
}

const GPR = addressOf('gpr');
const NOT_BY_SIZE = /^(Eb|Gb|Ib|AL|CL|1|Zb|Ob|Xb|Yb)$/;
const dependsOnSize = (row: Row): boolean =>
  !(row.operands.length > 0 && row.operands.every((o) => NOT_BY_SIZE.test(o)));
const isRelative = (row: Row): boolean => row.operands.some((o) => o[0] === 'J');
const isString = (row: Row): boolean => row.operands.some((o) => /^[XY]/.test(o));
const usesStack = (row: Row): boolean => /^(push|pop|call|ret|leave)/.test(row.mnemonic);
const hasGeneral = (row: Row): boolean =>
  usesStack(row) || isString(row) || isRelative(row) || row.mnemonic === 'jmp';
const dependsOnAddress = (row: Row): boolean => isString(row) || /^(loop|j.?cxz)/.test(row.mnemonic);
const memoryForms = (row: Row): boolean[] => {
  if (row.id === 'xlatb' || row.operands.some((o) => o[0] === 'O')) return [true];
  if (!hasModrm(row) || !row.operands.some((o) => /^(E|M)/.test(o) && !/^ES$/.test(o))) return [false];
  if (row.mod !== undefined) return [row.mod === 'mem'];
  if (row.operands.some((o) => /^M/.test(o) && o !== 'Mw/Rv')) return [true];
  return [false, true];
};

function* variants(row: Row): Generator<{ bits: number; variant: Variant }> {
  for (const size16 of dependsOnSize(row) ? [0, V_SIZE16] : [0]) {
    for (const memory of memoryForms(row)) {
      for (const general of hasGeneral(row) ? [0, V_GENERAL] : [0]) {
        for (const address16 of dependsOnAddress(row) ? [0, V_ADDRESS16] : [0]) {
          if (address16 && !general && isString(row)) continue;
          yield {
            bits: size16 | (memory ? V_MEMORY : 0) | general | address16,
            variant: {
              row,
              operandSize: size16 ? 16 : 32,
              addressSize: address16 ? 16 : 32,
              isMemory: memory,
              isGeneral: general !== 0,
            },
          };
        }
      }
    }
  }
}

/** Copies each variant's handlers to those that mean the same. */
function spread(tables: readonly Uint16Array[], row: Row, number: number): void {
  let differ = V_MEMORY;
  if (dependsOnSize(row)) differ |= V_SIZE16;
  if (hasGeneral(row)) differ |= V_GENERAL;
  if (dependsOnAddress(row)) differ |= V_ADDRESS16;
  const general16 = isString(row) ? V_GENERAL : 0;
  for (let bits = 0; bits < 16; bits++) {
    const same = (bits & differ) | (bits & V_ADDRESS16 ? general16 : 0);
    if (same === bits) continue;
    for (const table of tables) {
      if (table[number * 16 + bits] === 0) table[number * 16 + bits] = table[number * 16 + same]!;
    }
  }
}

export function buildInterpreter(
  rows: readonly Row[],
  meanings: readonly (EmitterTable | Meaning)[],
  frequentX87: ReadonlyMap<string, HotX87>,
): Interpreter {
  const m = new ModuleBuilder();
  const helpers = defineHelpers(m);
  const emitters = new Map<string, Emitter>();
  for (const meaning of meanings) {
    for (const [id, emitter] of Object.entries(typeof meaning === 'function' ? meaning(m) : meaning))
      emitters.set(id, emitter);
  }
  const outer = new Uint16Array(rows.length * 16);
  const inline = new Uint16Array(rows.length * 16);
  const indexed = new Uint16Array(rows.length * 16);
  const near = new Uint16Array(rows.length * 16);
  const handlerType = m.type([I32, I32, I32], [I32]);
  const run = m.func([], [I32]);

  const functions: Callable[] = [];
  const rest: Callable[] = [];
  const cases: Case[] = [];
  const pendingOuter: { table: Uint16Array; at: number; index: number }[] = [];
  const x87Forms: (() => void)[] = [];
  const addOuter = (f: Callable): number => rest.push(f) - 1;

  for (const [number, row] of rows.entries()) {
    const emitter = emitters.get(row.id);
    if (emitter === undefined || sameRecord(row.id) !== row.id) continue;
    for (const { bits, variant } of variants(row)) {
      const at = number * 16 + bits;
      const f = m.func([I32, I32, I32], [I32]);
      const site = new OuterSite(f, variant, helpers);
      emitter(site);
      site.finishFunction();
      const index = addOuter(f);
      pendingOuter.push({ table: outer, at, index });
      const x87 = variant.operandSize === 32 ? frequentX87.get(row.id) : undefined;
      if (x87 === undefined && !isHot(variant)) continue;
      const add = (table: Uint16Array, form: AddressForm, isNear: boolean): void => {
        table[at] = FIRST_CASE + cases.push({ emitter, x87, variant, form, near: isNear }) - 1;
        functions[table[at]!] = f;
      };
      if (x87 !== undefined) {
        x87Forms.push(() => {
          add(inline, variant.isMemory ? 'indexed' : 'none', false);
          // One case: without an index the zero word is added.
          if (variant.isMemory) indexed[at] = inline[at]!;
        });
      } else if (isRelative(row)) {
        add(near, 'none', true);
        add(inline, 'none', false);
      } else if (variant.isMemory) {
        add(inline, 'base', false);
        if (row.id[0] !== 'x') add(indexed, 'indexed', false);
      } else add(inline, 'none', false);
    }
  }
  const integerCases = cases.slice();
  const firstX87 = FIRST_CASE + cases.length;
  for (const add of x87Forms) add();
  const firstOuter = FIRST_CASE + cases.length;
  for (const { table, at, index } of pendingOuter) table[at] = firstOuter + index;
  const raise = firstOuter + addOuter(raiseFunction(m));
  const rare = firstOuter + addOuter(rareFunction(m, helpers));
  const checkedAddress = firstOuter + addOuter(addressFunction(m, helpers));
  for (const [number, row] of rows.entries()) {
    spread([outer, inline, indexed, near], row, number);
  }
  const numberOf = new Map(rows.map((row, number) => [row.id, number]));
  for (const [number, row] of rows.entries()) {
    const same = sameRecord(row.id);
    if (same === row.id) continue;
    const other = numberOf.get(same);
    if (other === undefined) continue;
    for (const table of [outer, inline, indexed, near])
      table.copyWithin(number * 16, other * 16, other * 16 + 16);
  }
  const table: (Callable | undefined)[] = new Array<Callable | undefined>(firstOuter);
  for (let i = 0; i < firstOuter; i++) table[i] = functions[i];
  table.push(...rest);
  invariant(table.length < 65536, 'more handlers than a record can name');
  m.table(table);
  const hot = writeHotLoop(m, integerCases, false);
  const x87Loop = writeHotLoop(
    m,
    cases.map((c) => (isInX87Loop(c) ? c : null)),
    true,
  );
  writeDriver(run, hot, firstOuter, { first: firstX87, loop: x87Loop }, handlerType, helpers);
  m.export('run', run);
  m.export('walk', helpers.walk);
  return { bytes: m.bytes(), outer, inline, indexed, near, raise, rare, checkedAddress };
}

/** Raises what the record says. */
function raiseFunction(m: ModuleBuilder): Callable {
  const f = m.func([I32, I32, I32], [I32]);
  f.const(0)
    .get(0)
    .mem(w.I32_LOAD, R_IMMEDIATE)
    .const(255)
    .op(w.I32_AND)
    .mem(w.I32_STORE, addressOf('faultVector'));
  f.const(0)
    .get(0)
    .mem(w.I32_LOAD, R_IMMEDIATE)
    .const(RAISE_CODE_SHIFT)
    .op(w.I32_SHR_U)
    .const(1)
    .op(w.I32_SUB);
  f.mem(w.I32_STORE, addressOf('faultCode'));
  return f.const(STATUS_FAULT);
}

function rareFunction(m: ModuleBuilder, helpers: Helpers): Callable {
  return m.func([I32, I32, I32], [I32]).get(0).get(1).call(helpers.rare);
}

/** An address with everything: 16-bit addressing, segment checks, BT's bit number. */
function addressFunction(m: ModuleBuilder, helpers: Helpers): Callable {
  const f = m.func([I32, I32, I32], [I32]);
  const how = f.local(I32);
  const offset = f.local(I32);
  const size = f.local(I32);
  const linear = f.local(I32);
  const has = (bit: number): void => {
    f.get(how).const(bit).op(w.I32_AND);
    f.if();
  };
  f.get(0).mem(w.I32_LOAD, R_IMMEDIATE).set(how);
  pushFlatAddress(f, 0, true);
  f.set(offset);
  const bitNumber = (): void => {
    f.get(offset).get(0).mem(w.I32_LOAD8_U, 4);
  };
  has(EA_BIT32);
  bitNumber();
  f.mem(w.I32_LOAD, GPR).const(5).op(w.I32_SHR_S).const(2).op(w.I32_SHL, w.I32_ADD).set(offset).end();
  has(EA_BIT16);
  bitNumber();
  f.mem(w.I32_LOAD16_S, GPR).const(4).op(w.I32_SHR_S).const(1).op(w.I32_SHL, w.I32_ADD).set(offset).end();
  has(EA_XLAT);
  f.get(offset).const(0).mem(w.I32_LOAD8_U, GPR).op(w.I32_ADD).set(offset).end();
  has(EA_ADDRESS16);
  f.get(offset).const(0xffff).op(w.I32_AND).set(offset).end();
  f.get(offset).set(linear);
  f.get(how).const(EA_SIZE_SHIFT).op(w.I32_SHR_U).const(0xfff).op(w.I32_AND).tee(size);
  f.if();
  f.get(how).const(15).op(w.I32_AND).get(offset).get(size).get(how).const(EA_WRITE).op(w.I32_AND);
  f.call(helpers.segment).set(linear);
  f.const(0).mem(w.I32_LOAD, addressOf('faultVector')).const(0).op(w.I32_GE_S);
  f.if();
  f.const(STATUS_FAULT).return();
  f.end().end();
  f.const(0).get(linear).mem(w.I32_STORE, EA_LINEAR);
  return f.const(STATUS_ADDRESS);
}
