/**
 * GDT and LDT of a vcpu (memory.md section 6, hypercalls.md 3.2, 3.7): which frames they are made of, where the
 * descriptor of a selector lies, and changing one descriptor. GDT frames hold a reference and a type reference per
 * slot; LDT pages are looked up in the page tables, checked and held on first use.
 */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { DESCRIPTOR_FAULT, DESCRIPTOR_OUTSIDE_TABLE } from '../cpu/trap-sink.ts';
import { EINVAL } from './abi/errno.ts';
import { charge } from './charge.ts';
import { deny, denyInEntry, hex } from './denial.ts';
import {
  checkDescriptor,
  checked,
  DESCRIPTORS_PER_PAGE,
  FIRST_RESERVED_GDT_PAGE,
} from './descriptor-rules.ts';
import type { Domain } from './domain.ts';
import { TYPE_descriptor, TYPE_ldt, TYPE_writable, typeNoun } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { entryMfn, PTE_PRESENT, readHigh, readLow } from './page-table-entries.ts';
import { getPage, isTableType, putPage, takeType } from './page-types.ts';
import { reservedGdtKind } from './reserved-gdt.ts';
import { l1EntryAddress } from './table-updates.ts';
import { getPageAndType, putPageAndType, putPageType } from './validate.ts';
import type { Vcpu } from './vcpu.ts';

export const MAX_GDT_ENTRIES = FIRST_RESERVED_GDT_PAGE * DESCRIPTORS_PER_PAGE;
export const MAX_LDT_ENTRIES = 8192;

/** GDT pages needed for so many entries. */
export function gdtPages(entries: number): number {
  return Math.ceil(entries / DESCRIPTORS_PER_PAGE);
}

/**
 * set_gdt: takes the new frames, then lets go of the old ones; on failure the old GDT remains.
 * @param mfns at least gdtPages(entries) frames.
 */
export function setGdt(hv: Hypervisor, vcpu: Vcpu, mfns: ArrayLike<number>, entries: number): number {
  if (entries > MAX_GDT_ENTRIES) {
    return deny(EINVAL, 'gdt-size', `a GDT of ${entries} entries`, `${MAX_GDT_ENTRIES} entries at most`);
  }
  const pages = gdtPages(entries);
  for (let i = 0; i < pages; i++) {
    const errno = getPageAndType(hv, mfns[i]!, vcpu.domain.id, TYPE_descriptor);
    if (errno === 0) continue;
    while (i-- > 0) putPageAndType(hv, mfns[i]!);
    return EINVAL;
  }
  const old = Array.from(vcpu.gdtFrames);
  for (let i = 0; i < vcpu.gdtFrames.length; i++) vcpu.gdtFrames[i] = i < pages ? mfns[i]! : -1;
  vcpu.gdtEntries = entries;
  for (const mfn of old) if (mfn >= 0) putPageAndType(hv, mfn);
  return 0;
}

export function dropGdt(hv: Hypervisor, vcpu: Vcpu): void {
  setGdt(hv, vcpu, [], 0);
}

/** MMUEXT_SET_LDT. Pages are looked up on first use (3.0.2: the first at once). */
export function setLdt(hv: Hypervisor, vcpu: Vcpu, base: number, entries: number): number {
  base >>>= 0;
  if (entries > MAX_LDT_ENTRIES || base & 4095 || base + entries * 8 > vcpu.domain.holeStart) {
    return deny(
      EINVAL,
      'ldt-range',
      `an LDT of ${entries} entries at ${hex(base)}`,
      `a page-aligned address below the hypervisor hole and ${MAX_LDT_ENTRIES} entries at most`,
    );
  }
  const wanted = entries === 0 ? 0 : base;
  if (vcpu.ldtBase === wanted && vcpu.ldtEntries === entries) return 0;
  dropLdt(hv, vcpu);
  vcpu.ldtBase = wanted;
  vcpu.ldtEntries = entries;
  eagerLdt(hv, vcpu);
  return 0;
}

/** Forgets the LDT pages looked up so far. */
export function dropLdt(hv: Hypervisor, vcpu: Vcpu): void {
  for (let page = 0; page < vcpu.ldtFrames.length; page++) {
    const mfn = vcpu.ldtFrames[page]!;
    if (mfn < 0) continue;
    vcpu.ldtFrames[page] = -1;
    putPageAndType(hv, mfn);
  }
}

/** 3.0.2 looks the first page up before the guest goes on. */
export function eagerLdt(hv: Hypervisor, vcpu: Vcpu): void {
  if (vcpu.domain.personality === '3.0.2' && vcpu.ldtEntries > 0) lookUpLdtPage(hv, vcpu, 0);
}

function ldtType(domain: Domain): number {
  return domain.personality === '3.0.2' ? TYPE_ldt : TYPE_descriptor;
}

/** @returns the frame of an LDT page, checked and held, or -1. */
function lookUpLdtPage(hv: Hypervisor, vcpu: Vcpu, page: number): number {
  const held = vcpu.ldtFrames[page]!;
  if (held >= 0) return held;
  const { domain } = vcpu;
  const at = l1EntryAddress(hv, domain, vcpu.rootMfn, vcpu.ldtBase + page * FRAME_SIZE);
  if (at < 0) return -1;
  const low = readLow(hv.memory, at);
  if (!(low & PTE_PRESENT)) return -1;
  const mfn = entryMfn(low, readHigh(hv.memory, at, domain.entryBytes));
  if (getPageAndType(hv, mfn, domain.id, ldtType(domain)) !== 0) return -1;
  vcpu.ldtFrames[page] = mfn;
  return mfn;
}

/**
 * TrapSink.descriptorAddress for a selector with TI set. On DESCRIPTOR_FAULT cpu.translateFault says what a guest's
 * #PF must show: the address of the descriptor in the guest's LDT.
 */
export function ldtDescriptorAddress(hv: Hypervisor, vcpu: Vcpu, selector: number): number {
  const index = selector >>> 3;
  if (index >= vcpu.ldtEntries) return DESCRIPTOR_OUTSIDE_TABLE;
  const mfn = lookUpLdtPage(hv, vcpu, Math.floor(index / DESCRIPTORS_PER_PAGE));
  if (mfn >= 0) return mfn * FRAME_SIZE + (index % DESCRIPTORS_PER_PAGE) * 8;
  hv.cpu.translateFault.linear = vcpu.ldtBase + index * 8;
  hv.cpu.translateFault.code = 0;
  return DESCRIPTOR_FAULT;
}

/** TrapSink.descriptorAddress for a selector with TI clear. The limit is always 0xEFFF; absent pages hold nothing. */
export function gdtDescriptorAddress(hv: Hypervisor, vcpu: Vcpu, selector: number): number {
  const index = selector >>> 3;
  const page = Math.floor(index / DESCRIPTORS_PER_PAGE);
  const offset = (index % DESCRIPTORS_PER_PAGE) * 8;
  if (page === FIRST_RESERVED_GDT_PAGE) {
    return hv.frames.reservedGdt[reservedGdtKind(vcpu.domain)]! * FRAME_SIZE + offset;
  }
  const mfn = page < FIRST_RESERVED_GDT_PAGE ? vcpu.gdtFrames[page]! : -1;
  return mfn < 0 ? DESCRIPTOR_OUTSIDE_TABLE : mfn * FRAME_SIZE + offset;
}

/** Where the descriptor of a guest's selector lies. */
export function guestDescriptorAddress(hv: Hypervisor, vcpu: Vcpu, selector: number): number {
  return selector & 4 ? ldtDescriptorAddress(hv, vcpu, selector) : gdtDescriptorAddress(hv, vcpu, selector);
}

/** update_descriptor: stores one checked descriptor at a machine address. Every failure is EINVAL. */
export function updateDescriptor(
  hv: Hypervisor,
  domain: Domain,
  maddr: number,
  low: number,
  high: number,
): number {
  const { frames } = hv;
  if (maddr % 8 !== 0) {
    return deny(
      EINVAL,
      'descriptor-address',
      `machine address ${hex(maddr)} is not 8-byte aligned`,
      'an aligned one',
    );
  }
  const mfn = Math.floor(maddr / FRAME_SIZE);
  if (getPage(frames, mfn, domain.id) !== 0) return EINVAL;
  charge(hv, hv.costs.entryCheck);
  let errno = checkDescriptor(domain, low, high);
  if (errno !== 0) denyInEntry(errno, frames.type[mfn]!, mfn, (maddr % FRAME_SIZE) / 8);
  else {
    const type = frames.type[mfn]!;
    const used = frames.typeCount[mfn] !== 0;
    const isDescriptors = used && (type === TYPE_descriptor || type === TYPE_ldt);
    if (used && isTableType(type)) {
      errno = deny(
        EINVAL,
        'descriptor-in-table',
        `frame ${hex(mfn)} is in use as ${typeNoun(type)}`,
        'a descriptor page or a writable page',
        mfn,
        type,
      );
    } else if (!isDescriptors) errno = takeType(frames, mfn, TYPE_writable) === 0 ? 0 : EINVAL;
    if (errno === 0) {
      const word = checked.low;
      const highWord = checked.high;
      hv.memory.write32(maddr, word);
      hv.memory.write32(maddr + 4, highWord);
      if (!isDescriptors) putPageType(hv, mfn);
    }
  }
  putPage(hv, mfn);
  return errno;
}
