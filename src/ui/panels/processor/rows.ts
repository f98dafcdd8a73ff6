/** Registers as rows, and which of them changed. Pure. */
import type { RegistersView } from '../../../worker/protocol.ts';

export interface RegisterCell {
  name: string;
  value: number;
  /** What it was, when it changed since the baseline. */
  was: number | null;
}

/** In the order they are read: column by column in the panel's grid of three. */
const NAMES = ['eip', 'eax', 'cr2', 'esp', 'ebx', 'cr3', 'ebp', 'ecx', 'efl', 'edi', 'edx', 'esi'] as const;
const GPR: Record<string, number> = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 };

function registerValue(view: RegistersView, name: (typeof NAMES)[number]): number {
  const index = GPR[name];
  if (index !== undefined) return view.gpr[index]! >>> 0;
  switch (name) {
    case 'eip':
      return view.eip;
    case 'cr2':
      return view.cr2;
    case 'cr3':
      return view.cr3;
    default:
      return view.eflags;
  }
}

export function registerCells(view: RegistersView, before: RegistersView | undefined): RegisterCell[] {
  const comparable =
    before?.present === true && before.domid === view.domid && before.vcpu === view.vcpu ? before : undefined;
  return NAMES.map((name) => {
    const value = registerValue(view, name);
    const old = comparable === undefined ? value : registerValue(comparable, name);
    return { name, value, was: old === value ? null : old };
  });
}

const FLAGS: readonly [number, string][] = [
  [0, 'CF'],
  [2, 'PF'],
  [4, 'AF'],
  [6, 'ZF'],
  [7, 'SF'],
  [8, 'TF'],
  [9, 'IF'],
  [10, 'DF'],
  [11, 'OF'],
  [14, 'NT'],
  [16, 'RF'],
  [18, 'AC'],
  [21, 'ID'],
];

/** The flags that are set, lowest bit first: flagNames(0x246) = "PF ZF IF". */
export function flagNames(eflags: number): string {
  return FLAGS.filter(([bit]) => (eflags >>> bit) & 1)
    .map(([, name]) => name)
    .join(' ');
}

/** Headings of the code: a symbol where it begins or where another one is entered, by the line's address. */
export function symbolHeads(lines: RegistersView['disassembly']): Map<number, string> {
  const heads = new Map<number, string>();
  let within = '';
  for (const line of lines) {
    const base = line.symbol === null ? '' : line.symbol.replace(/\+.*$/, '');
    if (base !== within && line.symbol !== null) heads.set(line.va, line.symbol);
    within = base;
  }
  return heads;
}
