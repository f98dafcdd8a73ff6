/**
 * Runs hardware vectors on a Processor: the memory, the LDT and the flat segments of state.ts, privilege level 3,
 * paging as Linux had it, one instruction (or one REP string) for each case. A disagreement is told as text.
 */
import type { Processor } from '../../cpu.ts';
import { decodeInstruction, type Instruction } from '../../decode-instruction.ts';
import { addressOf } from '../../layout.ts';
import { emptyTags, setEmptyTags } from '../../meaning/x87/tags.ts';
import { DESCRIPTOR_OUTSIDE_TABLE, type TrapSink } from '../../trap-sink.ts';
import { asIntel, comparableStatus, faultAddressIsOpen, isOpenPriority, leavesFlagsOpen } from './amd.ts';
import { DONE, FLAG_MASK, physical, type Vector } from './format.ts';
import { undefinedAfter } from './sequences.ts';
import {
  CODE,
  CODE_SIZE,
  DATA,
  DATA_SIZE,
  ENVIRONMENTS,
  FIRST_SLOT,
  FLAT_CODE,
  FLAT_CODE_WORDS,
  FLAT_DATA,
  FLAT_DATA_WORDS,
  instructionAddress,
  LDT_SIZE,
  ldtWords,
  memoryImage,
  type Poke,
  SEQUENCE,
  SLOT_SIZE,
  SLOTS,
  STACK,
  STACK_SIZE,
  slotAddress,
  TO_INT3,
  WRITABLE_DATA_SIZE,
  X87,
  x87Of,
} from './state.ts';
import { undefinedFlagBits } from './undefined.ts';

const DIRECTORY = 0x1000,
  TABLES = 0x2000,
  GDT = 0x6000,
  LDT = 0x7000;
const CODE_FRAMES = 0x1_0000,
  DATA_FRAMES = 0x2_0000,
  STACK_FRAMES = 0x2_4000;
const GDT_LIMIT = 0x7f;
/** Exceptions that push an error code. */
const WITH_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);

/** Writes down the one thing that leaves the guest. The IDT is Linux': gates 3 and 4 are open to ring 3. */
class Recorder implements TrapSink {
  vector = DONE;
  errorCode = 0;
  readonly cpu: Processor;
  constructor(cpu: Processor) {
    this.cpu = cpu;
  }
  private record(vector: number, errorCode: number): void {
    // Only the first counts: what follows happens on the way out.
    if (this.vector === DONE) [this.vector, this.errorCode] = [vector, errorCode];
    this.cpu.requestExit();
  }
  exception(vector: number, errorCode: number): void {
    this.record(vector, errorCode);
  }
  softwareInterrupt(vector: number, length: number): void {
    if (vector === 3 || vector === 4) {
      this.cpu.eip = (this.cpu.eip + length) >>> 0;
      this.record(vector, -1);
    } else this.record(13, vector * 8 + 2);
  }
  descriptorAddress(selector: number): number {
    const offset = selector & 0xfff8;
    if ((selector & 4) !== 0) return offset + 7 < LDT_SIZE ? LDT + offset : DESCRIPTOR_OUTSIDE_TABLE;
    return offset + 7 <= GDT_LIMIT ? GDT + offset : DESCRIPTOR_OUTSIDE_TABLE;
  }
  kernelStack(): { ss: number; esp: number } {
    throw new Error('a vector asked for a stack of ring 0');
  }
  portRead(): number {
    throw new Error('a vector read a port');
  }
  portWrite(): void {
    throw new Error('a vector wrote a port');
  }
  portAllowed(): boolean {
    return false;
  }
  halted(): void {
    throw new Error('a vector halted the processor');
  }
}

export interface Tally {
  passed: number;
  failed: number;
  /** The first few disagreements. */
  readonly examples: string[];
}

export interface Report {
  cases: number;
  failed: number;
  /** By row id; '(undefined)' for encodings without one. */
  readonly rows: Map<string, Tally>;
}

const hex = (value: number): string => (value >>> 0).toString(16);

export class VectorMachine {
  readonly cpu: Processor;
  private readonly recorder: Recorder;
  private readonly image = memoryImage();
  private readonly ldtWords = ldtWords();
  private readonly data: Uint8Array;
  private readonly stack: Uint8Array;

  /** @param cpu with at least 1 MiB of memory; it belongs to this machine from now on */
  constructor(cpu: Processor) {
    this.cpu = cpu;
    this.recorder = new Recorder(cpu);
    cpu.sink = this.recorder;
    this.buildTables();
    this.data = cpu.memory.bytes(DATA_FRAMES, DATA_SIZE);
    this.stack = cpu.memory.bytes(STACK_FRAMES, STACK_SIZE);
    cpu.memory.writeBytes(CODE_FRAMES, new Uint8Array(CODE_SIZE).fill(0x90));
    cpu.cr0 = 0x8000_0033;
    cpu.cr3 = DIRECTORY;
  }

  private buildTables(): void {
    const { memory } = this.cpu;
    const map = (linear: number, machine: number, size: number, flags: number, table: number): void => {
      memory.write32(DIRECTORY + (linear >>> 22) * 4, table | 0x67);
      for (let page = 0; page < size; page += 4096) {
        memory.write32(table + ((linear >>> 12) & 1023) * 4 + (page >>> 12) * 4, (machine + page) | flags);
      }
    };
    map(CODE, CODE_FRAMES, CODE_SIZE, 0x67, TABLES);
    map(DATA, DATA_FRAMES, DATA_SIZE, 0x67, TABLES + 0x1000);
    map(
      DATA + WRITABLE_DATA_SIZE,
      DATA_FRAMES + WRITABLE_DATA_SIZE,
      DATA_SIZE - WRITABLE_DATA_SIZE,
      0x25,
      TABLES + 0x1000,
    );
    map(STACK, STACK_FRAMES, STACK_SIZE, 0x67, TABLES + 0x2000);
    for (const [selector, words] of [
      [FLAT_CODE, FLAT_CODE_WORDS],
      [FLAT_DATA, FLAT_DATA_WORDS],
    ] as const) {
      memory.write32(GDT + (selector & ~7), words[0]);
      memory.write32(GDT + (selector & ~7) + 4, words[1]);
    }
    for (const [index, word] of this.ldtWords.entries()) memory.write32(LDT + index * 4, word);
  }

  private words(selector: number): readonly [number, number] {
    if (selector === FLAT_CODE) return FLAT_CODE_WORDS;
    if (selector === FLAT_DATA) return FLAT_DATA_WORDS;
    if ((selector & 4) === 0) return [0, 0];
    const at = (selector >> 3) * 2;
    return [this.ldtWords[at] ?? 0, this.ldtWords[at + 1] ?? 0];
  }

  private poke(pokes: readonly Poke[]): void {
    for (const { address, bytes } of pokes) {
      for (const [index, byte] of bytes.entries()) this.put(address + index, byte);
    }
  }

  private put(address: number, byte: number): void {
    if (address >= DATA && address < DATA + WRITABLE_DATA_SIZE) this.data[address - DATA] = byte;
    if (address >= STACK && address < STACK + STACK_SIZE) this.stack[address - STACK] = byte;
  }

  /** Puts the code of a batch of cases into its slots. */
  private loadCode(batch: readonly Vector[]): void {
    const region = new Uint8Array(SLOTS * SLOT_SIZE).fill(0x90);
    for (const { spec, index } of batch) {
      region.set(spec.code, instructionAddress(spec, index) - FIRST_SLOT);
      const end = instructionAddress(spec, index) + spec.code.length;
      if (end < slotAddress(index) + SLOT_SIZE) region[end - FIRST_SLOT] = 0x90;
    }
    this.cpu.memory.writeBytes(CODE_FRAMES + (FIRST_SLOT - CODE), region);
  }

  private enter(vector: Vector): void {
    const { cpu } = this;
    const { spec } = vector;
    const { gpr, eip, eflags } = vector.before;
    const environment = ENVIRONMENTS[spec.environment];
    if (environment === undefined) throw new Error('no such environment');
    cpu.cpl = 3;
    for (const [segment, selector] of environment.selectors.entries()) {
      const [low, high] = this.words(selector);
      cpu.setSegmentHidden(segment, selector, low, high);
    }
    cpu.cpl = 3;
    for (let reg = 0; reg < 8; reg++) cpu.setReg(reg, gpr[reg] ?? 0);
    cpu.eip = eip;
    cpu.eflags = eflags;
    this.data.set(this.image.subarray(0, DATA_SIZE));
    this.stack.set(this.image.subarray(DATA_SIZE));
    this.poke(spec.pokes);
    if (spec.mode === X87) this.loadX87(x87Of(spec));
    this.recorder.vector = DONE;
    this.recorder.errorCode = 0;
  }

  private loadX87(image: Uint8Array): void {
    const { u8, view } = this.cpu.memory;
    const from = new DataView(image.buffer);
    view.setUint16(addressOf('fcw'), from.getUint16(0, true), true);
    view.setUint16(addressOf('fsw'), from.getUint16(4, true), true);
    u8.fill(0, addressOf('fop'), addressOf('fds') + 4);
    const registers = physical(image);
    for (let reg = 0; reg < 8; reg++) {
      const at = addressOf('fpr') + reg * 16;
      u8.fill(0, at, at + 16);
      u8.set(registers.subarray(reg * 10, reg * 10 + 10), at);
    }
    setEmptyTags(view, from.getUint16(8, true));
  }

  /** @returns undefined if the processor did what the hardware did. */
  private check(measured: Vector, instruction: Instruction | undefined): string | undefined {
    const { before } = measured;
    const vector = asIntel(measured, instruction, before);
    if (vector === undefined) return undefined;
    if (vector.spec.mode === SEQUENCE) return this.checkSequence(vector);
    this.enter(vector);
    const { cpu, recorder } = this;
    cpu.run(1);
    if (vector.spec.mode === TO_INT3 && instruction?.row.rep !== undefined) {
      for (let left = 100_000; left > 0 && recorder.vector === DONE && cpu.eip === before.eip; left--)
        cpu.run(1);
    }
    return this.compare(vector, instruction, before.gpr[1] ?? 0);
  }

  /** Step by step, then in one go: both must end as the hardware did. */
  private checkSequence(vector: Vector): string | undefined {
    const { cpu, recorder } = this;
    const end = vector.before.eip + vector.spec.code.length;
    this.enter(vector);
    let steps = 0;
    while (cpu.eip !== end && recorder.vector === DONE && steps < 32) {
      cpu.run(1);
      steps++;
    }
    const stepped = this.compare(vector, undefined, 0);
    if (stepped !== undefined) return stepped;
    this.enter(vector);
    cpu.run(steps);
    const atOnce = this.compare(vector, undefined, 0);
    return atOnce === undefined ? undefined : `at once: ${atOnce}`;
  }

  private undefinedFlags(vector: Vector, instruction: Instruction | undefined, ecx: number): number {
    if (vector.spec.mode === SEQUENCE) {
      const flags = undefinedAfter(vector.spec.code, ENVIRONMENTS[vector.spec.environment]?.bits ?? 32);
      return (vector.vector === DONE ? flags?.atEnd : flags?.ever) ?? 0;
    }
    return instruction === undefined ? 0 : undefinedFlagBits(instruction, ecx);
  }

  private compare(vector: Vector, instruction: Instruction | undefined, ecx: number): string | undefined {
    const { cpu, recorder } = this;
    const wrong: string[] = [];
    const expect = (what: string, ours: number, theirs: number): void => {
      if (ours !== theirs) wrong.push(`${what} ${hex(ours)} not ${hex(theirs)}`);
    };
    // ICEBP's #DB and the single-step trap look the same from a signal handler.
    const done = recorder.vector === 1 && instruction?.row.id === 'int1' ? DONE : recorder.vector;
    if (isOpenPriority(instruction, done, vector.vector)) return undefined;
    expect('vector', done, vector.vector);
    if (wrong.length === 0 && WITH_CODE.has(done)) expect('error code', recorder.errorCode, vector.errorCode);
    if (wrong.length === 0 && done === 14 && !faultAddressIsOpen(instruction))
      expect('cr2', cpu.cr2, vector.cr2);
    expect('eip', cpu.eip, vector.eip);
    for (let reg = 0; reg < 8; reg++) expect(NAMES[reg] ?? '', cpu.getReg(reg), vector.gpr[reg] ?? 0);
    const x87 = vector.x87;
    const flagsOpen = x87 !== undefined && leavesFlagsOpen(instruction, x87.status, x87.control);
    const defined = flagsOpen ? 0 : FLAG_MASK & ~this.undefinedFlags(vector, instruction, ecx);
    expect('eflags', cpu.eflags & defined, vector.eflags & defined);
    for (let segment = 0; segment < 6; segment++) {
      expect(`segment ${segment}`, cpu.getSelector(segment), vector.selectors[segment] ?? 0);
    }
    this.compareMemory(vector, wrong);
    if (vector.x87 !== undefined) this.compareX87(vector, wrong, instruction);
    return wrong.length === 0 ? undefined : wrong.join(', ');
  }

  private compareMemory(vector: Vector, wrong: string[]): void {
    // What hardware wrote is undone; then everything must be as it was before.
    const expected: [number, number, number][] = [];
    for (const { address, value } of vector.memory) expected.push([address, value, this.peek(address)]);
    for (const [address, value, ours] of expected) {
      if (ours !== value) wrong.push(`[${hex(address)}] ${hex(ours)} not ${hex(value)}`);
      this.put(address, this.image[this.imageOffset(address)] ?? 0);
    }
    for (const { address, bytes } of vector.spec.pokes) {
      for (const [index, byte] of bytes.entries()) {
        const at = address + index;
        if (vector.memory.some((changed) => changed.address === at) || this.imageOffset(at) < 0) continue;
        if (this.peek(at) !== byte) wrong.push(`[${hex(at)}] was changed to ${hex(this.peek(at))}`);
        this.put(at, this.image[this.imageOffset(at)] ?? 0);
      }
    }
    if (Buffer.compare(this.data, this.image.subarray(0, DATA_SIZE)) !== 0) wrong.push('other data changed');
    if (Buffer.compare(this.stack, this.image.subarray(DATA_SIZE)) !== 0) wrong.push('other stack changed');
  }

  /** Place in the image of a byte that cases may change, or -1. */
  private imageOffset(address: number): number {
    if (address >= DATA && address < DATA + WRITABLE_DATA_SIZE) return address - DATA;
    return address >= STACK && address < STACK + STACK_SIZE ? DATA_SIZE + address - STACK : -1;
  }

  private peek(address: number): number {
    return (address >= STACK ? this.stack[address - STACK] : this.data[address - DATA]) ?? 0;
  }

  private compareX87(vector: Vector, wrong: string[], instruction: Instruction | undefined): void {
    const { u8, view } = this.cpu.memory;
    const theirs = vector.x87;
    if (theirs === undefined) return;
    const loose = instruction !== undefined && TRANSCENDENTAL.has(instruction.row.mnemonic);
    const control = view.getUint16(addressOf('fcw'), true);
    const status = view.getUint16(addressOf('fsw'), true);
    // Whether a transcendental result was inexact, and how it was rounded, depends on the processor's approximation.
    const statusMask =
      (loose ? 0xfddf : 0xffff) & comparableStatus(instruction, theirs.status, theirs.control);
    if (control !== theirs.control) wrong.push(`fcw ${hex(control)} not ${hex(theirs.control)}`);
    if ((status & statusMask) !== (theirs.status & statusMask))
      wrong.push(`fsw ${hex(status)} not ${hex(theirs.status)}`);
    const tags = emptyTags(view);
    for (let reg = 0; reg < 8; reg++) {
      const empty = ((tags >> (reg * 2)) & 3) === 3;
      const emptyThere = ((theirs.tags >> (reg * 2)) & 3) === 3;
      if (empty !== emptyThere) wrong.push(`R${reg} is ${empty ? '' : 'not '}empty`);
      const at = addressOf('fpr') + reg * 16;
      const ours = u8.subarray(at, at + 10);
      const right = theirs.registers.subarray(reg * 10, reg * 10 + 10);
      if (Buffer.compare(ours, right) === 0) continue;
      if (loose && unitsApart(ours, right) <= 2) continue;
      wrong.push(`R${reg}${empty ? ' (empty)' : ''} ${float80(ours)} not ${float80(right)}`);
    }
  }

  /** Runs vectors in the order of the file. */
  runAll(vectors: Iterable<Vector>, report: Report = { cases: 0, failed: 0, rows: new Map() }): Report {
    let batch: Vector[] = [];
    const flush = (): void => {
      this.loadCode(batch);
      for (const vector of batch) this.tally(vector, report);
      batch = [];
    };
    for (const vector of vectors) {
      batch.push(vector);
      if (batch.length === SLOTS) flush();
    }
    flush();
    return report;
  }

  private tally(vector: Vector, report: Report): void {
    const { spec, index } = vector;
    const bits = ENVIRONMENTS[spec.environment]?.bits ?? 32;
    const decoded = decodeInstruction(spec.code, 0, bits);
    const instruction = decoded.ok ? decoded.instruction : undefined;
    const id = spec.mode === SEQUENCE ? '(sequence)' : (instruction?.row.id ?? '(undefined)');
    const row = report.rows.get(id) ?? { passed: 0, failed: 0, examples: [] };
    report.rows.set(id, row);
    report.cases++;
    let wrong: string | undefined;
    try {
      wrong = this.check(vector, instruction);
    } catch (error) {
      wrong = `${error}`;
    }
    if (wrong === undefined) {
      row.passed++;
      return;
    }
    row.failed++;
    report.failed++;
    if (row.examples.length < 8) {
      row.examples.push(
        `#${index} ${Buffer.from(spec.code).toString('hex')} environment ${spec.environment}: ${wrong}`,
      );
    }
  }
}

const NAMES = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
const TRANSCENDENTAL = new Set(['f2xm1', 'fyl2x', 'fyl2xp1', 'fptan', 'fpatan', 'fsin', 'fcos', 'fsincos']);

/** Units in the last place between two 80-bit numbers of one sign; large if they are not comparable. */
function unitsApart(one: Uint8Array, other: Uint8Array): number {
  const a = new DataView(one.buffer, one.byteOffset);
  const b = new DataView(other.buffer, other.byteOffset);
  const exponents = [a.getUint16(8, true), b.getUint16(8, true)] as const;
  const significands = [a.getBigUint64(0, true), b.getBigUint64(0, true)] as const;
  let difference = significands[0] - significands[1];
  if (exponents[0] === exponents[1] + 1) difference = 2n * significands[0] - significands[1];
  else if (exponents[1] === exponents[0] + 1) difference = significands[0] - 2n * significands[1];
  else if (exponents[0] !== exponents[1]) return 1e9;
  return Math.abs(Number(difference));
}

function float80(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).reverse().toString('hex');
  return `${text.slice(0, 4)}:${text.slice(4)}`;
}

/** One line for each row: passed, failed, and examples of failures. */
export function summary(report: Report, failuresOnly: boolean): string {
  const lines: string[] = [];
  for (const [id, { passed, failed, examples }] of report.rows) {
    if (failuresOnly && failed === 0) continue;
    lines.push(
      `${id.padEnd(20)} ${passed} passed, ${failed} failed`,
      ...examples.map((example) => `    ${example}`),
    );
  }
  lines.push(`${report.cases - report.failed} passed, ${report.failed} failed`);
  return lines.join('\n');
}
