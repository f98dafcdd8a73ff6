/**
 * The 4gb_segments assist of 3.0.2: user code that reaches its thread data at negative offsets of GS faults, because
 * the segment was truncated at the hypervisor's hole. The descriptor is flipped between expand-up and expand-down,
 * so that the access succeeds when it is tried again. memory.md section 8.
 */

import { ACCESS_READ } from '../cpu/cpu.ts';
import { CS, GS } from '../cpu/layout.ts';
import { VMASST_TYPE_4gb_segments, VMASST_TYPE_4gb_segments_notify } from './abi/constants.ts';
import { guestDescriptorAddress } from './descriptor-tables.ts';
import type { Hypervisor } from './hypervisor.ts';
import { SEGMENT_END } from './personality.ts';
import { currentContext, deliverTrap } from './traps.ts';
import type { Vcpu } from './vcpu.ts';

const MAX_LENGTH = 15;
const NOTIFY_VECTOR = 15;
const PREFIX_GS = 0x65;
const TOLERATED = [0x66, 0xf0, 0xf2, 0xf3];

// --- high word of a descriptor
const G = 1 << 23;
const D = 1 << 22;
const P = 1 << 15;
const DPL3 = 3 << 13;
const S = 1 << 12;
const CODE = 1 << 11;
const EXPAND_DOWN = 1 << 10;

/** Does this one-byte opcode have a ModRM byte? */
function hasModrm(opcode: number): boolean {
  if (opcode < 0x40) return (opcode & 7) < 4;
  if (opcode >= 0x80 && opcode <= 0x8f) return true;
  if (opcode >= 0xd8 && opcode <= 0xdf) return true;
  return [
    0x62, 0x63, 0x69, 0x6b, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe, 0xff,
  ].includes(opcode);
}

const parsed = { offset: 0, length: 0 }; // scratch

/** Finds the GS-relative offset of the instruction at eip. @returns false when it is not of the expected form. */
function parse(hv: Hypervisor): boolean {
  const cpu = hv.cpu;
  const bytes: number[] = [];
  for (let i = 0; i < MAX_LENGTH; i++) {
    const maddr = cpu.translate((cpu.getSegmentBase(CS) + cpu.eip + i) >>> 0, ACCESS_READ);
    if (maddr < 0) break;
    bytes.push(hv.memory.read8(maddr));
  }
  let at = 0;
  let gs = false;
  for (; ; at++) {
    if (bytes[at] === PREFIX_GS) gs = true;
    else if (!TOLERATED.includes(bytes[at]!)) break;
  }
  const opcode = bytes[at++];
  if (!gs || opcode === undefined) return false;
  const displacement = (size: number): number | undefined => {
    if (at + size > bytes.length) return undefined;
    if (size === 1) return (bytes[at]! << 24) >> 24;
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  };
  let base = 0;
  let size = 0;
  if (opcode >= 0xa0 && opcode <= 0xa3) {
    size = 4;
  } else {
    if (!hasModrm(opcode)) return false;
    const modrm = bytes[at++];
    if (modrm === undefined || modrm >= 0xc0 || (modrm & 7) === 4) return false;
    const mod = modrm >> 6;
    if (mod === 0 && (modrm & 7) === 5) size = 4;
    else {
      base = cpu.getReg(modrm & 7);
      size = mod === 0 ? 0 : mod === 1 ? 1 : 4;
    }
  }
  const offset = size === 0 ? 0 : displacement(size);
  if (offset === undefined) return false;
  parsed.offset = (base + offset) >>> 0;
  parsed.length = at + size;
  return true;
}

/** After #GP(0) in ring 3. @returns true when the fault is dealt with: the instruction is tried again. */
export function tryFlipSegment(hv: Hypervisor, vcpu: Vcpu): boolean {
  const cpu = hv.cpu;
  const domain = vcpu.domain;
  if (domain.personality !== '3.0.2' || cpu.cpl !== 3) return false;
  if (!(domain.vmAssist & (1 << VMASST_TYPE_4gb_segments)) || !parse(hv)) return false;
  const selector = cpu.getSelector(GS);
  const index = selector >>> 3;
  if (index >= (selector & 4 ? vcpu.ldtEntries : vcpu.gdtEntries)) return false;
  const at = guestDescriptorAddress(hv, vcpu, selector);
  if (at < 0) return false;
  const low = hv.memory.read32(at);
  const high = hv.memory.read32(at + 4);
  const needed = P | DPL3 | S | D | G;
  if ((high & needed) !== needed || high & CODE) return false;
  const base = ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;
  const limit = ((low & 0xffff) | (high & 0xf_0000)) * 4096 + 4095;
  const end = SEGMENT_END[domain.abi];
  let pages: number;
  if (high & EXPAND_DOWN) {
    if (parsed.offset > limit) return false;
    pages = ((end - base) >>> 12) - 1;
  } else {
    if (base + limit + 1 < end - 4096 || parsed.offset <= limit) return false;
    pages = (-(base & ~0xfff) >>> 12) - 1;
  }
  hv.memory.write32(at, ((low & 0xffff_0000) | (pages & 0xffff)) >>> 0);
  hv.memory.write32(at + 4, (((high & ~0xf_0000) | (pages & 0xf_0000)) ^ EXPAND_DOWN) >>> 0);
  cpu.loadSegment(GS, selector);
  if (domain.vmAssist & (1 << VMASST_TYPE_4gb_segments_notify)) {
    deliverTrap(hv, vcpu, NOTIFY_VECTOR, parsed.length, currentContext(hv));
  }
  return true;
}
