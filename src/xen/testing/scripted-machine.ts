/**
 * A machine for tests of events, traps, scheduling and time: the real hypervisor over a processor that runs scripts
 * instead of instructions. A guest is a generator; what it yields is what it does next, one cycle each:
 *
 *   function* (g) { const port = yield* g.call(32, 7, g.put(...)); yield spend(1000); yield fault(13, 0); }
 *
 * Registers, segments, stacks and page tables are real: memory is mapped flat (va = BASE + 4096 * page) by tables
 * that the hypervisor has validated, selectors are looked up through the sink, frames are pushed into real memory.
 */
import { CS, EAX, EBX, ECX, EDI, EDX, ESI, ESP, SS } from '../../cpu/layout.ts';
import { PhysicalMemory } from '../../cpu/physical-memory.ts';
import { FLAT_KERNEL_CS } from '../abi/constants.ts';
import { audit } from '../audit.ts';
import type { Domain } from '../domain.ts';
import { unpauseDomain } from '../domain-lifecycle.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { createHypervisor } from '../hypervisor-core.ts';
import type { Personality } from '../personality.ts';
import { advanceIdle, machineTime } from '../physical-cpus.ts';
import { dropRoot, setRoot } from '../roots.ts';
import { runSlice } from '../run.ts';
import type { Vcpu } from '../vcpu.ts';
import { setBootState } from '../vcpu-context.ts';
import { BASE, flatDomain } from './flat-domain.ts';
import { ScriptedProcessor } from './scripted-processor.ts';

// ---------------------------------------------------------------- scripts

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
  /** What came out of the UART. */
  readonly serial: number[] = [];
  readonly toolstackEvents: string[] = [];
  readonly ended: string[] = [];
  readonly printed: string[] = [];
  /** Called at the beginning of each step, with the state as the hypervisor left it. */
  onStep: () => void = () => {};
  readonly #scripts = new Map<Vcpu, Script>();
  readonly #started = new Set<Vcpu>();

  constructor(options: { cpus?: number } = {}) {
    const memory = new PhysicalMemory(8);
    let cpu: ScriptedProcessor | undefined;
    this.hv = createHypervisor(
      memory,
      { seed: 1, wallClockSeconds: 1_000_000_000, cpus: options.cpus ?? 1 },
      {
        consoleIo: (domain, bytes) => {
          this.printed.push(`d${domain.id} ${String.fromCharCode(...bytes)}`);
        },
        serialOut: (byte) => this.serial.push(byte),
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
    const end = machineTime(this.hv) + limit;
    for (;;) {
      const now = machineTime(this.hv);
      const result = runSlice(this.hv, Math.min(end, now + slice));
      if (result.kind === 'halted' || machineTime(this.hv) >= end) return this;
      if (result.kind === 'idle') {
        if (result.nextDeadline === Number.POSITIVE_INFINITY || result.nextDeadline >= end) return this;
        advanceIdle(this.hv, result.nextDeadline);
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
