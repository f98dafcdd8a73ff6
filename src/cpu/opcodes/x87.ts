/**
 * The x87 escapes d8-df (Intel SDM vol. 2, "Escape Opcode Instructions"). ST0 is the top of the register stack, STi
 * the register in ModRM.rm. Aliases that the manual marks reserved but every processor since the 387 executes are
 * `also` and `alsoAt`; db e0, e1, e4 (FNENI, FNDISI, FNSETPM of older coprocessors) do nothing.
 * Condition codes C0-C3 are part of the status word, not of EFLAGS, and have no flag letters here.
 */
import { type Row, type RowExtras, row } from './row.ts';

function x87(opcode: number, mnemonic: string, operands: string, doc: string, extras: RowExtras): Row {
  return row(opcode, mnemonic, operands, doc, { canFault: true, ...extras });
}

const ARITH: readonly (readonly [name: string, doc: string])[] = [
  ['add', 'Add to ST0.'],
  ['mul', 'Multiply ST0.'],
  ['com', 'Compare with ST0.'],
  ['comp', 'Compare with ST0 and pop.'],
  ['sub', 'Subtract from ST0.'],
  ['subr', 'Subtract ST0 from the operand, into ST0.'],
  ['div', 'Divide ST0.'],
  ['divr', 'Divide the operand by ST0, into ST0.'],
];

function arithmetic(): Row[] {
  const rows: Row[] = [];
  for (const [reg, [name, doc]] of ARITH.entries()) {
    rows.push(
      x87(0xd8, `f${name}`, 'Mf32', doc, { reg, mod: 'mem' }),
      x87(0xdc, `f${name}`, 'Mf64', doc, { reg, mod: 'mem' }),
      x87(0xda, `fi${name}`, 'Mi32', doc, { reg, mod: 'mem' }),
      x87(0xde, `fi${name}`, 'Mi16', doc, { reg, mod: 'mem' }),
    );
    const aliases: RowExtras =
      name === 'com' ? { also: [0xdc] } : name === 'comp' ? { also: [0xdc], alsoAt: [[0xde, 2]] } : {};
    rows.push(x87(0xd8, `f${name}`, 'ST0,STi', doc, { reg, mod: 'reg', ...aliases }));
  }
  // With ST(i) as the destination SUB and SUBR, DIV and DIVR change places.
  const REVERSED: readonly (readonly [reg: number, name: string, doc: string])[] = [
    [0, 'add', 'Add ST0 to ST(i)'],
    [1, 'mul', 'Multiply ST(i) by ST0'],
    [4, 'subr', 'Subtract ST(i) from ST0, into ST(i)'],
    [5, 'sub', 'Subtract ST0 from ST(i)'],
    [6, 'divr', 'Divide ST0 by ST(i), into ST(i)'],
    [7, 'div', 'Divide ST(i) by ST0'],
  ];
  for (const [reg, name, doc] of REVERSED) {
    rows.push(
      x87(0xdc, `f${name}`, 'STi,ST0', `${doc}.`, { reg, mod: 'reg' }),
      x87(0xde, `f${name}p`, 'STi,ST0', `${doc}, then pop.`, { reg, mod: 'reg' }),
    );
  }
  return rows;
}

/** Instructions without operand that a whole ModRM byte selects. */
const PLAIN: readonly (readonly [opcode: number, modrm: number, name: string, doc: string])[] = [
  [0xd9, 0xd0, 'fnop', 'No operation.'],
  [0xd9, 0xe0, 'fchs', 'Change the sign.'],
  [0xd9, 0xe1, 'fabs', 'Absolute value.'],
  [0xd9, 0xe4, 'ftst', 'Compare with 0.'],
  [0xd9, 0xe5, 'fxam', 'Classify ST0 in C3 C2 C0, its sign in C1.'],
  [0xd9, 0xe8, 'fld1', 'Push 1.'],
  [0xd9, 0xe9, 'fldl2t', 'Push log2 10.'],
  [0xd9, 0xea, 'fldl2e', 'Push log2 e.'],
  [0xd9, 0xeb, 'fldpi', 'Push π.'],
  [0xd9, 0xec, 'fldlg2', 'Push log10 2.'],
  [0xd9, 0xed, 'fldln2', 'Push ln 2.'],
  [0xd9, 0xee, 'fldz', 'Push +0.'],
  [0xd9, 0xf0, 'f2xm1', '2 to the power of ST0, less 1.'],
  [0xd9, 0xf1, 'fyl2x', 'ST1 times log2 ST0, then pop.'],
  [0xd9, 0xf2, 'fptan', 'Tangent of ST0, then push 1.'],
  [0xd9, 0xf3, 'fpatan', 'Arctangent of ST1 over ST0, then pop.'],
  [0xd9, 0xf4, 'fxtract', 'Split ST0 into exponent and significand.'],
  [0xd9, 0xf5, 'fprem1', 'Remainder of ST0 by ST1, as IEEE 754.'],
  [0xd9, 0xf6, 'fdecstp', 'Decrement TOP.'],
  [0xd9, 0xf7, 'fincstp', 'Increment TOP.'],
  [0xd9, 0xf8, 'fprem', 'Remainder of ST0 by ST1, truncating.'],
  [0xd9, 0xf9, 'fyl2xp1', 'ST1 times log2 of ST0 plus 1, then pop.'],
  [0xd9, 0xfa, 'fsqrt', 'Square root.'],
  [0xd9, 0xfb, 'fsincos', 'Sine of ST0, then push its cosine.'],
  [0xd9, 0xfc, 'frndint', 'Round to an integer.'],
  [0xd9, 0xfd, 'fscale', 'Add the integer part of ST1 to the exponent of ST0.'],
  [0xd9, 0xfe, 'fsin', 'Sine.'],
  [0xd9, 0xff, 'fcos', 'Cosine.'],
  [0xda, 0xe9, 'fucompp', 'Compare, quiet for quiet NaNs, and pop both.'],
  [0xdb, 0xe0, 'fneni', 'Did enable interrupts on the 8087; does nothing.'],
  [0xdb, 0xe1, 'fndisi', 'Did disable interrupts on the 8087; does nothing.'],
  [0xdb, 0xe2, 'fnclex', 'Clear exceptions without waiting.'],
  [0xdb, 0xe3, 'fninit', 'Reset the x87 without waiting.'],
  [0xdb, 0xe4, 'fnsetpm', 'Did set protected mode on the 287; does nothing.'],
  [0xde, 0xd9, 'fcompp', 'Compare and pop both.'],
];

const MEMORY: readonly (readonly [
  opcode: number,
  reg: number,
  name: string,
  operand: string,
  doc: string,
])[] = [
  [0xd9, 0, 'fld', 'Mf32', 'Push.'],
  [0xd9, 2, 'fst', 'Mf32', 'Store ST0.'],
  [0xd9, 3, 'fstp', 'Mf32', 'Store ST0 and pop.'],
  [0xd9, 4, 'fldenv', 'Menv', 'Load the x87 environment.'],
  [0xd9, 5, 'fldcw', 'Mw', 'Load the control word.'],
  [0xd9, 6, 'fnstenv', 'Menv', 'Store the x87 environment, then mask all exceptions.'],
  [0xd9, 7, 'fnstcw', 'Mw', 'Store the control word.'],
  [0xdb, 0, 'fild', 'Mi32', 'Push an integer.'],
  [0xdb, 2, 'fist', 'Mi32', 'Store ST0 as an integer.'],
  [0xdb, 3, 'fistp', 'Mi32', 'Store ST0 as an integer and pop.'],
  [0xdb, 5, 'fld', 'Mf80', 'Push.'],
  [0xdb, 7, 'fstp', 'Mf80', 'Store ST0 and pop.'],
  [0xdd, 0, 'fld', 'Mf64', 'Push.'],
  [0xdd, 2, 'fst', 'Mf64', 'Store ST0.'],
  [0xdd, 3, 'fstp', 'Mf64', 'Store ST0 and pop.'],
  [0xdd, 4, 'frstor', 'Mfst', 'Load the whole x87 state.'],
  [0xdd, 6, 'fnsave', 'Mfst', 'Store the whole x87 state, then reset it.'],
  [0xdd, 7, 'fnstsw', 'Mw', 'Store the status word.'],
  [0xdf, 0, 'fild', 'Mi16', 'Push an integer.'],
  [0xdf, 2, 'fist', 'Mi16', 'Store ST0 as an integer.'],
  [0xdf, 3, 'fistp', 'Mi16', 'Store ST0 as an integer and pop.'],
  [0xdf, 4, 'fbld', 'Mbcd', 'Push a packed decimal.'],
  [0xdf, 5, 'fild', 'Mi64', 'Push an integer.'],
  [0xdf, 6, 'fbstp', 'Mbcd', 'Store ST0 as a packed decimal and pop.'],
  [0xdf, 7, 'fistp', 'Mi64', 'Store ST0 as an integer and pop.'],
];

function register(
  opcode: number,
  reg: number,
  name: string,
  operands: string,
  doc: string,
  extras?: RowExtras,
): Row {
  return x87(opcode, name, operands, doc, { reg, mod: 'reg', ...extras });
}

const COMPARE_TO_FLAGS = { writesFlags: 'oszapc' } as const;

const REGISTER: readonly Row[] = [
  register(0xd9, 0, 'fld', 'STi', 'Push a copy of ST(i).'),
  register(0xd9, 1, 'fxch', 'ST0,STi', 'Exchange ST0 and ST(i).', {
    alsoAt: [
      [0xdd, 1],
      [0xdf, 1],
    ],
  }),
  register(
    0xd9,
    3,
    'fstpnce',
    'STi,ST0',
    'Store ST0 and pop; an empty ST0 is no error (undocumented FSTP1).',
  ),
  register(0xda, 0, 'fcmovb', 'ST0,STi', 'Copy if below (CF=1).', { readsFlags: 'c' }),
  register(0xda, 1, 'fcmove', 'ST0,STi', 'Copy if equal (ZF=1).', { readsFlags: 'z' }),
  register(0xda, 2, 'fcmovbe', 'ST0,STi', 'Copy if below or equal (CF=1 or ZF=1).', { readsFlags: 'cz' }),
  register(0xda, 3, 'fcmovu', 'ST0,STi', 'Copy if unordered (PF=1).', { readsFlags: 'p' }),
  register(0xdb, 0, 'fcmovnb', 'ST0,STi', 'Copy if not below (CF=0).', { readsFlags: 'c' }),
  register(0xdb, 1, 'fcmovne', 'ST0,STi', 'Copy if not equal (ZF=0).', { readsFlags: 'z' }),
  register(0xdb, 2, 'fcmovnbe', 'ST0,STi', 'Copy if above (CF=0 and ZF=0).', { readsFlags: 'cz' }),
  register(0xdb, 3, 'fcmovnu', 'ST0,STi', 'Copy if ordered (PF=0).', { readsFlags: 'p' }),
  register(0xdb, 5, 'fucomi', 'ST0,STi', 'Compare into EFLAGS, quiet for quiet NaNs.', COMPARE_TO_FLAGS),
  register(0xdb, 6, 'fcomi', 'ST0,STi', 'Compare into EFLAGS.', COMPARE_TO_FLAGS),
  register(0xdd, 0, 'ffree', 'STi', 'Mark ST(i) empty.'),
  register(0xdd, 2, 'fst', 'STi', 'Copy ST0 to ST(i).'),
  register(0xdd, 3, 'fstp', 'STi', 'Copy ST0 to ST(i) and pop.', {
    alsoAt: [
      [0xdf, 2],
      [0xdf, 3],
    ],
  }),
  register(0xdd, 4, 'fucom', 'ST0,STi', 'Compare, quiet for quiet NaNs.'),
  register(0xdd, 5, 'fucomp', 'ST0,STi', 'Compare, quiet for quiet NaNs, and pop.'),
  register(0xdf, 0, 'ffreep', 'STi', 'Mark ST(i) empty and pop (undocumented).'),
  register(
    0xdf,
    5,
    'fucomip',
    'ST0,STi',
    'Compare into EFLAGS, quiet for quiet NaNs, and pop.',
    COMPARE_TO_FLAGS,
  ),
  register(0xdf, 6, 'fcomip', 'ST0,STi', 'Compare into EFLAGS and pop.', COMPARE_TO_FLAGS),
  x87(0xdf, 'fnstsw', 'AX', 'Store the status word in AX.', { modrm: 0xe0 }),
];

export const X87: readonly Row[] = [
  ...arithmetic(),
  ...MEMORY.map(([opcode, reg, name, operand, doc]) => x87(opcode, name, operand, doc, { reg, mod: 'mem' })),
  ...PLAIN.map(([opcode, modrm, name, doc]) => x87(opcode, name, '', doc, { modrm })),
  ...REGISTER,
];
