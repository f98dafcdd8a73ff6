/**
 * Near jumps, calls and returns. Intel SDM vol. 2. With a 16-bit operand size the target is cut to 16 bits.
 * In code whose segments are not flat the target is checked against the limit of CS before anything happens.
 */
import * as w from '../../wasm/opcodes.ts';
import { ECX } from '../layout.ts';
import { CONDITIONS } from '../opcodes/row.ts';
import { condition } from './arithmetic-flags.ts';
import type { Emitter, EmitterTable, Site } from './site.ts';

function checkRelative(site: Site): void {
  if (!site.isGeneral) return;
  const target = site.scratch(w.I32, 3);
  site.relativeTarget();
  site.f.set(target);
  site.checkTarget(target);
}

const jumpIf =
  (code: number): Emitter =>
  (site) => {
    condition(site, code);
    site.f.if();
    checkRelative(site);
    site.jumpRelative();
    site.f.end();
  };

const jmp: Emitter = (site) => {
  checkRelative(site);
  site.jumpRelative();
};

const jmpIndirect: Emitter = (site) => {
  const target = site.scratch(w.I32, 0);
  site.read(0);
  site.f.set(target);
  site.checkTarget(target);
  site.f.get(target);
  site.jump();
};

const call: Emitter = (site) => {
  const behind = site.scratch(w.I32, 1);
  checkRelative(site);
  site.nextEip();
  site.f.set(behind);
  site.stackPush(site.operandSize, behind);
  site.jumpRelative();
};

const callIndirect: Emitter = (site) => {
  const [target, behind] = [site.scratch(w.I32, 0), site.scratch(w.I32, 1)];
  site.read(0);
  site.f.set(target);
  site.checkTarget(target);
  site.nextEip();
  site.f.set(behind);
  site.stackPush(site.operandSize, behind);
  site.f.get(target);
  site.jump();
};

const ret =
  (drops: boolean): Emitter =>
  (site) => {
    const target = site.scratch(w.I32, 0);
    site.stackLoad(site.operandSize);
    site.f.set(target);
    site.checkTarget(target);
    site.f.const(site.operandSize / 8);
    if (drops) {
      site.immediate();
      site.f.op(w.I32_ADD);
    }
    site.stackRelease();
    site.f.get(target);
    site.jump();
  };

/** LOOP family: eCX by address size; code -1 is plain LOOP. */
const loop =
  (code: number): Emitter =>
  (site) => {
    const f = site.f;
    const count = site.scratch(w.I32, 0);
    const taken = site.scratch(w.I32, 1);
    site.getFixed(ECX, site.addressSize);
    f.const(1).op(w.I32_SUB).set(count);
    f.get(count);
    if (site.addressSize === 16) f.const(0xffff).op(w.I32_AND);
    f.const(0).op(w.I32_NE);
    if (code >= 0) {
      condition(site, code);
      f.op(w.I32_AND);
    }
    f.tee(taken);
    f.if();
    checkRelative(site);
    f.end();
    f.get(count);
    site.setFixed(ECX, site.addressSize);
    f.get(taken);
    f.if();
    site.jumpRelative();
    f.end();
  };

const jcxz: Emitter = (site) => {
  site.getFixed(ECX, site.addressSize);
  site.f.op(w.I32_EQZ);
  site.f.if();
  checkRelative(site);
  site.jumpRelative();
  site.f.end();
};

function table(): EmitterTable {
  const emitters: Record<string, Emitter> = {
    'jmp Jb': jmp,
    'jmp Jz': jmp,
    'jmp Ev': jmpIndirect,
    'call Jz': call,
    'call Ev': callIndirect,
    ret: ret(false),
    'ret Iw': ret(true),
    'loop Jb': loop(-1),
    'loope Jb': loop(4),
    'loopne Jb': loop(5),
    'jcxz Jb': jcxz,
  };
  for (const [code, [suffix]] of CONDITIONS.entries()) {
    emitters[`j${suffix} Jb`] = jumpIf(code);
    emitters[`j${suffix} Jz`] = jumpIf(code);
  }
  return emitters;
}

export const control: EmitterTable = table();
