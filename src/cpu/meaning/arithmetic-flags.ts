/** What emitters leave in the flag words (../flags.ts), and how conditions read them. */
import * as w from '../../wasm/opcodes.ts';
import type { Site, Width } from './site.ts';

/** Pushes a local as a signed number of the width. */
export function signed(site: Site, width: Width, local: number): void {
  site.f.get(local);
  if (width === 8) site.f.op(w.I32_EXTEND8_S);
  else if (width === 16) site.f.op(w.I32_EXTEND16_S);
}

/** ZF, SF and PF of a result. */
export function resultFlags(site: Site, width: Width, result: number): void {
  signed(site, width, result);
  site.f.tee(site.flagZero).set(site.flagSign);
}

/** Pops carries of each bit of an operation of this width: CF, OF, AF. */
export function carryFlags(site: Site, width: Width): void {
  const f = site.f;
  if (width !== 32) {
    const carries = site.scratch(w.I32, 7);
    f.tee(carries)
      .const(32 - width)
      .op(w.I32_SHL)
      .get(carries)
      .const(8)
      .op(w.I32_AND, w.I32_OR);
  }
  f.set(site.flagCarry);
}

/** Pushes the carries of a + b = r (any carry in). */
export function addCarries(site: Site, a: number, b: number, r: number): void {
  const f = site.f;
  f.get(a)
    .get(b)
    .op(w.I32_AND)
    .get(a)
    .get(b)
    .op(w.I32_OR)
    .get(r)
    .const(-1)
    .op(w.I32_XOR, w.I32_AND, w.I32_OR);
}
/** Pushes the borrows of a - b = r (any borrow in): the carries of r + b = a. */
export function subCarries(site: Site, a: number, b: number, r: number): void {
  addCarries(site, r, b, a);
}

/** Pops CF (0 or 1) and then OF ^ CF (0 or 1): both are set, AF is cleared. */
export function setCarryAndOverflow(site: Site): void {
  const f = site.f;
  const difference = site.scratch(w.I32, 7);
  f.set(difference)
    .const(31)
    .op(w.I32_SHL)
    .get(difference)
    .const(30)
    .op(w.I32_SHL, w.I32_OR)
    .set(site.flagCarry);
}

/** Pushes CF as 0 or 1. */
export function carry(site: Site): void {
  site.f.get(site.flagCarry).const(31).op(w.I32_SHR_U);
}

/** Pushes a word whose sign is OF. */
function overflowWord(site: Site): void {
  site.f.get(site.flagCarry).get(site.flagCarry).const(1).op(w.I32_SHL, w.I32_XOR);
}

/** Pushes 0 or 1 for a condition code of the opcode map (bit 0 negates). */
export function condition(site: Site, code: number): void {
  const f = site.f;
  const negated = (code & 1) === 1;
  const sign = (): void => {
    f.const(0).op(negated ? w.I32_GE_S : w.I32_LT_S);
  };
  switch (code >> 1) {
    case 0:
      overflowWord(site);
      sign();
      return;
    case 1:
      f.get(site.flagCarry);
      sign();
      return;
    case 2:
      f.get(site.flagZero);
      if (!negated) f.op(w.I32_EQZ);
      else f.const(0).op(w.I32_NE);
      return;
    case 3:
      if (negated)
        f.get(site.flagCarry).const(0).op(w.I32_GE_S).get(site.flagZero).const(0).op(w.I32_NE, w.I32_AND);
      else f.get(site.flagCarry).const(0).op(w.I32_LT_S).get(site.flagZero).op(w.I32_EQZ, w.I32_OR);
      return;
    case 4:
      f.get(site.flagSign);
      sign();
      return;
    case 5:
      f.get(site.flagSign).const(255).op(w.I32_AND, w.I32_POPCNT).const(1).op(w.I32_AND);
      if (!negated) f.op(w.I32_EQZ);
      return;
    default:
      overflowWord(site);
      f.get(site.flagSign).op(w.I32_XOR);
      sign();
      if (code >> 1 === 7) {
        if (negated) f.get(site.flagZero).const(0).op(w.I32_NE, w.I32_AND);
        else f.get(site.flagZero).op(w.I32_EQZ, w.I32_OR);
      }
  }
}

/** Pops CF as 0 or 1; all other flags stay. */
export function setCarryOnly(site: Site): void {
  const f = site.f;
  const value = site.scratch(w.I32, 7);
  f.set(value);
  f.get(site.flagCarry).const(8).op(w.I32_AND);
  f.get(value).const(31).op(w.I32_SHL, w.I32_OR);
  f.get(value).const(30).op(w.I32_SHL);
  overflowWord(site);
  f.const(1).op(w.I32_SHR_U).const(0x40000000).op(w.I32_AND, w.I32_XOR, w.I32_OR).set(site.flagCarry);
}

/** Pushes the six flags at their EFLAGS places. */
export function packArithmetic(site: Site): void {
  const f = site.f;
  carry(site);
  condition(site, 10);
  f.const(2).op(w.I32_SHL, w.I32_OR);
  f.get(site.flagCarry).const(8).op(w.I32_AND).const(1).op(w.I32_SHL, w.I32_OR);
  condition(site, 4);
  f.const(6).op(w.I32_SHL, w.I32_OR);
  condition(site, 8);
  f.const(7).op(w.I32_SHL, w.I32_OR);
  condition(site, 0);
  f.const(11).op(w.I32_SHL, w.I32_OR);
}
