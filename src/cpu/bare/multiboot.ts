/**
 * Puts a multiboot kernel into a bare machine: ELF segments at their physical addresses, the command line, and the
 * state the Multiboot Specification 0.6.96, "Machine state" promises: flat 32-bit segments, paging off, EAX the
 * magic, EBX the information structure.
 */
import type { Processor } from '../cpu.ts';
import { CS, DS, EAX, EBX, ES, FS, GS, SS } from '../layout.ts';

const MAGIC = 0x2badb002;
const INFO_AT = 0x1000;
const COMMAND_LINE_AT = 0x2000;
const HAS_MEMORY = 1;
const HAS_COMMAND_LINE = 4;
const FLAT_CODE_HIGH = 0x00cf9b00;
const FLAT_DATA_HIGH = 0x00cf9300;
const FLAT_LOW = 0x0000ffff;
const PT_LOAD = 1;
const CR0_PE = 1;
const CR0_ET = 0x10;

/** @returns null, or what is wrong with the image. */
export function loadMultiboot(cpu: Processor, image: Uint8Array, commandLine: string): string | null {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length < 52 || view.getUint32(0, false) !== 0x7f454c46 || image[4] !== 1)
    return 'not an ELF32 image';
  const entry = view.getUint32(24, true);
  const headers = view.getUint32(28, true);
  const count = view.getUint16(44, true);
  if (headers + count * 32 > image.length) return 'program headers outside the file';
  const memory = cpu.memory;
  const end = memory.frames * 4096;
  for (let i = 0; i < count; i++) {
    const at = headers + i * 32;
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const offset = view.getUint32(at + 4, true);
    const paddr = view.getUint32(at + 12, true);
    const fileSize = view.getUint32(at + 16, true);
    const memorySize = view.getUint32(at + 20, true);
    if (offset + fileSize > image.length) return 'a segment lies outside the file';
    if (paddr + memorySize > end)
      return `a segment ends at ${(paddr + memorySize).toString(16)}, behind memory`;
    memory.writeBytes(paddr, image.subarray(offset, offset + fileSize));
    memory.writeBytes(paddr + fileSize, new Uint8Array(memorySize - fileSize));
  }
  memory.writeBytes(
    COMMAND_LINE_AT,
    Uint8Array.from(`${commandLine}\0`, (c) => c.charCodeAt(0)),
  );
  memory.write32(INFO_AT, HAS_MEMORY | HAS_COMMAND_LINE);
  memory.write32(INFO_AT + 4, 640);
  memory.write32(INFO_AT + 8, (end - 0x100000) >>> 10);
  memory.write32(INFO_AT + 16, COMMAND_LINE_AT);

  cpu.cr0 = CR0_PE | CR0_ET;
  cpu.cr3 = 0;
  cpu.cr4 = 0;
  cpu.cpl = 0;
  cpu.setSegmentHidden(CS, 8, FLAT_LOW, FLAT_CODE_HIGH);
  for (const segment of [SS, DS, ES, FS, GS]) cpu.setSegmentHidden(segment, 16, FLAT_LOW, FLAT_DATA_HIGH);
  cpu.eflags = 2;
  cpu.eip = entry;
  cpu.setReg(EAX, MAGIC);
  cpu.setReg(EBX, INFO_AT);
  return null;
}
