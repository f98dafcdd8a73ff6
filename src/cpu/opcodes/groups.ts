/**
 * Opcodes that ModRM.reg extends (Intel SDM vol. 2, "Opcode Extensions For One-Byte And Two-byte Opcodes").
 * Aliases that real processors decode, though the manual leaves them out: 82 is 80, /6 of the shifts is SHL,
 * /1 of F6 and F7 is TEST.
 */
import { ALU, aluFlags } from './one-byte.ts';
import { ARITHMETIC, type Row, type RowExtras, row } from './row.ts';

function group1(): Row[] {
  const rows: Row[] = [];
  for (const [reg, alu] of ALU.entries()) {
    const extras = { reg, ...aluFlags(alu), ...(alu.lockable ? { lockable: true } : {}) };
    rows.push(
      row(0x80, alu.name, 'Eb,Ib', alu.doc, { ...extras, also: [0x82] }),
      row(0x81, alu.name, 'Ev,Iz', alu.doc, extras),
      row(0x83, alu.name, 'Ev,Ibs', alu.doc, extras),
    );
  }
  return rows;
}

const ROTATE = { writesFlags: 'oc' } as const;
const ROTATE_CARRY = { readsFlags: 'c', writesFlags: 'oc' } as const;
const SHIFT = { writesFlags: 'oszpc' } as const;

/** Name, flags, flags undefined in every case, meaning. */
const SHIFTS: readonly (readonly [
  reg: number,
  name: string,
  flags: RowExtras,
  always: string,
  doc: string,
])[] = [
  [0, 'rol', ROTATE, '', 'Rotate left.'],
  [1, 'ror', ROTATE, '', 'Rotate right.'],
  [2, 'rcl', ROTATE_CARRY, '', 'Rotate left through CF.'],
  [3, 'rcr', ROTATE_CARRY, '', 'Rotate right through CF.'],
  [4, 'shl', { ...SHIFT, alsoReg: 6 }, 'a', 'Shift left.'],
  [5, 'shr', SHIFT, 'a', 'Shift right, unsigned.'],
  [7, 'sar', SHIFT, 'a', 'Shift right, signed.'],
];

function group2(): Row[] {
  const rows: Row[] = [];
  for (const [reg, name, flags, always, doc] of SHIFTS) {
    const once = { reg, ...flags, ...(always === '' ? {} : { undefinedFlags: always }) };
    const counted = { reg, ...flags, undefinedFlags: `o${always}` };
    rows.push(
      row(0xc0, name, 'Eb,Ib', doc, counted),
      row(0xc1, name, 'Ev,Ib', doc, counted),
      row(0xd0, name, 'Eb,1', doc, once),
      row(0xd1, name, 'Ev,1', doc, once),
      row(0xd2, name, 'Eb,CL', doc, counted),
      row(0xd3, name, 'Ev,CL', doc, counted),
    );
  }
  return rows;
}

const LOGIC = { writesFlags: 'oszpc', undefinedFlags: 'a' } as const;
const MUL = { writesFlags: 'oc', undefinedFlags: 'szap' } as const;
const DIV = { undefinedFlags: ARITHMETIC, canFault: true } as const;

/** One row for the byte form and one for the word or doubleword form. */
function pair(
  opcode: number,
  reg: number,
  name: string,
  operands: string,
  doc: string,
  extras: RowExtras,
): Row[] {
  const [byteForm, wideForm] = operands === 'E' ? ['Eb', 'Ev'] : ['Eb,Ib', 'Ev,Iz'];
  return [
    row(opcode, name, byteForm, doc, { reg, ...extras }),
    row(opcode + 1, name, wideForm, doc, { reg, ...extras }),
  ];
}

const GROUPS_3_TO_5: readonly Row[] = [
  ...pair(0xf6, 0, 'test', 'E,I', 'And, keep only the flags.', { ...LOGIC, alsoReg: 1 }),
  ...pair(0xf6, 2, 'not', 'E', 'Complement every bit.', { lockable: true }),
  ...pair(0xf6, 3, 'neg', 'E', 'Negate.', { writesFlags: ARITHMETIC, lockable: true }),
  ...pair(0xf6, 4, 'mul', 'E', 'Unsigned multiply into eDX:eAX (byte: AX).', MUL),
  ...pair(0xf6, 5, 'imul', 'E', 'Signed multiply into eDX:eAX (byte: AX).', MUL),
  ...pair(0xf6, 6, 'div', 'E', 'Unsigned divide eDX:eAX (byte: AX).', DIV),
  ...pair(0xf6, 7, 'idiv', 'E', 'Signed divide eDX:eAX (byte: AX).', DIV),
  ...pair(0xfe, 0, 'inc', 'E', 'Increment; CF is kept.', { writesFlags: 'oszap', lockable: true }),
  ...pair(0xfe, 1, 'dec', 'E', 'Decrement; CF is kept.', { writesFlags: 'oszap', lockable: true }),
  row(0xff, 'call', 'Ev', 'Near call.', { reg: 2, endsBlock: true, canFault: true }),
  row(0xff, 'call', 'Mp', 'Far call.', {
    reg: 3,
    mod: 'mem',
    endsBlock: true,
    canFault: true,
    id: 'callf Mp',
  }),
  row(0xff, 'jmp', 'Ev', 'Jump.', { reg: 4, endsBlock: true, canFault: true }),
  row(0xff, 'jmp', 'Mp', 'Far jump.', { reg: 5, mod: 'mem', endsBlock: true, canFault: true, id: 'jmpf Mp' }),
  row(0xff, 'push', 'Ev', 'Push.', { reg: 6 }),
];

const CPL0 = { privilege: 'cpl0', canFault: true } as const;

const GROUPS_6_AND_7: readonly Row[] = [
  row(0x0f00, 'sldt', 'Mw/Rv', 'Store the LDT selector.', { reg: 0 }),
  row(0x0f00, 'str', 'Mw/Rv', 'Store the task register.', { reg: 1 }),
  row(0x0f00, 'lldt', 'Ew', 'Load the LDT register.', { reg: 2, ...CPL0 }),
  row(0x0f00, 'ltr', 'Ew', 'Load the task register.', { reg: 3, ...CPL0 }),
  row(0x0f00, 'verr', 'Ew', 'Can this segment be read? Answer in ZF.', { reg: 4, writesFlags: 'z' }),
  row(0x0f00, 'verw', 'Ew', 'Can this segment be written? Answer in ZF.', { reg: 5, writesFlags: 'z' }),
  row(0x0f01, 'sgdt', 'Ms', 'Store GDTR.', { reg: 0, mod: 'mem' }),
  row(0x0f01, 'sidt', 'Ms', 'Store IDTR.', { reg: 1, mod: 'mem' }),
  row(0x0f01, 'lgdt', 'Ms', 'Load GDTR.', { reg: 2, mod: 'mem', ...CPL0 }),
  row(0x0f01, 'lidt', 'Ms', 'Load IDTR.', { reg: 3, mod: 'mem', ...CPL0 }),
  row(0x0f01, 'smsw', 'Mw/Rv', 'Store the machine status word (CR0).', { reg: 4 }),
  row(0x0f01, 'lmsw', 'Ew', 'Load PE, MP, EM, TS of CR0 (PE cannot be cleared).', { reg: 6, ...CPL0 }),
  row(0x0f01, 'invlpg', 'M', 'Invalidate the TLB entry of a page.', { reg: 7, mod: 'mem', ...CPL0 }),
];

const BIT = { writesFlags: 'c', undefinedFlags: 'osap' } as const;

const GROUPS_8_TO_15: readonly Row[] = [
  row(0x0fba, 'bt', 'Ev,Ib', 'Copy a bit to CF.', { reg: 4, ...BIT }),
  row(0x0fba, 'bts', 'Ev,Ib', 'Copy a bit to CF, then set it.', { reg: 5, ...BIT, lockable: true }),
  row(0x0fba, 'btr', 'Ev,Ib', 'Copy a bit to CF, then clear it.', { reg: 6, ...BIT, lockable: true }),
  row(0x0fba, 'btc', 'Ev,Ib', 'Copy a bit to CF, then complement it.', { reg: 7, ...BIT, lockable: true }),
  row(0x0fc7, 'cmpxchg8b', 'Mq', 'Compare EDX:EAX; equal: store ECX:EBX, else load EDX:EAX.', {
    reg: 1,
    mod: 'mem',
    writesFlags: 'z',
    lockable: true,
  }),
  row(0x0fae, 'fxsave', 'Mfx', 'Store x87 (and SSE) state, 512 bytes on a 16-byte boundary.', {
    reg: 0,
    mod: 'mem',
    mandatory: 'none',
    canFault: true,
  }),
  row(0x0fae, 'fxrstor', 'Mfx', 'Load x87 (and SSE) state, 512 bytes on a 16-byte boundary.', {
    reg: 1,
    mod: 'mem',
    mandatory: 'none',
    canFault: true,
  }),
  // Kernels built for an i686 use the fences without asking CPUID for SSE2; memory is ordered here in any case.
  row(0x0fae, 'lfence', '', 'Wait for earlier loads.', { reg: 5, mod: 'reg', mandatory: 'none' }),
  row(0x0fae, 'mfence', '', 'Wait for earlier loads and stores.', { reg: 6, mod: 'reg', mandatory: 'none' }),
  row(0x0fae, 'sfence', '', 'Wait for earlier stores.', { reg: 7, mod: 'reg', mandatory: 'none' }),
];

export const GROUPS: readonly Row[] = [
  ...group1(),
  row(0x8f, 'pop', 'Ev', 'Pop.', { reg: 0 }),
  ...group2(),
  row(0xc6, 'mov', 'Eb,Ib', 'Store an immediate.', { reg: 0 }),
  row(0xc7, 'mov', 'Ev,Iz', 'Store an immediate.', { reg: 0 }),
  ...GROUPS_3_TO_5,
  ...GROUPS_6_AND_7,
  ...GROUPS_8_TO_15,
];
