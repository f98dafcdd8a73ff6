/**
 * Emitters of the x87 rows: look whether the x87 may be used (#NM, #MF), fetch the operand, note where the
 * instruction and its operand are, call the library. What is rare (environment, BCD, transcendentals) is in
 * rare/x87-*.ts. Source: Intel SDM vol. 1, "Programming with the x87 FPU"; vol. 2.
 *
 * FOP is not noted here: FOP_FROM_CODE says that it is to be read from the code at FCS:FIP when somebody asks.
 * CR0.NE counts as set: no guest of the lab can have the interrupt controller that the other way needs.
 */
import * as w from '../../../wasm/opcodes.ts';
import { addressOf, CS, EAX } from '../../layout.ts';
import { condition } from '../arithmetic-flags.ts';
import type { Emitter, EmitterTable, Meaning, Site } from '../site.ts';
import { CONSTANTS, type Constant } from './constants.ts';
import { type Callee, flatten } from './expression.ts';
import { defineLibrary, type Library } from './instructions.ts';
import { ABSOLUTE, CHANGE_SIGN, REMAINDER, REMAINDER_IEEE, ROOT, ROUND_INT, SCALE } from './operate.ts';
import { ES, FCW, FOP_FROM_CODE, FSW } from './state.ts';

const VECTOR_NM = 7,
  VECTOR_MF = 16;
const CR0_MP = 2,
  CR0_EM = 4,
  CR0_TS = 8;

/** #NM if the x87 is not to be used; #MF for instructions that wait. */
function enter(site: Site, waits: boolean): void {
  const f = site.f;
  f.const(0)
    .mem(w.I32_LOAD, addressOf('cr0'))
    .const(CR0_EM | CR0_TS)
    .op(w.I32_AND);
  if (waits) f.const(0).mem(w.I32_LOAD16_U, FSW).const(ES).op(w.I32_AND, w.I32_OR);
  f.if();
  if (waits) {
    f.const(0)
      .mem(w.I32_LOAD, addressOf('cr0'))
      .const(CR0_EM | CR0_TS)
      .op(w.I32_AND, w.I32_EQZ)
      .if();
    site.raise(VECTOR_MF, -1);
    f.end();
  }
  site.raise(VECTOR_NM, -1);
  f.end();
}

/** Where the last instruction and its memory operand are. */
function note(site: Site): void {
  const f = site.f;
  f.const(0);
  site.eip();
  f.mem(w.I32_STORE, addressOf('fip'));
  f.const(0).const(0).mem(w.I32_LOAD, addressOf('segSelector', CS)).mem(w.I32_STORE, addressOf('fcs'));
  f.const(0).const(FOP_FROM_CODE).mem(w.I32_STORE16, addressOf('fop'));
  if (!site.isMemory) return;
  f.const(0);
  site.operandOffset();
  f.mem(w.I32_STORE, addressOf('fdp'));
  f.const(0);
  site.operandSelector();
  f.mem(w.I32_STORE, addressOf('fds'));
}

type Operand = 'Mf32' | 'Mf64' | 'Mi16' | 'Mi32' | 'Mi64';
function loadOperand(site: Site, operand: Operand): void {
  if (operand === 'Mf32' || operand === 'Mi32') site.load(32);
  else if (operand === 'Mi16') {
    site.load(16);
    site.f.op(w.I32_EXTEND16_S);
  } else site.load(64);
}

/** A library call with ST(i) of the instruction and constants: 'i' stands for the number. */
const onStack =
  (callee: Callee, ...args: (number | 'i')[]): Emitter =>
  (site) => {
    enter(site, true);
    note(site);
    for (const arg of args) {
      if (arg === 'i') site.rmNumber();
      else site.f.const(arg);
    }
    site.f.call(callee);
  };
const onMemory =
  (callee: Callee, operand: Operand, ...args: number[]): Emitter =>
  (site) => {
    enter(site, true);
    loadOperand(site, operand);
    note(site);
    for (const arg of args) site.f.const(arg);
    site.f.call(callee);
  };

function arithmetic(lib: Library): EmitterTable {
  const table: Record<string, Emitter> = {};
  for (const name of ['add', 'mul', 'sub', 'subr', 'div', 'divr'] as const) {
    table[`f${name} Mf32`] = onMemory(lib.binaryF32[name], 'Mf32');
    table[`f${name} Mf64`] = onMemory(lib.binaryF64[name], 'Mf64');
    table[`fi${name} Mi32`] = onMemory(lib.binaryInt[name], 'Mi32');
    table[`fi${name} Mi16`] = onMemory(lib.binaryInt[name], 'Mi16');
    table[`f${name} ST0,STi`] = onStack(lib.binary[name], 0, 'i', 0);
    table[`f${name} STi,ST0`] = onStack(lib.binary[name], 'i', 0, 0);
    table[`f${name}p STi,ST0`] = onStack(lib.binary[name], 'i', 0, 1);
  }
  for (const [name, pops] of [
    ['com', 0],
    ['comp', 1],
  ] as const) {
    table[`f${name} Mf32`] = onMemory(lib.compareF32, 'Mf32', pops);
    table[`f${name} Mf64`] = onMemory(lib.compareF64, 'Mf64', pops);
    table[`fi${name} Mi32`] = onMemory(lib.compareInt, 'Mi32', pops);
    table[`fi${name} Mi16`] = onMemory(lib.compareInt, 'Mi16', pops);
    table[`f${name} ST0,STi`] = onStack(lib.compare, 'i', pops, 0);
    table[`fu${name} ST0,STi`] = onStack(lib.compare, 'i', pops, 1);
  }
  return {
    ...table,
    fcompp: onStack(lib.compare, 1, 3, 0),
    fucompp: onStack(lib.compare, 1, 3, 1),
    ftst: onStack(lib.compareZero),
    fxam: onStack(lib.examine),
    fchs: onStack(lib.unary[CHANGE_SIGN]!),
    fabs: onStack(lib.unary[ABSOLUTE]!),
    fsqrt: onStack(lib.unary[ROOT]!),
    frndint: onStack(lib.unary[ROUND_INT]!),
    fprem: onStack(lib.withSt1[REMAINDER]!),
    fprem1: onStack(lib.withSt1[REMAINDER_IEEE]!),
    fscale: onStack(lib.withSt1[SCALE]!),
    fxtract: onStack(lib.extract),
  };
}

function compareToFlags(lib: Library, pops: number, quiet: number): Emitter {
  return (site) => {
    const f = site.f;
    const bits = site.scratch(w.I32, 0);
    enter(site, true);
    note(site);
    site.rmNumber();
    f.const(pops).const(quiet).call(lib.compareToFlags).tee(bits).const(0).op(w.I32_GE_S).if();
    f.get(bits);
    site.setFlagBits();
    f.end();
  };
}

function loads(lib: Library): EmitterTable {
  const constant =
    ({ sig, above, se }: Constant): Emitter =>
    (site) => {
      enter(site, true);
      note(site);
      site.f.const64(sig).const(above).const(se).call(lib.pushConstant);
    };
  const integer =
    (operand: Operand): Emitter =>
    (site) => {
      enter(site, true);
      loadOperand(site, operand);
      if (operand !== 'Mi64') site.f.op(w.I64_EXTEND_I32_S);
      note(site);
      site.f.call(lib.pushInt);
    };
  const extended: Emitter = (site) => {
    enter(site, true);
    site.load(64);
    site.load(16, 8);
    note(site);
    site.f.call(lib.pushF80);
  };
  const table: Record<string, Emitter> = {
    'fld Mf32': onMemory(lib.pushF32, 'Mf32'),
    'fld Mf64': onMemory(lib.pushF64, 'Mf64'),
    'fld Mf80': extended,
    'fld STi': onStack(lib.pushSt, 'i'),
    'fild Mi16': integer('Mi16'),
    'fild Mi32': integer('Mi32'),
    'fild Mi64': integer('Mi64'),
  };
  for (const [name, value] of Object.entries(CONSTANTS)) table[name] = constant(value);
  return table;
}

function stores(lib: Library): EmitterTable {
  const store =
    (bits: 16 | 32 | 64, pops: number, prepare: (site: Site) => void, wide: boolean): Emitter =>
    (site) => {
      const f = site.f;
      const value = site.scratch(wide ? w.I64 : w.I32, 0);
      enter(site, true);
      site.checkStore(bits / 8);
      note(site);
      prepare(site);
      f.set(value)
        .op(...flatten(lib.ready.bytes))
        .if();
      f.get(value);
      if (wide && bits !== 64) f.op(w.I32_WRAP_I64);
      site.store(bits);
      f.end();
      f.const(pops).call(lib.finishStore);
    };
  const single = (pops: number): Emitter => store(32, pops, (site) => site.f.call(lib.prepareF32), false);
  const double = (pops: number): Emitter => store(64, pops, (site) => site.f.call(lib.prepareF64), true);
  const integer = (bits: 16 | 32 | 64, pops: number): Emitter =>
    store(bits, pops, (site) => site.f.const64(1n << BigInt(bits - 1)).call(lib.prepareInt), true);
  const extended: Emitter = (site) => {
    const f = site.f;
    const [sig, se] = [site.scratch(w.I64, 0), site.scratch(w.I32, 0)];
    enter(site, true);
    site.checkStore(10);
    note(site);
    f.call(lib.prepareF80)
      .set(se)
      .set(sig)
      .op(...flatten(lib.ready.bytes))
      .if();
    f.get(sig);
    site.store(64);
    f.get(se);
    site.store(16, 8);
    f.end();
    f.const(1).call(lib.finishStore);
  };
  return {
    'fst Mf32': single(0),
    'fstp Mf32': single(1),
    'fst Mf64': double(0),
    'fstp Mf64': double(1),
    'fstp Mf80': extended,
    'fist Mi16': integer(16, 0),
    'fistp Mi16': integer(16, 1),
    'fist Mi32': integer(32, 0),
    'fistp Mi32': integer(32, 1),
    'fistp Mi64': integer(64, 1),
    'fst STi': onStack(lib.storeSt, 'i', 0),
    'fstp STi': onStack(lib.storeSt, 'i', 1),
    'fstpnce STi,ST0': onStack(lib.storeQuietly, 'i'),
  };
}

/** FCMOVcc by the number of its condition in the opcode map. */
const MOVES = { b: 2, e: 4, be: 6, u: 10, nb: 3, ne: 5, nbe: 7, nu: 11 } as const;

function moves(lib: Library): EmitterTable {
  const table: Record<string, Emitter> = {};
  for (const [name, code] of Object.entries(MOVES)) {
    table[`fcmov${name} ST0,STi`] = (site) => {
      enter(site, true);
      note(site);
      site.rmNumber();
      condition(site, code);
      site.f.call(lib.moveIf);
    };
  }
  return {
    ...table,
    'fxch ST0,STi': onStack(lib.exchange, 'i'),
    'ffree STi': onStack(lib.free, 'i'),
    'ffreep STi': (site) => {
      onStack(lib.free, 'i')(site);
      site.f.call(lib.pop);
    },
    fincstp: onStack(lib.rotate, 1),
    fdecstp: onStack(lib.rotate, 7),
    fnop: (site) => {
      enter(site, true);
      note(site);
    },
  };
}

function control(lib: Library): EmitterTable {
  const nothing: Emitter = (site) => enter(site, false);
  const storeWord =
    (address: number): Emitter =>
    (site) => {
      enter(site, false);
      site.checkStore(2);
      site.f.const(0).mem(w.I32_LOAD16_U, address);
      site.store(16);
    };
  return {
    'fldcw Mw': (site) => {
      enter(site, true);
      site.load(16);
      site.f.call(lib.loadControl);
    },
    'fnstcw Mw': storeWord(FCW),
    'fnstsw Mw': storeWord(FSW),
    'fnstsw AX': (site) => {
      enter(site, false);
      site.f.const(0).mem(w.I32_LOAD16_U, FSW);
      site.setFixed(EAX, 16);
    },
    fwait: (site) => {
      const f = site.f;
      f.const(0)
        .mem(w.I32_LOAD, addressOf('cr0'))
        .const(CR0_MP | CR0_TS)
        .op(w.I32_AND);
      f.const(CR0_MP | CR0_TS)
        .op(w.I32_EQ)
        .if();
      site.raise(VECTOR_NM, -1);
      f.end();
      f.const(0).mem(w.I32_LOAD16_U, FSW).const(ES).op(w.I32_AND).if();
      site.raise(VECTOR_MF, -1);
      f.end();
    },
    fneni: nothing,
    fndisi: nothing,
    fnsetpm: nothing,
  };
}

export const x87Meaning: Meaning = (module) => {
  const lib = defineLibrary(module);
  return {
    ...arithmetic(lib),
    ...loads(lib),
    ...stores(lib),
    ...moves(lib),
    ...control(lib),
    'fcomi ST0,STi': compareToFlags(lib, 0, 0),
    'fcomip ST0,STi': compareToFlags(lib, 1, 0),
    'fucomi ST0,STi': compareToFlags(lib, 0, 1),
    'fucomip ST0,STi': compareToFlags(lib, 1, 1),
  };
};
