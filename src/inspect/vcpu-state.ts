/**
 * One reader for a vcpu's registers: those of the vcpu on the processor are in the state block, those of the others
 * in their saved copy, which has the same layout with the arithmetic flags in place.
 */
import { CPU_STATE_SIZE, FIELDS, type FieldName } from '../cpu/layout.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { currentOf } from '../xen/physical-cpus.ts';
import type { Vcpu } from '../xen/vcpu.ts';

const scratch = new Uint8Array(CPU_STATE_SIZE); // of the current vcpu; valid until the next call

export class VcpuState {
  readonly #view: DataView;
  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A 32-bit field, unsigned; element `index` of it. */
  u32(field: FieldName, index = 0): number {
    return this.#view.getUint32(FIELDS[field].offset + index * 4, true);
  }
  u16(field: FieldName): number {
    return this.#view.getUint16(FIELDS[field].offset, true);
  }
  /** x87 physical register: significand words and the 16 bits of sign and exponent. */
  fpr(index: number): { low: number; high: number; signExponent: number } {
    const at = FIELDS.fpr.offset + index * 16;
    return {
      low: this.#view.getUint32(at, true),
      high: this.#view.getUint32(at + 4, true),
      signExponent: this.#view.getUint16(at + 8, true),
    };
  }
}

export function vcpuState(hv: Hypervisor, vcpu: Vcpu): VcpuState {
  if (hv.current !== vcpu) return new VcpuState(vcpu.saved);
  hv.cpu.saveState(scratch);
  return new VcpuState(scratch);
}

/** Number of the physical CPU that the vcpu is on. */
export function pcpuOf(hv: Hypervisor, vcpu: Vcpu): number | null {
  for (const cpu of hv.pcpus) if (currentOf(hv, cpu) === vcpu) return cpu.id;
  return null;
}

export function findVcpu(hv: Hypervisor, domid: number, vcpu: number): Vcpu | undefined {
  return hv.domains[domid]?.vcpus[vcpu];
}
