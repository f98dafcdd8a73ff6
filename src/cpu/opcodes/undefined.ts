/**
 * The encodings that raise #UD on the processor that we are (family 6 model 8 without SEP), each with its reason.
 * table.ts refuses an encoding that is neither here nor in a row, and one that is in both.
 * `reg` and `mod` select as in a row; `modrm` lists whole ModRM bytes.
 */
export interface UndefinedEncoding {
  readonly opcode: number;
  readonly last?: number;
  readonly reg?: readonly number[];
  readonly mod?: 'mem' | 'reg';
  readonly modrm?: readonly number[];
  readonly why: string;
}

function bytes(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

const MMX = 'MMX: not offered';
const SSE = 'SSE and later: not offered';
const NO_MEANING = 'reserved';
const LATER = 'taken by a later extension that is not offered';

export const UNDEFINED: readonly UndefinedEncoding[] = [
  { opcode: 0x62, mod: 'reg', why: 'BOUND needs memory (later EVEX)' },
  { opcode: 0x8c, reg: [6, 7], why: 'no such segment register' },
  { opcode: 0x8d, mod: 'reg', why: 'LEA needs memory' },
  { opcode: 0x8e, reg: [1, 6, 7], why: 'CS cannot be loaded by MOV; no such segment register' },
  { opcode: 0x8f, reg: bytes(1, 7), why: NO_MEANING },
  { opcode: 0xc4, mod: 'reg', why: 'LES needs memory (later VEX)' },
  { opcode: 0xc5, mod: 'reg', why: 'LDS needs memory (later VEX)' },
  { opcode: 0xc6, reg: bytes(1, 7), why: NO_MEANING },
  { opcode: 0xc7, reg: bytes(1, 7), why: NO_MEANING },
  { opcode: 0xfe, reg: bytes(2, 7), why: NO_MEANING },
  { opcode: 0xff, reg: [3, 5], mod: 'reg', why: 'a far pointer must be in memory' },
  { opcode: 0xff, reg: [7], why: NO_MEANING },

  { opcode: 0xd9, reg: [1], mod: 'mem', why: NO_MEANING },
  { opcode: 0xd9, modrm: [...bytes(0xd1, 0xd7), 0xe2, 0xe3, 0xe6, 0xe7, 0xef], why: NO_MEANING },
  { opcode: 0xda, modrm: [...bytes(0xe0, 0xe8), ...bytes(0xea, 0xff)], why: NO_MEANING },
  { opcode: 0xdb, reg: [1], mod: 'mem', why: 'FISTTP is SSE3' },
  { opcode: 0xdb, reg: [4, 6], mod: 'mem', why: NO_MEANING },
  { opcode: 0xdb, modrm: [...bytes(0xe5, 0xe7), ...bytes(0xf8, 0xff)], why: NO_MEANING },
  { opcode: 0xdd, reg: [1], mod: 'mem', why: 'FISTTP is SSE3' },
  { opcode: 0xdd, reg: [5], mod: 'mem', why: NO_MEANING },
  { opcode: 0xdd, modrm: bytes(0xf0, 0xff), why: NO_MEANING },
  { opcode: 0xde, modrm: [0xd8, ...bytes(0xda, 0xdf)], why: NO_MEANING },
  { opcode: 0xdf, reg: [1], mod: 'mem', why: 'FISTTP is SSE3' },
  { opcode: 0xdf, modrm: [...bytes(0xe1, 0xe7), ...bytes(0xf8, 0xff)], why: NO_MEANING },

  { opcode: 0x0f00, reg: [6, 7], why: NO_MEANING },
  { opcode: 0x0f01, reg: [0, 1, 2, 3, 7], mod: 'reg', why: LATER },
  { opcode: 0x0f01, reg: [5], why: LATER },
  { opcode: 0x0f04, last: 0x0f05, why: 'SYSCALL and LOADALL are not of this processor' },
  { opcode: 0x0f07, why: 'SYSRET is not of this processor' },
  { opcode: 0x0f0a, why: NO_MEANING },
  { opcode: 0x0f0c, last: 0x0f0f, why: '3DNow! is not of this processor' },
  { opcode: 0x0f10, last: 0x0f17, why: SSE },
  { opcode: 0x0f20, reg: [1, 5, 6, 7], why: 'no such control register' },
  { opcode: 0x0f22, reg: [1, 5, 6, 7], why: 'no such control register' },
  { opcode: 0x0f24, last: 0x0f27, why: 'test registers ended with the 486' },
  { opcode: 0x0f28, last: 0x0f2f, why: SSE },
  { opcode: 0x0f34, last: 0x0f35, why: 'SYSENTER and SYSEXIT: CPUID shows no SEP' },
  { opcode: 0x0f36, last: 0x0f3f, why: LATER },
  { opcode: 0x0f50, last: 0x0f5f, why: SSE },
  { opcode: 0x0f60, last: 0x0f7f, why: MMX },
  { opcode: 0x0fa6, last: 0x0fa7, why: NO_MEANING },
  { opcode: 0x0faa, why: 'RSM outside system management mode' },
  { opcode: 0x0fae, reg: bytes(2, 7), mod: 'mem', why: LATER },
  { opcode: 0x0fae, reg: bytes(0, 4), mod: 'reg', why: LATER },
  { opcode: 0x0fb2, mod: 'reg', why: 'a far pointer must be in memory' },
  { opcode: 0x0fb4, last: 0x0fb5, mod: 'reg', why: 'a far pointer must be in memory' },
  { opcode: 0x0fb8, why: LATER },
  { opcode: 0x0fba, reg: bytes(0, 3), why: NO_MEANING },
  { opcode: 0x0fc2, last: 0x0fc6, why: SSE },
  { opcode: 0x0fc7, reg: [0, ...bytes(2, 7)], why: LATER },
  { opcode: 0x0fc7, reg: [1], mod: 'reg', why: 'CMPXCHG8B needs memory' },
  { opcode: 0x0fd0, last: 0x0ffe, why: MMX },
];
