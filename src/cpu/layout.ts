/**
 * The map of the one linear memory, and the CPU state block inside it: field, type, offset, meaning, once.
 * The interpreter's generated code, the TypeScript accessors, save files and the register view all read this table.
 *
 *   0x0000_0000  unused guard page (an address of 0 is always a bug)
 *   0x0000_1000  CPU state block, 4 KiB
 *   0x0000_2000  interpreter scratch
 *   0x0010_0000  frame flags, one byte per frame (256 KiB for 1 GiB)
 *   ...          TLB, decode records: the interpreter's own (interpreter/memory-map.ts)
 *   RAM_BASE     machine RAM
 */

export const CPU_BASE = 0x1000;
export const SCRATCH_BASE = 0x2000;
export const FRAME_FLAGS_BASE = 0x10_0000;
/** Start of the area that TLB and decode records share, up to RAM_BASE. */
export const ENGINE_AREA_BASE = 0x20_0000;
export const RAM_BASE = 0x800_0000;
export const MEMORY_PAGES_BELOW_RAM = RAM_BASE / 65536;

type FieldType = 'u8' | 'u16' | 'i32' | 'u32' | 'f64' | 'u64';
const SIZE: Record<FieldType, number> = { u8: 1, u16: 2, i32: 4, u32: 4, f64: 8, u64: 8 };

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  /** Byte offset from CPU_BASE. */
  readonly offset: number;
  readonly count: number;
  readonly doc: string;
}

/** [name, type, count, doc]. Natural alignment; the order is the layout. */
const ROWS = [
  ['gpr', 'i32', 8, 'EAX ECX EDX EBX ESP EBP ESI EDI, in encoding order'],
  ['zero', 'i32', 1, 'always 0: the register of addresses without base or index'],
  ['eip', 'u32', 1, 'offset in CS of the next instruction (of the faulting one while a fault is delivered)'],
  ['eflags', 'u32', 1, 'EFLAGS without the six arithmetic flags, which the three words below hold'],
  // Lazy arithmetic flags; their meaning is flags.ts'. Saved states hold them as bits of eflags.
  ['flagZero', 'i32', 1, 'ZF is set if this word is 0'],
  ['flagSign', 'i32', 1, 'SF is bit 31, PF the parity of the low byte'],
  ['flagCarry', 'i32', 1, 'carries out of each bit: CF is bit 31, OF is bit 31 ^ bit 30, AF is bit 3'],
  // Segment registers ES CS SS DS FS GS, in encoding order. Hidden parts as loaded from the descriptor.
  ['segSelector', 'u32', 6, 'selectors'],
  ['segBase', 'u32', 6, 'linear base'],
  [
    'segLimit',
    'u32',
    6,
    'limit in bytes, granularity applied (last valid offset; for expand-down the last invalid one)',
  ],
  ['segAccess', 'u32', 6, "bits 8-23 of the descriptor's high word at their places; 0: null, unusable"],
  ['ldtr', 'u32', 4, 'LDTR selector, base, limit, access'],
  ['tr', 'u32', 4, 'TR selector, base, limit, access'],
  ['gdtrBase', 'u32', 1, 'GDTR'],
  ['gdtrLimit', 'u32', 1, 'GDTR'],
  ['idtrBase', 'u32', 1, 'IDTR'],
  ['idtrLimit', 'u32', 1, 'IDTR'],
  ['cpl', 'u32', 1, 'current privilege level'],
  ['cr0', 'u32', 1, 'CR0. WP, PG, TS, EM, MP, NE are honoured'],
  ['cr2', 'u32', 1, 'linear address of the last page fault'],
  [
    'cr3',
    'u32',
    1,
    'page-table base as software wrote it (bare), or plain machine address of the root (Xen)',
  ],
  ['cr4', 'u32', 1, 'CR4. PAE, TSD, DE, OSFXSR are honoured'],
  ['efer', 'u32', 1, 'EFER. NXE is honoured'],
  ['dr', 'u32', 8, 'DR0-DR7'],
  ['faultCode', 'u32', 1, 'error code of the fault being raised'],
  ['faultVector', 'i32', 1, 'vector of the fault being raised, -1 none'],
  [
    'interruptShadow',
    'u32',
    1,
    'bit 0 after MOV SS / POP SS / STI: traps wait for one instruction; from bit 8 the DR6 bits of those that do',
  ],
  [
    'countdown',
    'i32',
    1,
    'cycles left in this slice; the loop leaves at 0 or below. An instruction takes one',
  ],
  ['retired', 'i32', 1, 'instructions retired in this slice, as the generated loop left it'],
  ['sliceEnd', 'f64', 1, 'virtual cycle count at countdown 0: now = sliceEnd - countdown'],
  ['tscOffset', 'f64', 1, 'added to the cycle count by RDTSC'],
  [
    'fpr',
    'u64',
    16,
    'x87 registers as physical slots R0-R7, 16 bytes each: 64-bit significand, sign and exponent, u16 1 if empty',
  ],
  ['fcw', 'u16', 1, 'x87 control word'],
  ['fsw', 'u16', 1, 'x87 status word, TOP included'],
  ['ftw', 'u16', 1, 'x87 tag word in saved states, two bits per physical register (meaning/x87/tags.ts)'],
  ['fop', 'u16', 1, 'last x87 opcode'],
  ['fip', 'u32', 1, 'last x87 instruction offset'],
  ['fcs', 'u32', 1, 'last x87 instruction selector'],
  ['fdp', 'u32', 1, 'last x87 operand offset'],
  ['fds', 'u32', 1, 'last x87 operand selector'],
  ['xmm', 'u64', 16, 'XMM0-XMM7'],
  ['mxcsr', 'u32', 1, 'MXCSR'],
] as const satisfies readonly (readonly [string, FieldType, number, string])[];

export type FieldName = (typeof ROWS)[number][0];

function place(): Record<FieldName, Field> {
  const fields = {} as Record<FieldName, Field>;
  let offset = 0;
  for (const [name, type, count, doc] of ROWS) {
    const size = SIZE[type];
    offset = (offset + size - 1) & -size;
    fields[name] = { name, type, offset, count, doc };
    offset += size * count;
  }
  return fields;
}

export const FIELDS = place();
/** Bytes of the state block in use; what a vcpu switch copies. */
export const CPU_STATE_SIZE = 1024;

/** Absolute address of a field (element `index` of it) in linear memory. */
export function addressOf(name: FieldName, index = 0): number {
  const field = FIELDS[name];
  return CPU_BASE + field.offset + index * SIZE[field.type];
}

export const EAX = 0,
  ECX = 1,
  EDX = 2,
  EBX = 3,
  ESP = 4,
  EBP = 5,
  ESI = 6,
  EDI = 7;
export const ES = 0,
  CS = 1,
  SS = 2,
  DS = 3,
  FS = 4,
  GS = 5;
