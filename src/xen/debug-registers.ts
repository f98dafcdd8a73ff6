/**
 * Virtual debug registers, one set per vcpu: which values are accepted (hypercalls.md 3.6) and putting them on the
 * processor. Used by set_debugreg, get_debugreg, emulated MOV DR and vcpu contexts.
 */
import { EINVAL, ENODEV, EPERM } from './abi/errno.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Vcpu } from './vcpu.ts';

const DR6_FIXED_302 = 0xffff_0ff0;
const DR6_CLEAR = 0xffff_efff;
const DR7_GENERAL_DETECT = 0x2000;
const DR7_KEEP = 0xffff_27ff;
const DR7_FIXED = 0x400;

/** R/W or LEN field with the value 2: an I/O breakpoint, or the reserved length. */
function hasForbiddenField(dr7: number): boolean {
  for (let shift = 16; shift < 32; shift += 2) if (((dr7 >>> shift) & 3) === 2) return true;
  return false;
}

/** The register that `index` names: 4 and 5 are 6 and 7 in 4.17 (virtual CR4.DE is always 0). */
function registerOf(vcpu: Vcpu, index: number): number {
  return vcpu.domain.personality === '4.17' && (index === 4 || index === 5) ? index + 2 : index;
}

/** @returns 0 or an errno. */
export function setDebugRegister(hv: Hypervisor, vcpu: Vcpu, index: number, value: number): number {
  const modern = vcpu.domain.personality === '4.17';
  const register = registerOf(vcpu, index);
  if (register > 7) return modern ? ENODEV : EINVAL;
  if (register === 4 || register === 5) return EINVAL;
  let stored = value >>> 0;
  if (register <= 3) {
    if (stored + 4 > vcpu.domain.holeStart) return EPERM;
  } else if (register === 6) {
    stored = ((value & DR6_CLEAR) | DR6_FIXED_302) >>> 0;
  } else if (value !== 0 || modern) {
    if (value & DR7_GENERAL_DETECT) return EPERM;
    if (hasForbiddenField(value)) return EPERM;
    stored = ((value & DR7_KEEP) | DR7_FIXED) >>> 0;
  }
  vcpu.debugRegisters[register] = stored;
  if (vcpu === hv.current) loadDebugRegister(hv, vcpu, register);
  return 0;
}

/** @returns the stored value (unsigned), or an errno (negative). */
export function getDebugRegister(vcpu: Vcpu, index: number): number {
  const register = registerOf(vcpu, index);
  if (register > 7) return vcpu.domain.personality === '4.17' ? ENODEV : EINVAL;
  return vcpu.debugRegisters[register]!;
}

function loadDebugRegister(hv: Hypervisor, vcpu: Vcpu, register: number): void {
  const value = vcpu.debugRegisters[register]!;
  if (hv.cpu.getDr(register) !== value) hv.cpu.setDr(register, value);
}

/** At schedule-in. */
export function loadDebugRegisters(hv: Hypervisor, vcpu: Vcpu): void {
  for (const register of [0, 1, 2, 3, 6, 7]) loadDebugRegister(hv, vcpu, register);
}
