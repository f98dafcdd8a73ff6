/**
 * Descriptor tables and the TSS as a bare processor reads them: from guest memory through the current page tables,
 * with supervisor rights whatever the CPL. Intel SDM vol. 3A, "System Data Structures", "Task-State Segment".
 */
import { ACCESS_READ, type Processor } from '../cpu.ts';
import { addressOf, type FieldName } from '../layout.ts';
import { descriptorType, SYS_TSS16, SYS_TSS16_BUSY } from '../rare/descriptors.ts';
import { DESCRIPTOR_FAULT, DESCRIPTOR_OUTSIDE_TABLE } from '../trap-sink.ts';

/** Words of the state block, as indexes into the linear memory. */
const LDTR = addressOf('ldtr') >>> 2;
const TR = addressOf('tr') >>> 2;
const GDTR_BASE = addressOf('gdtrBase') >>> 2;
const GDTR_LIMIT = addressOf('gdtrLimit') >>> 2;
const IDTR_BASE = addressOf('idtrBase') >>> 2;
const IDTR_LIMIT = addressOf('idtrLimit') >>> 2;
/** Behind LDTR and TR, which begin with the selector. */
const BASE = 1;
const LIMIT = 2;
const ACCESS = 3;

/** Any word of the state block, by name; for what is not done often. */
export const stateWord = (cpu: Processor, field: FieldName, index = 0): number =>
  cpu.memory.u32[addressOf(field, index) >>> 2]!;
export function setStateWord(cpu: Processor, field: FieldName, value: number, index = 0): void {
  cpu.memory.u32[addressOf(field, index) >>> 2] = value;
}

/**
 * Machine address of the descriptor at a linear address. One that lies in two frames which are not neighbours is
 * reported as outside the table: no table whose base is aligned on 8 bytes has any. So is one behind RAM.
 */
function locate(cpu: Processor, linear: number): number {
  const maddr = cpu.translate(linear, ACCESS_READ);
  if (maddr < 0) return DESCRIPTOR_FAULT;
  if (maddr >>> 12 >= cpu.memory.frames) return DESCRIPTOR_OUTSIDE_TABLE;
  if ((linear & 0xfff) <= 0xff8) return maddr;
  const last = cpu.translate((linear + 7) >>> 0, ACCESS_READ);
  if (last < 0) return DESCRIPTOR_FAULT;
  return last === maddr + 7 ? maddr : DESCRIPTOR_OUTSIDE_TABLE;
}

/** The descriptor that a selector names in GDT or LDT. Translation failures are left in cpu.translateFault. */
export function segmentDescriptor(cpu: Processor, selector: number): number {
  const offset = selector & 0xfff8;
  const local = (selector & 4) !== 0;
  const { u32 } = cpu.memory;
  if (local && u32[LDTR + ACCESS] === 0) return DESCRIPTOR_OUTSIDE_TABLE;
  const limit = local ? u32[LDTR + LIMIT]! : u32[GDTR_LIMIT]!;
  if (offset + 7 > limit) return DESCRIPTOR_OUTSIDE_TABLE;
  const base = local ? u32[LDTR + BASE]! : u32[GDTR_BASE]!;
  return locate(cpu, (base + offset) >>> 0);
}

/** The gate of a vector. */
export function gateDescriptor(cpu: Processor, vector: number): number {
  const { u32 } = cpu.memory;
  if (vector * 8 + 7 > u32[IDTR_LIMIT]!) return DESCRIPTOR_OUTSIDE_TABLE;
  return locate(cpu, (u32[IDTR_BASE]! + vector * 8) >>> 0);
}

/** A 16- or 32-bit value of the TSS; -1 beyond its limit, -2 on a translation failure. */
function tssValue(cpu: Processor, offset: number, size: 2 | 4): number {
  const { u32 } = cpu.memory;
  if (u32[TR + ACCESS] === 0 || offset + size - 1 > u32[TR + LIMIT]!) return DESCRIPTOR_OUTSIDE_TABLE;
  const linear = (u32[TR + BASE]! + offset) >>> 0;
  const maddr = cpu.translate(linear, ACCESS_READ);
  if (maddr < 0) return DESCRIPTOR_FAULT;
  if (maddr >>> 12 >= cpu.memory.frames) return DESCRIPTOR_OUTSIDE_TABLE;
  if ((linear & 0xfff) <= 4096 - size)
    return size === 2 ? cpu.memory.read16(maddr) : cpu.memory.read32(maddr);
  let value = cpu.memory.read8(maddr);
  for (let i = 1; i < size; i++) {
    const next = cpu.translate((linear + i) >>> 0, ACCESS_READ);
    if (next < 0) return DESCRIPTOR_FAULT;
    value += cpu.memory.read8(next) * 2 ** (8 * i);
  }
  return value;
}

export const taskSelector = (cpu: Processor): number => cpu.memory.u32[TR]!;

/** ssN:espN. ss is DESCRIPTOR_OUTSIDE_TABLE or DESCRIPTOR_FAULT when the TSS does not reach, or cannot be read. */
export function stackOfRing(cpu: Processor, ring: number): { ss: number; esp: number } {
  const type = descriptorType(cpu.memory.u32[TR + ACCESS]!);
  const is16 = type === SYS_TSS16 || type === SYS_TSS16_BUSY;
  const esp = is16 ? tssValue(cpu, 2 + 4 * ring, 2) : tssValue(cpu, 4 + 8 * ring, 4);
  const ss = esp < 0 ? esp : tssValue(cpu, is16 ? 4 + 4 * ring : 8 + 8 * ring, 2);
  return { ss, esp };
}

const IO_MAP_BASE = 0x66;

/**
 * Does the I/O bitmap of the TSS allow the access? All bits of port..port+size-1 must be 0. The processor always
 * reads two bytes, so the limit must cover both; a 16-bit TSS has no bitmap.
 */
export function bitmapAllows(cpu: Processor, port: number, size: number): boolean {
  const type = descriptorType(cpu.memory.u32[TR + ACCESS]!);
  if (type === SYS_TSS16 || type === SYS_TSS16_BUSY) return false;
  const base = tssValue(cpu, IO_MAP_BASE, 2);
  if (base < 0) return false;
  const bits = tssValue(cpu, base + (port >>> 3), 2);
  return bits >= 0 && ((bits >>> (port & 7)) & ((1 << size) - 1)) === 0;
}
