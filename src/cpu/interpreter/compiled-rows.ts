/** The opcode rows as the fast decoder wants them: small numbers in typed arrays, indexed by row number. */

import type { Row } from '../opcodes/row.ts';
import { ROWS } from '../opcodes/table.ts';

/** What follows ModRM, SIB and displacement. */
export const IMM_NONE = 0,
  IMM_BYTE = 1,
  IMM_BYTE_SIGNED = 2,
  IMM_BY_SIZE = 3,
  IMM_WORD = 4,
  IMM_ONE = 5;
export const IMM_JUMP_BYTE = 6,
  IMM_JUMP = 7,
  IMM_FAR = 8,
  IMM_ENTER = 9;

export const F_MODRM = 1;
/** ModRM.reg, ModRM.rm name byte registers. */
export const F_REG_BYTE = 2,
  F_RM_BYTE = 4;
/** The low opcode bits name the register. */
export const F_OPCODE_REG = 8;
export const F_LOCKABLE = 16;
/** Nothing behind it is reached in sequence. */
export const F_ENDS_RUN = 32;
/** Stores to its memory operand. */
export const F_STORES = 64;
export const F_STRING = 128;
/** moffs: the address is in the instruction. */
export const F_MOFFS = 256;
/** BT family with the bit number in a register. */
export const F_BIT_NUMBER = 512;
export const F_XLAT = 1024;
/** The address is computed, memory is not touched: no segment, no access (LEA). */
export const F_ADDRESS_ONLY = 2048;
/** The general variant differs. */
export const F_STACK = 4096;
/** The record has the segment of the memory operand, as byte offset, in place of an immediate. */
export const F_X87 = 8192;
/** NOP Ev: the operand is decoded and forgotten. */
export const F_NO_OPERAND = 16384;
/** ModRM is a register form whatever mod says (MOV CR). */
export const F_POP_MEMORY = 32768;
export const F_RM_ALWAYS_REGISTER = 65536;

export const flagsOf = new Int32Array(ROWS.length);
export const immediateOf = new Uint8Array(ROWS.length);
/** Bytes of the memory operand: with 32-bit, with 16-bit operand size. 0: not touched. */
export const sizeOf32 = new Uint16Array(ROWS.length);
export const sizeOf16 = new Uint16Array(ROWS.length);

/** With memory as operand 0 these only read it. */
const ONLY_READS =
  /^(cmp|test|push|call|jmp|i?mul|i?div|bt|nop|lldt|ltr|verr|verw|lmsw|lgdt|lidt|invlpg|fx?rstor|fld.*|fi?add|fi?subr?|fi?mul|fi?divr?|fi?comp?|fild|fbld|bound)$/;
const FALLS_THROUGH = /^(call|j(?!mp)|loop|int$)/;

function memoryForm(row: Row): string | undefined {
  return row.operands.find((o) => /^(E[bwv]|M|O)/.test(o));
}
function bytesOf(row: Row, wide: boolean): number {
  const form = memoryForm(row);
  const v = wide ? 4 : 2;
  if (row.id === 'xlatb') return 1;
  switch (form) {
    case undefined:
    case 'M':
      return 0;
    case 'Eb':
    case 'Mb':
    case 'Ob':
      return 1;
    case 'Ew':
    case 'Mw':
    case 'Mw/Rv':
    case 'Mi16':
      return 2;
    case 'Md':
    case 'Mf32':
    case 'Mi32':
      return 4;
    case 'Mq':
    case 'Mf64':
    case 'Mi64':
      return 8;
    case 'Mf80':
    case 'Mbcd':
      return 10;
    case 'Menv':
      return wide ? 28 : 14;
    case 'Mfst':
      return wide ? 108 : 94;
    case 'Mfx':
      return 512;
    case 'Mp':
    case 'Ms':
      return v + 2;
    case 'Ma':
      return v * 2;
    default:
      return v;
  }
}
function immediateKind(row: Row): number {
  const forms = row.operands.filter((o) => /^(I|J|A[p]|1$)/.test(o));
  if (forms.length === 2) return IMM_ENTER;
  switch (forms[0]) {
    case undefined:
      return IMM_NONE;
    case 'Ib':
      return IMM_BYTE;
    case 'Ibs':
      return IMM_BYTE_SIGNED;
    case 'Iz':
      return IMM_BY_SIZE;
    case 'Iw':
      return IMM_WORD;
    case '1':
      return IMM_ONE;
    case 'Jb':
      return IMM_JUMP_BYTE;
    case 'Jz':
      return IMM_JUMP;
    default:
      return IMM_FAR;
  }
}
function flags(row: Row): number {
  const has = (pattern: RegExp): boolean => row.operands.some((o) => pattern.test(o));
  const storesFirst = /^(E|M|O)/.test(row.operands[0] ?? '') && !ONLY_READS.test(row.mnemonic);
  let f = 0;
  if (has(/^(Gb|Zb)$/)) f |= F_REG_BYTE;
  if (has(/^Eb$/)) f |= F_RM_BYTE;
  if (has(/^Z/)) f |= F_OPCODE_REG;
  if (row.lockable) f |= F_LOCKABLE;
  if (row.endsBlock && !FALLS_THROUGH.test(row.mnemonic)) f |= F_ENDS_RUN;
  if (storesFirst) f |= F_STORES;
  if (has(/^[XY]/)) f |= F_STRING;
  if (has(/^O/)) f |= F_MOFFS;
  if (/^bt[src]? Ev,Gv$/.test(row.id)) f |= F_BIT_NUMBER;
  if (row.id === 'xlatb') f |= F_XLAT;
  if (row.id === 'lea Gv,M') f |= F_ADDRESS_ONLY;
  if (/^(push|pop|call|ret|leave)/.test(row.mnemonic)) f |= F_STACK;
  if (row.opcode >= 0xd8 && row.opcode <= 0xdf) f |= F_X87;
  if (row.id === 'fxsave Mfx' || row.id === 'fxrstor Mfx') f |= F_X87;
  if (row.id === 'nop Ev') f |= F_NO_OPERAND;
  if (row.id === 'pop Ev') f |= F_POP_MEMORY;
  if (has(/^[CD]d$/)) f |= F_RM_ALWAYS_REGISTER;
  return f;
}
for (const [number, row] of ROWS.entries()) {
  flagsOf[number] = flags(row);
  immediateOf[number] = immediateKind(row);
  sizeOf32[number] = bytesOf(row, true);
  sizeOf16[number] = bytesOf(row, false);
}
