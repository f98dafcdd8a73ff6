import { describe, expect, it } from 'vitest';
import type { RegistersView } from '../../../worker/protocol.ts';
import { flagNames, registerCells, symbolHeads } from './rows.ts';

const registers = (change: Partial<RegistersView>): RegistersView => ({
  view: 'registers',
  domid: 1,
  vcpu: 0,
  present: true,
  gpr: [0, 1, 2, 3, 4, 5, 6, 7],
  eip: 0xc0001000,
  eflags: 0x202,
  segments: [],
  cr0: 0,
  cr2: 0,
  cr3: 0x1000,
  cr4: 0,
  cpl: 1,
  upcallMask: 0,
  upcallPending: 0,
  fpu: [],
  disassembly: [],
  stack: [],
  ...change,
});

const changed = (cells: ReturnType<typeof registerCells>): string[] =>
  cells
    .filter((c) => c.was !== null)
    .map((c) => `${c.name} ${c.was!.toString(16)} -> ${c.value.toString(16)}`);

describe('register cells', () => {
  it('name what changed and what it was', () => {
    const before = registers({});
    const after = registers({ eip: 0xc0001002, gpr: [9, 1, 2, 3, 4, 5, 6, 7] });
    expect(changed(registerCells(after, before))).toEqual(['eip c0001000 -> c0001002', 'eax 0 -> 9']);
  });
  it('claim no change without a baseline, or against another vcpu', () => {
    expect(changed(registerCells(registers({}), undefined))).toEqual([]);
    expect(changed(registerCells(registers({ eip: 1 }), registers({ vcpu: 1 })))).toEqual([]);
  });
  it('take each general register from its architectural place', () => {
    const cells = registerCells(registers({}), undefined);
    const of = (name: string) => cells.find((c) => c.name === name)!.value;
    expect([of('eax'), of('ecx'), of('edx'), of('ebx'), of('esp'), of('ebp'), of('esi'), of('edi')]).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7,
    ]);
  });
});

describe('flag names', () => {
  it('lists the flags that are set', () => {
    expect(flagNames(0x246)).toBe('PF ZF IF');
    expect(flagNames(0x2)).toBe('');
  });
});

describe('headings of the code', () => {
  const line = (va: number, symbol: string | null) => ({
    va,
    bytes: '90',
    text: 'nop',
    symbol,
    current: false,
    padding: false,
  });
  it('stand where a symbol begins or another one is entered', () => {
    const heads = symbolHeads([
      line(1, 'main+0x4'),
      line(2, 'main+0x5'),
      line(3, 'print'),
      line(4, 'print+0x1'),
      line(5, null),
      line(6, 'print+0x9'),
    ]);
    expect([...heads]).toEqual([
      [1, 'main+0x4'],
      [3, 'print'],
      [6, 'print+0x9'],
    ]);
  });
});
