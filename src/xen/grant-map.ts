/**
 * Mapping a granted frame into the caller's page tables, and unmapping it (hypercalls.md 4.8). The L1 entry that is
 * written takes over the reference that acquireGrant took; the entry it replaces lets go of its own.
 */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { charge } from './charge.ts';
import type { Domain } from './domain.ts';
import { TYPE_l1, TYPE_writable } from './frames.ts';
import { GRANTS_PER_FRAME, type GrantMapping } from './grant-books.ts';
import {
  acquired,
  acquireGrant,
  dropGrantReference,
  endMapping,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_handle,
  GNTST_bad_virt_addr,
  GNTST_general_error,
  GNTST_no_device_space,
  GNTST_no_space,
  GNTST_okay,
  grantEntries,
  maxGrantFrames,
  newHandle,
  releaseGrant,
  statusWithoutGranter,
} from './grants.ts';
import type { Hypervisor } from './hypervisor.ts';
import {
  entryMfn,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_NX,
  PTE_PRESENT,
  PTE_RW,
  PTE_USER,
  readHigh,
  readLow,
  storeEntry,
} from './page-table-entries.ts';
import { addReference, dropType, takeType } from './page-types.ts';
import { l1EntryAddress } from './table-updates.ts';
import { isTableInUse, putFromEntry } from './validate.ts';
import type { Vcpu } from './vcpu.ts';

export const GNTMAP_device_map = 1;
export const GNTMAP_host_map = 2;
export const GNTMAP_readonly = 4;
export const GNTMAP_application_map = 8;
export const GNTMAP_contains_pte = 16;
const GNTMAP_AVAIL_SHIFT = 16;
const PTE_AVAIL_SHIFT = 9;

const MAX_HANDLES = 65_536;
const EFER_NXE = 1 << 11;

/** SCRATCH: what mapGrant hands to the guest besides the status. */
export const mapped = { handle: 0, mfn: 0 };

/** GNTTABOP_map_grant_ref. @returns a GNTST status. */
export function mapGrant(
  hv: Hypervisor,
  vcpu: Vcpu,
  hostAddress: number,
  flags: number,
  ref: number,
  domid: number,
): number {
  const { domain } = vcpu;
  const modern = domain.personality !== '3.0.2';
  if (!(flags & (GNTMAP_device_map | GNTMAP_host_map))) return GNTST_bad_gntref;
  if (!modern && ref >= maxGrantFrames(domain) * GRANTS_PER_FRAME) return GNTST_bad_gntref;
  const granter = hv.domains[domid];
  if (!granter) return statusWithoutGranter(domid);
  if (granter === domain && !modern) return GNTST_bad_domain;
  if (ref >= grantEntries(granter)) return GNTST_bad_gntref;
  if (domain.grants.mappings.length >= MAX_HANDLES && !domain.grants.mappings.includes(null)) {
    return modern ? GNTST_no_space : GNTST_no_device_space;
  }
  const readonly = (flags & GNTMAP_readonly) !== 0;
  const host = (flags & GNTMAP_host_map) !== 0;
  const device = (flags & GNTMAP_device_map) !== 0;
  const status = acquireGrant(hv, granter, ref, domain.id, readonly);
  if (status !== GNTST_okay) return status;
  const mfn = acquired.mfn;

  // The reference just taken is the L1 entry's; a device mapping beside it needs one more.
  if (host && device && !addSecondReference(hv, mfn, readonly)) {
    dropGrantReference(hv, mfn, readonly);
    releaseGrant(hv, granter, ref, readonly);
    return GNTST_general_error;
  }
  if (host && !writeHostEntry(hv, vcpu, hostAddress, flags, mfn)) {
    if (device) dropGrantReference(hv, mfn, readonly);
    dropGrantReference(hv, mfn, readonly);
    releaseGrant(hv, granter, ref, readonly);
    return GNTST_general_error;
  }
  const byEntry = (flags & GNTMAP_contains_pte) !== 0;
  mapped.handle = newHandle(domain, { granter: granter.id, ref, mfn, readonly, host, byEntry, device });
  mapped.mfn = mfn;
  return GNTST_okay;
}

function addSecondReference(hv: Hypervisor, mfn: number, readonly: boolean): boolean {
  if (!readonly && takeType(hv.frames, mfn, TYPE_writable) !== 0) return false;
  if (addReference(hv.frames, mfn) === 0) return true;
  if (!readonly) dropType(hv.frames, mfn);
  return false;
}

function writeHostEntry(hv: Hypervisor, vcpu: Vcpu, address: number, flags: number, mfn: number): boolean {
  const { domain } = vcpu;
  const at = hostEntry(hv, vcpu, address, (flags & GNTMAP_contains_pte) !== 0);
  if (at < 0) return false;
  let low = (mfn << 12) | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY;
  if (!(flags & GNTMAP_readonly)) low |= PTE_RW;
  if (flags & GNTMAP_application_map) low |= PTE_USER;
  let high = 0;
  if (domain.personality !== '3.0.2') {
    low |= ((flags >>> GNTMAP_AVAIL_SHIFT) & 7) << PTE_AVAIL_SHIFT;
    if (hv.cpu.efer & EFER_NXE) high = PTE_NX;
  }
  replaceEntry(hv, domain, at, low >>> 0, high);
  return true;
}

/** Stores an entry whose reference is already taken, and drops what the old one held. */
function replaceEntry(hv: Hypervisor, domain: Domain, at: number, low: number, high: number): void {
  const oldLow = readLow(hv.memory, at);
  const oldHigh = readHigh(hv.memory, at, domain.entryBytes);
  charge(hv, hv.costs.entryCheck);
  storeEntry(hv.memory, at, domain.entryBytes, low, high);
  if (oldLow & PTE_PRESENT) putFromEntry(hv, Math.floor(at / FRAME_SIZE), TYPE_l1, oldLow, oldHigh);
}

/** Machine address of the L1 entry that host_addr names; -1: none that the caller may change. */
function hostEntry(hv: Hypervisor, vcpu: Vcpu, address: number, byEntry: boolean): number {
  const { domain } = vcpu;
  if (!byEntry) {
    return address >= domain.holeStart ? -1 : l1EntryAddress(hv, domain, vcpu.rootMfn, address);
  }
  const table = Math.floor(address / FRAME_SIZE);
  if (table >= hv.frames.total || address % domain.entryBytes !== 0) return -1;
  return hv.frames.owner[table] === domain.id && isTableInUse(hv, table, TYPE_l1) ? address : -1;
}

/** GNTTABOP_unmap_grant_ref; an address of 0 leaves that part of the mapping. */
export function unmapGrant(
  hv: Hypervisor,
  vcpu: Vcpu,
  hostAddress: number,
  busAddress: number,
  handle: number,
): number {
  const { domain } = vcpu;
  const mapping = domain.grants.mappings[handle];
  if (!mapping) return GNTST_bad_handle;
  if (busAddress !== 0) {
    if (Math.floor(busAddress / FRAME_SIZE) !== mapping.mfn) return GNTST_general_error;
    if (mapping.device) {
      mapping.device = false;
      dropGrantReference(hv, mapping.mfn, mapping.readonly);
    }
  }
  let status = GNTST_okay;
  if (hostAddress !== 0 && mapping.host) {
    const at = hostEntry(hv, vcpu, hostAddress, mapping.byEntry);
    if (at >= 0 && isMappingOf(hv, domain, at, mapping)) {
      mapping.host = false;
      replaceEntry(hv, domain, at, 0, 0);
    } else status = GNTST_general_error;
  }
  if (!mapping.host && !mapping.device) endMapping(hv, domain, handle);
  return status;
}

/**
 * Does the entry map the granted frame, with the rights that the mapping has? Of two mappings of one frame the entry
 * of the read-only one must not stand in for the writable one, which would stay behind unknown to the granter.
 */
function isMappingOf(hv: Hypervisor, domain: Domain, at: number, mapping: GrantMapping): boolean {
  const low = readLow(hv.memory, at);
  const writable = (low & PTE_RW) !== 0;
  return (
    (low & PTE_PRESENT) !== 0 &&
    writable !== mapping.readonly &&
    entryMfn(low, readHigh(hv.memory, at, domain.entryBytes)) === mapping.mfn
  );
}

/** GNTTABOP_unmap_and_replace: the mapping gives way to the page that new_addr maps, which loses its own. */
export function unmapAndReplace(
  hv: Hypervisor,
  vcpu: Vcpu,
  hostAddress: number,
  newAddress: number,
  handle: number,
): number {
  const { domain } = vcpu;
  const mapping = domain.grants.mappings[handle];
  if (!mapping) return GNTST_bad_handle;
  if (!mapping.host || mapping.byEntry) return GNTST_general_error;
  const at = hostEntry(hv, vcpu, hostAddress, false);
  if (at < 0 || !isMappingOf(hv, domain, at, mapping)) return GNTST_general_error;
  const from = newAddress === 0 ? -1 : hostEntry(hv, vcpu, newAddress, false);
  if (newAddress !== 0 && (from < 0 || from === at)) return GNTST_bad_virt_addr;
  let low = 0;
  let high = 0;
  if (from >= 0) {
    low = readLow(hv.memory, from);
    high = readHigh(hv.memory, from, domain.entryBytes);
    // The entry moves with the reference it holds.
    storeEntry(hv.memory, from, domain.entryBytes, 0, 0);
  }
  mapping.host = false;
  replaceEntry(hv, domain, at, low, high);
  if (!mapping.device) endMapping(hv, domain, handle);
  return GNTST_okay;
}
