/**
 * Joins the rows of all maps into one look-up by opcode and ModRM byte, and refuses holes and overlaps: each of the
 * 256 one-byte and 256 two-byte opcodes (with each of its ModRM bytes, if it has one) is a row or is listed in
 * undefined.ts. Prefixes and the escape 0f are neither.
 */
import { EngineBug, invariant } from '../../base/assert.ts';
import { GROUPS } from './groups.ts';
import { ONE_BYTE } from './one-byte.ts';
import type { Row } from './row.ts';
import { TWO_BYTE } from './two-byte.ts';
import { UNDEFINED } from './undefined.ts';
import { X87 } from './x87.ts';

/** Every row; a row's index here is its number in compiled tables. */
export const ROWS: readonly Row[] = [...ONE_BYTE, ...TWO_BYTE, ...GROUPS, ...X87];

/** Number of an encoding that raises #UD. */
export const NO_ROW = -1;
const HOLE = -2;

/** 26 2e 36 3e ES CS SS DS, 64 65 FS GS, 66 67 operand and address size, f0 LOCK, f2 f3 REPNE REP; 0f escapes. */
const NOT_OPCODES: ReadonlySet<number> = new Set([
  0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x0f,
]);

/** First letters of the operand forms that are in or beside a ModRM byte. */
const MODRM_FORM = /^(E|G|M|S[wT]|Rd|Cd|Dd)/;

export function hasModrm(row: Row): boolean {
  return (
    row.reg !== undefined ||
    row.modrm !== undefined ||
    row.mod !== undefined ||
    row.operands.some(
      (operand) => MODRM_FORM.test(operand) && !/^[EDSCFG]S$/.test(operand) && operand !== 'ST0',
    )
  );
}

/** 0x00-0xff stay, 0x0f00-0x0fff become 0x100-0x1ff. */
export function opcodeIndex(opcode: number): number {
  return opcode > 0xff ? (opcode & 0xff) | 0x100 : opcode;
}

function selects(row: Row, modrm: number): boolean {
  const reg = (modrm >> 3) & 7;
  const isMemory = modrm < 0xc0;
  if (row.modrm !== undefined) return modrm === row.modrm;
  if (row.reg !== undefined && reg !== row.reg && reg !== row.alsoReg) return false;
  if (row.mod === 'mem' && !isMemory) return false;
  if (row.mod === 'reg' && isMemory) return false;
  return !row.exceptReg?.includes(reg);
}

function build(): { rowAt: Int16Array; modrmAt: Uint8Array } {
  const rowAt = new Int16Array(512 * 256).fill(HOLE);
  const modrmAt = new Uint8Array(512);

  const put = (opcode: number, modrm: number, value: number, what: string): void => {
    const at = opcodeIndex(opcode) * 256 + modrm;
    // The message is made only when it is needed: this runs 131072 times.
    if (rowAt[at] !== HOLE)
      throw new EngineBug(`opcode ${opcode.toString(16)} /${modrm.toString(16)} twice: ${what}`);
    rowAt[at] = value;
  };

  for (const [number, row] of ROWS.entries()) {
    const first = Array.from({ length: row.span ?? 1 }, (_, index) => row.opcode + index);
    const withModrm = hasModrm(row);
    for (const opcode of [...first, ...(row.also ?? [])]) {
      if (withModrm) modrmAt[opcodeIndex(opcode)] = 1;
      for (let modrm = 0; modrm < 256; modrm++) {
        if (!withModrm || selects(row, modrm)) put(opcode, modrm, number, row.id);
      }
    }
    for (const [opcode, reg] of row.alsoAt ?? []) {
      for (let rm = 0; rm < 8; rm++) put(opcode, 0xc0 | (reg << 3) | rm, number, row.id);
    }
  }

  for (const { opcode, last, reg, mod, modrm, why } of UNDEFINED) {
    for (let each = opcode; each <= (last ?? opcode); each++) {
      for (let byte = 0; byte < 256; byte++) {
        if (modrm !== undefined && !modrm.includes(byte)) continue;
        if (reg !== undefined && !reg.includes((byte >> 3) & 7)) continue;
        if (mod !== undefined && (mod === 'mem') !== byte < 0xc0) continue;
        put(each, byte, NO_ROW, why);
      }
    }
  }

  for (let index = 0; index < 512; index++) {
    const reserved = NOT_OPCODES.has(index);
    for (let modrm = 0; modrm < 256; modrm++) {
      const hole = rowAt[index * 256 + modrm] === HOLE;
      if (hole !== reserved)
        throw new EngineBug(`opcode index ${index.toString(16)} /${modrm.toString(16)} has no row`);
      if (hole) rowAt[index * 256 + modrm] = NO_ROW;
    }
  }
  return { rowAt, modrmAt };
}

const { rowAt, modrmAt } = build();

/** Does a ModRM byte follow this opcode (0x00-0xff or 0x0f00-0x0fff)? */
export function takesModrm(opcode: number): boolean {
  return modrmAt[opcodeIndex(opcode)] === 1;
}

/** Number of the row for an opcode and its ModRM byte (any value if it takes none), or NO_ROW for #UD. */
export function rowNumber(opcode: number, modrm: number): number {
  return rowAt[opcodeIndex(opcode) * 256 + modrm] ?? NO_ROW;
}

export function rowOf(opcode: number, modrm: number): Row | undefined {
  return ROWS[rowNumber(opcode, modrm)];
}

const byId = new Map<string, Row>();
for (const each of ROWS) {
  invariant(!byId.has(each.id), `two rows are called ${each.id}`);
  byId.set(each.id, each);
}

export function rowById(id: string): Row {
  const found = byId.get(id);
  invariant(found !== undefined, `no row is called ${id}`);
  return found;
}
