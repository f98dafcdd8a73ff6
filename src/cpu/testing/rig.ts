/**
 * A test bench for system instructions: a bare processor with flat segments for every ring, an LDT, a TSS, and a sink
 * that either writes down what leaves the guest or lets the guest's own IDT have it.
 *
 *   GDT 0x1000   0x08 0x10 0x18 0x20  code of ring 0-3      0x28 0x30 0x38 0x40  data of ring 0-3
 *                0x48 TSS   0x50 LDT   0x58 and up: free for the test
 *   LDT 0x1800 (16 entries)   IDT 0x2000   TSS 0x3000 (stacks of ring 0-2 at 0x7000, 0x6800, 0x6000)
 *   handlers 0x10000 + 16 * vector    code 0x8000    data 0x9000    stack of any ring below 0x5000
 */

import { BareSink } from '../bare/bare-sink.ts';
import { Ports } from '../bare/ports.ts';
import { setStateWord } from '../bare/tables.ts';
import type { Processor } from '../cpu.ts';
import { CS, DS, EAX, EBP, EBX, ECX, EDI, EDX, ES, ESI, ESP, FS, GS, SS } from '../layout.ts';
import { DESC_PRESENT, DESC_S } from '../rare/descriptors.ts';
import { newProcessor } from './processor.ts';

export const GDT = 0x1000;
export const LDT = 0x1800;
export const IDT = 0x2000;
export const TSS = 0x3000;
export const CODE = 0x8000;
export const DATA = 0x9000;
export const STACK = 0x5000;
export const HANDLERS = 0x10000;
export const codeOf = (ring: number): number => (0x08 + 8 * ring) | ring;
export const dataOf = (ring: number): number => (0x28 + 8 * ring) | ring;
export const innerStack = (ring: number): number => 0x7000 - 0x800 * ring;
export const TSS_SELECTOR = 0x48;
export const LDT_SELECTOR = 0x50;
/** Frames below this one are zeroed for each test. */
const USED_FRAMES = 64;
/** The first selector that tests may define. */
export const FREE = 0x58;

export const CODE_READ = 0xb;
export const CODE_CONFORMING = 0xf;
export const DATA_WRITE = 3;

export interface Segment {
  type: number;
  dpl: number;
  system?: boolean;
  present?: boolean;
  base?: number;
  /** In units of the granularity. */
  limit?: number;
  big?: boolean;
  granular?: boolean;
}
export type Words = readonly [low: number, high: number];

/** A segment or system descriptor. Flat and 32-bit unless said. */
export function segment(s: Segment): Words {
  const base = s.base ?? 0;
  const limit = s.limit ?? 0xfffff;
  const low = ((base & 0xffff) << 16) | (limit & 0xffff);
  const high =
    ((base >>> 16) & 0xff) |
    (s.type << 8) |
    (s.system ? 0 : DESC_S) |
    (s.dpl << 13) |
    (s.present === false ? 0 : DESC_PRESENT) |
    (limit & 0xf0000) |
    (s.big === false ? 0 : 1 << 22) |
    (s.granular === false ? 0 : 1 << 23) |
    (base & 0xff000000);
  return [low >>> 0, high >>> 0];
}

export interface Gate {
  type: number;
  dpl: number;
  selector: number;
  offset: number;
  parameters?: number;
  present?: boolean;
}
export function gate(g: Gate): Words {
  const low = ((g.selector << 16) | (g.offset & 0xffff)) >>> 0;
  const high =
    (g.offset & 0xffff0000) |
    (g.present === false ? 0 : DESC_PRESENT) |
    (g.dpl << 13) |
    (g.type << 8) |
    (g.parameters ?? 0);
  return [low, high >>> 0];
}

const NAMES: Readonly<Record<number, string>> = {
  0: '#DE',
  1: '#DB',
  3: '#BP',
  4: '#OF',
  5: '#BR',
  6: '#UD',
  7: '#NM',
  8: '#DF',
  10: '#TS',
  11: '#NP',
  12: '#SS',
  13: '#GP',
  14: '#PF',
};
/** `#GP(48)`, `#UD`: the error code in hexadecimal. */
export const told = (vector: number, code: number): string =>
  `${NAMES[vector] ?? `#${vector}`}${code < 0 ? '' : `(${code.toString(16)})`}`;

/** Writes down what leaves the guest, or delivers it; the run stops there in either case. */
class RecordingSink extends BareSink {
  log: string[] = [];
  recording = true;
  processor: Processor;

  constructor(cpu: Processor, ports: Ports) {
    super(cpu, ports, {
      onTripleFault: () => this.log.push('triple fault'),
      onHalt: () => this.log.push('halted'),
    });
    this.processor = cpu;
  }
  override exception(vector: number, errorCode: number): void {
    if (this.recording) this.log.push(told(vector, errorCode));
    else super.exception(vector, errorCode);
    this.processor.requestExit();
  }
  override softwareInterrupt(vector: number, length: number): void {
    if (this.recording) this.log.push(`int ${vector.toString(16)} length ${length}`);
    else super.softwareInterrupt(vector, length);
    this.processor.requestExit();
  }
}

const REGISTERS = { eax: EAX, ecx: ECX, edx: EDX, ebx: EBX, esp: ESP, ebp: EBP, esi: ESI, edi: EDI } as const;
export const SEGMENTS = { es: ES, cs: CS, ss: SS, ds: DS, fs: FS, gs: GS } as const;

export class Rig {
  readonly cpu: Processor;
  readonly ports = new Ports();
  readonly sink: RecordingSink;

  constructor(cpu: Processor) {
    this.cpu = cpu;
    this.sink = new RecordingSink(cpu, this.ports);
    cpu.sink = this.sink;
    // Whatever the test before left.
    for (let mfn = 0; mfn < USED_FRAMES; mfn++) cpu.memory.zeroFrame(mfn);
    cpu.cr0 = 0x11;
    cpu.cr2 = 0;
    cpu.cr3 = 0;
    cpu.cr4 = 0;
    cpu.efer = 0;
    cpu.flushTlb();
    for (let register = 0; register < 8; register++) {
      cpu.setReg(register, 0);
      cpu.setDr(register, register === 6 ? 0xffff0ff0 : register === 7 ? 0x400 : 0);
    }
    for (let ring = 0; ring < 4; ring++) {
      this.define(codeOf(ring), segment({ type: CODE_READ, dpl: ring }));
      this.define(dataOf(ring), segment({ type: DATA_WRITE, dpl: ring }));
    }
    this.define(
      TSS_SELECTOR,
      segment({ type: 9, system: true, dpl: 0, base: TSS, limit: 0x67, granular: false, big: false }),
    );
    this.define(
      LDT_SELECTOR,
      segment({ type: 2, system: true, dpl: 0, base: LDT, limit: 127, granular: false, big: false }),
    );
    for (let ring = 0; ring < 3; ring++) {
      this.write(TSS + 4 + 8 * ring, innerStack(ring));
      this.write(TSS + 8 + 8 * ring, dataOf(ring));
    }
    // Every vector: a 32-bit interrupt gate into ring 0.
    for (let vector = 0; vector < 256; vector++)
      this.setGate(vector, gate({ type: 14, dpl: 0, selector: codeOf(0), offset: HANDLERS + 16 * vector }));
    setStateWord(cpu, 'gdtrBase', GDT);
    setStateWord(cpu, 'gdtrLimit', 0x7ff);
    setStateWord(cpu, 'idtrBase', IDT);
    setStateWord(cpu, 'idtrLimit', 0x7ff);
    this.setSystem('ldtr', LDT_SELECTOR);
    this.setSystem('tr', TSS_SELECTOR);
    this.enterRing(0);
  }

  read(address: number): number {
    return this.cpu.memory.read32(address);
  }
  write(address: number, value: number): void {
    this.cpu.memory.write32(address, value);
  }
  /** Puts a descriptor into GDT or LDT, wherever the selector points. */
  define(selector: number, [low, high]: Words): void {
    const at = (selector & 4 ? LDT : GDT) + (selector & 0xfff8);
    this.write(at, low);
    this.write(at + 4, high);
  }
  setGate(vector: number, [low, high]: Words): void {
    this.write(IDT + vector * 8, low);
    this.write(IDT + vector * 8 + 4, high);
  }
  private setSystem(register: 'ldtr' | 'tr', selector: number): void {
    const at = GDT + selector;
    setStateWord(this.cpu, register, selector, 0);
    setStateWord(this.cpu, register, selector === TSS_SELECTOR ? TSS : LDT, 1);
    setStateWord(this.cpu, register, this.read(at) & 0xffff, 2);
    setStateWord(this.cpu, register, this.read(at + 4) & 0xffff00, 3);
  }

  /** Flat segments of that ring, IF set, IOPL 0. */
  enterRing(ring: number): void {
    const { cpu } = this;
    cpu.cpl = ring;
    const words = (selector: number): Words => [
      this.read(GDT + (selector & 0xfff8)),
      this.read(GDT + (selector & 0xfff8) + 4),
    ];
    cpu.setSegmentHidden(CS, codeOf(ring), ...words(codeOf(ring)));
    for (const register of [SS, DS, ES, FS, GS])
      cpu.setSegmentHidden(register, dataOf(ring), ...words(dataOf(ring)));
    cpu.setReg(ESP, STACK);
    cpu.eflags = 0x202;
    setStateWord(cpu, 'interruptShadow', 0);
  }
  set(registers: Partial<Record<keyof typeof REGISTERS, number>>): void {
    for (const [name, value] of Object.entries(registers))
      this.cpu.setReg(REGISTERS[name as keyof typeof REGISTERS], value);
  }
  get(name: keyof typeof REGISTERS): number {
    return this.cpu.getReg(REGISTERS[name]);
  }
  selector(name: keyof typeof SEGMENTS): number {
    return this.cpu.getSelector(SEGMENTS[name]);
  }
  push(...words: number[]): void {
    for (const word of words) {
      const esp = this.get('esp') - 4;
      this.write(esp, word);
      this.set({ esp });
    }
  }
  /** The words on the stack of flat segments, lowest address first, as hexadecimal text. */
  stack(count: number): string {
    return Array.from({ length: count }, (_, i) => this.read(this.get('esp') + 4 * i).toString(16)).join(' ');
  }

  load(bytes: Uint8Array, at = CODE): void {
    this.cpu.memory.writeBytes(at, bytes);
    this.cpu.eip = at;
  }
  /** Runs one instruction at CODE. @returns 'ok', or what left the guest. */
  one(bytes: Uint8Array): string {
    this.load(bytes);
    return this.step();
  }
  /** Runs the next instruction. */
  step(): string {
    this.sink.log = [];
    this.cpu.run(1);
    return this.sink.log.join(', ') || 'ok';
  }
  /** All that an instruction could change: for "nothing has happened" checks. */
  state(): string {
    const { cpu } = this;
    const hex = (n: number): string => n.toString(16);
    const segments = [ES, CS, SS, DS, FS, GS].map(
      (s) =>
        `${hex(cpu.getSelector(s))}:${hex(cpu.getSegmentBase(s))}:${hex(cpu.getSegmentLimit(s))}:${hex(cpu.getSegmentAccess(s))}`,
    );
    const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((r) => hex(cpu.getReg(r)));
    return `${registers.join(' ')} | ${segments.join(' ')} | eip ${hex(cpu.eip)} eflags ${hex(cpu.eflags)} cpl ${cpu.cpl} cr0 ${hex(cpu.cr0)} cr4 ${hex(cpu.cr4)} cr3 ${hex(cpu.cr3)}`;
  }
}

/** One processor serves all tests of a file: making one is the slow part. */
let shared: Processor | null = null;
export function newRig(): Rig {
  shared ??= newProcessor(4);
  return new Rig(shared);
}
