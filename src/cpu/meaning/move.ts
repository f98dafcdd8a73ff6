/** MOV MOVZX MOVSX LEA XCHG CMOVcc SETcc BSWAP CBW CWD XLAT SALC NOP, CMPXCHG XADD CMPXCHG8B. Intel SDM vol. 2. */
import * as w from '../../wasm/opcodes.ts';
import { EAX, EBX, ECX, EDX } from '../layout.ts';
import { CONDITIONS } from '../opcodes/row.ts';
import { addCarries, carry, carryFlags, condition, resultFlags, subCarries } from './arithmetic-flags.ts';
import type { Emitter, EmitterTable } from './site.ts';

const mov: Emitter = (site) => {
  const value = site.scratch(w.I32, 0);
  site.prepare(0);
  site.read(1);
  site.f.set(value);
  site.write(0, value);
};

const movsx: Emitter = (site) => {
  const value = site.scratch(w.I32, 0);
  site.read(1);
  site.f.op(site.width(1) === 8 ? w.I32_EXTEND8_S : w.I32_EXTEND16_S).set(value);
  site.write(0, value);
};

const lea: Emitter = (site) => {
  const value = site.scratch(w.I32, 0);
  site.address();
  site.f.set(value);
  site.write(0, value);
};

const xchg: Emitter = (site) => {
  const [a, b] = [site.scratch(w.I32, 0), site.scratch(w.I32, 1)];
  site.prepare(0);
  site.read(0);
  site.f.set(a);
  site.read(1);
  site.f.set(b);
  site.write(1, a);
  site.write(0, b);
};

const cmov =
  (code: number): Emitter =>
  (site) => {
    const value = site.scratch(w.I32, 0);
    site.read(1);
    site.read(0);
    condition(site, code);
    site.f.op(w.SELECT).set(value);
    site.write(0, value);
  };

const setcc =
  (code: number): Emitter =>
  (site) => {
    const value = site.scratch(w.I32, 0);
    site.prepare(0);
    condition(site, code);
    site.f.set(value);
    site.write(0, value);
  };

/** A 16-bit register becomes 0. */
const bswap: Emitter = (site) => {
  const f = site.f;
  const [a, r] = [site.scratch(w.I32, 0), site.scratch(w.I32, 2)];
  if (site.operandSize === 16) f.const(0).set(r);
  else {
    site.read(0);
    f.set(a);
    f.get(a).const(8).op(w.I32_ROTL).const(0x00ff00ff).op(w.I32_AND);
    f.get(a)
      .const(8)
      .op(w.I32_ROTR)
      .const(0xff00ff00 | 0)
      .op(w.I32_AND, w.I32_OR)
      .set(r);
  }
  site.write(0, r);
};

const cbw: Emitter = (site) => {
  if (site.operandSize === 16) {
    site.getFixed(EAX, 8);
    site.f.op(w.I32_EXTEND8_S);
    site.setFixed(EAX, 16);
  } else {
    site.getFixed(EAX, 16);
    site.f.op(w.I32_EXTEND16_S);
    site.setFixed(EAX, 32);
  }
};

const cwd: Emitter = (site) => {
  site.getFixed(EAX, site.operandSize);
  if (site.operandSize === 16) site.f.op(w.I32_EXTEND16_S);
  site.f.const(31).op(w.I32_SHR_S);
  site.setFixed(EDX, site.operandSize);
};

const xlat: Emitter = (site) => {
  site.load(8);
  site.setFixed(EAX, 8);
};

const salc: Emitter = (site) => {
  site.f.const(0);
  carry(site);
  site.f.op(w.I32_SUB);
  site.setFixed(EAX, 8);
};

/** The destination is written in both cases, as real processors do: with its old value if unequal. */
const cmpxchg: Emitter = (site) => {
  const f = site.f;
  const width = site.width(0);
  const [a, b, r, result] = [
    site.scratch(w.I32, 0),
    site.scratch(w.I32, 1),
    site.scratch(w.I32, 2),
    site.scratch(w.I32, 3),
  ];
  site.prepare(0);
  site.read(0);
  f.set(b);
  site.getFixed(EAX, width);
  f.tee(a).get(b).op(w.I32_SUB).set(r);
  site.read(1);
  f.get(b).get(a).get(b).op(w.I32_EQ, w.SELECT).set(result);
  resultFlags(site, width, r);
  subCarries(site, a, b, r);
  carryFlags(site, width);
  f.get(a).get(b).op(w.I32_NE);
  f.if();
  f.get(b);
  site.setFixed(EAX, width);
  f.end();
  site.write(0, result);
};

const xadd: Emitter = (site) => {
  const f = site.f;
  const width = site.width(0);
  const [a, b, r] = [site.scratch(w.I32, 0), site.scratch(w.I32, 1), site.scratch(w.I32, 2)];
  site.prepare(0);
  site.read(0);
  f.set(a);
  site.read(1);
  f.set(b).get(a).get(b).op(w.I32_ADD).set(r);
  resultFlags(site, width, r);
  addCarries(site, a, b, r);
  carryFlags(site, width);
  site.write(1, a);
  site.write(0, r);
};

const cmpxchg8b: Emitter = (site) => {
  const f = site.f;
  const [low, high, equal] = [site.scratch(w.I32, 0), site.scratch(w.I32, 1), site.scratch(w.I32, 2)];
  site.checkStore(8);
  site.load(32);
  f.set(low);
  site.load(32, 4);
  f.set(high);
  site.getFixed(EAX, 32);
  f.get(low).op(w.I32_EQ);
  site.getFixed(EDX, 32);
  f.get(high).op(w.I32_EQ, w.I32_AND).set(equal);
  // ZF alone changes: SF and PF have their own word.
  f.get(equal).op(w.I32_EQZ).set(site.flagZero);
  site.getFixed(EBX, 32);
  f.get(low).get(equal).op(w.SELECT);
  site.store(32);
  site.getFixed(ECX, 32);
  f.get(high).get(equal).op(w.SELECT);
  site.store(32, 4);
  f.get(equal).op(w.I32_EQZ);
  f.if();
  f.get(low);
  site.setFixed(EAX, 32);
  f.get(high);
  site.setFixed(EDX, 32);
  f.end();
};

const nop: Emitter = () => {};

function table(): EmitterTable {
  const emitters: Record<string, Emitter> = {
    'movzx Gv,Eb': mov,
    'movzx Gv,Ew': mov,
    'movsx Gv,Eb': movsx,
    'movsx Gv,Ew': movsx,
    'lea Gv,M': lea,
    'xchg Eb,Gb': xchg,
    'xchg Ev,Gv': xchg,
    'xchg Zv,eAX': xchg,
    'bswap Zv': bswap,
    cbw,
    cwd,
    xlatb: xlat,
    salc,
    'cmpxchg Eb,Gb': cmpxchg,
    'cmpxchg Ev,Gv': cmpxchg,
    'xadd Eb,Gb': xadd,
    'xadd Ev,Gv': xadd,
    'cmpxchg8b Mq': cmpxchg8b,
    nop,
    'nop Ev': nop,
    lfence: nop,
    mfence: nop,
    sfence: nop,
  };
  for (const operands of [
    'Eb,Gb',
    'Ev,Gv',
    'Gb,Eb',
    'Gv,Ev',
    'AL,Ob',
    'eAX,Ov',
    'Ob,AL',
    'Ov,eAX',
    'Zb,Ib',
    'Zv,Iz',
    'Eb,Ib',
    'Ev,Iz',
    'Mw/Rv,Sw',
  ])
    emitters[`mov ${operands}`] = mov;
  for (const [code, [suffix]] of CONDITIONS.entries()) {
    emitters[`cmov${suffix} Gv,Ev`] = cmov(code);
    emitters[`set${suffix} Eb`] = setcc(code);
  }
  return emitters;
}

export const move: EmitterTable = table();
