/**
 * Shifts and rotates. Intel SDM vol. 2, "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD", "SHRD".
 * A masked count of 0 leaves the flags alone. OF for counts above 1, which the SDM leaves open, is what the last
 * single step would give; AF of shifts is cleared.
 */
import * as w from '../../wasm/opcodes.ts';
import { carry, resultFlags, setCarryAndOverflow, signed } from './arithmetic-flags.ts';
import type { Emitter, EmitterTable, Site, Width } from './site.ts';

type Shift = 'rol' | 'ror' | 'rcl' | 'rcr' | 'shl' | 'shr' | 'sar';

/** Pushes one bit of a local. */
function bit(site: Site, local: number, number: number): void {
  site.f.get(local).const(number).op(w.I32_SHR_U).const(1).op(w.I32_AND);
}

/** Rotates keep SF ZF AF PF: AF is put back. */
function setRotateFlags(site: Site): void {
  const f = site.f;
  const auxiliary = site.scratch(w.I32, 6);
  f.get(site.flagCarry).const(8).op(w.I32_AND).set(auxiliary);
  setCarryAndOverflow(site);
  f.get(site.flagCarry).get(auxiliary).op(w.I32_OR).set(site.flagCarry);
}

/** Sets r and flags from a and a count from 1 to 31. */
function shiftBody(site: Site, shift: Shift, width: Width, a: number, count: number, r: number): void {
  const f = site.f;
  const top = width - 1;
  switch (shift) {
    case 'shl':
      f.get(a).get(count).op(w.I32_SHL).set(r);
      if (width === 32) f.get(a).const(0).get(count).op(w.I32_SUB, w.I32_SHR_U);
      else f.get(r).const(width).op(w.I32_SHR_U);
      f.const(1).op(w.I32_AND);
      bit(site, r, top);
      setCarryAndOverflow(site);
      resultFlags(site, width, r);
      return;
    case 'shr':
      f.get(a).get(count).op(w.I32_SHR_U).set(r);
      f.get(a).get(count).const(1).op(w.I32_SUB, w.I32_SHR_U).const(1).op(w.I32_AND).tee(count);
      bit(site, r, top - 1);
      f.get(count).op(w.I32_XOR);
      setCarryAndOverflow(site);
      resultFlags(site, width, r);
      return;
    case 'sar':
      signed(site, width, a);
      f.tee(a).get(count).op(w.I32_SHR_S).set(r);
      f.get(a).get(count).const(1).op(w.I32_SUB, w.I32_SHR_S).const(1).op(w.I32_AND).tee(count).get(count);
      setCarryAndOverflow(site);
      resultFlags(site, width, r);
      return;
    case 'rol':
    case 'ror':
      if (width === 32)
        f.get(a)
          .get(count)
          .op(shift === 'rol' ? w.I32_ROTL : w.I32_ROTR)
          .set(r);
      else {
        // Copies of the value side by side: a right rotate of the word is one of its narrow copies.
        f.get(a).get(a).const(width).op(w.I32_SHL, w.I32_OR).set(r);
        if (width === 8) f.get(r).get(r).const(16).op(w.I32_SHL, w.I32_OR).set(r);
        f.get(r)
          .get(count)
          .op(shift === 'rol' ? w.I32_ROTL : w.I32_ROTR)
          .set(r);
      }
      if (shift === 'rol') {
        f.get(r).const(1).op(w.I32_AND);
        bit(site, r, top);
      } else {
        bit(site, r, top);
        bit(site, r, top - 1);
      }
      setRotateFlags(site);
      return;
    case 'rcl':
    case 'rcr': {
      const wide = site.scratch(w.I64, 0);
      carry(site);
      f.op(w.I64_EXTEND_I32_U).const64(width).op(w.I64_SHL).get(a).op(w.I64_EXTEND_I32_U, w.I64_OR).set(wide);
      f.get(count)
        .const(width + 1)
        .op(w.I32_REM_U)
        .set(count);
      f.get(wide)
        .get(count)
        .op(w.I64_EXTEND_I32_U, shift === 'rcl' ? w.I64_SHL : w.I64_SHR_U);
      f.get(wide)
        .const(width + 1)
        .get(count)
        .op(w.I32_SUB, w.I64_EXTEND_I32_U);
      f.op(shift === 'rcl' ? w.I64_SHR_U : w.I64_SHL, w.I64_OR)
        .tee(wide)
        .op(w.I32_WRAP_I64)
        .set(r);
      f.get(wide).const64(width).op(w.I64_SHR_U, w.I32_WRAP_I64).const(1).op(w.I32_AND);
      if (shift === 'rcl') bit(site, r, top);
      else {
        f.tee(count);
        bit(site, r, top);
        bit(site, r, top - 1);
        f.op(w.I32_XOR).get(count).op(w.I32_XOR);
      }
      setRotateFlags(site);
      return;
    }
  }
}

const shiftBy =
  (shift: Shift): Emitter =>
  (site) => {
    const f = site.f;
    const width = site.width(0);
    const [a, count, r] = [site.scratch(w.I32, 0), site.scratch(w.I32, 1), site.scratch(w.I32, 2)];
    site.prepare(0);
    site.read(0);
    f.tee(a).set(r);
    site.read(1);
    f.const(31).op(w.I32_AND).tee(count);
    f.if();
    shiftBody(site, shift, width, a, count, r);
    f.end();
    site.write(0, r);
  };

/** 16-bit forms with counts above 16, which the SDM leaves open, go on with the destination's own bits. */
const doubleShift =
  (left: boolean): Emitter =>
  (site) => {
    const f = site.f;
    const width = site.width(0);
    const [a, b, count, r] = [
      site.scratch(w.I32, 0),
      site.scratch(w.I32, 1),
      site.scratch(w.I32, 2),
      site.scratch(w.I32, 3),
    ];
    const wide = site.scratch(w.I64, 0);
    site.prepare(0);
    site.read(0);
    f.tee(a).set(r);
    site.read(1);
    f.set(b);
    site.read(2);
    f.const(31).op(w.I32_AND).tee(count);
    f.if();
    const [high, low] = left ? [a, b] : [b, a];
    f.get(high).op(w.I64_EXTEND_I32_U).const64(width).op(w.I64_SHL).get(low).op(w.I64_EXTEND_I32_U, w.I64_OR);
    if (width === 16) {
      if (left) f.const64(16).op(w.I64_SHL).get(a).op(w.I64_EXTEND_I32_U, w.I64_OR);
      else f.get(a).op(w.I64_EXTEND_I32_U).const64(32).op(w.I64_SHL, w.I64_OR);
    }
    f.set(wide);
    // Left: the result is the top `width` bits of a frame of `size`.
    const size = width === 16 ? 48 : 64;
    if (left) {
      f.get(wide)
        .get(count)
        .op(w.I64_EXTEND_I32_U, w.I64_SHL)
        .const64(size - width)
        .op(w.I64_SHR_U, w.I32_WRAP_I64)
        .set(r);
      f.get(wide).const(size).get(count).op(w.I32_SUB, w.I64_EXTEND_I32_U, w.I64_SHR_U, w.I32_WRAP_I64);
    } else {
      f.get(wide).get(count).op(w.I64_EXTEND_I32_U, w.I64_SHR_U, w.I32_WRAP_I64).set(r);
      f.get(wide).get(count).const(1).op(w.I32_SUB, w.I64_EXTEND_I32_U, w.I64_SHR_U, w.I32_WRAP_I64);
    }
    f.const(1).op(w.I32_AND).tee(count);
    f.get(r)
      .get(a)
      .op(w.I32_XOR)
      .const(width - 1)
      .op(w.I32_SHR_U)
      .const(1)
      .op(w.I32_AND)
      .get(count)
      .op(w.I32_XOR);
    setCarryAndOverflow(site);
    resultFlags(site, width, r);
    f.end();
    site.write(0, r);
  };

function table(): EmitterTable {
  const emitters: Record<string, Emitter> = {};
  for (const name of ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'sar'] as const) {
    for (const operands of ['Eb,Ib', 'Ev,Ib', 'Eb,1', 'Ev,1', 'Eb,CL', 'Ev,CL'])
      emitters[`${name} ${operands}`] = shiftBy(name);
  }
  for (const count of ['Ib', 'CL']) {
    emitters[`shld Ev,Gv,${count}`] = doubleShift(true);
    emitters[`shrd Ev,Gv,${count}`] = doubleShift(false);
  }
  return emitters;
}

export const shift: EmitterTable = table();
