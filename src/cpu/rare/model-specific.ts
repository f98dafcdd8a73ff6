/**
 * CPUID, time stamp, performance counters, model-specific registers. Intel SDM vol. 2; vol. 4 for the registers.
 */
import { addressOf, EAX, EBX, ECX, EDX } from '../layout.ts';
import { EFER_NXE } from '../paging.ts';
import { CR4_PCE, CR4_TSD } from './control-registers.ts';
import { cpuid, hasFeature } from './cpuid.ts';
import { refusal, VECTOR_GP } from './descriptors.ts';
import { finish } from './finish.ts';
import { RARE_NEXT, type RareFunction, type RareMachine } from './rare.ts';

const GP0 = refusal(VECTOR_GP, 0);
const TWO_32 = 2 ** 32;

export const cpuidInstruction: RareFunction = (m) => {
  const { eax, ebx, ecx, edx } = cpuid(m.getReg32(EAX));
  m.setReg32(EAX, eax);
  m.setReg32(EBX, ebx);
  m.setReg32(ECX, ecx);
  m.setReg32(EDX, edx);
  return RARE_NEXT;
};

/** EDX:EAX from a count that fits the 53 bits of a double; negative ones are 64-bit two's complement. */
function setEdxEax(m: RareMachine, value: number): void {
  m.setReg32(EAX, (value % TWO_32) >>> 0);
  m.setReg32(EDX, Math.floor(value / TWO_32) >>> 0);
}

/** The state field is a double. */
const TSC_OFFSET = addressOf('tscOffset');
const timeStamp = (m: RareMachine): number => m.cpu.now() + m.cpu.memory.view.getFloat64(TSC_OFFSET, true);

/** CR4.TSD keeps it for ring 0. */
export const rdtsc: RareFunction = (m) => {
  if (m.cpu.cpl !== 0 && (m.cpu.cr4 & CR4_TSD) !== 0) return finish(m, GP0);
  setEdxEax(m, timeStamp(m));
  return RARE_NEXT;
};

const COUNTERS = 2;

/** The two counters exist but stand still: the registers that would start them do not exist. */
export const rdpmc: RareFunction = (m) => {
  if (m.cpu.cpl !== 0 && (m.cpu.cr4 & CR4_PCE) === 0) return finish(m, GP0);
  if (m.getReg32(ECX) >= COUNTERS) return finish(m, GP0);
  setEdxEax(m, 0);
  return RARE_NEXT;
};

export const MSR_TSC = 0x10;
export const MSR_EFER = 0xc0000080;
const EFER_DEFINED = hasFeature('NX') ? EFER_NXE : 0;

export const rdmsr: RareFunction = (m) => {
  if (m.cpu.cpl !== 0) return finish(m, GP0);
  switch (m.getReg32(ECX)) {
    case MSR_TSC:
      setEdxEax(m, timeStamp(m));
      return RARE_NEXT;
    case MSR_EFER:
      setEdxEax(m, m.cpu.efer);
      return RARE_NEXT;
    default:
      return finish(m, GP0);
  }
};

export const wrmsr: RareFunction = (m) => {
  if (m.cpu.cpl !== 0) return finish(m, GP0);
  const low = m.getReg32(EAX);
  const high = m.getReg32(EDX);
  switch (m.getReg32(ECX)) {
    case MSR_TSC:
      // A double holds counts of 53 bits, of either sign.
      m.cpu.memory.view.setFloat64(TSC_OFFSET, (high | 0) * TWO_32 + low - m.cpu.now(), true);
      return RARE_NEXT;
    case MSR_EFER:
      if (high !== 0 || (low & ~EFER_DEFINED) !== 0) return finish(m, GP0);
      if (m.cpu.efer !== low) {
        m.cpu.efer = low;
        m.cpu.flushTlb();
      }
      return RARE_NEXT;
    default:
      return finish(m, GP0);
  }
};
