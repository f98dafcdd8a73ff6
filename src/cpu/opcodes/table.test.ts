import { describe, expect, it } from 'vitest';
import { hasModrm, NO_ROW, ROWS, rowById, rowNumber, rowOf, takesModrm } from './table.ts';

describe('the opcode table', () => {
  it('has a row or a reason for #UD for every opcode (table.ts throws while loading otherwise)', () => {
    expect(ROWS.length).toBeGreaterThan(500);
    expect(new Set(ROWS.map((row) => row.id)).size).toBe(ROWS.length);
  });

  it('agrees with itself on which opcodes take a ModRM byte', () => {
    for (const row of ROWS) expect([row.id, takesModrm(row.opcode)]).toEqual([row.id, hasModrm(row)]);
  });

  it.each([
    ['01', 0x01, 0xd8, 'add Ev,Gv'],
    ['82 /5 is 80 /5', 0x82, 0xe8, 'sub Eb,Ib'],
    ['d1 /6 is SHL', 0xd1, 0xf0, 'shl Ev,1'],
    ['f7 /1 is TEST', 0xf7, 0xc8, 'test Ev,Iz'],
    ['47 is INC EDI', 0x47, 0, 'inc Zv'],
    ['97 is XCHG EDI,EAX', 0x97, 0, 'xchg Zv,eAX'],
    ['dc d1 is FCOM', 0xdc, 0xd1, 'fcom ST0,STi'],
    ['de d1 is FCOMP', 0xde, 0xd1, 'fcomp ST0,STi'],
    ['de d9 is FCOMPP', 0xde, 0xd9, 'fcompp'],
    ['dc e1 is FSUBR ST(1),ST', 0xdc, 0xe1, 'fsubr STi,ST0'],
    ['0f 1f is the long NOP', 0x0f1f, 0x44, 'nop Ev'],
    ['ff /3 with memory is a far call', 0xff, 0x1d, 'callf Mp'],
  ])('%s', (_what, opcode, modrm, id) => {
    expect(rowOf(opcode, modrm)?.id).toBe(id);
    expect(rowById(id).id).toBe(id);
  });

  it.each([
    ['LEA of a register', 0x8d, 0xc0],
    ['MOV CS', 0x8e, 0xc8],
    ['SYSENTER without SEP', 0x0f34, 0],
    ['MOV CR1', 0x0f20, 0xc8],
    ['far jump through a register', 0xff, 0xe8],
    ['de d8', 0xde, 0xd8],
    ['CMPXCHG8B of a register', 0x0fc7, 0xc8],
    ['a prefix, which is no opcode', 0x66, 0],
  ])('%s is undefined', (_what, opcode, modrm) => {
    expect(rowNumber(opcode, modrm)).toBe(NO_ROW);
  });
});
