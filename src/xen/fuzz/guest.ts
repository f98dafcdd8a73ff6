/**
 * A domain as the fuzzer sees it: a flat stretch of memory that holds its stacks and the arguments of its calls, some
 * frames without use, and what it remembers of the tables that it has written. It writes memory only as a guest
 * could: through a mapping, or into a frame that it could have mapped.
 */
import { invariant } from '../../base/assert.ts';
import { ACCESS_WRITE } from '../../cpu/cpu.ts';
import { FLAT_KERNEL_CS } from '../abi/constants.ts';
import { DOMID_IO, type Domain } from '../domain.ts';
import { createDomain, unpauseDomain } from '../domain-lifecycle.ts';
import { allocateDomainFrame, domainMemory } from '../domain-memory.ts';
import { toolstackAllocUnbound, toolstackBind } from '../evtchn.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from '../frames.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { becomesWritable } from '../page-types.ts';
import type { Abi, Personality } from '../personality.ts';
import { setRoot } from '../roots.ts';
import { setBootState } from '../vcpu-context.ts';
import type { Random } from './random.ts';

export const BASE = 0xc000_0000;
/** Pages that are mapped at BASE: code, stacks, arguments, data. */
const PAGES = 16;
const STACK_TOP = BASE + 0x2000;
const ARGUMENTS = BASE + 0x2000;
export const ARGUMENT_BYTES = 0x4000;
/** Pages that calls may aim at. */
const FIRST_DATA_PAGE = 6;
const SPARE_FRAMES = 18;
const MAX_FRAMES = 56;
const TABLE_RIGHTS = 0x67;
const HANDLER = BASE + 0x80;

export interface Kind {
  abi: Abi;
  personality: Personality;
  privileged: boolean;
  vcpus: number;
}

export class FuzzGuest {
  readonly hv: Hypervisor;
  readonly domain: Domain;
  /** Frames of the flat pages. */
  readonly pages: number[];
  /** Frames that keep the domain going: hardly ever aimed at. */
  readonly precious = new Set<number>();
  /** Frames last written as L1, L2, L3 tables, by level. */
  readonly written: Record<number, number[]> = { [TYPE_l1]: [], [TYPE_l2]: [], [TYPE_l3]: [] };
  /** The tables that map the flat pages. */
  readonly l1: number;
  readonly l2: number;
  readonly root: number;
  /** A privileged domain changed its tables: what they map need not be its own. */
  meddledWith = false;
  /** Steps in a row in which its arguments could not be written. */
  deaf = 0;
  #argumentEnd = ARGUMENTS;

  private constructor(hv: Hypervisor, domain: Domain) {
    this.hv = hv;
    this.domain = domain;
    const take = () => {
      const mfn = allocateDomainFrame(hv, domain);
      invariant(mfn >= 0, 'no frame for a new domain');
      return mfn;
    };
    this.pages = Array.from({ length: PAGES }, take);
    this.l1 = take();
    this.l2 = take();
    const size = domain.entryBytes;
    for (const [i, mfn] of this.pages.entries()) {
      hv.m2p.set(mfn, i);
      hv.memory.write32(this.l1 * 4096 + size * i, (mfn << 12) | TABLE_RIGHTS);
    }
    const index = size === 4 ? BASE >>> 22 : (BASE >>> 21) & 511;
    hv.memory.write32(this.l2 * 4096 + size * index, (this.l1 << 12) | TABLE_RIGHTS);
    this.root = this.l2;
    if (size === 8) {
      this.root = take();
      hv.memory.write32(this.root * 4096 + 8 * (BASE >>> 30), (this.l2 << 12) | 1);
    }
    for (const mfn of [this.l1, this.l2, this.root, ...this.pages.slice(0, FIRST_DATA_PAGE)]) {
      this.precious.add(mfn);
    }
    for (let i = 0; i < SPARE_FRAMES; i++) take();
  }

  /** A new domain, running; null when the machine has no room for it. */
  static born(hv: Hypervisor, kind: Kind): FuzzGuest | null {
    if (hv.frames.freeFrames < PAGES + 3 + SPARE_FRAMES) return null;
    const domain = createDomain(
      hv,
      { name: 'fuzz', maxFrames: MAX_FRAMES, commandLine: '', ...kind },
      domainMemory,
    );
    if (domain === null) return null;
    const guest = new FuzzGuest(hv, domain);
    for (const port of [toolstackAllocUnbound(hv, domain), toolstackAllocUnbound(hv, domain)]) {
      invariant(toolstackBind(hv, domain, port), 'the toolstack is not bound');
    }
    // The last vcpu is left for VCPUOP_initialise.
    for (const vcpu of domain.vcpus.slice(0, -1)) {
      invariant(setRoot(hv, vcpu, guest.root) === 0, 'the first tables were refused');
      setBootState(hv, vcpu, BASE, STACK_TOP - 512 * vcpu.id, 0);
      vcpu.eventCallbackCs = FLAT_KERNEL_CS;
      vcpu.eventCallbackEip = HANDLER;
      vcpu.failsafeCallbackCs = FLAT_KERNEL_CS;
      vcpu.failsafeCallbackEip = HANDLER;
      vcpu.trapCs.fill(FLAT_KERNEL_CS);
      vcpu.trapAddress.fill(HANDLER);
    }
    unpauseDomain(hv, domain);
    return guest;
  }

  stackTop(vcpuId: number): number {
    return STACK_TOP - 512 * vcpuId;
  }

  // ---------------------------------------------------------------- frames

  isPrecious(mfn: number): boolean {
    return this.precious.has(mfn);
  }

  /** Is the frame the domain's own memory (not of the Xen heap)? */
  owns(mfn: number): boolean {
    const { frames } = this.hv;
    return mfn < frames.heapStart && frames.owner[mfn] === this.domain.id;
  }

  /** A random frame of the domain, of `type` if there is one (-1: any). */
  ownFrame(random: Random, type = -1): number {
    const { frames } = this.hv;
    const first = 256 + random.below(frames.heapStart - 256);
    let fallback = first;
    let mfn = first;
    do {
      if (frames.owner[mfn] === this.domain.id && (!this.precious.has(mfn) || random.chance(3))) {
        if (type < 0 || (frames.type[mfn] === type && frames.typeCount[mfn] !== 0)) return mfn;
        fallback = mfn;
      }
      if (++mfn === frames.heapStart) mfn = 256;
    } while (mfn !== first);
    return fallback;
  }

  /** Could the guest have a writable mapping of the frame now? If so it is ordinary memory from here on. */
  mayWrite(mfn: number): boolean {
    return this.owns(mfn) && becomesWritable(this.hv.frames, mfn);
  }

  // ---------------------------------------------------------------- memory

  /** Begins the arguments of the next call. */
  clearArguments(): void {
    this.#argumentEnd = ARGUMENTS;
  }

  /** Room for `bytes` among the arguments, `skew` bytes off its alignment. */
  room(bytes: number, skew = 0): number {
    const at = this.#argumentEnd + skew;
    this.#argumentEnd = (at + bytes + 3) & ~3;
    // In 32 bits, unsigned: BASE has the top bit.
    this.#argumentEnd >>>= 0;
    return at >>> 0;
  }

  /** Is there room for so many bytes? */
  hasRoom(bytes: number): boolean {
    return this.#argumentEnd + bytes + 64 < ARGUMENTS + ARGUMENT_BYTES;
  }

  /** A guest's own store; what is behind a page that would fault stays undone. @returns whether all was done. */
  store(va: number, bytes: Uint8Array, length: number = bytes.length): boolean {
    const { memory, cpu } = this.hv;
    for (let done = 0; done < length; ) {
      const at = (va + done) >>> 0;
      const chunk = Math.min(length - done, 4096 - (at & 4095));
      const maddr = at + chunk > this.domain.holeStart ? -1 : cpu.translate(at, ACCESS_WRITE);
      if (maddr < 0) return false;
      memory.beforeWrite(maddr, chunk);
      const to = memory.ramBase + maddr;
      for (let i = 0; i < chunk; i++) memory.u8[to + i] = bytes[done + i]!;
      done += chunk;
    }
    return true;
  }
  load32(va: number): number {
    return Math.max(0, this.hv.guest.readU32(this.domain, va));
  }

  /** Address of a page that is free to be remapped: a data page, or one behind the flat pages. */
  windowPage(random: Random): number {
    const last = this.domain.entryBytes === 4 ? 1024 : 512;
    const page = random.chance(40)
      ? FIRST_DATA_PAGE + random.below(PAGES - FIRST_DATA_PAGE)
      : PAGES + (random.chance(80) ? random.below(16) : random.below(last - PAGES));
    return BASE + page * 4096;
  }
  dataPage(random: Random): number {
    return BASE + (FIRST_DATA_PAGE + random.below(PAGES - FIRST_DATA_PAGE)) * 4096;
  }
  /** Index of an entry of `table` that may be changed without ending the domain at once. */
  entryIndex(random: Random, table: number): number {
    const entries = this.domain.entryBytes === 4 ? 1024 : 512;
    if (table === this.l1 && !random.chance(1)) {
      return FIRST_DATA_PAGE + random.below(random.chance(70) ? 32 : entries - FIRST_DATA_PAGE);
    }
    if (random.chance(50)) return random.below(6);
    if (random.chance(60))
      return random.pick(entries === 512 ? [427, 428, 429, 511] : [1007, 1008, 1009, 1023]);
    return random.below(entries);
  }
}

/** Domids to name: those that live, the special ones, and nonsense. */
export function anyDomid(hv: Hypervisor, random: Random): number {
  const roll = random.below(100);
  if (roll < 90) {
    const id = random.below(hv.domains.length);
    return id;
  }
  return random.pick([0x7ff0, DOMID_IO, 0x7ff2, 0x7fe0, 0x7fff, 0xffff, 0x7ff3, random.next() & 0xffff]);
}
