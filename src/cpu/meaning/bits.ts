/**
 * BT BTS BTR BTC BSF BSR, and the instructions on single flags. Intel SDM vol. 2.
 * With a memory operand and a bit number in a register the address record has moved the address already.
 * BSF and BSR of 0 leave the destination alone, as all processors do; of the flags they change ZF only.
 */
import * as w from '../../wasm/opcodes.ts';
import { addressOf } from '../layout.ts';
import { packArithmetic, setCarryOnly } from './arithmetic-flags.ts';
import type { Emitter, EmitterTable } from './site.ts';

const AH = 4;
const DF = 0x400;

const bitTest =
  (change: 'none' | 'set' | 'reset' | 'complement'): Emitter =>
  (site) => {
    const f = site.f;
    const [a, number, r] = [site.scratch(w.I32, 0), site.scratch(w.I32, 1), site.scratch(w.I32, 2)];
    if (change !== 'none') site.prepare(0);
    site.read(0);
    f.set(a);
    site.read(1);
    f.const(site.width(0) - 1)
      .op(w.I32_AND)
      .set(number);
    f.get(a).get(number).op(w.I32_SHR_U).const(1).op(w.I32_AND);
    setCarryOnly(site);
    if (change === 'none') return;
    f.get(a).const(1).get(number).op(w.I32_SHL);
    if (change === 'set') f.op(w.I32_OR);
    else if (change === 'complement') f.op(w.I32_XOR);
    else f.const(-1).op(w.I32_XOR, w.I32_AND);
    f.set(r);
    site.write(0, r);
  };

const bitScan =
  (forward: boolean): Emitter =>
  (site) => {
    const f = site.f;
    const [a, r] = [site.scratch(w.I32, 0), site.scratch(w.I32, 2)];
    site.read(1);
    f.tee(a).set(site.flagZero);
    if (forward) f.get(a).op(w.I32_CTZ);
    else f.const(31).get(a).op(w.I32_CLZ, w.I32_SUB);
    site.read(0);
    f.get(a).op(w.SELECT).set(r);
    site.write(0, r);
  };

const carryTo =
  (value: 0 | 1): Emitter =>
  (site) => {
    site.f.const(value);
    setCarryOnly(site);
  };
const complementCarry: Emitter = (site) => {
  site.f.get(site.flagCarry).const(0).op(w.I32_GE_S);
  setCarryOnly(site);
};

const direction =
  (set: boolean): Emitter =>
  (site) => {
    const f = site.f;
    f.const(0)
      .const(0)
      .mem(w.I32_LOAD, addressOf('eflags'))
      .const(set ? DF : ~DF);
    f.op(set ? w.I32_OR : w.I32_AND).mem(w.I32_STORE, addressOf('eflags'));
  };

const lahf: Emitter = (site) => {
  packArithmetic(site);
  site.f.const(2).op(w.I32_OR);
  site.setFixed(AH, 8);
};

/** OF stays. */
const sahf: Emitter = (site) => {
  const f = site.f;
  packArithmetic(site);
  f.const(0x800).op(w.I32_AND);
  site.getFixed(AH, 8);
  f.const(0xd5).op(w.I32_AND, w.I32_OR);
  site.setFlagBits();
};

export const bits: EmitterTable = {
  'bt Ev,Gv': bitTest('none'),
  'bt Ev,Ib': bitTest('none'),
  'bts Ev,Gv': bitTest('set'),
  'bts Ev,Ib': bitTest('set'),
  'btr Ev,Gv': bitTest('reset'),
  'btr Ev,Ib': bitTest('reset'),
  'btc Ev,Gv': bitTest('complement'),
  'btc Ev,Ib': bitTest('complement'),
  'bsf Gv,Ev': bitScan(true),
  'bsr Gv,Ev': bitScan(false),
  clc: carryTo(0),
  stc: carryTo(1),
  cmc: complementCarry,
  cld: direction(false),
  std: direction(true),
  lahf,
  sahf,
};
