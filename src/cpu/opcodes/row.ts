/**
 * The form of an opcode row. A row says what the Intel SDM's opcode map says; decoder, disassembler, interpreter,
 * hover text and test generators derive from it. What an instruction *does* is in meaning/ and rare/, bound to the
 * row by its `id`.
 */
export type FlagLetters = string; // any of 'o s z a p c d i', e.g. 'oszapc'

export interface Row {
  /** 0x00-0xff one-byte map; 0x0f00-0x0fff two-byte map. x87: 0xd8-0xdf with `reg` or `modrm`. */
  readonly opcode: number;
  /** ModRM.reg of a group (the SDM's /0 to /7), if it selects the row. */
  readonly reg?: number;
  /** 'mem': only with a memory operand; 'reg': only with mod 3. */
  readonly mod?: 'mem' | 'reg';
  /** A full ModRM byte that selects the row (x87 forms such as d9 e8). */
  readonly modrm?: number;
  /** Mandatory prefix, for SSE and the like. Absent: the row takes any. */
  readonly mandatory?: 'none' | '66' | 'f2' | 'f3';
  /** Unique name, e.g. 'add Ev,Gv'. Defaults to mnemonic and operands. */
  readonly id: string;
  /** Intel-syntax mnemonic in lower case; a pair 'cbw|cwde' is chosen by operand size (16|32). */
  readonly mnemonic: string;
  /** Operand forms in SDM notation: Eb Ev Ew Gb Gv Ib Iv Iz Jb Jz Ob Ov Sw Rd Cd Dd M Mp Ma Ap AL eAX DX 1 ... */
  readonly operands: readonly string[];
  readonly readsFlags?: FlagLetters;
  readonly writesFlags?: FlagLetters;
  /** Left undefined by the SDM. */
  readonly undefinedFlags?: FlagLetters;
  readonly lockable?: boolean;
  /** REP/REPE/REPNE apply. */
  readonly rep?: 'rep' | 'repz';
  /** Control never falls through to the next instruction in sequence unconditionally (jump, call, ret, int, hlt). */
  readonly endsBlock?: boolean;
  /** Can raise an exception other than through a memory operand. */
  readonly canFault?: boolean;
  /** Needs CPL 0 ('cpl0') or CPL <= IOPL ('iopl'). */
  readonly privilege?: 'cpl0' | 'iopl';
  /** Operand size is 32 even in 16-bit code, or fixed otherwise (PUSH Sw, MOV Cd ...). */
  readonly fixedSize?: number;
  /** One line for hover text. */
  readonly doc: string;
}
