/** Hypercalls 14 and 22: update_va_mapping, and the form whose frame belongs to another domain. */
import { EFAULT, EPERM } from '../abi/errno.ts';
import { refuseDenied } from '../denial.ts';
import { frameOwnerFor } from '../foreign.ts';
import { flushPage, flushTlb } from '../mmuext-op.ts';
import { refuseWith } from '../refuse.ts';
import { updateVaMapping } from '../update-va-mapping.ts';
import type { Caller, HypercallRow } from './row.ts';

const UVMF_TLB_FLUSH = 1;
const UVMF_INVLPG = 2;
const UVMF_FLUSHTYPE = 3;
const UVMF_LOCAL = 0;
const UVMF_ALL = 4;

/** The flush that `flags` asks for. @returns 0 or EFAULT. */
function flush({ hv, domain, vcpu }: Caller, va: number, flags: number): number {
  const type = flags & UVMF_FLUSHTYPE;
  if (type !== UVMF_TLB_FLUSH && type !== UVMF_INVLPG) return 0;
  const who = (flags & ~UVMF_FLUSHTYPE) >>> 0;
  if (who !== UVMF_LOCAL && who !== UVMF_ALL) {
    const bitmap = hv.guest.readU32(domain, who);
    if (bitmap < 0) return EFAULT;
    if (!(bitmap & (1 << vcpu.id))) return 0;
  }
  return type === UVMF_TLB_FLUSH ? flushTlb(hv) : flushPage(hv, va);
}

function update(caller: Caller, args: Uint32Array, owner: number, operation: string): number {
  const { hv, domain, vcpu } = caller;
  const va = args[0]!;
  const errno = updateVaMapping(hv, vcpu, owner, va, args[1]!, args[2]!);
  if (errno === 0) return flush(caller, va, args[3]!);
  const answer = refuseDenied(hv, vcpu, operation, errno, args[1]!, args[2]!, va);
  // 3.0.2 flushes whether the entry was accepted or not.
  if (domain.personality === '3.0.2') flush(caller, va, args[3]!);
  return answer;
}

const ARGS = [
  { name: 'va', as: 'va' },
  { name: 'val', as: 'u64' },
  { name: 'flags', as: 'flags' },
] as const;

export const updateVaMappingRow: HypercallRow = {
  number: 14,
  name: 'update_va_mapping',
  args: ARGS,
  doc: 'Replaces the L1 entry that maps an address in the current address space, then flushes as asked.',
  seed: 'update_va_mapping',
  run: (caller, args) => update(caller, args, caller.domain.id, 'update_va_mapping'),
};

export const updateVaMappingOtherdomainRow: HypercallRow = {
  number: 22,
  name: 'update_va_mapping_otherdomain',
  args: [...ARGS, { name: 'domid', as: 'domid' }],
  doc: 'As update_va_mapping, for a frame of another domain. For control domains.',
  run: (caller, args) => {
    const { hv, domain, vcpu } = caller;
    const operation = 'update_va_mapping_otherdomain';
    if (domain.personality === '3.0.2' && !domain.privileged) {
      return refuseWith(hv, vcpu, EPERM, {
        operation,
        rule: 'foreign-domain',
        because: `domain ${domain.id} has no rights over other domains`,
        legal: 'update_va_mapping may map its own frames',
      });
    }
    const owner = frameOwnerFor(hv, domain, args[4]!);
    if (owner < 0) return refuseDenied(hv, vcpu, operation, owner);
    return update(caller, args, owner, operation);
  },
};
