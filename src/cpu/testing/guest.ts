/**
 * A processor with a snippet in it, for tests of single rules: flat segments (or what the test sets), page tables made
 * on request, and a sink that writes down what leaves the guest and stops the run. HLT ends a snippet.
 *
 *   0x1000 page directory or PDPT   0x2000 tables   0x10000 snippet   0x20000 data   stack below 0x30000
 */
import { I386 } from '../i386.ts';
import { CS, ESP } from '../layout.ts';
import { PhysicalMemory } from '../physical-memory.ts';
import { DESCRIPTOR_OUTSIDE_TABLE, type TrapSink } from '../trap-sink.ts';
import { asm, type Snippet } from './asm.ts';

export const CODE = 0x10000;
export const DATA = 0x20000;
export const STACK = 0x30000;
export const DIRECTORY = 0x1000;
const TABLES = 0x2000;
const PAE_TABLES = 0x4000;

export const P = 1,
  RW = 2,
  US = 4,
  ACCESSED = 0x20,
  DIRTY = 0x40;
const CR0_PE = 1,
  CR0_WP = 0x10000,
  CR0_PG = 0x80000000;

export interface Descriptor {
  base?: number;
  /** In bytes, exact below 1 MiB. */
  limit?: number;
  code?: boolean;
  big?: boolean;
  dpl?: number;
  /** Type bits instead of read-write data or readable code. */
  type?: number;
}

export class Guest {
  readonly memory: PhysicalMemory;
  readonly cpu: I386;
  /** What left the guest: `#14(6)`, `int 80`, `hlt`. */
  readonly log: string[] = [];
  readonly snippet: Snippet;

  /** @param at where the snippet lies, in linear addresses; the same as physical without paging. */
  constructor(source: string, at = CODE, sizeMiB = 4) {
    this.memory = new PhysicalMemory(sizeMiB);
    const note = (what: string): void => {
      this.log.push(what);
      this.cpu.requestExit();
    };
    const sink: TrapSink = {
      exception: (vector, code) => note(`#${vector}${code < 0 ? '' : `(${code})`}`),
      softwareInterrupt: (vector) => note(`int ${vector.toString(16)}`),
      descriptorAddress: () => DESCRIPTOR_OUTSIDE_TABLE,
      kernelStack: () => ({ ss: 0, esp: 0 }),
      portRead: () => 0xff,
      portWrite: () => {},
      portAllowed: () => true,
      halted: () => note('hlt'),
    };
    this.cpu = new I386(this.memory, sink);
    this.cpu.cr0 = CR0_PE;
    for (let segment = 0; segment < 6; segment++) this.segment(segment, { code: segment === CS });
    this.snippet = asm(source, at);
    this.memory.writeBytes(at, this.snippet.bytes);
    this.cpu.eip = at;
    this.cpu.setReg(ESP, STACK);
  }

  label(name: string): number {
    const address = this.snippet.labels[name];
    if (address === undefined) throw new Error(`no label ${name}`);
    return address;
  }
  segment(segment: number, d: Descriptor): void {
    const { base = 0, limit = 0xffffffff, code = false, big = true, dpl = 0 } = d;
    const granular = limit > 0xfffff;
    const units = granular ? limit >>> 12 : limit;
    const type = d.type ?? (code ? 0xb : 3);
    const low = ((base & 0xffff) << 16) | (units & 0xffff);
    const high =
      ((base >>> 16) & 0xff) |
      (base & 0xff000000) |
      (type << 8) |
      0x9000 |
      (dpl << 13) |
      (units & 0xf0000) |
      (big ? 1 << 22 : 0) |
      (granular ? 1 << 23 : 0);
    this.cpu.setSegmentHidden(segment, (8 * (segment + 1)) | dpl, low >>> 0, high >>> 0);
  }
  /** Ring 3 with flat segments. */
  enterUser(): void {
    for (let segment = 0; segment < 6; segment++) this.segment(segment, { code: segment === CS, dpl: 3 });
    this.cpu.cpl = 3;
  }

  /** Runs to what leaves the guest. @returns what it was */
  run(cycles = 100_000): string {
    this.log.length = 0;
    this.cpu.run(cycles);
    return this.log.join(' ');
  }

  // --- page tables: 4 MiB at 0 mapped one to one, to be changed by the test
  pagePaging(): this {
    this.memory.write32(DIRECTORY, TABLES | P | RW | US);
    for (let page = 0; page < 1024; page++)
      this.memory.write32(TABLES + page * 4, (page << 12) | P | RW | US);
    this.cpu.cr3 = DIRECTORY;
    this.cpu.cr0 = (CR0_PE | CR0_WP | CR0_PG) >>> 0;
    return this;
  }
  paePaging(nx = true): this {
    this.memory.write32(DIRECTORY, (DIRECTORY + 0x1000) | P);
    for (let table = 0; table < 2; table++) {
      this.memory.write32(DIRECTORY + 0x1000 + table * 8, (PAE_TABLES + table * 0x1000) | P | RW | US);
      for (let page = 0; page < 512; page++) {
        this.memory.write32(
          PAE_TABLES + table * 0x1000 + page * 8,
          ((table * 512 + page) << 12) | P | RW | US,
        );
        this.memory.write32(PAE_TABLES + table * 0x1000 + page * 8 + 4, 0);
      }
    }
    this.cpu.cr4 = 0x20;
    this.cpu.efer = nx ? 0x800 : 0;
    this.cpu.cr3 = DIRECTORY;
    this.cpu.cr0 = (CR0_PE | CR0_WP | CR0_PG) >>> 0;
    return this;
  }
  /** Machine address of the entry that maps a linear address below 4 MiB. */
  pte(linear: number): number {
    return this.cpu.cr4 & 0x20 ? PAE_TABLES + (linear >>> 12) * 8 : TABLES + (linear >>> 12) * 4;
  }
}
