/**
 * The form of an opcode row. A row says what the Intel SDM's opcode map says; decoder, disassembler, interpreter,
 * hover text and test generators derive from it. What an instruction *does* is in meaning/ and rare/, bound to the
 * row by its `id`.
 *
 * Operand forms (Intel SDM vol. 2, "Key to Abbreviations", and what it lacks). Size letters: b byte, w word,
 * d doubleword, v word or doubleword by operand size, q 8 bytes.
 *   Eb Ew Ev        ModRM.rm, register or memory
 *   Mw/Rv           ModRM.rm; a memory operand is a word whatever the operand size
 *   Gb Gw Gv        ModRM.reg
 *   Rd Cd Dd Sw     general register in rm (mod is ignored); control, debug, segment register in reg
 *   M Mb Mw Md Mq   memory only; M has no size (LEA, INVLPG)
 *   Mp Ma Ms        far pointer (offset by operand size, then selector); BOUND's pair; 6-byte pseudo-descriptor
 *   Mf32 Mf64 Mf80 Mi16 Mi32 Mi64 Mbcd   x87 memory operands; Menv 14/28, Mfst 94/108, Mfx 512 bytes
 *   Ib              8 bits, unsigned or as wide as the other operand; Ibs: 8 bits, sign-extended to the operand size
 *   Iw Iz           16 bits; 16 or 32 by operand size
 *   Jb Jz           displacement from the end of the instruction; result cut to 16 bits when the operand size is 16
 *   Ap              selector and offset in the instruction
 *   Ob Ov           memory at an offset in the instruction (as wide as the address size)
 *   Xb Xv Yb Yv     [eSI] in DS (may be overridden), [eDI] in ES (fixed)
 *   Zb Zv           register named by the low three bits of the opcode
 *   AL CL AX DX eAX ES CS SS DS FS GS 1 ST0 STi     as they say (eAX: AX or EAX by operand size)
 */

/**
 * Any of 'o s z a p c d i' (OF SF ZF AF PF CF DF IF); POPF and IRET also 't' TF, 'n' NT, 'l' IOPL, 'r' RF,
 * 'x' AC, 'y' ID. A consumer that keeps only the first eight may skip the others.
 */
export type FlagLetters = string;

export interface Row {
  /** 0x00-0xff one-byte map; 0x0f00-0x0fff two-byte map. x87: 0xd8-0xdf with `reg` or `modrm`. */
  readonly opcode: number;
  /** The row covers `span` consecutive opcodes (8: low three bits name a register). */
  readonly span?: number;
  /** Another opcode that real processors decode as the same (82 is 80). */
  readonly also?: readonly number[];
  /** Further places that real processors decode as the same: [opcode, ModRM.reg with mod 3] (x87 only). */
  readonly alsoAt?: readonly (readonly [opcode: number, reg: number])[];
  /** ModRM.reg of a group (the SDM's /0 to /7), if it selects the row. */
  readonly reg?: number;
  /** Another ModRM.reg that real processors decode as the same (/6 of the shifts is /4, /1 of TEST is /0). */
  readonly alsoReg?: number;
  /** 'mem': only with a memory operand; 'reg': only with mod 3. */
  readonly mod?: 'mem' | 'reg';
  /** A full ModRM byte that selects the row (x87 forms such as d9 e8). */
  readonly modrm?: number;
  /** Values of ModRM.reg that are undefined (segment registers 6 and 7, CR1, ...). */
  readonly exceptReg?: readonly number[];
  /** Mandatory prefix, for SSE and the like. Absent: the row takes any. 'none': 66, F2 and F3 make it undefined. */
  readonly mandatory?: 'none' | '66' | 'f2' | 'f3';
  /** Unique name, e.g. 'add Ev,Gv'. Defaults to mnemonic and operands. */
  readonly id: string;
  /** Intel-syntax mnemonic in lower case; a pair 'cbw|cwde' is chosen by operand size (16|32). */
  readonly mnemonic: string;
  /** The pair in `mnemonic` is chosen by address size instead (JCXZ, JECXZ). */
  readonly mnemonicByAddress?: boolean;
  /** Operand forms in the notation above. */
  readonly operands: readonly string[];
  readonly readsFlags?: FlagLetters;
  readonly writesFlags?: FlagLetters;
  /** Left undefined by the SDM. Shifts: 'o' only for counts other than 1, and nothing changes for a count of 0. */
  readonly undefinedFlags?: FlagLetters;
  readonly lockable?: boolean;
  /** REP/REPE/REPNE apply. */
  readonly rep?: 'rep' | 'repz';
  /** Control never falls through to the next instruction in sequence unconditionally (jump, call, ret, int, hlt). */
  readonly endsBlock?: boolean;
  /** Can raise an exception other than through a memory operand. */
  readonly canFault?: boolean;
  /** Needs CPL 0 ('cpl0'), CPL <= IOPL ('iopl'), or that or a clear bit in the TSS bitmap ('io'). */
  readonly privilege?: 'cpl0' | 'iopl' | 'io';
  /** Operand size is 32 even in 16-bit code, or fixed otherwise (PUSH Sw, MOV Cd ...). */
  readonly fixedSize?: number;
  /** One line for hover text. */
  readonly doc: string;
}

/** Everything of a row that is not named by opcode, mnemonic and operands. */
export type RowExtras = Partial<Omit<Row, 'opcode' | 'mnemonic' | 'operands'>>;

/** `row(0x01, 'add', 'Ev,Gv', 'Add.', {...})`; the id defaults to 'add Ev,Gv' ('cbw|cwde' gives 'cbw'). */
export function row(
  opcode: number,
  mnemonic: string,
  operands: string,
  doc: string,
  extras: RowExtras = {},
): Row {
  const name = mnemonic.split('|')[0];
  return {
    opcode,
    mnemonic,
    operands: operands === '' ? [] : operands.split(','),
    id: operands === '' ? `${name}` : `${name} ${operands}`,
    doc,
    ...extras,
  };
}

/** The six arithmetic flags. */
export const ARITHMETIC: FlagLetters = 'oszapc';

/** Condition codes in encoding order: suffix as Intel's assembler prints it, flags read, meaning. */
export const CONDITIONS: readonly (readonly [suffix: string, reads: FlagLetters, doc: string])[] = [
  ['o', 'o', 'overflow (OF=1)'],
  ['no', 'o', 'no overflow (OF=0)'],
  ['b', 'c', 'below (CF=1)'],
  ['ae', 'c', 'above or equal (CF=0)'],
  ['e', 'z', 'equal (ZF=1)'],
  ['ne', 'z', 'not equal (ZF=0)'],
  ['be', 'cz', 'below or equal (CF=1 or ZF=1)'],
  ['a', 'cz', 'above (CF=0 and ZF=0)'],
  ['s', 's', 'sign (SF=1)'],
  ['ns', 's', 'no sign (SF=0)'],
  ['p', 'p', 'parity even (PF=1)'],
  ['np', 'p', 'parity odd (PF=0)'],
  ['l', 'so', 'less (SF≠OF)'],
  ['ge', 'so', 'greater or equal (SF=OF)'],
  ['le', 'zso', 'less or equal (ZF=1 or SF≠OF)'],
  ['g', 'zso', 'greater (ZF=0 and SF=OF)'],
];
