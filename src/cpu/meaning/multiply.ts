/** MUL IMUL DIV IDIV. Intel SDM vol. 2. Flags that the SDM leaves open stay (AF is cleared by multiplications). */
import * as w from '../../wasm/opcodes.ts';
import { EAX, EDX } from '../layout.ts';
import { setCarryAndOverflow, signed } from './arithmetic-flags.ts';
import type { Emitter, EmitterTable } from './site.ts';

const AH = 4;
const VECTOR_DE = 0;

/** eDX:eAX = eAX * operand; CF = OF = the high half matters. */
const multiply =
  (isSigned: boolean): Emitter =>
  (site) => {
    const f = site.f;
    const width = site.width(0);
    const a = site.scratch(w.I32, 0);
    const product = site.scratch(w.I64, 0);
    const extend = isSigned ? w.I64_EXTEND_I32_S : w.I64_EXTEND_I32_U;
    const widen = (): void => {
      if (isSigned) signed(site, width, a);
      else f.get(a);
      f.op(extend);
    };
    site.read(0);
    f.set(a);
    widen();
    site.getFixed(EAX, width);
    f.set(a);
    widen();
    f.op(w.I64_MUL).set(product);
    if (width === 8) {
      f.get(product).op(w.I32_WRAP_I64);
      site.setFixed(EAX, 16);
    } else {
      f.get(product).op(w.I32_WRAP_I64);
      site.setFixed(EAX, width);
      f.get(product).const64(width).op(w.I64_SHR_U, w.I32_WRAP_I64);
      site.setFixed(EDX, width);
    }
    f.get(product).op(w.I32_WRAP_I64).set(a);
    f.get(product);
    if (isSigned) {
      signed(site, width, a);
      f.op(w.I64_EXTEND_I32_S);
    } else {
      f.get(a).op(w.I64_EXTEND_I32_U);
      if (width !== 32) f.const64(2 ** width - 1).op(w.I64_AND);
    }
    f.op(w.I64_NE).const(0);
    setCarryAndOverflow(site);
  };

/** imul r, r/m and imul r, r/m, imm. */
const multiplyInto =
  (first: number, second: number): Emitter =>
  (site) => {
    const f = site.f;
    const width = site.width(0);
    const [a, r] = [site.scratch(w.I32, 0), site.scratch(w.I32, 2)];
    const product = site.scratch(w.I64, 0);
    site.read(first);
    f.set(a);
    signed(site, width, a);
    f.op(w.I64_EXTEND_I32_S);
    site.read(second);
    f.set(a);
    signed(site, width, a);
    f.op(w.I64_EXTEND_I32_S, w.I64_MUL).tee(product).op(w.I32_WRAP_I64).set(r);
    f.get(product);
    signed(site, width, r);
    f.op(w.I64_EXTEND_I32_S, w.I64_NE).const(0);
    setCarryAndOverflow(site);
    site.write(0, r);
  };

const divide =
  (isSigned: boolean): Emitter =>
  (site) => {
    const f = site.f;
    const width = site.width(0);
    const a = site.scratch(w.I32, 0);
    const [dividend, divisor, quotient] = [
      site.scratch(w.I64, 0),
      site.scratch(w.I64, 1),
      site.scratch(w.I64, 2),
    ];
    site.read(0);
    f.set(a);
    if (isSigned) signed(site, width, a);
    else f.get(a);
    f.op(isSigned ? w.I64_EXTEND_I32_S : w.I64_EXTEND_I32_U)
      .tee(divisor)
      .op(w.I64_EQZ);
    f.if();
    site.raise(VECTOR_DE, -1);
    f.end();
    if (width === 8) {
      site.getFixed(EAX, 16);
      if (isSigned) f.op(w.I32_EXTEND16_S);
      f.op(isSigned ? w.I64_EXTEND_I32_S : w.I64_EXTEND_I32_U).set(dividend);
    } else {
      site.getFixed(EDX, width);
      f.op(w.I64_EXTEND_I32_U).const64(width).op(w.I64_SHL);
      site.getFixed(EAX, width);
      f.op(w.I64_EXTEND_I32_U, w.I64_OR);
      if (isSigned && width === 16) f.op(w.I64_EXTEND32_S);
      f.set(dividend);
    }
    if (isSigned && width === 32) {
      // The one division that has no 64-bit result (and would trap).
      f.get(dividend)
        .const64(-(1n << 63n))
        .op(w.I64_EQ);
      f.if();
      site.raise(VECTOR_DE, -1);
      f.end();
    }
    f.get(dividend)
      .get(divisor)
      .op(isSigned ? w.I64_DIV_S : w.I64_DIV_U)
      .set(quotient);
    // Does the quotient fit?
    f.get(quotient);
    if (isSigned) {
      const narrow = width === 8 ? w.I64_EXTEND8_S : width === 16 ? w.I64_EXTEND16_S : w.I64_EXTEND32_S;
      f.get(quotient).op(narrow, w.I64_NE);
    } else f.const64(2 ** width - 1).op(w.I64_GT_U);
    f.if();
    site.raise(VECTOR_DE, -1);
    f.end();
    f.get(quotient).op(w.I32_WRAP_I64);
    site.setFixed(EAX, width);
    f.get(dividend).get(quotient).get(divisor).op(w.I64_MUL, w.I64_SUB, w.I32_WRAP_I64);
    if (width === 8) site.setFixed(AH, 8);
    else site.setFixed(EDX, width);
  };

export const multiplication: EmitterTable = {
  'mul Eb': multiply(false),
  'mul Ev': multiply(false),
  'imul Eb': multiply(true),
  'imul Ev': multiply(true),
  'imul Gv,Ev': multiplyInto(0, 1),
  'imul Gv,Ev,Iz': multiplyInto(1, 2),
  'imul Gv,Ev,Ibs': multiplyInto(1, 2),
  'div Eb': divide(false),
  'div Ev': divide(false),
  'idiv Eb': divide(true),
  'idiv Ev': divide(true),
};
