/** PUSH POP LEAVE PUSHF. Intel SDM vol. 2. */
import * as w from '../../wasm/opcodes.ts';
import { addressOf, EBP, ES, ESP } from '../layout.ts';
import { packArithmetic } from './arithmetic-flags.ts';
import type { Emitter, EmitterTable } from './site.ts';

const VM_RF = 0x30000;

const push: Emitter = (site) => {
  const value = site.scratch(w.I32, 0);
  site.read(0);
  site.f.set(value);
  site.stackPush(site.operandSize, value);
};

const pushSegment =
  (segment: number): Emitter =>
  (site) => {
    const value = site.scratch(w.I32, 0);
    site.f.const(0).mem(w.I32_LOAD, addressOf('segSelector', segment)).set(value);
    site.stackPush(site.operandSize, value);
  };

/** POP eSP: the popped value wins. */
const popRegister: Emitter = (site) => {
  const f = site.f;
  const value = site.scratch(w.I32, 0);
  site.stackLoad(site.operandSize);
  f.set(value);
  f.const(site.operandSize / 8);
  site.stackRelease();
  site.write(0, value);
};

/** An address with eSP is taken after the increment: the decoder has added it. */
const popMemory: Emitter = (site) => {
  const value = site.scratch(w.I32, 0);
  site.stackLoad(site.operandSize);
  site.f.set(value);
  site.prepare(0);
  site.f.const(site.operandSize / 8);
  site.stackRelease();
  site.write(0, value);
};

const leave: Emitter = (site) => {
  const f = site.f;
  const value = site.scratch(w.I32, 0);
  site.stackLoad(site.operandSize, 0, EBP);
  f.set(value);
  site.getFixed(EBP, 32);
  site.getFixed(ESP, 32);
  f.op(w.I32_SUB)
    .const(site.operandSize / 8)
    .op(w.I32_ADD);
  site.stackRelease();
  f.get(value);
  site.setFixed(EBP, site.operandSize);
};

const pushf: Emitter = (site) => {
  const f = site.f;
  const value = site.scratch(w.I32, 0);
  packArithmetic(site);
  f.const(0)
    .mem(w.I32_LOAD, addressOf('eflags'))
    .const(~VM_RF)
    .op(w.I32_AND, w.I32_OR)
    .const(2)
    .op(w.I32_OR)
    .set(value);
  site.stackPush(site.operandSize, value);
};

function table(): EmitterTable {
  const emitters: Record<string, Emitter> = {
    'push Zv': push,
    'push Iz': push,
    'push Ibs': push,
    'push Ev': push,
    'pop Zv': popRegister,
    'pop Ev': (site) => (site.isMemory ? popMemory : popRegister)(site),
    leave,
    pushf,
  };
  for (const [number, name] of ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'].entries())
    emitters[`push ${name}`] = pushSegment(ES + number);
  return emitters;
}

export const stack: EmitterTable = table();
