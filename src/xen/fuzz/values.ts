/**
 * Values for the arguments and struct fields of hypercalls: what a field is printed as says what it is, its name says
 * more. Most values are such that a call can succeed; the others are boundaries and noise.
 */
import { ACCESS_WRITE } from '../../cpu/cpu.ts';
import { EVTCHNSTAT_unbound } from '../abi/constants.ts';
import { DOMID_SELF, EVTCHN_PORTS } from '../domain.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3, TYPE_writable } from '../frames.ts';
import type { Hypervisor } from '../hypervisor.ts';
import type { Vcpu } from '../vcpu.ts';
import { anyDomid, type FuzzGuest } from './guest.ts';
import type { Random } from './random.ts';

export interface Context {
  hv: Hypervisor;
  random: Random;
  guest: FuzzGuest;
  vcpu: Vcpu;
  guests: readonly FuzzGuest[];
}

const BOUNDARIES = [
  0, 1, 2, 3, 4, 5, 7, 8, 14, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 257, 511, 512, 513, 1023, 1024,
  1025, 4095, 4096, 7167, 7168, 8191, 8192, 8193, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0xf_ffff, 0x10_0000,
  0x0fff_ffff, 0x1000_0000, 0x7fff_ffff, 0x8000_0000, 0xf580_0000, 0xf57f_ffff, 0xf680_0000, 0xfc00_0000,
  0xfbff_fffc, 0xffff_f000, 0xffff_fffe, 0xffff_ffff,
];

export function boundary({ random }: Context): number {
  return random.chance(80) ? random.pick(BOUNDARIES) : random.next();
}

/** A small number, rarely something else. */
export function small(context: Context, below: number): number {
  return context.random.chance(95) ? context.random.below(below) : boundary(context);
}

export function mfn(context: Context, type = -1): number {
  const { hv, random, guest } = context;
  const roll = random.below(100);
  if (roll < 3) return random.below(hv.frames.total + 4);
  if (roll < 4) return boundary(context);
  if (roll < 6) return hv.frames.heapStart + random.below(hv.frames.total - hv.frames.heapStart);
  if (roll < 8) return random.chance(50) ? guest.domain.sharedInfoMfn : random.pick(guest.domain.grantFrames);
  if (roll < 13) return random.pick(context.guests).ownFrame(random);
  return guest.ownFrame(random, type);
}

/** A frame that may pass as a table of this level: one that was written so, or is one. */
export function tableMfn(context: Context, level: number): number {
  const { random, guest } = context;
  const written = guest.written[level];
  if (written && written.length > 0 && random.chance(65)) return random.pick(written);
  if (random.chance(30)) return mfn(context, level);
  return mfn(context);
}

/** An L1, L2 or L3 entry, or anything. @returns two words. */
export function entry(context: Context, level = TYPE_l1): { low: number; high: number } {
  const { random, guest } = context;
  let high = random.chance(2) ? random.next() : 0;
  if (random.chance(12)) return { low: random.chance(70) ? 0 : (random.next() & ~1) >>> 0, high };
  let flags = 1;
  if (level === TYPE_l3 && guest.domain.entryBytes === 8 && random.chance(90)) flags = 1;
  else {
    if (random.chance(level === TYPE_l1 ? 55 : 70)) flags |= 2;
    if (random.chance(40)) flags |= 4;
    if (random.chance(20)) flags |= 0x20;
    if (random.chance(20)) flags |= 0x40;
    if (random.chance(2)) flags |= random.pick([8, 0x10, 0x80, 0x100, 0x18, 0x180]);
    if (random.chance(5)) flags |= random.below(8) << 9;
    if (guest.domain.entryBytes === 8 && random.chance(4)) high = 0x8000_0000;
  }
  let frame: number;
  if (level === TYPE_l1) {
    frame = mfn(context, random.chance(30) ? TYPE_writable : -1);
    if (random.chance(8)) frame = mfn(context, random.pick([TYPE_l1, TYPE_l2, TYPE_l3]));
  } else if (level === TYPE_l2 && random.chance(10)) frame = tableMfn(context, TYPE_l2);
  else frame = tableMfn(context, level - 1);
  return { low: ((frame << 12) | flags) >>> 0, high };
}

/** A port in use, mostly. */
export function port(context: Context, guest: FuzzGuest = context.guest): number {
  const { random } = context;
  if (random.chance(8)) return boundary(context);
  const first = random.below(24);
  for (let i = 0; i < EVTCHN_PORTS; i++) {
    const candidate = (first + i) % EVTCHN_PORTS;
    if (guest.domain.portState[candidate] !== 0) {
      // The toolstack's two are worth keeping.
      if (candidate > 2 || random.chance(10)) return candidate;
    }
  }
  return first;
}

/** A port of another domain that waits for this one. */
export function offeredPort({ random, guest, guests }: Context): { domid: number; port: number } | null {
  const first = random.below(guests.length);
  for (let i = 0; i < guests.length; i++) {
    const { domain } = guests[(first + i) % guests.length]!;
    for (let port = 1; port < 64; port++) {
      const waits = domain.portState[port] === EVTCHNSTAT_unbound;
      if (waits && domain.portRemoteDomain[port] === guest.domain.id) return { domid: domain.id, port };
    }
  }
  return null;
}

/** A grant entry with these flags, or some of them, that is meant for this domain. */
export function offeredGrant(
  { hv, random, guest, guests }: Context,
  fits: (flags: number) => boolean,
): { domid: number; ref: number } | null {
  const first = random.below(guests.length * GRANT_REFS);
  for (let i = 0; i < guests.length * GRANT_REFS; i++) {
    const at = (first + i) % (guests.length * GRANT_REFS);
    const { domain } = guests[Math.floor(at / GRANT_REFS)]!;
    const [table] = domain.grantFrames;
    if (table === undefined) continue;
    const ref = at % GRANT_REFS;
    const maddr = table * 4096 + ref * 8;
    if (hv.memory.read16(maddr + 2) === guest.domain.id && fits(hv.memory.read16(maddr))) {
      return { domid: domain.id, ref };
    }
  }
  return null;
}

/** A frame of the domain that nothing holds. */
export function looseMfn(context: Context): number {
  const { hv, random, guest } = context;
  if (random.chance(8)) return mfn(context);
  for (let tries = 0; tries < 10; tries++) {
    const candidate = guest.ownFrame(random);
    if (hv.frames.references[candidate] === 1 && !guest.isPrecious(candidate)) return candidate;
  }
  return mfn(context);
}

export function va(context: Context): number {
  const { random, guest } = context;
  const roll = random.below(100);
  if (roll < 45) return guest.dataPage(random) + (random.chance(50) ? 0 : random.below(1024) * 4);
  if (roll < 75) return guest.windowPage(random);
  if (roll < 82) return random.below(8) * 4096;
  if (roll < 90) return (guest.domain.holeStart + random.pick([-4096, -8, -4, -1, 0, 4, 4096])) >>> 0;
  if (roll < 94) return random.next();
  return boundary(context);
}

/** A selector of the kernel's, mostly. */
export function selector({ random }: Context): number {
  return random.chance(88)
    ? 0xe019
    : random.pick([0, 0xe021, 0xe02b, 0xe033, 8, 4, 0xe018, random.next() & 0xffff]);
}

export function handle({ random, guest }: Context): number {
  const { mappings } = guest.domain.grants;
  return random.chance(92) && mappings.length > 0 ? random.below(mappings.length) : random.below(70_000);
}

/** The machine address that `host_addr` means when it is one, or a virtual one. */
export function hostAddress(context: Context, byEntry: boolean): number {
  const { random, guest } = context;
  if (!byEntry) return random.chance(90) ? guest.windowPage(random) : va(context);
  const table = random.chance(50) ? guest.l1 : mfn(context, TYPE_l1);
  return (
    table * 4096 + guest.entryIndex(random, table) * guest.domain.entryBytes + (random.chance(3) ? 1 : 0)
  );
}

export function isWritable({ hv }: Context, at: number): boolean {
  return hv.cpu.translate(at >>> 0, ACCESS_WRITE) >= 0;
}

const NS = 1_000_000;
/** References that guests use. */
export const GRANT_REFS = 10;

/** By name: what the way of printing does not tell. */
const BY_NAME: Record<string, (context: Context) => number> = {
  vcpu: (c) => small(c, c.guest.domain.vcpus.length),
  vcpuid: (c) => small(c, c.guest.domain.vcpus.length),
  virq: (c) => small(c, 24),
  pirq: (c) => small(c, 20),
  irq: (c) => small(c, 20),
  nr_ports: (c) => small(c, 6),
  nr_frames: (c) => (c.random.chance(90) ? c.random.below(3) : small(c, 66)),
  nr_extents: (c) => small(c, 4),
  in_nr_extents: (c) => small(c, 4),
  out_nr_extents: (c) => small(c, 4),
  nr_exchanged: (c) => (c.random.chance(85) ? 0 : small(c, 4)),
  extent_order: (c) => (c.random.chance(85) ? 0 : small(c, 11)),
  in_extent_order: (c) => (c.random.chance(85) ? 0 : small(c, 11)),
  out_extent_order: (c) => (c.random.chance(85) ? 0 : small(c, 11)),
  mem_flags: (c) => (c.random.chance(80) ? 0 : boundary(c)),
  max_extents: (c) => small(c, 4),
  nr_entries: (c) => small(c, 4),
  space: (c) => small(c, 4),
  handle,
  ref: (c) => (c.random.chance(90) ? c.random.below(10) : boundary(c)),
  ref_a: (c) => (c.random.chance(90) ? c.random.below(10) : boundary(c)),
  ref_b: (c) => (c.random.chance(90) ? c.random.below(10) : boundary(c)),
  new_addr: (c) => (c.random.chance(20) ? 0 : hostAddress(c, false)),
  iopl: (c) => small(c, 5),
  type: (c) => small(c, 8),
  set: (c) => small(c, 2),
  reg: (c) => small(c, 8),
  reason: (c) => small(c, 8),
  id: (c) => small(c, 4),
  timeout: (c) => small(c, 5),
  version: (c) => small(c, 4),
  submap_idx: (c) => (c.random.chance(85) ? 0 : boundary(c)),
  offset: (c) => (c.random.chance(90) ? c.random.below(64) * 64 : boundary(c)),
  source_offset: (c) => c.random.below(c.random.chance(90) ? 2048 : 0x1_0000),
  dest_offset: (c) => c.random.below(c.random.chance(90) ? 2048 : 0x1_0000),
  len: (c) => c.random.below(c.random.chance(90) ? 2048 : 0x1_0000),
  cs: selector,
  ss: (c) => (c.random.chance(90) ? 0xe021 : selector(c)),
  event_cs: selector,
  failsafe_cs: selector,
  entries: (c) => small(c, 1024),
  count: (c) => small(c, 5),
};

/** A value for a field or a register argument. `as`: how the table prints it. */
export function value(context: Context, as: string | undefined, name: string): number {
  const { random, guest } = context;
  const named = BY_NAME[name];
  if (named) return named(context);
  if (name === 'remote_dom' && random.chance(90)) return random.pick(context.guests).domain.id;
  switch (as) {
    case 'mfn':
      return mfn(context);
    case 'maddr':
      return mfn(context) * 4096 + random.below(512) * 8 + (random.chance(10) ? random.below(8) : 0);
    case 'port':
      return port(context);
    case 'domid':
      if (random.chance(70)) return random.chance(90) ? DOMID_SELF : guest.domain.id;
      return anyDomid(context.hv, random);
    case 'va':
      return va(context);
    case 'ns':
      if (random.chance(15)) return boundary(context) * (random.chance(50) ? 1 : 0x1_0000_0001);
      return random.chance(50) ? NS + random.below(10 * NS) : context.hv.now() + random.below(5 * NS);
    default:
      return random.chance(50) ? random.below(8) : boundary(context);
  }
}
