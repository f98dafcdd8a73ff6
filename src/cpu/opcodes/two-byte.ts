/**
 * The two-byte opcode map, 0f xx (Intel SDM vol. 2, "Two-byte Opcode Map"), without its groups (groups.ts).
 * 0f 18 to 0f 1f are the hint no-operations that the P6 reserved: ModRM is decoded, memory is not touched. Only
 * 0f 1f /0 is documented as NOP Ev; prefetches (0f 18) are hints and behave the same.
 * UD0 and UD1 take a ModRM byte, as the SDM prints them; whatever follows, they raise #UD.
 */
import { ARITHMETIC, CONDITIONS, type Row, row } from './row.ts';

const CPL0 = { privilege: 'cpl0', canFault: true } as const;
const CONTROL = { ...CPL0, exceptReg: [1, 5, 6, 7], fixedSize: 32, undefinedFlags: ARITHMETIC } as const;
const DEBUG = { ...CPL0, fixedSize: 32, undefinedFlags: ARITHMETIC } as const;
const BIT = { writesFlags: 'c', undefinedFlags: 'osap' } as const;
const SCAN = { writesFlags: 'z', undefinedFlags: 'osapc' } as const;
const DOUBLE_SHIFT = { writesFlags: 'oszpc', undefinedFlags: 'oa' } as const;
const FAR_POINTER = { mod: 'mem', canFault: true } as const;

export const TWO_BYTE: readonly Row[] = [
  row(0x0f02, 'lar', 'Gv,Ew', 'Load access rights of a descriptor; ZF tells whether.', { writesFlags: 'z' }),
  row(0x0f03, 'lsl', 'Gv,Ew', 'Load the limit of a descriptor; ZF tells whether.', { writesFlags: 'z' }),
  row(0x0f06, 'clts', '', 'Clear CR0.TS.', CPL0),
  row(0x0f08, 'invd', '', 'Invalidate caches without write-back.', CPL0),
  row(0x0f09, 'wbinvd', '', 'Write back and invalidate caches.', CPL0),
  row(0x0f0b, 'ud2', '', 'Undefined instruction: always #UD.', { endsBlock: true, canFault: true }),

  row(0x0f18, 'nop', 'Ev', 'Hint no-operation; memory is not touched.', { span: 8 }),

  row(0x0f20, 'mov', 'Rd,Cd', 'Read a control register.', CONTROL),
  row(0x0f21, 'mov', 'Rd,Dd', 'Read a debug register.', DEBUG),
  row(0x0f22, 'mov', 'Cd,Rd', 'Write a control register.', { ...CONTROL, endsBlock: true }),
  row(0x0f23, 'mov', 'Dd,Rd', 'Write a debug register.', { ...DEBUG, endsBlock: true }),

  row(0x0f30, 'wrmsr', '', 'Write EDX:EAX to model-specific register ECX.', CPL0),
  row(0x0f31, 'rdtsc', '', 'Read the time-stamp counter into EDX:EAX.', { canFault: true }),
  row(0x0f32, 'rdmsr', '', 'Read model-specific register ECX into EDX:EAX.', CPL0),
  row(0x0f33, 'rdpmc', '', 'Read a performance counter; ring 0 unless CR4.PCE.', { canFault: true }),

  ...CONDITIONS.map(([suffix, readsFlags, doc], index) =>
    row(0x0f40 + index, `cmov${suffix}`, 'Gv,Ev', `Copy if ${doc}; memory is read in any case.`, {
      readsFlags,
    }),
  ),
  ...CONDITIONS.map(([suffix, readsFlags, doc], index) =>
    row(0x0f80 + index, `j${suffix}`, 'Jz', `Jump if ${doc}.`, {
      readsFlags,
      endsBlock: true,
      canFault: true,
    }),
  ),
  ...CONDITIONS.map(([suffix, readsFlags, doc], index) =>
    row(0x0f90 + index, `set${suffix}`, 'Eb', `Set a byte to 1 if ${doc}, else to 0.`, { readsFlags }),
  ),

  row(0x0fa0, 'push', 'FS', 'Push FS.', { canFault: true }),
  row(0x0fa1, 'pop', 'FS', 'Pop FS.', { canFault: true }),
  row(0x0fa2, 'cpuid', '', 'Identify the processor.'),
  row(0x0fa3, 'bt', 'Ev,Gv', 'Copy a bit to CF.', BIT),
  row(0x0fa4, 'shld', 'Ev,Gv,Ib', 'Shift left, filling from another register.', DOUBLE_SHIFT),
  row(0x0fa5, 'shld', 'Ev,Gv,CL', 'Shift left, filling from another register.', DOUBLE_SHIFT),
  row(0x0fa8, 'push', 'GS', 'Push GS.', { canFault: true }),
  row(0x0fa9, 'pop', 'GS', 'Pop GS.', { canFault: true }),
  row(0x0fab, 'bts', 'Ev,Gv', 'Copy a bit to CF, then set it.', { ...BIT, lockable: true }),
  row(0x0fac, 'shrd', 'Ev,Gv,Ib', 'Shift right, filling from another register.', DOUBLE_SHIFT),
  row(0x0fad, 'shrd', 'Ev,Gv,CL', 'Shift right, filling from another register.', DOUBLE_SHIFT),
  row(0x0faf, 'imul', 'Gv,Ev', 'Signed multiply, low half.', { writesFlags: 'oc', undefinedFlags: 'szap' }),

  row(0x0fb0, 'cmpxchg', 'Eb,Gb', 'Compare with AL; equal: store, else load AL.', {
    writesFlags: ARITHMETIC,
    lockable: true,
  }),
  row(0x0fb1, 'cmpxchg', 'Ev,Gv', 'Compare with eAX; equal: store, else load eAX.', {
    writesFlags: ARITHMETIC,
    lockable: true,
  }),
  row(0x0fb2, 'lss', 'Gv,Mp', 'Load a far pointer into SS and a register.', FAR_POINTER),
  row(0x0fb3, 'btr', 'Ev,Gv', 'Copy a bit to CF, then clear it.', { ...BIT, lockable: true }),
  row(0x0fb4, 'lfs', 'Gv,Mp', 'Load a far pointer into FS and a register.', FAR_POINTER),
  row(0x0fb5, 'lgs', 'Gv,Mp', 'Load a far pointer into GS and a register.', FAR_POINTER),
  row(0x0fb6, 'movzx', 'Gv,Eb', 'Copy with zero extension.'),
  row(0x0fb7, 'movzx', 'Gv,Ew', 'Copy with zero extension.'),
  row(0x0fb9, 'ud1', 'Gv,Ev', 'Undefined instruction: always #UD.', { endsBlock: true, canFault: true }),
  row(0x0fbb, 'btc', 'Ev,Gv', 'Copy a bit to CF, then complement it.', { ...BIT, lockable: true }),
  row(0x0fbc, 'bsf', 'Gv,Ev', 'Index of the lowest 1 bit; ZF=1 and no result if there is none.', SCAN),
  row(0x0fbd, 'bsr', 'Gv,Ev', 'Index of the highest 1 bit; ZF=1 and no result if there is none.', SCAN),
  row(0x0fbe, 'movsx', 'Gv,Eb', 'Copy with sign extension.'),
  row(0x0fbf, 'movsx', 'Gv,Ew', 'Copy with sign extension.'),

  row(0x0fc0, 'xadd', 'Eb,Gb', 'Exchange and add.', { writesFlags: ARITHMETIC, lockable: true }),
  row(0x0fc1, 'xadd', 'Ev,Gv', 'Exchange and add.', { writesFlags: ARITHMETIC, lockable: true }),
  row(
    0x0fc8,
    'bswap',
    'Zv',
    'Reverse the bytes of a register; a 16-bit register becomes 0 (undefined by the SDM).',
    {
      span: 8,
    },
  ),
  row(0x0fff, 'ud0', 'Gv,Ev', 'Undefined instruction: always #UD.', { endsBlock: true, canFault: true }),
];
