/**
 * The one-byte opcode map (Intel SDM vol. 2, "One-byte Opcode Map"), without its groups (groups.ts) and the x87
 * escapes d8-df (x87.ts). Prefixes and the two-byte escape 0f have no row: the decoder knows them.
 * Flags as in the SDM's "EFLAGS Cross-Reference" and the instruction pages.
 */
import { ARITHMETIC, CONDITIONS, type FlagLetters, type Row, row } from './row.ts';

interface Alu {
  readonly name: string;
  readonly doc: string;
  readonly readsFlags?: FlagLetters;
  readonly writesFlags: FlagLetters;
  readonly undefinedFlags?: FlagLetters;
  readonly lockable: boolean;
}

const LOGIC = { writesFlags: 'oszpc', undefinedFlags: 'a' } as const;

/** The eight operations of 00-3f and of group 1, in encoding order. */
export const ALU: readonly Alu[] = [
  { name: 'add', doc: 'Add.', writesFlags: ARITHMETIC, lockable: true },
  { name: 'or', doc: 'Bitwise or.', ...LOGIC, lockable: true },
  { name: 'adc', doc: 'Add with carry.', readsFlags: 'c', writesFlags: ARITHMETIC, lockable: true },
  { name: 'sbb', doc: 'Subtract with borrow.', readsFlags: 'c', writesFlags: ARITHMETIC, lockable: true },
  { name: 'and', doc: 'Bitwise and.', ...LOGIC, lockable: true },
  { name: 'sub', doc: 'Subtract.', writesFlags: ARITHMETIC, lockable: true },
  { name: 'xor', doc: 'Bitwise exclusive or.', ...LOGIC, lockable: true },
  { name: 'cmp', doc: 'Compare: subtract, keep only the flags.', writesFlags: ARITHMETIC, lockable: false },
];

export function aluFlags(alu: Alu): Pick<Row, 'readsFlags' | 'writesFlags' | 'undefinedFlags'> {
  return {
    writesFlags: alu.writesFlags,
    ...(alu.readsFlags === undefined ? {} : { readsFlags: alu.readsFlags }),
    ...(alu.undefinedFlags === undefined ? {} : { undefinedFlags: alu.undefinedFlags }),
  };
}

function aluRows(): Row[] {
  const rows: Row[] = [];
  for (const [index, alu] of ALU.entries()) {
    const flags = aluFlags(alu);
    const toMemory = alu.lockable ? { ...flags, lockable: true } : flags;
    rows.push(
      row(index * 8, alu.name, 'Eb,Gb', alu.doc, toMemory),
      row(index * 8 + 1, alu.name, 'Ev,Gv', alu.doc, toMemory),
      row(index * 8 + 2, alu.name, 'Gb,Eb', alu.doc, flags),
      row(index * 8 + 3, alu.name, 'Gv,Ev', alu.doc, flags),
      row(index * 8 + 4, alu.name, 'AL,Ib', alu.doc, flags),
      row(index * 8 + 5, alu.name, 'eAX,Iz', alu.doc, flags),
    );
  }
  return rows;
}

const STACK_SEGMENT = { canFault: true } as const;
const MUL = { writesFlags: 'oc', undefinedFlags: 'szap' } as const;
const IRET_FLAGS = 'oszapcditnlrxy';

const REST: readonly Row[] = [
  row(0x06, 'push', 'ES', 'Push ES.', STACK_SEGMENT),
  row(0x07, 'pop', 'ES', 'Pop ES.', STACK_SEGMENT),
  row(0x0e, 'push', 'CS', 'Push CS.', STACK_SEGMENT),
  row(0x16, 'push', 'SS', 'Push SS.', STACK_SEGMENT),
  row(0x17, 'pop', 'SS', 'Pop SS; traps wait for one instruction.', STACK_SEGMENT),
  row(0x1e, 'push', 'DS', 'Push DS.', STACK_SEGMENT),
  row(0x1f, 'pop', 'DS', 'Pop DS.', STACK_SEGMENT),

  row(0x27, 'daa', '', 'Decimal adjust AL after addition.', {
    readsFlags: 'ac',
    writesFlags: 'szapc',
    undefinedFlags: 'o',
  }),
  row(0x2f, 'das', '', 'Decimal adjust AL after subtraction.', {
    readsFlags: 'ac',
    writesFlags: 'szapc',
    undefinedFlags: 'o',
  }),
  row(0x37, 'aaa', '', 'ASCII adjust AX after addition.', {
    readsFlags: 'a',
    writesFlags: 'ac',
    undefinedFlags: 'oszp',
  }),
  row(0x3f, 'aas', '', 'ASCII adjust AX after subtraction.', {
    readsFlags: 'a',
    writesFlags: 'ac',
    undefinedFlags: 'oszp',
  }),

  row(0x40, 'inc', 'Zv', 'Increment; CF is kept.', { span: 8, writesFlags: 'oszap' }),
  row(0x48, 'dec', 'Zv', 'Decrement; CF is kept.', { span: 8, writesFlags: 'oszap' }),
  row(0x50, 'push', 'Zv', 'Push a register.', { span: 8 }),
  row(0x58, 'pop', 'Zv', 'Pop a register.', { span: 8 }),
  row(0x60, 'pushaw|pushad', '', 'Push all eight general registers.', { id: 'pusha' }),
  row(0x61, 'popaw|popad', '', 'Pop all general registers but eSP.', { id: 'popa' }),
  row(0x62, 'bound', 'Gv,Ma', 'Check an array index against two bounds; #BR outside.', {
    mod: 'mem',
    canFault: true,
  }),
  row(0x63, 'arpl', 'Ew,Gw', 'Raise the RPL of a selector to that of another.', { writesFlags: 'z' }),
  row(0x68, 'push', 'Iz', 'Push an immediate.'),
  row(0x69, 'imul', 'Gv,Ev,Iz', 'Signed multiply, low half.', MUL),
  row(0x6a, 'push', 'Ibs', 'Push a sign-extended immediate.'),
  row(0x6b, 'imul', 'Gv,Ev,Ibs', 'Signed multiply, low half.', MUL),
  row(0x6c, 'insb', 'Yb,DX', 'Input from port DX to a string.', {
    id: 'ins Yb,DX',
    readsFlags: 'd',
    rep: 'rep',
    privilege: 'io',
    canFault: true,
  }),
  row(0x6d, 'insw|insd', 'Yv,DX', 'Input from port DX to a string.', {
    id: 'ins Yv,DX',
    readsFlags: 'd',
    rep: 'rep',
    privilege: 'io',
    canFault: true,
  }),
  row(0x6e, 'outsb', 'DX,Xb', 'Output a string to port DX.', {
    id: 'outs DX,Xb',
    readsFlags: 'd',
    rep: 'rep',
    privilege: 'io',
    canFault: true,
  }),
  row(0x6f, 'outsw|outsd', 'DX,Xv', 'Output a string to port DX.', {
    id: 'outs DX,Xv',
    readsFlags: 'd',
    rep: 'rep',
    privilege: 'io',
    canFault: true,
  }),
  ...CONDITIONS.map(([suffix, readsFlags, doc], index) =>
    row(0x70 + index, `j${suffix}`, 'Jb', `Jump if ${doc}.`, { readsFlags, endsBlock: true, canFault: true }),
  ),

  row(0x84, 'test', 'Eb,Gb', 'And, keep only the flags.', LOGIC),
  row(0x85, 'test', 'Ev,Gv', 'And, keep only the flags.', LOGIC),
  row(0x86, 'xchg', 'Eb,Gb', 'Exchange; atomic with memory.', { lockable: true }),
  row(0x87, 'xchg', 'Ev,Gv', 'Exchange; atomic with memory.', { lockable: true }),
  row(0x88, 'mov', 'Eb,Gb', 'Copy.'),
  row(0x89, 'mov', 'Ev,Gv', 'Copy.'),
  row(0x8a, 'mov', 'Gb,Eb', 'Copy.'),
  row(0x8b, 'mov', 'Gv,Ev', 'Copy.'),
  row(0x8c, 'mov', 'Mw/Rv,Sw', 'Store a segment selector.', { exceptReg: [6, 7] }),
  row(0x8d, 'lea', 'Gv,M', 'Compute an effective address.', { mod: 'mem' }),
  row(0x8e, 'mov', 'Sw,Ew', 'Load a segment register; after MOV SS traps wait for one instruction.', {
    exceptReg: [1, 6, 7],
    canFault: true,
  }),
  row(0x90, 'nop', '', 'No operation; with F3 PAUSE, which is also none.'),
  row(0x91, 'xchg', 'Zv,eAX', 'Exchange with eAX.', { span: 7 }),
  row(0x98, 'cbw|cwde', '', 'Sign-extend AL to AX, or AX to EAX.'),
  row(0x99, 'cwd|cdq', '', 'Sign-extend eAX into eDX.'),
  row(0x9a, 'call', 'Ap', 'Far call.', { endsBlock: true, canFault: true, id: 'callf Ap' }),
  row(0x9b, 'fwait', '', 'Wait for a pending x87 exception.', { canFault: true }),
  row(0x9c, 'pushfw|pushfd', '', 'Push the flags.', { id: 'pushf', readsFlags: IRET_FLAGS }),
  row(0x9d, 'popfw|popfd', '', 'Pop the flags; IF changes only with CPL <= IOPL, IOPL only in ring 0.', {
    id: 'popf',
    writesFlags: IRET_FLAGS,
  }),
  row(0x9e, 'sahf', '', 'Load SF ZF AF PF CF from AH.', { writesFlags: 'szapc' }),
  row(0x9f, 'lahf', '', 'Store SF ZF AF PF CF in AH.', { readsFlags: 'szapc' }),

  row(0xa0, 'mov', 'AL,Ob', 'Load from a constant address.'),
  row(0xa1, 'mov', 'eAX,Ov', 'Load from a constant address.'),
  row(0xa2, 'mov', 'Ob,AL', 'Store to a constant address.'),
  row(0xa3, 'mov', 'Ov,eAX', 'Store to a constant address.'),
  row(0xa4, 'movsb', 'Yb,Xb', 'Copy a string element.', { id: 'movs Yb,Xb', readsFlags: 'd', rep: 'rep' }),
  row(0xa5, 'movsw|movsd', 'Yv,Xv', 'Copy a string element.', {
    id: 'movs Yv,Xv',
    readsFlags: 'd',
    rep: 'rep',
  }),
  row(0xa6, 'cmpsb', 'Xb,Yb', 'Compare string elements.', {
    id: 'cmps Xb,Yb',
    readsFlags: 'd',
    writesFlags: ARITHMETIC,
    rep: 'repz',
  }),
  row(0xa7, 'cmpsw|cmpsd', 'Xv,Yv', 'Compare string elements.', {
    id: 'cmps Xv,Yv',
    readsFlags: 'd',
    writesFlags: ARITHMETIC,
    rep: 'repz',
  }),
  row(0xa8, 'test', 'AL,Ib', 'And, keep only the flags.', LOGIC),
  row(0xa9, 'test', 'eAX,Iz', 'And, keep only the flags.', LOGIC),
  row(0xaa, 'stosb', 'Yb,AL', 'Store a string element.', { id: 'stos Yb,AL', readsFlags: 'd', rep: 'rep' }),
  row(0xab, 'stosw|stosd', 'Yv,eAX', 'Store a string element.', {
    id: 'stos Yv,eAX',
    readsFlags: 'd',
    rep: 'rep',
  }),
  row(0xac, 'lodsb', 'AL,Xb', 'Load a string element.', { id: 'lods AL,Xb', readsFlags: 'd', rep: 'rep' }),
  row(0xad, 'lodsw|lodsd', 'eAX,Xv', 'Load a string element.', {
    id: 'lods eAX,Xv',
    readsFlags: 'd',
    rep: 'rep',
  }),
  row(0xae, 'scasb', 'AL,Yb', 'Compare AL with a string element.', {
    id: 'scas AL,Yb',
    readsFlags: 'd',
    writesFlags: ARITHMETIC,
    rep: 'repz',
  }),
  row(0xaf, 'scasw|scasd', 'eAX,Yv', 'Compare eAX with a string element.', {
    id: 'scas eAX,Yv',
    readsFlags: 'd',
    writesFlags: ARITHMETIC,
    rep: 'repz',
  }),

  row(0xb0, 'mov', 'Zb,Ib', 'Load an immediate.', { span: 8 }),
  row(0xb8, 'mov', 'Zv,Iz', 'Load an immediate.', { span: 8 }),
  row(0xc2, 'ret', 'Iw', 'Near return, dropping bytes of arguments.', { endsBlock: true, canFault: true }),
  row(0xc3, 'ret', '', 'Near return.', { endsBlock: true, canFault: true }),
  row(0xc4, 'les', 'Gv,Mp', 'Load a far pointer into ES and a register.', { mod: 'mem', canFault: true }),
  row(0xc5, 'lds', 'Gv,Mp', 'Load a far pointer into DS and a register.', { mod: 'mem', canFault: true }),
  row(0xc8, 'enter', 'Iw,Ib', 'Make a stack frame.', { canFault: true }),
  row(0xc9, 'leave', '', 'Undo a stack frame.', { canFault: true }),
  row(0xca, 'retf', 'Iw', 'Far return, dropping bytes of arguments.', { endsBlock: true, canFault: true }),
  row(0xcb, 'retf', '', 'Far return.', { endsBlock: true, canFault: true }),
  row(0xcc, 'int3', '', 'Breakpoint.', { endsBlock: true, canFault: true }),
  row(0xcd, 'int', 'Ib', 'Software interrupt.', { endsBlock: true, canFault: true }),
  row(0xce, 'into', '', 'Overflow trap if OF=1.', { readsFlags: 'o', endsBlock: true, canFault: true }),
  row(0xcf, 'iretw|iretd', '', 'Return from an interrupt.', {
    id: 'iret',
    readsFlags: 'n',
    writesFlags: IRET_FLAGS,
    endsBlock: true,
    canFault: true,
  }),

  row(0xd4, 'aam', 'Ib', 'Split AL into digits of a base; #DE for base 0.', {
    writesFlags: 'szp',
    undefinedFlags: 'oac',
    canFault: true,
  }),
  row(0xd5, 'aad', 'Ib', 'Join two digits of a base into AL.', { writesFlags: 'szp', undefinedFlags: 'oac' }),
  row(0xd6, 'salc', '', 'Set AL to 0 or FF from CF (undocumented).', { readsFlags: 'c' }),
  row(0xd7, 'xlatb', '', 'Load AL from the table at eBX.'),

  row(0xe0, 'loopne', 'Jb', 'Decrement eCX; jump while it is not 0 and ZF=0.', {
    readsFlags: 'z',
    endsBlock: true,
    canFault: true,
  }),
  row(0xe1, 'loope', 'Jb', 'Decrement eCX; jump while it is not 0 and ZF=1.', {
    readsFlags: 'z',
    endsBlock: true,
    canFault: true,
  }),
  row(0xe2, 'loop', 'Jb', 'Decrement eCX; jump while it is not 0.', { endsBlock: true, canFault: true }),
  row(0xe3, 'jcxz|jecxz', 'Jb', 'Jump if eCX is 0.', {
    mnemonicByAddress: true,
    endsBlock: true,
    canFault: true,
  }),
  row(0xe4, 'in', 'AL,Ib', 'Input from a port.', { privilege: 'io', canFault: true }),
  row(0xe5, 'in', 'eAX,Ib', 'Input from a port.', { privilege: 'io', canFault: true }),
  row(0xe6, 'out', 'Ib,AL', 'Output to a port.', { privilege: 'io', canFault: true }),
  row(0xe7, 'out', 'Ib,eAX', 'Output to a port.', { privilege: 'io', canFault: true }),
  row(0xe8, 'call', 'Jz', 'Near call.', { endsBlock: true, canFault: true }),
  row(0xe9, 'jmp', 'Jz', 'Jump.', { endsBlock: true, canFault: true }),
  row(0xea, 'jmp', 'Ap', 'Far jump.', { endsBlock: true, canFault: true, id: 'jmpf Ap' }),
  row(0xeb, 'jmp', 'Jb', 'Jump.', { endsBlock: true, canFault: true }),
  row(0xec, 'in', 'AL,DX', 'Input from port DX.', { privilege: 'io', canFault: true }),
  row(0xed, 'in', 'eAX,DX', 'Input from port DX.', { privilege: 'io', canFault: true }),
  row(0xee, 'out', 'DX,AL', 'Output to port DX.', { privilege: 'io', canFault: true }),
  row(0xef, 'out', 'DX,eAX', 'Output to port DX.', { privilege: 'io', canFault: true }),

  row(0xf1, 'int1', '', 'Debug trap (ICEBP, undocumented until late).', { endsBlock: true, canFault: true }),
  row(0xf4, 'hlt', '', 'Halt until an interrupt.', { endsBlock: true, canFault: true, privilege: 'cpl0' }),
  row(0xf5, 'cmc', '', 'Complement CF.', { readsFlags: 'c', writesFlags: 'c' }),
  row(0xf8, 'clc', '', 'Clear CF.', { writesFlags: 'c' }),
  row(0xf9, 'stc', '', 'Set CF.', { writesFlags: 'c' }),
  row(0xfa, 'cli', '', 'Clear IF.', { writesFlags: 'i', privilege: 'iopl', canFault: true }),
  row(0xfb, 'sti', '', 'Set IF; traps wait for one instruction.', {
    writesFlags: 'i',
    privilege: 'iopl',
    canFault: true,
  }),
  row(0xfc, 'cld', '', 'Clear DF.', { writesFlags: 'd' }),
  row(0xfd, 'std', '', 'Set DF.', { writesFlags: 'd' }),
];

export const ONE_BYTE: readonly Row[] = [...aluRows(), ...REST];
