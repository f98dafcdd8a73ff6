/**
 * A domain's memory as a whole: pages that it gets from the Xen heap, frames handed to it, and giving everything
 * back when it is destroyed (memory.md section 12).
 */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { dropGdt, dropLdt } from './descriptor-tables.ts';
import type { Domain } from './domain.ts';
import type { DomainMemory } from './domain-lifecycle.ts';
import { FRAME_XEN_HEAP, OWNER_ORPHAN, TYPE_l2 } from './frames.ts';
import { createGrantTable, releaseGrants } from './grants.ts';
import type { Hypervisor } from './hypervisor.ts';
import { INVALID_M2P_ENTRY } from './m2p.ts';
import { entryMfn, PTE_PRESENT, readLow, storeEntry, XEN_SLOT_2L } from './page-table-entries.ts';
import { dropAllocation, dropType } from './page-types.ts';
import { releasePin } from './pinning.ts';
import { dropRoot } from './roots.ts';
import { isTableInUse, putPageAndType, undoAll } from './validate.ts';

/** One zeroed frame for a domain within its limit; -1: the limit is reached or no memory is left. */
export function allocateDomainFrame(hv: Hypervisor, domain: Domain): number {
  return allocateDomainFrames(hv, domain, 0);
}

/** 2^order contiguous frames; the first, or -1. */
export function allocateDomainFrames(hv: Hypervisor, domain: Domain, order: number): number {
  const size = 2 ** order;
  if (domain.dying || domain.totalFrames + size > domain.maxFrames) return -1;
  const mfn = hv.frames.allocDomainFrames(domain.id, order);
  if (mfn >= 0) domain.totalFrames += size;
  return mfn;
}

/** A zeroed page of the Xen heap that a domain may map: shared_info, grant frames. -1: the heap is empty. */
export function allocateSharedFrame(hv: Hypervisor, domain: Domain): number {
  const mfn = hv.frames.allocXenFrame(domain.id);
  if (mfn >= 0) hv.m2p.set(mfn, INVALID_M2P_ENTRY);
  return mfn;
}

/** A shared page's permanent type reference and its allocation end together. */
function freeSharedFrame(hv: Hypervisor, mfn: number): void {
  dropType(hv.frames, mfn);
  dropAllocation(hv, mfn);
}

/** Every frame whose owner is the domain, Xen-heap pages included. */
export function* framesOf(hv: Hypervisor, domain: Domain): Generator<number> {
  const { owner, total } = hv.frames;
  for (let mfn = 0; mfn < total; mfn++) if (owner[mfn] === domain.id) yield mfn;
}

/**
 * Gives back all that a domain holds. What other domains still map stays alive, without an owner, until they let go.
 * The domain must not run any more, and must still be in hv.domains.
 */
export function releaseDomainMemory(hv: Hypervisor, domain: Domain): void {
  const { frames } = hv;
  // Its tables may be on another's list as well: that of a domain that changed them in its place.
  for (const other of hv.domains) if (other) undoAll(hv, other);
  for (const mfn of framesOf(hv, domain)) releasePin(hv, mfn);
  for (const vcpu of domain.vcpus) {
    dropGdt(hv, vcpu);
    dropLdt(hv, vcpu);
    vcpu.ldtBase = 0;
    vcpu.ldtEntries = 0;
    dropRoot(hv, vcpu);
    if (vcpu.vcpuInfoRegistered) {
      vcpu.vcpuInfoRegistered = false;
      putPageAndType(hv, vcpu.vcpuInfo >>> 12);
    }
  }
  releaseGrants(hv, domain);
  if (domain.entryBytes === 4) {
    for (const mfn of framesOf(hv, domain)) if (isTableInUse(hv, mfn, TYPE_l2)) cutLinearEntries(hv, mfn);
  }
  for (const mfn of framesOf(hv, domain)) {
    if (frames.flags[mfn]! & FRAME_XEN_HEAP) freeSharedFrame(hv, mfn);
    else dropAllocation(hv, mfn);
    if (frames.owner[mfn] === domain.id) frames.owner[mfn] = OWNER_ORPHAN;
  }
  domain.totalFrames = 0;
  domain.grantFrames.length = 0;
  domain.sharedInfoMfn = 0;
}

/** Linear entries can hold tables in a circle that nothing else holds: they are cut by force. */
function cutLinearEntries(hv: Hypervisor, table: number): void {
  for (let i = 0; i < XEN_SLOT_2L; i++) {
    const at = table * FRAME_SIZE + i * 4;
    const low = readLow(hv.memory, at);
    if (!(low & PTE_PRESENT)) continue;
    const target = entryMfn(low, 0);
    if (target === table || hv.frames.type[target] !== TYPE_l2) continue;
    storeEntry(hv.memory, at, 4, 0, 0);
    putPageAndType(hv, target);
    if (!isTableInUse(hv, table, TYPE_l2)) return;
  }
}

/**
 * What the domain's creation and destruction need of the memory side. A new domain gets its shared_info frame and its
 * grant table.
 */
export const domainMemory: DomainMemory = {
  allocateShared: (hv, domain) => {
    const mfn = allocateSharedFrame(hv, domain);
    if (mfn < 0 || createGrantTable(hv, domain)) return mfn;
    for (const grantMfn of domain.grantFrames.splice(0)) freeSharedFrame(hv, grantMfn);
    freeSharedFrame(hv, mfn);
    return -1;
  },
  release: releaseDomainMemory,
};
