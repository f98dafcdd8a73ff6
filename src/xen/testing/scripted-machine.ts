/**
 * A machine for tests of events, traps, scheduling and time: the real hypervisor over a processor that runs scripts
 * instead of instructions. A guest is a generator; what it yields is what it does next, one cycle each:
 *
 *   function* (g) { const port = yield* g.call(32, 7, g.put(...)); yield spend(1000); yield fault(13, 0); }
 *
 * Registers, segments, stacks and page tables are real: memory is mapped flat (va = BASE + 4096 * page) by tables
 * that the hypervisor has validated, selectors are looked up through the sink, frames are pushed into real memory.
 */
import { ACCESS_USER, ACCESS_WRITE, type Processor } from '../../cpu/cpu.ts';
import { CS, EAX, EBX, ECX, EDI, EDX, ESI, ESP, SS } from '../../cpu/layout.ts';
import { PhysicalMemory } from '../../cpu/physical-memory.ts';
import type { TrapSink } from '../../cpu/trap-sink.ts';
import { FLAT_KERNEL_CS } from '../abi/constants.ts';
import { audit } from '../audit.ts';
import type { Domain } from '../domain.ts';
import { unpauseDomain } from '../domain-lifecycle.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { createHypervisor } from '../hypervisor-core.ts';
import { readHigh, readLow } from '../page-table-entries.ts';
import type { Personality } from '../personality.ts';
import { dropRoot, setRoot } from '../roots.ts';
import { runSlice } from '../run.ts';
import type { Vcpu } from '../vcpu.ts';
import { setBootState } from '../vcpu-context.ts';
import { BASE, flatDomain } from './flat-domain.ts';

// ---------------------------------------------------------------- the processor

const WORDS = 64;
/** Where the scripted state lies in its word array. */
const GPR = 0,
  EIP = 8,
  FLAGS = 9,
  CPL = 10,
  CR0 = 11,
  CR2 = 12,
  CR3 = 13,
  CR4 = 14,
  EFER = 15,
  SEG = 16,
  DR = 40;

const GP = (code: number) => (13 << 16) | code;
const NP = (code: number) => (11 << 16) | code;
const SS_FAULT = (code: number) => (12 << 16) | code;

/** What a script does next. */
export type Action =
  | { kind: 'call' }
  | { kind: 'spend'; cycles: number }
  | { kind: 'fault'; vector: number; code: number; cr2: number }
  | { kind: 'int'; vector: number };

export const spend = (cycles: number): Action => ({ kind: 'spend', cycles });
export const fault = (vector: number, code = -1, cr2 = 0): Action => ({ kind: 'fault', vector, code, cr2 });
export const softInt = (vector: number): Action => ({ kind: 'int', vector });
const CALL: Action = { kind: 'call' };

export type Script = Generator<Action, void, number>;

/** The scripts and handlers of the vcpus, and the processor that runs them. */
export class ScriptedProcessor implements Processor {
  readonly memory: PhysicalMemory;
  sink: TrapSink;
  readonly translateFault = { code: 0, linear: 0 };
  readonly words = new Uint32Array(WORDS);
  instructions = 0;
  #now = 0;
  #exit = false;
  /** Runs one step at eip; set by the machine. */
  step: () => void = () => {};

  constructor(memory: PhysicalMemory, sink: TrapSink) {
    this.memory = memory;
    this.sink = sink;
  }

  getReg = (index: number): number => this.words[GPR + index]!;
  setReg = (index: number, value: number): void => {
    this.words[GPR + index] = value;
  };
  get eip(): number {
    return this.words[EIP]!;
  }
  set eip(value: number) {
    this.words[EIP] = value;
  }
  get eflags(): number {
    return this.words[FLAGS]!;
  }
  set eflags(value: number) {
    this.words[FLAGS] = value;
  }
  get cpl(): number {
    return this.words[CPL]!;
  }
  set cpl(value: number) {
    this.words[CPL] = value;
  }
  get cr0(): number {
    return this.words[CR0]!;
  }
  set cr0(value: number) {
    this.words[CR0] = value;
  }
  get cr2(): number {
    return this.words[CR2]!;
  }
  set cr2(value: number) {
    this.words[CR2] = value;
  }
  get cr3(): number {
    return this.words[CR3]!;
  }
  set cr3(value: number) {
    this.words[CR3] = value;
  }
  get cr4(): number {
    return this.words[CR4]!;
  }
  set cr4(value: number) {
    this.words[CR4] = value;
  }
  get efer(): number {
    return this.words[EFER]!;
  }
  set efer(value: number) {
    this.words[EFER] = value;
  }
  getSelector = (segment: number): number => this.words[SEG + segment * 4]!;
  getSegmentBase = (segment: number): number => this.words[SEG + segment * 4 + 1]!;
  getSegmentLimit = (segment: number): number => this.words[SEG + segment * 4 + 2]!;
  getSegmentAccess = (segment: number): number => this.words[SEG + segment * 4 + 3]!;
  getDr = (index: number): number => this.words[DR + index]!;
  setDr = (index: number, value: number): void => {
    this.words[DR + index] = value;
  };

  loadSegment = (segment: number, selector: number): number => {
    const code = selector & ~3;
    if (code === 0) {
      if (segment === CS || segment === SS) return GP(0);
      this.setSegmentHidden(segment, selector, 0, 0);
      return 0;
    }
    const at = this.sink.descriptorAddress(selector);
    if (at < 0) return GP(code);
    const low = this.memory.read32(at);
    const high = this.memory.read32(at + 4);
    const dpl = (high >>> 13) & 3;
    const isCode = (high & 0x1800) === 0x1800;
    const rpl = selector & 3;
    if (!(high & 0x1000)) return GP(code);
    if (segment === CS ? !isCode || dpl !== rpl || rpl < this.cpl : isCode && !(high & 0x200))
      return GP(code);
    if (segment === SS && (dpl !== this.cpl || rpl !== this.cpl || isCode || !(high & 0x200)))
      return GP(code);
    if (segment !== CS && segment !== SS && dpl < Math.max(rpl, this.cpl)) return GP(code);
    if (!(high & 0x8000)) return segment === SS ? SS_FAULT(code) : NP(code);
    this.setSegmentHidden(segment, selector, low, high);
    if (segment === CS) this.cpl = rpl;
    return 0;
  };
  setSegmentHidden = (segment: number, selector: number, low: number, high: number): void => {
    const at = SEG + segment * 4;
    const field = (low & 0xffff) | (high & 0xf_0000);
    this.words[at] = selector;
    this.words[at + 1] = (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000);
    this.words[at + 2] = high & 0x80_0000 ? field * 4096 + 4095 : field;
    this.words[at + 3] = high & 0x00ff_ff00;
  };

  run(cycles: number): number {
    const start = this.#now;
    this.#exit = false;
    while (this.#now - start < cycles && !this.#exit) this.step();
    return this.#now - start;
  }
  requestExit = (): void => {
    this.#exit = true;
  };
  charge = (cycles: number): void => {
    this.#now += cycles;
  };
  now = (): number => this.#now;
  advanceTo = (cycle: number): void => {
    this.#now = cycle;
  };
  retire = (): void => {
    this.instructions++;
    this.#now++;
  };

  translate = (linear: number, access: number): number => {
    const pae = (this.cr4 & 0x20) !== 0;
    const size = pae ? 8 : 4;
    let table = this.cr3;
    let rights = 6;
    for (let level = pae ? 3 : 2; level > 0; level--) {
      const shift = 12 + (level - 1) * (pae ? 9 : 10);
      const at = table + ((linear >>> shift) & (pae ? 511 : 1023)) * size;
      const low = readLow(this.memory, at);
      if (!(low & 1) || readHigh(this.memory, at, size) & 0x7fff_ffff) return this.#fail(linear, access, 0);
      if (level < 3) rights &= low;
      table = (low & 0xffff_f000) >>> 0;
    }
    if ((access & ACCESS_WRITE && !(rights & 2)) || (access & ACCESS_USER && !(rights & 4))) {
      return this.#fail(linear, access, 1);
    }
    return table + (linear & 4095);
  };
  #fail(linear: number, access: number, present: number): number {
    this.translateFault.linear = linear;
    this.translateFault.code = access | present;
    return -1;
  }
  peekTranslate = (linear: number): number => this.translate(linear, 0);
  flushTlb = (): void => {};
  flushTlbPage = (): void => {};
  tableEntryChanged = (): void => {};
  saveState = (into: Uint8Array): void => {
    into.fill(0);
    into.set(new Uint8Array(this.words.buffer));
  };
  loadState = (from: Uint8Array): void => {
    this.words.set(new Uint32Array(from.slice(0, WORDS * 4).buffer));
  };
}

// ---------------------------------------------------------------- the machine

const STACK_PAGE = 1;
/** Entry point of every script: eip is only told apart from handlers. */
export const ENTRY = BASE;
export const EVENT_HANDLER = BASE + 0x100;
export const FAILSAFE_HANDLER = BASE + 0x200;
/** Trap handler of a vector is at TRAP_HANDLER + vector. */
export const TRAP_HANDLER = BASE + 0x400;
/** Data that scripts put into memory. */
const DATA = BASE + 0x2000;

export interface Delivery {
  /** Address of the handler that was entered. */
  handler: number;
  /** Virtual ns. */
  at: number;
  vcpu: number;
  /** The words from ESP up. */
  stack: number[];
  cpl: number;
  eflags: number;
  mask: number;
}

export interface GuestOptions {
  personality?: Personality;
  vcpus?: number;
  privileged?: boolean;
  /** Registers event and failsafe callbacks and all traps before the script starts. */
  handlers?: boolean;
}

/** What a script may use. */
export class ScriptedGuest {
  readonly machine: ScriptedMachine;
  readonly domain: Domain;
  readonly deliveries: Delivery[] = [];
  /** mfn of each page. */
  readonly frames: number[];
  readonly log: string[] = [];
  /** Called in an event handler after the default one has cleared pending, selector and port bits. */
  onEvent: (port: number) => void = () => {};
  #dataEnd = DATA;

  constructor(machine: ScriptedMachine, domain: Domain, frames: number[]) {
    this.machine = machine;
    this.domain = domain;
    this.frames = frames;
  }
  get hv(): Hypervisor {
    return this.machine.hv;
  }
  get vcpu(): Vcpu {
    return this.domain.vcpus[0]!;
  }
  maddr(va: number): number {
    return this.frames[(va - BASE) >>> 12]! * 4096 + (va & 4095);
  }
  read32(va: number): number {
    return this.hv.memory.read32(this.maddr(va));
  }
  write32(va: number, value: number): void {
    this.hv.memory.write32(this.maddr(va), value);
  }
  /** Room for `bytes` in guest memory, zeroed. */
  room(bytes: number): number {
    const at = this.#dataEnd;
    this.#dataEnd += (bytes + 15) & ~15;
    return at;
  }
  /** Puts words into guest memory; their address. */
  put(...words: number[]): number {
    const at = this.room(words.length * 4);
    for (const [i, word] of words.entries()) this.write32(at + 4 * i, word);
    return at;
  }
  /** Makes a hypercall; the result is signed. The books are audited after it. */
  *call(number: number, ...args: number[]): Generator<Action, number, number> {
    const registers = [EBX, ECX, EDX, ESI, EDI];
    this.machine.cpu.setReg(EAX, number);
    for (const [i, register] of registers.entries()) this.machine.cpu.setReg(register, args[i] ?? 0);
    return (yield CALL) | 0;
  }
  /** event_channel_op, the form with command and pointer; the words of the struct after the call. */
  *evtchn(cmd: number, ...words: number[]): Generator<Action, { result: number; out: number[] }, number> {
    const at = this.put(...words);
    const result = yield* this.call(32, cmd, at);
    return { result, out: words.map((_, i) => this.read32(at + 4 * i)) };
  }
  setMask(mask: number, vcpu: Vcpu = this.vcpu): void {
    this.hv.memory.write8(vcpu.vcpuInfo + 1, mask);
  }
}

export class ScriptedMachine {
  readonly hv: Hypervisor;
  readonly cpu: ScriptedProcessor;
  readonly guests = new Map<Domain, ScriptedGuest>();
  readonly toolstackEvents: string[] = [];
  readonly ended: string[] = [];
  readonly printed: string[] = [];
  /** Called at the beginning of each step, with the state as the hypervisor left it. */
  onStep: () => void = () => {};
  readonly #scripts = new Map<Vcpu, Script>();
  readonly #started = new Set<Vcpu>();

  constructor() {
    const memory = new PhysicalMemory(8);
    let cpu: ScriptedProcessor | undefined;
    this.hv = createHypervisor(
      memory,
      { seed: 1, wallClockSeconds: 1_000_000_000 },
      {
        consoleIo: (domain, bytes) => {
          this.printed.push(`d${domain.id} ${String.fromCharCode(...bytes)}`);
        },
        consoleRead: (_domain, max) => new TextEncoder().encode('typed').subarray(0, max),
        toolstackEvent: (domain, port) => {
          this.toolstackEvents.push(`d${domain.id}:${port}`);
        },
        domainEnded: (domain) => {
          this.ended.push(`d${domain.id} ${domain.end!.reason}`);
        },
      },
      (ram, sink) => {
        cpu = new ScriptedProcessor(ram, sink);
        return cpu;
      },
    );
    this.cpu = cpu!;
    this.cpu.step = () => this.#step();
  }

  /** A PAE domain with PAGES pages mapped at BASE, one script per vcpu. */
  guest(scripts: ((g: ScriptedGuest) => Script)[], options: GuestOptions = {}): ScriptedGuest {
    const { hv } = this;
    const { domain, frames, root } = flatDomain(hv, {
      abi: 'x86_32p',
      personality: options.personality ?? '4.17',
      privileged: options.privileged ?? false,
      vcpus: options.vcpus ?? scripts.length,
    });
    const guest = new ScriptedGuest(this, domain, frames);
    this.guests.set(domain, guest);
    for (const [i, vcpu] of domain.vcpus.entries()) {
      if (setRoot(hv, vcpu, root) !== 0) throw new Error('the scripted tables were refused');
      setBootState(hv, vcpu, ENTRY, BASE + 4096 * (STACK_PAGE + 1) - 1024 * i, 0);
      const script = scripts[i];
      if (script) this.#scripts.set(vcpu, script(guest));
      else vcpu.down = true;
      if (options.handlers !== false) {
        vcpu.eventCallbackCs = FLAT_KERNEL_CS;
        vcpu.eventCallbackEip = EVENT_HANDLER;
        vcpu.failsafeCallbackCs = FLAT_KERNEL_CS;
        vcpu.failsafeCallbackEip = FAILSAFE_HANDLER;
        for (let vector = 0; vector < 256; vector++) {
          vcpu.trapCs[vector] = FLAT_KERNEL_CS;
          vcpu.trapAddress[vector] = TRAP_HANDLER + vector;
        }
      }
    }
    unpauseDomain(hv, domain);
    return guest;
  }

  /** Runs until nothing is left to do, jumping over idle time; at most `limit` ns. */
  run(limit = 1_000_000_000, slice = 10_000_000): this {
    const end = this.hv.now() + limit;
    for (;;) {
      const now = this.hv.now();
      const result = runSlice(this.hv, Math.min(end, now + slice));
      if (result.kind === 'halted' || this.hv.now() >= end) return this;
      if (result.kind === 'idle') {
        if (result.nextDeadline === Number.POSITIVE_INFINITY || result.nextDeadline >= end) return this;
        this.cpu.advanceTo(result.nextDeadline);
      }
    }
  }

  /** Takes the root that guest() gave away from a vcpu. */
  dropRoot(vcpu: Vcpu): void {
    dropRoot(this.hv, vcpu);
  }

  #step(): void {
    const { hv, cpu } = this;
    const vcpu = hv.current!;
    const guest = this.guests.get(vcpu.domain)!;
    this.onStep();
    const eip = cpu.eip;
    if (eip >= EVENT_HANDLER && eip < BASE + 0x1000) {
      this.#handle(guest, vcpu, eip);
      return;
    }
    const script = this.#scripts.get(vcpu);
    if (script === undefined) throw new Error(`vcpu ${vcpu.id} of d${vcpu.domain.id} has no script`);
    cpu.eip = ENTRY;
    const first = !this.#started.has(vcpu);
    this.#started.add(vcpu);
    const next = first ? script.next() : script.next(cpu.getReg(EAX));
    if (next.done) {
      // A script that ends powers its domain off, from whatever ring.
      cpu.cpl = 1;
      cpu.setReg(EAX, 6);
      cpu.setReg(EBX, 2);
      cpu.setReg(ECX, 0);
      cpu.sink.softwareInterrupt(0x82, 2);
      return;
    }
    const action = next.value;
    switch (action.kind) {
      case 'call':
        cpu.sink.softwareInterrupt(0x82, 2);
        this.check();
        return;
      case 'int':
        cpu.sink.softwareInterrupt(action.vector, 2);
        return;
      case 'spend':
        cpu.charge(action.cycles);
        return;
      case 'fault':
        cpu.charge(1);
        cpu.cr2 = action.cr2;
        cpu.sink.exception(action.vector, action.code);
    }
  }

  /** A handler: notes what it finds, serves events as Mini-OS does, and returns with a native IRET. */
  #handle(guest: ScriptedGuest, vcpu: Vcpu, handler: number): void {
    const { hv, cpu } = this;
    cpu.charge(1);
    const esp = cpu.getReg(ESP);
    const stack = Array.from({ length: 9 }, (_, i) => guest.read32(esp + 4 * i));
    const mask = hv.memory.read8(vcpu.vcpuInfo + 1);
    guest.deliveries.push({
      handler,
      at: hv.now(),
      vcpu: vcpu.id,
      stack,
      cpl: cpu.cpl,
      eflags: cpu.eflags,
      mask,
    });
    if (handler === EVENT_HANDLER) {
      hv.memory.write8(vcpu.vcpuInfo, 0);
      const selector = hv.memory.read32(vcpu.vcpuInfo + 4);
      hv.memory.write32(vcpu.vcpuInfo + 4, 0);
      const shared = guest.domain.sharedInfoMfn * 4096;
      for (let word = 0; word < 32; word++) {
        if (!((selector >>> word) & 1)) continue;
        const pending = hv.memory.read32(shared + 2048 + 4 * word);
        const masked = hv.memory.read32(shared + 2176 + 4 * word);
        hv.memory.write32(shared + 2048 + 4 * word, pending & masked);
        for (let bit = 0; bit < 32; bit++)
          if (((pending & ~masked) >>> bit) & 1) guest.onEvent(word * 32 + bit);
      }
    }
    const withCode = handler >= TRAP_HANDLER && [10, 11, 12, 13, 14, 15, 17].includes(handler - TRAP_HANDLER);
    const failsafe = handler === FAILSAFE_HANDLER;
    const at = withCode ? 1 : failsafe ? 4 : 0;
    const cs = stack[at + 1]!;
    hv.memory.write8(vcpu.vcpuInfo + 1, (cs >>> 16) & 0xff);
    cpu.cpl = 0;
    cpu.loadSegment(CS, cs & 0xffff);
    cpu.cpl = cs & 3;
    if ((cs & 3) === 1) cpu.setReg(ESP, esp + 4 * (at + 3));
    else {
      cpu.setReg(ESP, stack[at + 3]!);
      cpu.loadSegment(SS, stack[at + 4]! & 0xffff);
    }
    // Return to the entry address: the script goes on whatever its eip was.
    cpu.eip = ENTRY;
    cpu.eflags = stack[at + 2]! | 0x200;
  }

  /** All books agree: throws their disagreements otherwise. */
  check(): void {
    const wrong = audit(this.hv);
    if (wrong.length > 0) throw new Error(`audit:\n${wrong.join('\n')}`);
  }
}
