/** The operations of mmuext_op that take no guest pointer (hypercalls.md 4.5). */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { EACCES, EINVAL } from './abi/errno.ts';
import { charge } from './charge.ts';
import { deny, lastReason } from './denial.ts';
import type { Domain } from './domain.ts';
import { crashDomain } from './domain-lifecycle.ts';
import { TYPE_writable } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { getPage, putPage } from './page-types.ts';
import { dropRoot, setRoot } from './roots.ts';
import { getPageAndType, putPageAndType } from './validate.ts';
import type { Vcpu } from './vcpu.ts';

/**
 * MMUEXT_NEW_BASEPTR. 3.0.2 takes the vcpu off its old tables when the new ones are refused, tries once more, and
 * ends the domain when they are refused again.
 */
export function newBasePointer(hv: Hypervisor, vcpu: Vcpu, mfn: number): number {
  const errno = setRoot(hv, vcpu, mfn);
  if (errno === 0 || vcpu.domain.personality !== '3.0.2') return errno;
  dropRoot(hv, vcpu);
  const again = setRoot(hv, vcpu, mfn);
  if (again !== 0) {
    crashDomain(hv, vcpu, {
      operation: 'MMUEXT_NEW_BASEPTR',
      rule: 'bad-root-table',
      mfn,
      because: `the new root table was refused: ${lastReason()}`,
      legal: 'a root table that passes validation',
    });
  }
  return again;
}

/** MMUEXT_TLB_FLUSH_*. Only the vcpu on the processor has entries to lose; others lose theirs when they come on. */
export function flushTlb(hv: Hypervisor): number {
  hv.cpu.flushTlb();
  charge(hv, hv.costs.baseSwitch);
  return 0;
}

/** MMUEXT_INVLPG_*. */
export function flushPage(hv: Hypervisor, va: number): number {
  hv.cpu.flushTlbPage(va);
  charge(hv, hv.costs.invlpg);
  return 0;
}

/** MMUEXT_FLUSH_CACHE: nothing to write back, but a right to have. */
export function flushCache(domain: Domain, everywhere: boolean): number {
  if (domain.privileged) return 0;
  return deny(
    everywhere || domain.personality === '3.0.2' ? EINVAL : EACCES,
    'flush-cache',
    `domain ${domain.id} has no I/O memory, so it need not flush caches`,
    'nothing; caches are coherent',
  );
}

/** MMUEXT_CLEAR_PAGE. @param owner domid that must own the frame. */
export function clearPage(hv: Hypervisor, owner: number, mfn: number): number {
  if (getPageAndType(hv, mfn, owner, TYPE_writable) !== 0) return EINVAL;
  hv.memory.zeroFrame(mfn);
  putPageAndType(hv, mfn);
  return 0;
}

/** MMUEXT_COPY_PAGE. */
export function copyPage(hv: Hypervisor, owner: number, to: number, from: number): number {
  if (getPage(hv.frames, from, owner) !== 0) return EINVAL;
  let errno = 0;
  if (getPageAndType(hv, to, owner, TYPE_writable) !== 0) errno = EINVAL;
  else {
    hv.memory.writeBytes(to * FRAME_SIZE, hv.memory.bytes(from * FRAME_SIZE, FRAME_SIZE));
    putPageAndType(hv, to);
  }
  putPage(hv, from);
  return errno;
}
