/**
 * What the fuzzer's guests do without a hypercall: they fill frames that are to become tables, grant entries and
 * data, and store into page tables through the writable page-table assist.
 */
import { EAX, EBX, ECX, EDI, EDX } from '../../cpu/layout.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from '../frames.ts';
import { PTE_PRESENT } from '../page-table-entries.ts';
import { BASE } from './guest.ts';
import type { Context } from './values.ts';
import * as values from './values.ts';

const REMEMBERED = 6;
const VECTOR_PF = 14;

/** One store or a few of them. @returns what was done, in words. */
export function guestStore(context: Context): string {
  const roll = context.random.below(100);
  if (roll < 45) return writeTable(context);
  if (roll < 75) return writeGrant(context);
  if (roll < 90) return writeEntry(context);
  return writeEventBits(context);
}

/** Fills a frame of the domain's so that it may pass as a table. */
function writeTable(context: Context): string {
  const { hv, random, guest } = context;
  const size = guest.domain.entryBytes;
  const level = random.pick(size === 4 ? [TYPE_l1, TYPE_l2] : [TYPE_l1, TYPE_l2, TYPE_l3, TYPE_l3]);
  const mfn = guest.ownFrame(random);
  if (!guest.mayWrite(mfn)) return 'no table';
  hv.memory.zeroFrame(mfn);
  const base = mfn * 4096;
  if (level === TYPE_l3 || (level === TYPE_l2 && random.chance(50))) copyTable(context, level, base);
  const entries = random.below(level === TYPE_l3 ? 3 : 6);
  for (let i = 0; i < entries; i++) {
    const { low, high } = values.entry(context, level);
    const index = level === TYPE_l3 ? random.below(3) : guest.entryIndex(random, mfn);
    hv.memory.write32(base + index * size, low);
    if (size === 8) hv.memory.write32(base + index * 8 + 4, high);
  }
  const written = guest.written[level]!;
  written.push(mfn);
  if (written.length > REMEMBERED) written.shift();
  return `wrote level-${level} table ${mfn.toString(16)}`;
}

/** A root like the one in use, in which the domain lives on. */
function copyTable(context: Context, level: number, base: number): void {
  const { hv, guest, random } = context;
  const { memory } = hv;
  if (level === TYPE_l2) {
    for (let at = 0; at < 4096; at += 4) memory.write32(base + at, memory.read32(guest.l2 * 4096 + at));
    return;
  }
  // Slot 3 needs an L2 table of its own, which maps what the domain needs.
  const l2 = random.chance(20) ? values.tableMfn(context, TYPE_l2) : guest.ownFrame(random);
  if (guest.mayWrite(l2)) {
    for (let at = 0; at < 4096; at += 4) memory.write32(l2 * 4096 + at, memory.read32(guest.l2 * 4096 + at));
  }
  memory.write32(base + 24, ((l2 << 12) | PTE_PRESENT) >>> 0);
}

function writeGrant(context: Context): string {
  const { hv, random, guest } = context;
  const [table] = guest.domain.grantFrames;
  if (table === undefined) return 'no grant table';
  const ref = random.below(values.GRANT_REFS);
  const at = table * 4096 + ref * 8;
  const frame = random.chance(50) ? values.looseMfn(context) : values.mfn(context);
  hv.memory.write16(at, random.pick([1, 1, 1, 1, 5, 2, 2, 0, 9, 3, random.next() & 0xffff]));
  hv.memory.write16(
    at + 2,
    random.chance(95) ? random.pick(context.guests).domain.id : random.next() & 0xffff,
  );
  hv.memory.write32(at + 4, random.chance(97) ? frame : values.boundary(context));
  return `grant ${ref} of frame ${frame.toString(16)}`;
}

/** One word into memory that the guest could have mapped. */
function writeEntry(context: Context): string {
  const { hv, random, guest } = context;
  const mfn = guest.ownFrame(random);
  if (!guest.mayWrite(mfn)) return 'no store';
  const size = guest.domain.entryBytes;
  const { low, high } = values.entry(context);
  const at = mfn * 4096 + guest.entryIndex(random, mfn) * size;
  hv.memory.write32(at, low);
  if (size === 8) hv.memory.write32(at + 4, high);
  return `store to ${mfn.toString(16)}`;
}

/** Masks, pending bits, selectors: words of shared memory that belong to both. */
function writeEventBits(context: Context): string {
  const { hv, random, guest } = context;
  const shared = guest.domain.sharedInfoMfn * 4096;
  const offset = random.pick([2048, 2052, 2176, 2180, 4, 64 + 4]);
  hv.memory.write32(shared + offset, random.chance(50) ? 0 : random.next());
  hv.memory.write8(context.vcpu.vcpuInfo + random.below(2), random.below(2));
  return 'wrote event bits';
}

/** Instructions that store to [EDI]. */
const INSTRUCTIONS: readonly (readonly number[])[] = [
  [0x89, 0x07], // mov [edi], eax
  [0x87, 0x07], // xchg [edi], eax
  [0x88, 0x07], // mov [edi], al
  [0x66, 0x89, 0x07], // mov [edi], ax
  [0xf0, 0x0f, 0xc7, 0x0f], // lock cmpxchg8b [edi]
  [0x0f, 0xb1, 0x0f], // cmpxchg [edi], ecx
  [0x09, 0x07], // or [edi], eax
  [0x21, 0x07], // and [edi], eax
  [0x0f, 0xba, 0x37, 0x01], // btr dword [edi], 1
  [0xab], // stosd
  [0xf3, 0xab], // rep stosd
  [0x83, 0x27, 0xfd], // and dword [edi], ~2
  [0x0f, 0xc1, 0x07], // xadd [edi], eax
];

/** A store to a read-only page, as the processor reports it: by #PF. @returns null when no such page is at hand. */
export function faultingStore(context: Context): string | null {
  const { hv, random, guest } = context;
  const size = guest.domain.entryBytes;
  for (let tries = 0; tries < 30; tries++) {
    const page = 6 + random.below(26);
    const low = hv.memory.read32(guest.l1 * 4096 + page * size);
    if ((low & 3) !== 1 || (tries < 25 && hv.frames.type[low >>> 12] !== TYPE_l1)) continue;
    const target = low >>> 12;
    const offset = guest.entryIndex(random, target) * size + (random.chance(20) ? random.below(8) : 0);
    const va = (BASE + page * 4096 + (offset & 4095)) >>> 0;
    const code = random.pick(INSTRUCTIONS);
    guest.store(BASE, Uint8Array.from(code));
    const { low: value, high } = values.entry(context);
    const { cpu } = hv;
    cpu.eip = BASE;
    cpu.setReg(EDI, va);
    cpu.setReg(EAX, value);
    cpu.setReg(ECX, random.chance(80) ? high : 1 + random.below(3));
    cpu.setReg(EBX, value);
    cpu.setReg(EDX, high);
    if (random.chance(50)) {
      // An exchange that finds what it expects.
      const maddr = cpu.peekTranslate(va & ~7);
      if (maddr >= 0) {
        cpu.setReg(EAX, hv.memory.read32(maddr));
        cpu.setReg(EDX, hv.memory.read32(maddr + 4));
      }
    }
    cpu.cr2 = va;
    cpu.sink.exception(VECTOR_PF, 3);
    return `${code.map((byte) => byte.toString(16)).join(' ')} to ${va.toString(16)}`;
  }
  return null;
}
