/**
 * A guest on the real processor for hypercalls with endless lists. Its kernel is one `int $0x82` and, behind it, a
 * jump to itself; tests load the registers, let it run in the slices of a host, and look at what is left in them.
 *
 *   BASE      code, stack; shared_info at SHARED; LIST, memory of its own, page after page
 *   MIRRORS   a gigabyte of addresses that all show one page, `mirror`: a list as long as a guest can make it
 *
 * An upcall is counted, its return address noted (upcalls, interruptedAt), and events are enabled again.
 */
import { I386 } from '../../cpu/i386.ts';
import { EAX, EBX, ECX, EDI, EDX, ESI } from '../../cpu/layout.ts';
import { PhysicalMemory } from '../../cpu/physical-memory.ts';
import { asm } from '../../cpu/testing/asm.ts';
import { FLAT_KERNEL_CS, VIRQ_TIMER } from '../abi/constants.ts';
import { audit } from '../audit.ts';
import type { Domain } from '../domain.ts';
import { unpauseDomain } from '../domain-lifecycle.ts';
import { allocateDomainFrame } from '../domain-memory.ts';
import { bindVirq } from '../evtchn.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { createHypervisor } from '../hypervisor-core.ts';
import type { Abi, Personality } from '../personality.ts';
import { setRoot } from '../roots.ts';
import { runSlice } from '../run.ts';
import { setSingleShot } from '../timers.ts';
import type { Vcpu } from '../vcpu.ts';
import { setBootState } from '../vcpu-context.ts';
import { BASE, flatDomain } from './flat-domain.ts';

export const MIRRORS = 0x4000_0000;
const SHARED_PAGE = 15;
const LIST_PAGE = 16;
export const LIST = BASE + LIST_PAGE * 4096;
const NOTES = BASE + 0x3000;
const PENDING_WORDS = 2048;
const REGISTERS = [EBX, ECX, EDX, ESI, EDI];
/** What a table's entries to `mirror` may: present, writable, user, accessed, dirty. */
const RIGHTS = 0x67;

const SOURCE = `
  .set SHARED, ${BASE + SHARED_PAGE * 4096}
  .set NOTES, ${NOTES}
  start: int $0x82
  stop: jmp stop
  event: pushal
    incl NOTES
    movl 32(%esp), %eax
    movl %eax, NOTES + 4
    movl $0, SHARED + ${PENDING_WORDS}
    movl $0, SHARED + 4
    movb $0, SHARED
    popal
    movb $0, SHARED + 1
    iret
`;

export interface LongCallOptions {
  abi: Abi;
  personality: Personality;
  /** Pages at LIST. */
  pages?: number;
  maxFrames?: number;
  privileged?: boolean;
}

export interface Outcome {
  eax: number;
  /** EBX ECX EDX ESI EDI afterwards. */
  registers: number[];
  /** How often the call was put aside. */
  continued: number;
  /** The longest that a slice went beyond what the host asked for, in virtual ns. */
  overrun: number;
}

export class LongCalls {
  readonly hv: Hypervisor;
  readonly domain: Domain;
  readonly vcpu: Vcpu;
  /** mfn behind every page of MIRRORS, and of each page at LIST. */
  readonly mirror: number;
  readonly list: number[];
  readonly printed: Uint8Array[] = [];
  readonly #start: number;
  readonly #stop: number;
  readonly #frames: number[];

  constructor({ abi, personality, pages = 64, maxFrames, privileged = false }: LongCallOptions) {
    const hv = createHypervisor(
      new PhysicalMemory(16),
      { seed: 1, wallClockSeconds: 0 },
      {
        consoleIo: (_domain, bytes) => void this.printed.push(bytes),
        consoleRead: () => new Uint8Array(),
        serialOut: () => {},
        toolstackEvent() {},
        domainEnded() {},
      },
      (ram, sink) => new I386(ram, sink),
    );
    this.hv = hv;
    const flat = flatDomain(hv, { abi, personality, privileged, vcpus: 1, maxFrames: maxFrames ?? 256 });
    const { domain, frames, table, root } = flat;
    this.domain = domain;
    this.vcpu = domain.vcpus[0]!;
    this.#frames = frames;
    const { memory } = hv;
    const size = domain.entryBytes;
    const take = (): number => {
      const mfn = allocateDomainFrame(hv, domain);
      if (mfn < 0) throw new Error('the domain has no frame left');
      return mfn;
    };
    const entry = (at: number, index: number, mfn: number, rights = RIGHTS): void =>
      memory.write32(at * 4096 + index * size, ((mfn << 12) | rights) >>> 0);
    const entries = 4096 / size;

    entry(table, SHARED_PAGE, domain.sharedInfoMfn);
    this.list = Array.from({ length: pages }, take);
    for (const [i, mfn] of this.list.entries()) {
      entry(table, LIST_PAGE + i, mfn);
      hv.m2p.set(mfn, LIST_PAGE + i);
    }
    this.mirror = take();
    const leaf = take();
    for (let i = 0; i < entries; i++) entry(leaf, i, this.mirror);
    if (size === 4) for (let i = 0; i < 256; i++) entry(root, (MIRRORS >>> 22) + i, leaf);
    else {
      const l2 = take();
      for (let i = 0; i < entries; i++) entry(l2, i, leaf);
      entry(root, MIRRORS >>> 30, l2, 1);
    }

    const code = asm(SOURCE, BASE);
    memory.writeBytes(frames[0]! * 4096, code.bytes);
    this.#start = code.labels['start']!;
    this.#stop = code.labels['stop']!;
    if (setRoot(hv, this.vcpu, root) !== 0) throw new Error('the tables were refused');
    setBootState(hv, this.vcpu, this.#stop, BASE + 0x2000, 0);
    this.vcpu.eventCallbackCs = FLAT_KERNEL_CS;
    this.vcpu.eventCallbackEip = code.labels['event']!;
    unpauseDomain(hv, domain);
    this.run(10_000);
    memory.write8(domain.sharedInfoMfn * 4096 + 1, 0);
  }

  /** Machine address of an address below MIRRORS' end or at BASE. */
  maddr(va: number): number {
    if (va < BASE) return this.mirror * 4096 + (va & 4095);
    const page = (va - BASE) >>> 12;
    const mfn = page < LIST_PAGE ? this.#frames[page]! : this.list[page - LIST_PAGE]!;
    return mfn * 4096 + (va & 4095);
  }
  put(va: number, ...words: number[]): void {
    for (const [i, word] of words.entries()) this.hv.memory.write32(this.maddr(va + 4 * i), word >>> 0);
  }
  word(va: number): number {
    return this.hv.memory.read32(this.maddr(va));
  }
  get upcalls(): number {
    return this.word(NOTES);
  }
  /** Was the last upcall delivered at the `int $0x82`? */
  get interruptedAtCall(): boolean {
    return this.word(NOTES + 4) === this.#start;
  }
  /** VIRQ_TIMER in so many ns, as an upcall. */
  timerIn(ns: number): void {
    if (this.vcpu.virqPort[VIRQ_TIMER] === 0) bindVirq(this.hv, this.domain, VIRQ_TIMER, 0);
    this.vcpu.periodicPeriod = 0;
    setSingleShot(this.hv, this.vcpu, this.hv.now() + ns);
  }

  /** The guest makes the call with the next instruction. */
  begin(number: number, ...args: number[]): void {
    const { cpu } = this.hv;
    cpu.setReg(EAX, number);
    for (const [i, register] of REGISTERS.entries()) cpu.setReg(register, (args[i] ?? 0) >>> 0);
    cpu.eip = this.#start;
  }
  get isDone(): boolean {
    return this.domain.end !== null || this.hv.cpu.eip === this.#stop;
  }
  /** @returns how far the slice went beyond its end, in virtual ns */
  run(ns: number): number {
    const until = this.hv.now() + ns;
    runSlice(this.hv, until);
    return this.hv.now() - until;
  }
  /** Registers as the guest has them now: EAX, then the arguments. */
  registers(): number[] {
    return [EAX, ...REGISTERS].map((register) => this.hv.cpu.getReg(register));
  }

  /** Makes a call and sees it to its end, with slices of the host of so many ns. */
  call(number: number, args: readonly number[], slice = 5_000, most = 1_000_000_000): Outcome {
    const { hv } = this;
    const end = hv.now() + most;
    const record = hv.trace.total;
    let overrun = 0;
    this.begin(number, ...args);
    while (!this.isDone || hv.returnPathDue) {
      if (hv.now() > end) throw new Error('the call does not end');
      overrun = Math.max(overrun, this.run(slice));
    }
    const wrong = audit(hv);
    if (wrong.length > 0) throw new Error(`audit:\n${wrong.join('\n')}`);
    const [eax, ...registers] = this.registers();
    const slot = hv.trace.slotOf(record);
    return { eax: eax! | 0, registers, continued: slot < 0 ? -1 : hv.trace.continued[slot]!, overrun };
  }
}
