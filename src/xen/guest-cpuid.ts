/**
 * What the forced CPUID instruction tells a guest: the processor's leaves, filtered as the domain's hypervisor does,
 * and in 4.17 the hypervisor leaves. cpu-and-events.md section 7.
 */
import { type CpuidResult, cpuid } from '../cpu/rare/cpuid.ts';
import type { Domain } from './domain.ts';

const HIDDEN_302 = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 11) | (1 << 13); // VME DE PSE SEP PGE
const MTRR = 1 << 12;
const ECX_HYPERVISOR = 0x8000_0000;
const XEN_LEAF = 0x4000_0000;
const XEN_HIGHEST = 0x4000_0005;
const VERSION_417 = (4 << 16) | 17;
/** Bits of a machine address: the lab has no frame above 4 GiB. */
const MACHINE_ADDRESS_BITS = 32;
const TSC_KHZ = 1_000_000;

const result = (eax: number, ebx: number, ecx: number, edx: number): CpuidResult => ({ eax, ebx, ecx, edx });
const NOTHING = result(0, 0, 0, 0);

function xenLeaf(leaf: number, subLeaf: number): CpuidResult {
  switch (leaf - XEN_LEAF) {
    case 0:
      return result(XEN_HIGHEST, 0x566e_6558, 0x6558_4d4d, 0x4d4d_566e); // "XenV" "MMXe" "nVMM"
    case 1:
      return result(VERSION_417, 0, 0, 0);
    case 2:
      return result(1, 0x4000_0000, 0, 0);
    case 3:
      return subLeaf === 0 ? result(0, 0, TSC_KHZ, 0) : NOTHING;
    case 5:
      return result(0, MACHINE_ADDRESS_BITS, 0, 0);
    default:
      return NOTHING;
  }
}

export function guestCpuid(domain: Domain, leaf: number, subLeaf: number): CpuidResult {
  leaf >>>= 0;
  const modern = domain.personality === '4.17';
  if (modern && leaf >= XEN_LEAF && leaf <= XEN_LEAF + 0xff) return xenLeaf(leaf, subLeaf);
  const native = cpuid(leaf);
  if (leaf !== 1) return native;
  const hidden = HIDDEN_302 | (domain.privileged ? 0 : MTRR);
  return {
    ...native,
    ecx: modern ? (native.ecx | ECX_HYPERVISOR) >>> 0 : native.ecx,
    edx: (native.edx & ~hidden) >>> 0,
  };
}
