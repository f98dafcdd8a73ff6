/**
 * Which faults are worth remembering for the sentence about a domain's end: those that the hypervisor's discipline
 * caused or that nobody expects of a healthy kernel. Demand paging, copy-on-write and user mistakes are not noted.
 */

import { CS } from '../cpu/layout.ts';
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { TYPE_descriptor, TYPE_l1, TYPE_ldt, typeName, typeNoun } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { refuse } from './refuse.ts';
import type { Vcpu } from './vcpu.ts';

const hex = (n: number) => (n >>> 0).toString(16);
const BYTES_KEPT = 15;

/** The bytes at eip as hex, for a disassembler to name the instruction. */
export function codeBytes(hv: Hypervisor): string {
  const start = hv.cpu.getSegmentBase(CS) + hv.cpu.eip;
  let text = '';
  for (let i = 0; i < BYTES_KEPT; i++) {
    const maddr = hv.cpu.peekTranslate((start + i) >>> 0);
    if (maddr < 0) break;
    text += hv.memory.read8(maddr).toString(16).padStart(2, '0');
  }
  return text;
}

const BECAUSE: Record<number, string> = {
  0: 'the divisor is 0, or the quotient is too large',
  5: 'the index is outside the bounds',
  6: 'the processor does not know this instruction',
  16: 'it met an x87 exception that is not masked',
  17: 'the address is not aligned',
  19: 'it met an SSE exception that is not masked',
};
const CODE_IDT = 2;

/** Why, for everything but page faults. Codes of 10 to 13 name a selector, or the vector of an `int n`. */
function because(vector: number, code: number): string {
  if (code > 0 && code & CODE_IDT) return `ring 1 may not raise vector ${hex(code >> 3)}`;
  if (code > 0) return `selector ${hex(code & ~3)} names no segment that can be used so`;
  return BECAUSE[vector] ?? 'ring 1 may not do this, or not at this address';
}

const DISCIPLINE: readonly number[] = [TYPE_descriptor, TYPE_ldt];

export function noteFault(hv: Hypervisor, vcpu: Vcpu, vector: number, code: number, va = -1): void {
  if (hv.cpu.cpl !== 1) return;
  const domain = vcpu.domain;
  const instruction = codeBytes(hv);
  if (vector !== 14) {
    refuse(hv, vcpu, {
      operation: 'instruction',
      rule: 'fault-in-kernel',
      outcome: { vector, code },
      instruction,
      because: because(vector, code),
    });
    return;
  }
  if (va >= domain.holeStart) {
    refuse(hv, vcpu, {
      operation: code & 2 ? 'store' : 'access',
      rule: 'access-to-hypervisor-hole',
      outcome: { vector, code },
      va,
      instruction,
      because: `addresses from ${hex(domain.holeStart)} on belong to the hypervisor`,
      legal: 'only the machine-to-physical table there may be read, as far as RAM exists',
    });
    return;
  }
  const store = (code & 3) === 3;
  const maddr = store ? hv.cpu.peekTranslate(va) : -1;
  if (maddr < 0) {
    refuse(hv, vcpu, {
      operation: code & 2 ? 'store' : code & 16 ? 'fetch' : 'load',
      rule: code & 1 ? 'page-protection' : 'not-mapped',
      outcome: { vector, code },
      va,
      instruction,
      because: code & 1 ? 'the page table forbids it' : 'nothing is mapped there',
    });
    return;
  }
  const mfn = Math.floor(maddr / FRAME_SIZE);
  const type = hv.frames.type[mfn]!;
  const inUse = hv.frames.typeCount[mfn]! > 0;
  if (inUse && type >= TYPE_l1 && type <= TYPE_l1 + 2) {
    refuse(hv, vcpu, {
      operation: 'store',
      rule: `store-to-l${type}-table`,
      outcome: { vector, code },
      va,
      mfn,
      frameType: typeName(type),
      entry: Math.floor((maddr % FRAME_SIZE) / domain.entryBytes),
      instruction,
      because: `frame ${hex(mfn)} is in use as ${typeNoun(type)}, which the guest may only read`,
      legal:
        type === TYPE_l1
          ? 'an mmu_update or update_va_mapping call, or the writable page-table assist, may change the entry'
          : 'an mmu_update call may change the entry',
    });
  } else if (inUse && DISCIPLINE.includes(type)) {
    refuse(hv, vcpu, {
      operation: 'store',
      rule: 'store-to-descriptor-page',
      outcome: { vector, code },
      va,
      mfn,
      frameType: typeName(type),
      entry: Math.floor((maddr % FRAME_SIZE) / 8),
      instruction,
      because: `frame ${hex(mfn)} is in use as ${typeNoun(type)}, which the guest may only read`,
      legal: 'an update_descriptor call may change the entry',
    });
  } else {
    refuse(hv, vcpu, {
      operation: 'store',
      rule: 'page-protection',
      outcome: { vector, code },
      va,
      instruction,
      because: 'the page is mapped read-only',
    });
  }
}
