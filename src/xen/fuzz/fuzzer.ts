/**
 * Issues random hypercalls through the real dispatch, return path and scheduler, on a machine of 512 frames with
 * four domains: both ABIs, both personalities, one of them privileged, several vcpus each. After calls all books must
 * agree (audit.ts, books.ts); a domain that dies is replaced. Everything follows from the seed.
 */
import { EngineBug } from '../../base/assert.ts';
import { CS, DS, EAX, EBP, EBX, ECX, EDI, EDX, ES, ESI, ESP, FS, GS, SS } from '../../cpu/layout.ts';
import { PhysicalMemory } from '../../cpu/physical-memory.ts';
import { FLAT_KERNEL_CS, FLAT_KERNEL_SS } from '../abi/constants.ts';
import { audit } from '../audit.ts';
import { DOMID_XEN, type Domain } from '../domain.ts';
import { destroyDomain } from '../domain-lifecycle.ts';
import { domainMemory } from '../domain-memory.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { createHypervisor } from '../hypervisor-core.ts';
import { requestStop, runSlice } from '../run.ts';
import { unblock } from '../scheduler.ts';
import {
  eventDisagreements,
  lineDisagreements,
  m2pDisagreements,
  reachDisagreements,
  vcpuDisagreements,
} from './books.ts';
import { CachingProcessor } from './caching-processor.ts';
import { type Call, CallMaker, RESULTS } from './calls.ts';
import { FuzzGuest, type Kind } from './guest.ts';
import { outsideInput, privilegedInstruction, touch } from './outside.ts';
import { Random } from './random.ts';
import { faultingStore, guestStore } from './stores.ts';
import type { Context } from './values.ts';

export const FUZZ_FRAMES = 512;
const MACHINE_MIB = 2;
/** Input from outside comes between slices. */
const SLICE_NS = 200_000;
const ALL_BOOKS_EVERY = 16;
const HYPERCALL_VECTOR = 0x82;
const KERNEL_DS = 0xe021;
const MMU_UPDATE = 1;
const IRET = 23;
/** Steps without any call before a machine counts as hung. */
const PATIENCE = 5000;
const REGISTERS = [EBX, ECX, EDX, ESI, EDI, EBP];

export interface FuzzOptions {
  seed: number;
  /** Books are compared after every so many calls ... */
  auditEvery: number;
  /** ... and after each call that was refused. */
  auditRefusals: boolean;
}

/** Something that must never happen did; `call` is the number of the call, counted from 1. */
export class FuzzFailure extends Error {
  readonly call: number;

  constructor(call: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.call = call;
  }
}

export interface CallShare {
  name: string;
  issued: number;
  /** Did what they were asked. */
  succeeded: number;
  /** Answers: [0] those that are no errno, [n] those of -n. */
  results: number[];
}

/** Seed of chunk `index` of a run. */
export function chunkSeed(seed: number, index: number): number {
  return (Math.imul(seed, 0x9e37_79b1) ^ Math.imul(index + 1, 0x85eb_ca6b)) >>> 0;
}

const KINDS: readonly (readonly Kind[])[] = [
  [
    { abi: 'x86_32p', personality: '4.17', privileged: true, vcpus: 2 },
    { abi: 'x86_32p', personality: '3.0.2', privileged: true, vcpus: 2 },
    { abi: 'x86_32', personality: '3.0.2', privileged: true, vcpus: 2 },
  ],
  [{ abi: 'x86_32', personality: '3.0.2', privileged: false, vcpus: 3 }],
  [{ abi: 'x86_32p', personality: '3.0.2', privileged: false, vcpus: 3 }],
  [{ abi: 'x86_32p', personality: '4.17', privileged: false, vcpus: 4 }],
];

export class Fuzzer {
  readonly hv: Hypervisor;
  readonly maker = new CallMaker();
  /** Those that live. */
  guests: FuzzGuest[] = [];
  calls = 0;
  audits = 0;
  refusals = 0;
  stores = 0;
  /** Privileged ones, carried out by the hypervisor. */
  instructions = 0;
  births = 0;
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #cpu: CachingProcessor;
  readonly #ended: Domain[] = [];
  readonly #slots: (FuzzGuest | null)[] = KINDS.map(() => null);
  /** Frames that are free while no domain lives. */
  readonly #initially: { frames: number; heap: number };
  /** Frames of Xen's whose M2P entries the initial domain has set. */
  readonly #saidOfXen = new Set<number>();
  #until = 0;
  /** What happened last: a call, told in words when somebody asks, or words. */
  #lastCall: Call | null = null;
  #caller: { guest: FuzzGuest; vcpuId: number } | null = null;
  #lastWords = 'start';

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    let cpu: CachingProcessor | undefined;
    this.hv = createHypervisor(
      new PhysicalMemory(MACHINE_MIB),
      { seed: options.seed, wallClockSeconds: 1_000_000_000, traceCapacity: 64 },
      {
        consoleIo() {},
        consoleRead: (_domain, max) => new Uint8Array(Math.min(max, 5)),
        serialOut() {},
        toolstackEvent() {},
        domainEnded: (domain) => {
          this.#ended.push(domain);
          requestStop(this.hv);
        },
      },
      (memory, sink) => {
        cpu = new CachingProcessor(memory, sink);
        return cpu;
      },
    );
    this.#cpu = cpu!;
    this.#watchM2p();
    this.#cpu.step = () => this.#step();
    const { frames } = this.hv;
    this.#initially = { frames: frames.freeFrames, heap: frames.freeHeapFrames };
    this.#populate();
    this.#check(true);
  }

  /** What the last call was, for reports. */
  get last(): string {
    return this.#lastCall && this.#caller ? tell(this.#lastCall, this.#caller) : this.#lastWords;
  }

  /** Issues so many calls more. @throws FuzzFailure */
  run(calls: number): void {
    this.#until = this.calls + calls;
    let patience = PATIENCE;
    let before = this.calls;
    try {
      while (this.calls < this.#until) {
        const result = runSlice(this.hv, this.hv.now() + SLICE_NS);
        this.#replaceEnded();
        if (this.#random.chance(25)) outsideInput(this.hv, this.#random, this.guests);
        if (result.kind === 'idle') this.#idle(result.nextDeadline);
        if (this.calls !== before) patience = PATIENCE;
        else if (--patience === 0) throw new FuzzFailure(this.calls, 'nobody makes a call any more');
        before = this.calls;
      }
    } catch (error) {
      if (error instanceof FuzzFailure) throw error;
      const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      throw new FuzzFailure(this.calls, `${what}\nin call ${this.calls}: ${this.last}`, error);
    }
  }

  /** The initial domain may say what it likes about Xen's frames too, with MMU_MACHPHYS_UPDATE; nobody else may. */
  #watchM2p(): void {
    const { m2p, frames } = this.hv;
    const set = m2p.set.bind(m2p);
    m2p.set = (mfn, pfn) => {
      if (frames.owner[mfn] === DOMID_XEN && this.hv.current?.domain.privileged) this.#saidOfXen.add(mfn);
      set(mfn, pfn);
    };
  }

  // ---------------------------------------------------------------- domains

  /** Fills the empty slots as far as the machine has room; with none at all it must have as much as at first. */
  #populate(): void {
    for (const [slot, guest] of this.#slots.entries()) {
      if (guest !== null) continue;
      this.#slots[slot] = FuzzGuest.born(this.hv, this.#random.pick(KINDS[slot]!));
      if (this.#slots[slot] !== null) this.births++;
    }
    this.guests = this.#slots.filter((guest) => guest !== null);
    if (this.guests.length === 0)
      throw new FuzzFailure(this.calls, 'all domains are gone, but not their frames');
  }

  #destroy(slot: number): void {
    const guest = this.#slots[slot];
    if (!guest) return;
    this.#slots[slot] = null;
    destroyDomain(this.hv, guest.domain, domainMemory);
    const { frames } = this.hv;
    if (this.#slots.some((other) => other !== null)) return;
    if (frames.freeFrames !== this.#initially.frames || frames.freeHeapFrames !== this.#initially.heap) {
      throw new FuzzFailure(
        this.calls,
        `frames leaked: ${frames.freeFrames} and ${frames.freeHeapFrames} are free`,
      );
    }
  }

  #replaceEnded(): void {
    if (this.#ended.length === 0) return;
    for (let domain = this.#ended.pop(); domain !== undefined; domain = this.#ended.pop()) {
      const slot = this.#slots.findIndex((guest) => guest?.domain === domain);
      if (slot >= 0) this.#destroy(slot);
    }
    // Now and then everybody goes: whatever was shared or orphaned must then be free again.
    if (this.#random.chance(2)) for (const slot of this.#slots.keys()) this.#destroy(slot);
    this.#populate();
    this.#check(this.audits % ALL_BOOKS_EVERY === 0);
  }

  /** Nobody is runnable: time passes, or something from outside wakes somebody. */
  #idle(nextDeadline: number): void {
    const { hv } = this;
    const random = this.#random;
    if (Number.isFinite(nextDeadline) && nextDeadline < hv.now() + 1e9 && random.chance(70)) {
      this.#cpu.advanceTo(Math.max(hv.now(), nextDeadline));
      return;
    }
    const sleepers = this.guests.flatMap((guest) =>
      guest.domain.vcpus.filter((vcpu) => vcpu.blocked && !vcpu.down),
    );
    if (sleepers.length > 0) unblock(hv, random.pick(sleepers));
    else {
      // All vcpus are down: an administrator destroys a domain.
      this.#destroy(this.#slots.indexOf(random.pick(this.guests)));
      this.#populate();
    }
  }

  // ---------------------------------------------------------------- steps

  #step(): void {
    const { hv } = this;
    const vcpu = hv.current!;
    const guest = this.guests.find((each) => each.domain === vcpu.domain);
    if (!guest) throw new EngineBug('a domain runs that is not there');
    const random = this.#random;
    const context: Context = { hv, random, guest, vcpu, guests: this.guests };
    this.#cpu.charge(200 + random.below(2000));
    this.#enterKernel(context);
    if (random.chance(30)) touch(context);
    const roll = random.below(100);
    if (roll < 30) {
      this.#tellWords(guestStore(context));
      this.stores++;
      return;
    }
    if (roll < 33) {
      const what = faultingStore(context);
      if (what !== null) {
        this.#tellWords(`domain ${guest.domain.id}: store ${what}`);
        this.stores++;
        this.#check(false);
        return;
      }
    } else if (roll < 36) {
      this.instructions++;
      this.#tellWords(`domain ${guest.domain.id}: ${privilegedInstruction(context)}`);
      this.#check(false);
      return;
    }
    this.#call(context);
  }

  #tellWords(words: string): void {
    this.#lastCall = null;
    this.#lastWords = words;
  }

  /** Ring 1, flat segments, an empty stack: as a kernel that is about to make a call. */
  #enterKernel({ guest, vcpu, random }: Context): void {
    const cpu = this.#cpu;
    if (random.chance(1)) return;
    cpu.cpl = 0;
    cpu.loadSegment(CS, FLAT_KERNEL_CS);
    cpu.cpl = 1;
    cpu.loadSegment(SS, FLAT_KERNEL_SS);
    if (!random.chance(3)) for (const segment of [DS, ES]) cpu.loadSegment(segment, KERNEL_DS);
    for (const segment of [FS, GS]) cpu.setSegmentHidden(segment, 0, 0, 0);
    cpu.setReg(ESP, guest.stackTop(vcpu.id));
    cpu.eip = 0xc000_0010;
    cpu.eflags = 0x202;
  }

  #call(context: Context): void {
    const { guest, vcpu, random } = context;
    const cpu = this.#cpu;
    guest.clearArguments();
    const call = this.maker.make(context);
    for (let i = 0; i < REGISTERS.length; i++) cpu.setReg(REGISTERS[i]!, (call.args[i] ?? 0) >>> 0);
    cpu.setReg(EAX, call.number >>> 0);
    if (call.number === IRET) this.#iretFrame(context);
    this.calls++;
    this.#lastCall = call;
    this.#caller = { guest, vcpuId: vcpu.id };
    if (cpu.cpl !== 1) cpu.cpl = 1;
    this.#noteMeddling(call, guest);
    const calm = random.chance(60);
    if (calm) this.hv.memory.write8(vcpu.vcpuInfo + 1, 1);
    cpu.sink.softwareInterrupt(HYPERCALL_VECTOR, 2);
    const result = cpu.getReg(EAX) | 0;
    const ended = guest.domain.end !== null;
    const { plan } = call;
    plan.issued++;
    if (!ended) plan.results[result < 0 && result > -RESULTS ? -result : 0]!++;
    if (!ended && this.hv.current === vcpu && call.succeeded(result)) plan.succeeded++;
    const refused = result < 0 && result > -200;
    if (refused) this.refusals++;
    guest.deaf = result === -14 ? guest.deaf + 1 : 0;
    const { auditEvery, auditRefusals } = this.#options;
    if (this.calls % auditEvery === 0 || (auditRefusals && refused))
      this.#check(this.audits % ALL_BOOKS_EVERY === 0);
    // A domain whose arguments cannot be read any more teaches nothing: it is given up.
    if (guest.deaf > 12) {
      guest.deaf = 0;
      cpu.setReg(EAX, 6);
      cpu.setReg(EBX, 2);
      cpu.setReg(ECX, 0);
      if (guest.domain.end === null) cpu.sink.softwareInterrupt(HYPERCALL_VECTOR, 2);
    }
    if (this.calls >= this.#until) requestStop(this.hv);
  }

  #iretFrame({ guest, random }: Context): void {
    const esp = (this.#cpu.getReg(ESP) - 24) >>> 0;
    this.#cpu.setReg(ESP, esp);
    const ring3 = random.chance(40);
    const bytes = new Uint8Array(24);
    const view = new DataView(bytes.buffer);
    const words = [0, 0xc000_0010, ring3 ? 0xe02b : 0xe019, 0x202, 0xc000_2000, ring3 ? 0xe033 : 0xe021];
    if (random.chance(10)) words[random.below(6)] = random.next();
    for (const [i, word] of words.entries()) view.setUint32(4 * i, word, true);
    guest.store(esp, bytes);
  }

  /** A control domain may map what it likes into another's tables: such a domain's reach proves nothing. */
  #noteMeddling(call: Call, guest: FuzzGuest): void {
    if (!guest.domain.privileged || (call.number !== MMU_UPDATE && call.number !== 13)) return;
    for (const other of this.guests) {
      const named = call.number === 13 || (call.args[3] ?? 0) >>> 16 === other.domain.id + 1;
      if (named && other !== guest) other.meddledWith = true;
    }
  }

  // ---------------------------------------------------------------- checks

  #check(all: boolean): void {
    this.audits++;
    const { hv } = this;
    const wrong = audit(hv);
    if (wrong.length === 0) wrong.push(...this.#cpu.staleEntries(hv));
    if (all && wrong.length === 0) {
      wrong.push(
        ...eventDisagreements(hv),
        ...lineDisagreements(hv),
        ...vcpuDisagreements(hv),
        ...m2pDisagreements(hv, this.#saidOfXen),
        ...reachDisagreements(hv, this.guests),
      );
    }
    if (wrong.length > 0) {
      throw new FuzzFailure(this.calls, `${wrong.join('\n')}\nafter call ${this.calls}: ${this.last}`);
    }
  }

  /** Translations in the TLB that were compared with the tables. */
  get translations(): number {
    return this.#cpu.compared;
  }

  /** What was called how often, with what answers: by row and sub-operation. */
  shares(): CallShare[] {
    return this.maker.plans.map(({ name, issued, succeeded, results }) => ({
      name,
      issued,
      succeeded,
      results: Array.from(results),
    }));
  }
}

/** The call as the guest makes it, before it is made. */
function tell(call: Call, { guest, vcpuId }: { guest: FuzzGuest; vcpuId: number }): string {
  const words = call.args.map((arg) => arg.toString(16));
  const { domain } = guest;
  return `domain ${domain.id} (${domain.abi} ${domain.personality}${domain.privileged ? ' privileged' : ''}) vcpu ${vcpuId}: ${call.number} ${call.plan.name}(${words.join(', ')})`;
}
