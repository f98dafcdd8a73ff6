/**
 * iced-x86 as a second opinion on the disassembler. It knows every extension; `reviewed` below is the explicit list of
 * what our processor does not have (so: invalid) and of prefixes that mean nothing to a P6 (so: not printed).
 */
import {
  Code,
  CpuidFeature,
  Decoder,
  DecoderOptions,
  Formatter,
  FormatterSyntax,
  MemorySizeOptions,
  Mnemonic,
} from 'iced-x86';

const formatter = new Formatter(FormatterSyntax.Intel);
formatter.hexPrefix = '0x';
formatter.hexSuffix = '';
formatter.uppercaseHex = false;
formatter.spaceAfterOperandSeparator = true;
formatter.memorySizeOptions = MemorySizeOptions.Always;
formatter.branchLeadingZeros = false;
formatter.showBranchSize = false;
formatter.usePseudoOps = false;

/** Without PAUSE, WBNOINVD, TZCNT and LZCNT, F3 is a prefix without meaning; 0f 18 to 0f 1f are no-operations. */
const OPTIONS =
  DecoderOptions.ForceReservedNop |
  DecoderOptions.NoPause |
  DecoderOptions.NoWbnoinvd |
  DecoderOptions.NoMPFX_0FBC |
  DecoderOptions.NoMPFX_0FBD;

/** All that a P6 without SEP, MMX and SSE executes; an instruction that needs another feature is invalid. */
const OFFERED: ReadonlySet<CpuidFeature> = new Set([
  CpuidFeature.INTEL8086,
  CpuidFeature.INTEL8086_ONLY,
  CpuidFeature.INTEL186,
  CpuidFeature.INTEL286,
  CpuidFeature.INTEL386,
  CpuidFeature.INTEL386_ONLY,
  CpuidFeature.INTEL486,
  CpuidFeature.CPUID,
  CpuidFeature.FPU,
  CpuidFeature.FPU287,
  CpuidFeature.FPU387,
  CpuidFeature.MSR,
  CpuidFeature.TSC,
  CpuidFeature.RDPMC,
  CpuidFeature.CMOV,
  CpuidFeature.CX8,
  CpuidFeature.FXSR,
  CpuidFeature.MULTIBYTENOP,
]);

/** RSM raises #UD outside system management mode. */
const REFUSED: ReadonlySet<Mnemonic> = new Set([Mnemonic.Rsm]);

/** The fences work without SSE and SSE2: kernels use them unasked. */
const OFFERED_ALONE: ReadonlySet<Mnemonic> = new Set([Mnemonic.Lfence, Mnemonic.Mfence, Mnemonic.Sfence]);

/** Branch hints (Pentium 4), MPX, transactional memory, CET. */
const MEANINGLESS_PREFIX = /\b(hint-taken|hint-not-taken|bnd|xacquire|xrelease|notrack) /g;

export interface IcedLine {
  readonly text: string;
  readonly length: number;
  /** Numbers of iced's own enumerations, for a comparison that does not go through text. */
  readonly memoryBase: number;
  readonly memoryIndex: number;
  readonly memoryScale: number;
  readonly memoryDisplacement: number;
  readonly memorySegment: number;
}

const BAD: IcedLine = {
  text: '(bad)',
  length: 1,
  memoryBase: 0,
  memoryIndex: 0,
  memoryScale: 1,
  memoryDisplacement: 0,
  memorySegment: 0,
};

const PREFETCHW_NOPS: ReadonlySet<Code> = new Set([
  Code.Reservednop_rm16_r16_0F0D,
  Code.Reservednop_rm32_r32_0F0D,
]);

export function icedDisassemble(bytes: Uint8Array, va: number, bits: 16 | 32): IcedLine {
  const decoder = new Decoder(bits, bytes, OPTIONS);
  decoder.ip = BigInt(va);
  const instruction = decoder.decode();
  decoder.free();
  try {
    if (instruction.isInvalid || REFUSED.has(instruction.mnemonic)) return BAD;
    const alone = OFFERED_ALONE.has(instruction.mnemonic);
    for (const feature of instruction.cpuidFeatures()) if (!alone && !OFFERED.has(feature)) return BAD;
    // 0f 0d is a hint on later processors only. A hint's register operand is not one of NOP Ev.
    if (PREFETCHW_NOPS.has(instruction.code)) return BAD;
    let text = formatter.format(instruction).replace(MEANINGLESS_PREFIX, '');
    if (instruction.mnemonic === Mnemonic.Reservednop || text.startsWith('nop '))
      text = text.replace(/, [a-z]+$/, '');
    if (/\bret\b/.test(text)) text = text.replace(/\b(rep|repne) /, '');
    return {
      text,
      length: instruction.length,
      memoryBase: instruction.memoryBase,
      memoryIndex: instruction.memoryIndex,
      memoryScale: instruction.memoryIndexScale,
      memoryDisplacement: Number(instruction.memoryDisplacement & 0xffff_ffffn),
      memorySegment: instruction.memorySegment,
    };
  } finally {
    instruction.free();
  }
}
