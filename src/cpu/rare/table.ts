/** Which rows are carried out by plain functions: row id -> function. */
import { arpl, lar, lsl, verr, verw } from './access-rights.ts';
import {
  clts,
  hlt,
  invalidateCaches,
  invlpg,
  lmsw,
  movFromCr,
  movFromDr,
  movToCr,
  movToDr,
  smsw,
} from './control-registers.ts';
import { callFarInstruction, jmpFar, retFar, retFarRelease } from './far-transfer.ts';
import { cli, popf, pushf, sti } from './flags.ts';
import { bound, int1, int3, intN, into, undefinedInstruction } from './interrupts.ts';
import {
  inByte,
  inByteImmediate,
  insByte,
  insWide,
  inWide,
  inWideImmediate,
  outByte,
  outByteImmediate,
  outsByte,
  outsWide,
  outWide,
  outWideImmediate,
} from './io.ts';
import { iret } from './iret.ts';
import { cpuidInstruction, rdmsr, rdpmc, rdtsc, wrmsr } from './model-specific.ts';
import type { RareTable } from './rare.ts';
import { lds, les, lfs, lgs, lss, movToSegment, popDs, popEs, popFs, popGs, popSs } from './segments.ts';
import { enter, popa, pusha } from './stack-frames.ts';
import { lgdt, lidt, lldt, ltr, sgdt, sidt, sldt, str } from './system-tables.ts';
import { x87Rare } from './x87-table.ts';

export const rareInstructions: RareTable = {
  // segments.ts
  'mov Sw,Ew': movToSegment,
  'pop ES': popEs,
  'pop SS': popSs,
  'pop DS': popDs,
  'pop FS': popFs,
  'pop GS': popGs,
  'les Gv,Mp': les,
  'lds Gv,Mp': lds,
  'lss Gv,Mp': lss,
  'lfs Gv,Mp': lfs,
  'lgs Gv,Mp': lgs,
  // far-transfer.ts, iret.ts
  'jmpf Ap': jmpFar,
  'jmpf Mp': jmpFar,
  'callf Ap': callFarInstruction,
  'callf Mp': callFarInstruction,
  retf: retFar,
  'retf Iw': retFarRelease,
  iret,
  // interrupts.ts
  'int Ib': intN,
  int3,
  int1,
  into,
  'bound Gv,Ma': bound,
  ud2: undefinedInstruction,
  'ud0 Gv,Ev': undefinedInstruction,
  'ud1 Gv,Ev': undefinedInstruction,
  // flags.ts
  pushf,
  popf,
  cli,
  sti,
  // stack-frames.ts
  pusha,
  popa,
  'enter Iw,Ib': enter,
  // access-rights.ts
  'lar Gv,Ew': lar,
  'lsl Gv,Ew': lsl,
  'verr Ew': verr,
  'verw Ew': verw,
  'arpl Ew,Gw': arpl,
  // io.ts
  'in AL,Ib': inByteImmediate,
  'in eAX,Ib': inWideImmediate,
  'out Ib,AL': outByteImmediate,
  'out Ib,eAX': outWideImmediate,
  'in AL,DX': inByte,
  'in eAX,DX': inWide,
  'out DX,AL': outByte,
  'out DX,eAX': outWide,
  'ins Yb,DX': insByte,
  'ins Yv,DX': insWide,
  'outs DX,Xb': outsByte,
  'outs DX,Xv': outsWide,
  // system-tables.ts
  'lgdt Ms': lgdt,
  'lidt Ms': lidt,
  'sgdt Ms': sgdt,
  'sidt Ms': sidt,
  'lldt Ew': lldt,
  'ltr Ew': ltr,
  'sldt Mw/Rv': sldt,
  'str Mw/Rv': str,
  // control-registers.ts
  'mov Rd,Cd': movFromCr,
  'mov Cd,Rd': movToCr,
  'mov Rd,Dd': movFromDr,
  'mov Dd,Rd': movToDr,
  clts,
  'lmsw Ew': lmsw,
  'smsw Mw/Rv': smsw,
  'invlpg M': invlpg,
  invd: invalidateCaches,
  wbinvd: invalidateCaches,
  hlt,
  // model-specific.ts
  cpuid: cpuidInstruction,
  rdtsc,
  rdpmc,
  rdmsr,
  wrmsr,
  ...x87Rare,
};
