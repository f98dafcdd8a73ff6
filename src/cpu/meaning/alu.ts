/** ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT. Intel SDM vol. 2. */
import * as w from '../../wasm/opcodes.ts';
import { addCarries, carry, carryFlags, resultFlags, subCarries } from './arithmetic-flags.ts';
import type { Emitter, EmitterTable, Site } from './site.ts';

type Operation = 'add' | 'or' | 'adc' | 'sbb' | 'and' | 'sub' | 'xor' | 'cmp' | 'test';

const LOGIC: Partial<Record<Operation, number>> = {
  or: w.I32_OR,
  and: w.I32_AND,
  xor: w.I32_XOR,
  test: w.I32_AND,
};

/** Operand 1 as wide as operand 0: byte immediates of wide instructions come sign-extended. */
function readSecond(site: Site): void {
  site.read(1);
}

function binary(operation: Operation): Emitter {
  const logic = LOGIC[operation];
  const keeps = operation === 'cmp' || operation === 'test';
  return (site) => {
    const f = site.f;
    const width = site.width(0);
    const [a, b, r] = [site.scratch(w.I32, 0), site.scratch(w.I32, 1), site.scratch(w.I32, 2)];
    if (!keeps) site.prepare(0);
    site.read(0);
    f.set(a);
    readSecond(site);
    if (logic !== undefined) {
      f.get(a).op(logic).set(r);
      resultFlags(site, width, r);
      f.const(0).set(site.flagCarry);
    } else {
      f.set(b);
      f.get(a).get(b);
      const subtract = operation !== 'add' && operation !== 'adc';
      f.op(subtract ? w.I32_SUB : w.I32_ADD);
      if (operation === 'adc' || operation === 'sbb') {
        carry(site);
        f.op(subtract ? w.I32_SUB : w.I32_ADD);
      }
      f.set(r);
      resultFlags(site, width, r);
      if (subtract) subCarries(site, a, b, r);
      else addCarries(site, a, b, r);
      carryFlags(site, width);
    }
    if (!keeps) site.write(0, r);
  };
}

/** INC, DEC: CF stays, so bit 30 takes OF relative to the old CF. */
function step(amount: 1 | -1): Emitter {
  return (site) => {
    const f = site.f;
    const width = site.width(0);
    const [a, r, was] = [site.scratch(w.I32, 0), site.scratch(w.I32, 2), site.scratch(w.I32, 3)];
    site.prepare(0);
    site.read(0);
    f.tee(a).const(amount).op(w.I32_ADD).set(r);
    f.get(site.flagCarry).set(was);
    resultFlags(site, width, r);
    // Overflow happens at one value; the low nibble wraps at another.
    const minimum = width === 32 ? -0x80000000 : -(2 ** (width - 1));
    f.get(was).const(31).op(w.I32_SHR_U);
    f.get(site.flagZero)
      .const(amount === 1 ? minimum : 2 ** (width - 1) - 1)
      .op(w.I32_EQ, w.I32_XOR)
      .const(30)
      .op(w.I32_SHL);
    f.get(was).const(-0x80000000).op(w.I32_AND, w.I32_OR);
    f.get(a).get(r).op(w.I32_XOR).const(1).op(w.I32_SHR_U).const(8).op(w.I32_AND, w.I32_OR);
    f.set(site.flagCarry);
    site.write(0, r);
  };
}

const neg: Emitter = (site) => {
  const f = site.f;
  const [b, r] = [site.scratch(w.I32, 0), site.scratch(w.I32, 2)];
  site.prepare(0);
  site.read(0);
  f.set(b).const(0).get(b).op(w.I32_SUB).set(r);
  resultFlags(site, site.width(0), r);
  f.get(b).get(r).op(w.I32_OR);
  carryFlags(site, site.width(0));
  site.write(0, r);
};

const not: Emitter = (site) => {
  const r = site.scratch(w.I32, 2);
  site.prepare(0);
  site.read(0);
  site.f.const(-1).op(w.I32_XOR).set(r);
  site.write(0, r);
};

function table(): EmitterTable {
  const emitters: Record<string, Emitter> = {};
  for (const name of ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'] as const) {
    for (const operands of [
      'Eb,Gb',
      'Ev,Gv',
      'Gb,Eb',
      'Gv,Ev',
      'AL,Ib',
      'eAX,Iz',
      'Eb,Ib',
      'Ev,Iz',
      'Ev,Ibs',
    ])
      emitters[`${name} ${operands}`] = binary(name);
  }
  for (const operands of ['Eb,Gb', 'Ev,Gv', 'AL,Ib', 'eAX,Iz', 'Eb,Ib', 'Ev,Iz'])
    emitters[`test ${operands}`] = binary('test');
  for (const operand of ['Eb', 'Ev', 'Zv']) {
    emitters[`inc ${operand}`] = step(1);
    emitters[`dec ${operand}`] = step(-1);
    emitters[`neg ${operand}`] = neg;
    emitters[`not ${operand}`] = not;
  }
  delete emitters['neg Zv'];
  delete emitters['not Zv'];
  return emitters;
}

export const alu: EmitterTable = table();
