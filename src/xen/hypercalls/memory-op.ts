/**
 * Hypercall 12, memory_op: reservations, and where the M2P is (hypercalls.md 4.7). The upper bits of the command hold
 * the first extent to do, as a call that is met again passes it. Reservation calls return how many extents were done.
 */
import { EACCES, EFAULT, EINVAL, ENOMEM, ENOSYS, EPERM, ESRCH } from '../abi/errno.ts';
import { inout, type StructType, struct, u16, u32 } from '../abi/struct.ts';
import {
  xen_machphys_mapping,
  xen_machphys_mfn_list,
  xen_memory_map,
  xen_memory_reservation,
} from '../abi/structs.ts';
import { meetAgain, partIsOver } from '../continuation.ts';
import { refuseDenied } from '../denial.ts';
import { DOMID_SELF, type Domain } from '../domain.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { M2P_WINDOW } from '../m2p.ts';
import { chargeExtent, giveFrames, isExclusive, mayUseOrder, takeFrame } from '../reservation.ts';
import type { Caller, HypercallRow, SubOpRow } from './row.ts';

const XENMEM_increase_reservation = 0;
const XENMEM_decrease_reservation = 1;
const XENMEM_maximum_ram_page = 2;
const XENMEM_current_reservation = 3;
const XENMEM_maximum_reservation = 4;
const XENMEM_machphys_mfn_list = 5;
const XENMEM_populate_physmap = 6;
const XENMEM_add_to_physmap = 7;
const XENMEM_translate_gpfn_list = 8;
const XENMEM_memory_map = 9;
const XENMEM_machine_memory_map = 10;
const XENMEM_exchange = 11;
const XENMEM_machphys_mapping = 12;
const XENMEM_set_memory_map = 13;
const XENMEM_maximum_gpfn = 14;
const XENMEM_remove_from_physmap = 15;
const XENMEM_claim_pages = 24;

const xen_domid = struct('domid', 2, { domid: u16(0, 'domid') });
const xen_add_to_physmap = struct('xen_add_to_physmap', 16, {
  domid: u16(0, 'domid'),
  space: u32(4, 'dec'),
  idx: u32(8, 'dec'),
  gpfn: u32(12, 'hex'),
});
export const xen_memory_exchange = struct('xen_memory_exchange', 44, {
  in_extent_start: u32(0, 'va'),
  in_nr_extents: u32(4, 'dec'),
  in_extent_order: u32(8, 'dec'),
  in_mem_flags: u32(12),
  in_domid: u16(16, 'domid'),
  out_extent_start: u32(20, 'va'),
  out_nr_extents: u32(24, 'dec'),
  out_extent_order: u32(28, 'dec'),
  out_mem_flags: u32(32),
  out_domid: u16(36, 'domid'),
  nr_exchanged: inout(u32(40, 'dec')),
});

/** Those that the seed lists. */
const SEED = new Set([0, 1, 2, 3, 4, 6]);

const sub = (number: number, name: string, arg: StructType | null, doc: string): SubOpRow => ({
  number,
  name,
  arg,
  doc,
  ...(SEED.has(number) ? { seed: `memory_op(${name})` } : {}),
});
const SUB_OPS: readonly SubOpRow[] = [
  sub(0, 'XENMEM_increase_reservation', xen_memory_reservation, 'Get frames; the M2P is not set.'),
  sub(1, 'XENMEM_decrease_reservation', xen_memory_reservation, 'Give frames back.'),
  sub(2, 'XENMEM_maximum_ram_page', null, 'Number of frames up to the end of RAM.'),
  sub(3, 'XENMEM_current_reservation', xen_domid, 'Frames that a domain owns.'),
  sub(4, 'XENMEM_maximum_reservation', xen_domid, 'Frames that a domain may own.'),
  sub(5, 'XENMEM_machphys_mfn_list', xen_machphys_mfn_list, 'Frames of the M2P, by 2 MiB.'),
  sub(6, 'XENMEM_populate_physmap', xen_memory_reservation, 'Get frames for given pfns; the M2P is set.'),
  sub(7, 'XENMEM_add_to_physmap', xen_add_to_physmap, 'For translated guests only.'),
  sub(8, 'XENMEM_translate_gpfn_list', null, 'For translated guests only.'),
  sub(9, 'XENMEM_memory_map', xen_memory_map, 'The pseudo-physical memory map.'),
  sub(10, 'XENMEM_machine_memory_map', xen_memory_map, 'The memory map of the machine; privileged.'),
  sub(11, 'XENMEM_exchange', xen_memory_exchange, 'Exchange frames for others of a wanted contiguity.'),
  sub(12, 'XENMEM_machphys_mapping', xen_machphys_mapping, 'Where the M2P is mapped.'),
  sub(13, 'XENMEM_set_memory_map', null, 'Set the pseudo-physical memory map; privileged.'),
  sub(14, 'XENMEM_maximum_gpfn', xen_domid, 'Highest pfn of a domain.'),
  sub(15, 'XENMEM_remove_from_physmap', null, 'For translated guests only.'),
  sub(24, 'XENMEM_claim_pages', null, 'Set memory aside for a domain; privileged.'),
];

/** Bits of the command that are the operation; the others hold the first extent to do. */
const operationBits = (domain: Domain) => (domain.personality === '3.0.2' ? 4 : 6);
/** More extents than that could not be named in the command. */
const maxExtents = (domain: Domain) => 0xffff_ffff >>> operationBits(domain);
/** address_bits of 3.0.2 below this cannot be served when the machine's memory needs more; 0: no wish. */
const NARROW_ADDRESS_BITS = 31;
const widthOfRam = (hv: Hypervisor) => 32 - Math.clz32(hv.frames.total - 1) + 12;
/** log2 of a 2 MiB piece of the M2P. */
const MFNS_PER_PIECE = 512;
const E820_RAM = 1;
const E820_ENTRY = 20;

/** The domain that a domid argument names; an errno when the caller may not speak for it. */
function targetDomain({ hv, domain }: Caller, domid: number): Domain | number {
  if (domid === DOMID_SELF || domid === domain.id) return domain;
  const other = hv.domains[domid];
  if (!domain.privileged) return other || domain.personality === '3.0.2' ? EPERM : ESRCH;
  return other ?? ESRCH;
}

interface Reservation {
  extentStart: number;
  extents: number;
  order: number;
  target: Domain;
}

/** Reads and checks the struct. A number: what the call returns at once (3.0.2: an errno; 4.17: the start extent). */
function readReservation(caller: Caller, pointer: number, start: number): Reservation | number {
  const { hv, domain } = caller;
  const early = (errno: number) => (domain.personality === '3.0.2' ? errno : start);
  const view = hv.guest.read(domain, pointer, xen_memory_reservation.size);
  if (view === null) return early(EFAULT);
  const extentStart = view.getUint32(0, true);
  const extents = view.getUint32(4, true);
  const order = view.getUint32(8, true);
  const addressBits = view.getUint32(12, true) & 0xff;
  const domid = view.getUint16(16, true);
  if (extents > maxExtents(domain) || start > extents) return early(EINVAL);
  const tooNarrow = addressBits !== 0 && addressBits < Math.min(NARROW_ADDRESS_BITS, widthOfRam(hv));
  if (domain.personality === '3.0.2' && tooNarrow) return ENOMEM;
  const target = targetDomain(caller, domid);
  if (typeof target === 'number') return early(target);
  return { extentStart, extents, order, target };
}

/** One extent of a reservation call. @returns whether it was done; if not, the call ends with it. */
type One = (caller: Caller, r: Reservation, list: number) => boolean;

const increase: One = ({ hv, domain, vcpu }, r, list) => {
  if (r.extentStart !== 0 && !hv.guest.writable(domain, list, 4)) return false;
  const mfn = giveFrames(hv, r.target, r.order);
  if (mfn < 0) {
    refuseDenied(hv, vcpu, 'XENMEM_increase_reservation', ENOMEM);
    return false;
  }
  if (r.extentStart !== 0) hv.guest.writeU32(domain, list, mfn);
  return true;
};

const populate: One = ({ hv, domain, vcpu }, r, list) => {
  const pfn = hv.guest.readU32(domain, list);
  if (pfn < 0 || !hv.guest.writable(domain, list, 4)) return false;
  const mfn = giveFrames(hv, r.target, r.order);
  if (mfn < 0) {
    refuseDenied(hv, vcpu, 'XENMEM_populate_physmap', ENOMEM);
    return false;
  }
  for (let j = 0; j < 2 ** r.order; j++) hv.m2p.set(mfn + j, pfn + j);
  hv.guest.writeU32(domain, list, mfn);
  return true;
};

const decrease: One = ({ hv, domain, vcpu }, r, list) => {
  const first = hv.guest.readU32(domain, list);
  if (first < 0) return false;
  chargeExtent(hv, r.order, 0);
  for (let j = 0; j < 2 ** r.order; j++) {
    if (takeFrame(hv, r.target, first + j)) continue;
    refuseDenied(hv, vcpu, 'XENMEM_decrease_reservation', EINVAL);
    return false;
  }
  return true;
};

function reservation(caller: Caller, args: Uint32Array, op: number, start: number): number {
  const { hv, domain } = caller;
  const r = readReservation(caller, args[1]!, start);
  if (typeof r === 'number') return r;
  if (r.order > 18) return start;
  // 4.17 bounds the order of what is given back as well.
  const bounded = op !== XENMEM_decrease_reservation || domain.personality !== '3.0.2';
  if (bounded && !mayUseOrder(r.target, r.order)) return start;
  const one =
    op === XENMEM_increase_reservation ? increase : op === XENMEM_populate_physmap ? populate : decrease;
  for (let i = start; i < r.extents; i++) {
    if (i > start && partIsOver(hv)) {
      args[0] = op | (i << operationBits(domain));
      return meetAgain(hv);
    }
    if (!one(caller, r, r.extentStart + i * 4)) return i;
  }
  return r.extents;
}

function machphysMfnList({ hv, domain }: Caller, pointer: number): number {
  const view = hv.guest.read(domain, pointer, xen_machphys_mfn_list.size);
  if (view === null) return EFAULT;
  const max = view.getUint32(0, true);
  const list = view.getUint32(4, true);
  const pieces = Math.min(max, Math.ceil(hv.m2p.frameCount / MFNS_PER_PIECE));
  for (let i = 0; i < pieces; i++) {
    // Few enough to be done at once, but they take their time.
    if (i > 0) partIsOver(hv);
    if (!hv.guest.writeU32(domain, list + i * 4, hv.m2p.firstMfn + i * MFNS_PER_PIECE)) return EFAULT;
  }
  return hv.guest.writeU32(domain, pointer + 8, pieces) ? 0 : EFAULT;
}

/** One RAM entry of an e820 map: u64 address, u64 size, u32 type. */
function writeMap({ hv, domain }: Caller, pointer: number, frames: number): number {
  const view = hv.guest.read(domain, pointer, xen_memory_map.size);
  if (view === null) return EFAULT;
  const room = view.getUint32(0, true);
  const buffer = view.getUint32(4, true);
  if (room < 1) return EINVAL;
  const entry = new DataView(new ArrayBuffer(E820_ENTRY));
  entry.setUint32(8, (frames * 4096) >>> 0, true);
  entry.setUint32(12, Math.floor(frames / 2 ** 20), true);
  entry.setUint32(16, E820_RAM, true);
  if (!hv.guest.write(domain, buffer, new Uint8Array(entry.buffer))) return EFAULT;
  return hv.guest.writeU32(domain, pointer, 1) ? 0 : EFAULT;
}

function machphysMapping({ hv, domain }: Caller, pointer: number): number {
  const { start, end, maxMfn } = M2P_WINDOW[domain.abi];
  const bytes = new DataView(new ArrayBuffer(xen_machphys_mapping.size));
  bytes.setUint32(0, start, true);
  bytes.setUint32(4, end, true);
  bytes.setUint32(8, maxMfn, true);
  return hv.guest.write(domain, pointer, new Uint8Array(bytes.buffer)) ? 0 : EFAULT;
}

/** SCRATCH of exchange: the frames that a chunk gives up. */
const given = new Set<number>();

function exchange(caller: Caller, pointer: number): number {
  const { hv, domain } = caller;
  const view = hv.guest.readBytes(domain, pointer, xen_memory_exchange.size);
  if (view === null) return EFAULT;
  const words = new DataView(view.buffer);
  const word = (at: number) => words.getUint32(at, true);
  const [inStart, inExtents, inOrder, inDomid] = [word(0), word(4), word(8), words.getUint16(16, true)];
  const [outStart, outExtents, outOrder, outDomid] = [
    word(20),
    word(24),
    word(28),
    words.getUint16(36, true),
  ];
  const done = word(40);
  if (inOrder > 18 || outOrder > 18 || inDomid !== outDomid || inExtents > maxExtents(domain)) return EINVAL;
  if (inExtents * 2 ** inOrder !== outExtents * 2 ** outOrder || done > inExtents) return EINVAL;
  if (!mayUseOrder(domain, inOrder) || !mayUseOrder(domain, outOrder)) return EPERM;
  const target = targetDomain(caller, inDomid);
  if (typeof target === 'number') return target;
  // Exchanged in chunks that are whole extents on both sides.
  const chunk = 2 ** Math.max(inOrder, outOrder);
  const inPerChunk = chunk / 2 ** inOrder;
  const outPerChunk = chunk / 2 ** outOrder;
  let result = 0;
  let at = done - (done % inPerChunk);
  for (; at + inPerChunk <= inExtents && result === 0; at += inPerChunk) {
    if (at > done && partIsOver(hv)) {
      if (!hv.guest.writeU32(domain, pointer + 40, at)) return EFAULT;
      return meetAgain(hv);
    }
    const outAt = (at / inPerChunk) * outPerChunk;
    result = exchangeChunk(
      caller,
      target,
      inStart + at * 4,
      inPerChunk,
      inOrder,
      outStart + outAt * 4,
      outPerChunk,
      outOrder,
    );
    if (result !== 0) break;
  }
  if (!hv.guest.writeU32(domain, pointer + 40, at)) return EFAULT;
  return result;
}

/** One chunk: all or nothing, apart from a list that becomes unwritable in between. */
function exchangeChunk(
  { hv, domain }: Caller,
  target: Domain,
  inList: number,
  inCount: number,
  inOrder: number,
  outList: number,
  outCount: number,
  outOrder: number,
): number {
  given.clear();
  chargeExtent(hv, Math.max(inOrder, outOrder), 0);
  for (let i = 0; i < inCount; i++) {
    const first = hv.guest.readU32(domain, inList + i * 4);
    if (first < 0) return EFAULT;
    for (let j = 0; j < 2 ** inOrder; j++) {
      if (!isExclusive(hv, target, first + j) || given.has(first + j)) return EINVAL;
      given.add(first + j);
    }
  }
  if (!hv.guest.writable(domain, outList, outCount * 4)) return EFAULT;
  // The new frames first, over the limit for a moment, so that a shortage changes nothing.
  const limit = target.maxFrames;
  target.maxFrames += given.size;
  const received: number[] = [];
  for (let i = 0; i < outCount; i++) {
    const mfn = giveFrames(hv, target, outOrder);
    if (mfn < 0) break;
    received.push(mfn);
  }
  target.maxFrames = limit;
  const size = 2 ** outOrder;
  if (received.length < outCount) {
    for (const first of received) for (let j = 0; j < size; j++) takeFrame(hv, target, first + j);
    return ENOMEM;
  }
  for (const mfn of given) takeFrame(hv, target, mfn);
  for (let i = 0; i < outCount; i++) {
    const pfn = hv.guest.readU32(domain, outList + i * 4);
    for (let j = 0; j < size; j++) hv.m2p.set(received[i]! + j, pfn + j);
    hv.guest.writeU32(domain, outList + i * 4, received[i]!);
  }
  return 0;
}

function reservationSize(caller: Caller, op: number, pointer: number): number {
  const { hv, domain } = caller;
  const domid = hv.guest.readU16(domain, pointer);
  if (domid < 0) return EFAULT;
  const target = targetDomain(caller, domid);
  if (typeof target === 'number') return target;
  if (op === XENMEM_current_reservation) return target.totalFrames;
  if (op === XENMEM_maximum_reservation) return target.maxFrames;
  // maximum_gpfn: the builder numbers a domain's pages from 0 up to its limit.
  return target.maxFrames - 1;
}

function run(caller: Caller, args: Uint32Array): number {
  const { hv, domain } = caller;
  const bits = operationBits(domain);
  const op = args[0]! & ((1 << bits) - 1);
  const result = operation(caller, args, op, args[0]! >>> bits);
  if (!hv.continuation.wanted) hv.trace.countSubCall(12, op, result < 0);
  return result;
}

function operation(caller: Caller, args: Uint32Array, op: number, start: number): number {
  const { hv, domain } = caller;
  const pointer = args[1]!;
  const modern = domain.personality !== '3.0.2';
  switch (op) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
      return reservation(caller, args, op, start);
    case XENMEM_maximum_ram_page:
      return hv.frames.total;
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
      return reservationSize(caller, op, pointer);
    case XENMEM_machphys_mfn_list:
      return machphysMfnList(caller, pointer);
    case XENMEM_add_to_physmap:
      return modern ? EACCES : EINVAL;
    case XENMEM_translate_gpfn_list:
      return modern ? ENOSYS : EINVAL;
  }
  if (!modern) return ENOSYS;
  switch (op) {
    case XENMEM_memory_map:
      return writeMap(caller, pointer, domain.maxFrames);
    case XENMEM_machine_memory_map:
      return domain.privileged ? writeMap(caller, pointer, hv.frames.total) : EPERM;
    case XENMEM_exchange:
      return exchange(caller, pointer);
    case XENMEM_machphys_mapping:
      return machphysMapping(caller, pointer);
    case XENMEM_maximum_gpfn:
      return reservationSize(caller, op, pointer);
    case XENMEM_remove_from_physmap:
      return EACCES;
    case XENMEM_set_memory_map:
    case XENMEM_claim_pages:
      return domain.privileged ? ENOSYS : EPERM;
    default:
      return ENOSYS;
  }
}

export const memoryOpRow: HypercallRow = {
  number: 12,
  name: 'memory_op',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'arg', as: 'pointer' },
  ],
  doc: "Frames given back and received (ballooning), the domain's limits, and where the M2P is.",
  subOps: SUB_OPS,
  run,
};
