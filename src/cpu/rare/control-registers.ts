/**
 * Control and debug registers, INVLPG, cache control, HLT. Intel SDM vol. 2; vol. 3A, "Control Registers", "Debug
 * Registers". All but SMSW need ring 0, else #GP(0).
 *
 * CR0.PE cannot be cleared: this processor has no real mode, and the attempt is #GP(0).
 */
import type { Processor } from '../cpu.ts';
import { CR0_WP, CR4_PAE } from '../paging.ts';
import { load } from './checked-access.ts';
import { hasFeature } from './cpuid.ts';
import { refusal, VECTOR_DB, VECTOR_GP, VECTOR_UD } from './descriptors.ts';
import { finish } from './finish.ts';
import { RARE_JUMP, RARE_NEXT, type RareFunction, type RareMachine, type RareStatus } from './rare.ts';
import { storeWord } from './system-tables.ts';

export const CR0_PE = 1;
export const CR0_MP = 2;
export const CR0_EM = 4;
export const CR0_TS = 8;
export const CR0_ET = 0x10;
export const CR0_NE = 0x20;
export const CR0_AM = 0x4_0000;
export const CR0_NW = 0x2000_0000;
export const CR0_CD = 0x4000_0000;
export const CR0_PG = 0x8000_0000;
const CR0_DEFINED = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** A change of these changes what addresses mean or who may use them. */
const CR0_PAGING = CR0_PG | CR0_WP;

export const CR4_TSD = 1 << 2;
export const CR4_DE = 1 << 3;
export const CR4_PCE = 1 << 8;
export const CR4_OSFXSR = 1 << 9;
export const CR4_OSXMMEXCPT = 1 << 10;
/** Bits of CR4 that exist on this processor: those of the features that CPUID reports. */
export const CR4_DEFINED =
  CR4_PCE |
  (hasFeature('TSC') ? CR4_TSD : 0) |
  (hasFeature('DE') ? CR4_DE : 0) |
  (hasFeature('PAE') ? CR4_PAE : 0) |
  (hasFeature('FXSR') ? CR4_OSFXSR : 0) |
  (hasFeature('SSE') ? CR4_OSXMMEXCPT : 0);

const GP0 = refusal(VECTOR_GP, 0);

/** Present entries of a PAE root may set PWT, PCD, bits 9-11 and the address; the rest is reserved. */
const PDPTE_RESERVED_LOW = 0x1e6;
const PDPTE_RESERVED_HIGH = ~0xf >>> 0;

/** Would loading this root fault? With PAE paging the four entries of the L3 are checked at once. */
function checkRoot(cpu: Processor, cr0: number, cr3: number, cr4: number): number {
  if ((cr0 & CR0_PG) === 0 || (cr4 & CR4_PAE) === 0) return 0;
  const root = (cr3 & ~31) >>> 0;
  if (root + 32 > cpu.memory.frames * 4096) return 0;
  for (let at = root; at < root + 32; at += 8) {
    const low = cpu.memory.read32(at);
    const reserved = (low & PDPTE_RESERVED_LOW) | (cpu.memory.read32(at + 4) & PDPTE_RESERVED_HIGH);
    if (low & 1 && reserved !== 0) return GP0;
  }
  return 0;
}

/** Instructions that change how code is fetched end where they stand: the loop looks the next one up anew. */
function next(m: RareMachine, nextEip: number): RareStatus {
  m.cpu.eip = nextEip;
  return RARE_JUMP;
}

export function checkCr0(cpu: Processor, value: number): number {
  if ((value & CR0_PE) === 0) return GP0;
  if ((value & CR0_NW) !== 0 && (value & CR0_CD) === 0) return GP0;
  const turnsPagingOn = (value & ~cpu.cr0 & CR0_PG) !== 0;
  return turnsPagingOn ? checkRoot(cpu, value, cpu.cr3, cpu.cr4) : 0;
}

/** Undefined bits read as 0; ET is always 1. */
function setCr0(cpu: Processor, value: number): void {
  const old = cpu.cr0;
  const now = ((value & CR0_DEFINED) | CR0_ET) >>> 0;
  cpu.cr0 = now;
  if ((old ^ now) & CR0_PAGING) cpu.flushTlb();
}

export const movFromCr: RareFunction = (m, insn) => {
  if (m.cpu.cpl !== 0) return finish(m, GP0);
  const { cpu } = m;
  const values = [cpu.cr0, 0, cpu.cr2, cpu.cr3, cpu.cr4];
  m.setReg32(insn.rm, values[insn.reg]!);
  return RARE_NEXT;
};

export const movToCr: RareFunction = (m, insn) => {
  const { cpu } = m;
  if (cpu.cpl !== 0) return finish(m, GP0);
  const value = m.getReg32(insn.rm);
  let refused = 0;
  switch (insn.reg) {
    case 0:
      refused = checkCr0(cpu, value);
      if (refused === 0) setCr0(cpu, value);
      break;
    case 2:
      cpu.cr2 = value;
      break;
    case 3:
      refused = checkRoot(cpu, cpu.cr0, value, cpu.cr4);
      if (refused === 0) cpu.cr3 = value;
      break;
    case 4:
      refused = (value & ~CR4_DEFINED) !== 0 ? GP0 : checkRoot(cpu, cpu.cr0, cpu.cr3, value);
      if (refused === 0) {
        const changed = cpu.cr4 ^ value;
        cpu.cr4 = value;
        if (changed & CR4_PAE) cpu.flushTlb();
      }
      break;
  }
  return refused !== 0 ? finish(m, refused) : next(m, insn.nextEip);
};

const DR7_GD = 1 << 13;
const DR6_BD = 1 << 13;
const DR6_FIXED = 0xffff0ff0;
const DR6_WRITABLE = 0x0000e00f;
const DR7_FIXED = 0x00000400;
const DR7_WRITABLE = 0xffff23ff;

/** DR4 and DR5 are other names of DR6 and DR7, unless CR4.DE makes them undefined. */
const debugRegister = (reg: number): number => (reg === 4 || reg === 5 ? reg + 2 : reg);

/** What both directions check: 0 or a refusal. DR7.GD makes any access #DB, with DR6.BD telling why. */
function checkDebugAccess(m: RareMachine, reg: number): number {
  const { cpu } = m;
  if (cpu.cpl !== 0) return GP0;
  if ((reg === 4 || reg === 5) && (cpu.cr4 & CR4_DE) !== 0) return refusal(VECTOR_UD, 0);
  if (cpu.getDr(7) & DR7_GD) {
    cpu.setDr(6, (cpu.getDr(6) | DR6_BD) >>> 0);
    cpu.setDr(7, (cpu.getDr(7) & ~DR7_GD) >>> 0);
    return refusal(VECTOR_DB, 0);
  }
  return 0;
}

export const movFromDr: RareFunction = (m, insn) => {
  const refused = checkDebugAccess(m, insn.reg);
  if (refused === 0) m.setReg32(insn.rm, m.cpu.getDr(debugRegister(insn.reg)));
  return finish(m, refused);
};

export const movToDr: RareFunction = (m, insn) => {
  const refused = checkDebugAccess(m, insn.reg);
  if (refused !== 0) return finish(m, refused);
  const register = debugRegister(insn.reg);
  const value = m.getReg32(insn.rm);
  if (register === 6) m.cpu.setDr(6, ((value & DR6_WRITABLE) | DR6_FIXED) >>> 0);
  else if (register === 7) m.cpu.setDr(7, ((value & DR7_WRITABLE) | DR7_FIXED) >>> 0);
  else m.cpu.setDr(register, value);
  return next(m, insn.nextEip);
};

export const clts: RareFunction = (m) => {
  if (m.cpu.cpl !== 0) return finish(m, GP0);
  m.cpu.cr0 = (m.cpu.cr0 & ~CR0_TS) >>> 0;
  return RARE_NEXT;
};

/** Sets PE, MP, EM and TS; PE is never cleared. */
export const lmsw: RareFunction = (m, insn) => {
  if (m.cpu.cpl !== 0) return finish(m, GP0);
  const word = insn.isMemory ? load(m.cpu, insn.segment, insn.offset, 2) : m.getReg16(insn.rm);
  if (word < 0) return finish(m, -word);
  setCr0(m.cpu, (m.cpu.cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (word & 15));
  return RARE_NEXT;
};

/** A 32-bit register gets all of CR0, as processors do though the manual leaves the upper half undefined. */
export const smsw: RareFunction = (m, insn) =>
  storeWord(m, insn, insn.isMemory ? m.cpu.cr0 & 0xffff : m.cpu.cr0);

/** The operand is an address only: neither its segment's limit nor its page is looked at. */
export const invlpg: RareFunction = (m, insn) => {
  if (m.cpu.cpl !== 0) return finish(m, GP0);
  m.cpu.flushTlbPage((m.cpu.getSegmentBase(insn.segment) + insn.offset) >>> 0);
  return RARE_NEXT;
};

/** INVD, WBINVD: memory is always coherent here. */
export const invalidateCaches: RareFunction = (m) => finish(m, m.cpu.cpl !== 0 ? GP0 : 0);

export const hlt: RareFunction = (m) => (m.cpu.cpl !== 0 ? finish(m, GP0) : m.halt());
