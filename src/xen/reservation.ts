/** Giving a domain frames and taking them back: the rules of memory_op (hypercalls.md 4.7), without guest pointers. */
import { charge } from './charge.ts';
import { deny, hex } from './denial.ts';
import type { Domain } from './domain.ts';
import { allocateDomainFrames } from './domain-memory.ts';
import { FRAME_ALLOCATED, FRAME_XEN_HEAP } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { dropAllocation, getPage, putPage } from './page-types.ts';
import { releasePin } from './pinning.ts';

/** Largest order that a domain may ask for: 3.0.2 without I/O rights none; 4.17 up to 2 MiB. */
export function mayUseOrder(domain: Domain, order: number): boolean {
  if (domain.privileged) return order <= 18;
  return domain.personality === '3.0.2' ? order === 0 : order <= 9;
}

/** What the search for a run of frames looks at in the time of one entry. */
const PLACES_PER_ENTRY = 64;

/** The time of an extent beyond its first frame, which is the batch's own entry. */
export function chargeExtent(hv: Hypervisor, order: number, searched: number): void {
  if (order > 0) charge(hv, hv.costs.entryCheck * (2 ** order - 1 + Math.floor(searched / PLACES_PER_ENTRY)));
}

/** 2^order new zeroed frames; the first, or -1 when the domain's limit or the machine's memory does not allow it. */
export function giveFrames(hv: Hypervisor, domain: Domain, order: number): number {
  if (!mayUseOrder(domain, order)) {
    deny(-1, 'extent-order', `domain ${domain.id} may not have extents of order ${order}`, 'order 0');
    return -1;
  }
  hv.frames.searched = 0;
  const mfn = allocateDomainFrames(hv, domain, order);
  chargeExtent(hv, mfn < 0 ? Math.min(order, 1) : order, hv.frames.searched);
  if (mfn < 0) {
    deny(
      -1,
      'no-memory',
      domain.totalFrames + 2 ** order > domain.maxFrames
        ? `domain ${domain.id} has ${domain.totalFrames} of ${domain.maxFrames} frames`
        : 'the machine has no such run of free frames',
      'fewer or smaller extents',
    );
  }
  return mfn;
}

/** Takes one frame back: its pin goes, its allocation too; it is free when nothing maps it any more. */
export function takeFrame(hv: Hypervisor, domain: Domain, mfn: number): boolean {
  const { frames } = hv;
  if (getPage(frames, mfn, domain.id) !== 0) return false;
  // The frames that Xen shares with a domain are not the domain's to give back.
  if (frames.flags[mfn]! & FRAME_XEN_HEAP) {
    deny(-1, 'xen-frame', `frame ${hex(mfn)} is the hypervisor's`, "frames of the domain's own memory", mfn);
    putPage(hv, mfn);
    return false;
  }
  releasePin(hv, mfn);
  const had = dropAllocation(hv, mfn);
  if (!had) deny(-1, 'given-back', `frame ${hex(mfn)} was given back before`, 'each frame once', mfn);
  putPage(hv, mfn);
  return had;
}

/** memory_op exchange may only take frames that nothing else holds. @returns false: nothing happened. */
export function isExclusive(hv: Hypervisor, domain: Domain, mfn: number): boolean {
  const { frames } = hv;
  return (
    mfn < frames.total &&
    frames.owner[mfn] === domain.id &&
    frames.references[mfn] === 1 &&
    frames.typeCount[mfn] === 0 &&
    (frames.flags[mfn]! & (FRAME_XEN_HEAP | FRAME_ALLOCATED)) === FRAME_ALLOCATED
  );
}
