/**
 * What must hold besides audit(): the books of event channels, vcpus and scheduler, and what a processor that walks
 * the page tables would let a guest reach.
 */
import {
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from '../abi/constants.ts';
import { DOMID_IO, DOMID_TOOLSTACK, DOMID_XEN, EVTCHN_PORTS } from '../domain.ts';
import { OWNER_ORPHAN, TYPE_l2, TYPE_writable } from '../frames.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { INVALID_M2P_ENTRY } from '../m2p.ts';
import { entryMfn, PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT } from '../page-table-entries.ts';
import type { Vcpu } from '../vcpu.ts';
import type { FuzzGuest } from './guest.ts';

/** Both ends of a channel agree, VIRQs and ports agree, nothing names a vcpu that does not exist. */
export function eventDisagreements(hv: Hypervisor): string[] {
  const wrong: string[] = [];
  for (const domain of hv.domains) {
    if (!domain) continue;
    const who = (port: number) => `port ${port} of domain ${domain.id}`;
    const { portState } = domain;
    for (let port = 0; port < EVTCHN_PORTS; port++) {
      const state = portState[port]!;
      if (state === 0) continue;
      if (port === 0 || port >= domain.portLimit) wrong.push(`${who(port)} is beyond the limit`);
      if (!domain.vcpus[domain.portVcpu[port]!]) wrong.push(`${who(port)} notifies no vcpu`);
      const remoteId = domain.portRemoteDomain[port]!;
      const target = domain.portTarget[port]!;
      if (state === EVTCHNSTAT_interdomain && remoteId !== DOMID_TOOLSTACK) {
        const remote = hv.domains[remoteId];
        if (
          !remote ||
          remote.portState[target] !== EVTCHNSTAT_interdomain ||
          remote.portRemoteDomain[target] !== domain.id ||
          remote.portTarget[target] !== port
        ) {
          wrong.push(`${who(port)} has no other end at port ${target} of domain ${remoteId}`);
        }
      } else if (state === EVTCHNSTAT_virq) {
        if (!domain.vcpus.some((vcpu) => vcpu.virqPort[target] === port)) {
          wrong.push(`${who(port)} is bound to VIRQ ${target}, which does not know it`);
        }
      } else if (state === EVTCHNSTAT_pirq) {
        if (hv.devices.lines.portOf(domain, target) !== port)
          wrong.push(`${who(port)} hears line ${target}, which does not know it`);
      } else if (state === EVTCHNSTAT_unbound && target !== 0)
        wrong.push(`${who(port)} is unbound with a target`);
    }
    for (const vcpu of domain.vcpus) {
      for (let virq = 0; virq < vcpu.virqPort.length; virq++) {
        const port = vcpu.virqPort[virq]!;
        if (port === 0) continue;
        if (domain.portState[port] !== EVTCHNSTAT_virq || domain.portTarget[port] !== virq) {
          wrong.push(`VIRQ ${virq} of domain ${domain.id} names port ${port}, which is not bound to it`);
        }
      }
    }
  }
  return wrong;
}

/** Each port that hears an interrupt line is bound to it; who is in service was sent an interrupt. */
export function lineDisagreements(hv: Hypervisor): string[] {
  const wrong: string[] = [];
  const { lines } = hv.devices;
  for (const line of lines.all()) {
    for (const { domid, port, inService } of line.bindings) {
      const domain = hv.domains[domid];
      if (domain?.portState[port] !== EVTCHNSTAT_pirq || domain.portTarget[port] !== line.irq)
        wrong.push(`line ${line.irq} is heard at port ${port} of domain ${domid}, which is not bound to it`);
      if (inService && line.delivered === 0)
        wrong.push(`line ${line.irq} is in service but was never delivered`);
    }
    if (new Set(line.bindings.map(({ domid }) => domid)).size !== line.bindings.length)
      wrong.push(`line ${line.irq} is bound twice by one domain`);
  }
  return wrong;
}

/**
 * What guests read of the M2P and cannot set: Xen's own frames have no pfn but what the initial domain said, nothing
 * lies behind the last frame, and Xen's tables, which map it into every address space, are as they were made. (What
 * a domain's frames hold is what the domain or its builder said last.)
 */
export function m2pDisagreements(hv: Hypervisor, saidOfXen: ReadonlySet<number>): string[] {
  const wrong: string[] = [];
  const { m2p, frames, memory } = hv;
  const { u32, ramBase } = memory;
  const table = (ramBase + m2p.firstMfn * 4096) >>> 2;
  const filler = (ramBase + m2p.fillerMfn * 4096) >>> 2;
  const { owner, total } = frames;
  for (let mfn = 0; mfn < m2p.frameCount * 1024; mfn++) {
    if (u32[table + mfn] === INVALID_M2P_ENTRY || saidOfXen.has(mfn)) continue;
    if (mfn >= total || owner[mfn] === DOMID_XEN)
      wrong.push(`the M2P knows frame ${mfn.toString(16)}, which is Xen's or does not exist`);
  }
  for (let i = 0; i < 1024; i++) {
    if (u32[filler + i] !== INVALID_M2P_ENTRY) wrong.push(`entry ${i} behind the M2P was changed`);
  }
  for (const [size, tables] of [
    [4, m2p.tables2L],
    [8, m2p.tablesPae],
  ] as const) {
    const words = size / 4;
    for (const [n, mfn] of tables.entries()) {
      const base = (ramBase + mfn * 4096) >>> 2;
      for (let i = 0; i < 4096 / size; i++) {
        const shown = n * (4096 / size) + i;
        const frame = shown < m2p.frameCount ? m2p.firstMfn + shown : m2p.fillerMfn;
        const low = (u32[base + i * words]! & ~PTE_DIRTY) >>> 0;
        const high = words === 2 ? u32[base + i * 2 + 1]! : 0;
        if (low !== ((frame << 12) | PTE_PRESENT | PTE_ACCESSED) >>> 0 || high !== 0)
          wrong.push(`entry ${i} of Xen's table ${mfn.toString(16)} of the M2P was changed`);
      }
    }
  }
  return wrong;
}

/** Who waits is queued once, who runs is not, and the times in the runstates add up to the life of each vcpu. */
export function vcpuDisagreements(hv: Hypervisor): string[] {
  const wrong: string[] = [];
  const { queue } = hv.scheduler;
  const name = (vcpu: Vcpu) => `vcpu ${vcpu.id} of domain ${vcpu.domain.id}`;
  for (const [i, vcpu] of queue.entries()) {
    if (!vcpu.queued || vcpu === hv.current || queue.indexOf(vcpu) !== i)
      wrong.push(`${name(vcpu)} is queued wrongly`);
    if (hv.domains[vcpu.domain.id] !== vcpu.domain)
      wrong.push(`${name(vcpu)} is queued though its domain is gone`);
  }
  const now = hv.now();
  for (const domain of hv.domains) {
    for (const vcpu of domain?.vcpus ?? []) {
      if (vcpu.queued && !queue.includes(vcpu)) wrong.push(`${name(vcpu)} thinks that it is queued`);
      const runs = !vcpu.down && !vcpu.blocked && vcpu.initialised && !domain!.paused && domain!.end === null;
      if (runs && vcpu !== hv.current && !vcpu.queued)
        wrong.push(`${name(vcpu)} could run but is not queued`);
      let spent = now - vcpu.runstateEntryTime;
      for (const time of vcpu.runstateTime) spent += time;
      if (spent !== now - domain!.createdAt) {
        wrong.push(
          `${name(vcpu)} spent ${spent} ns in its runstates, but lives for ${now - domain!.createdAt}`,
        );
      }
    }
  }
  return wrong;
}

/**
 * What each vcpu's tables let its guest reach, by a walk that knows no types: writable pages must be of the writable
 * type (so no table, no descriptors), and every page must be the domain's, granted to it, or within its rights.
 */
export function reachDisagreements(hv: Hypervisor, guests: readonly FuzzGuest[]): string[] {
  const wrong: string[] = [];
  const { memory, frames } = hv;
  for (const guest of guests) {
    const { domain } = guest;
    const size = domain.entryBytes;
    const shift = size === 4 ? 10 : 9;
    const seen = new Set<number>();
    const page = (mfn: number, writable: boolean): void => {
      const where = `domain ${domain.id} can ${writable ? 'write' : 'read'} frame ${mfn.toString(16)}`;
      if (mfn >= frames.total) {
        wrong.push(`${where}, which does not exist`);
        return;
      }
      if (writable && (frames.type[mfn] !== TYPE_writable || frames.typeCount[mfn] === 0)) {
        wrong.push(`${where}, whose type is ${frames.type[mfn]}`);
      }
      const owner = frames.owner[mfn]!;
      if (owner === domain.id || domain.privileged || guest.meddledWith) return;
      const granted = domain.grants.mappings.some(
        (mapping) => mapping?.mfn === mfn && mapping.host && (!writable || !mapping.readonly),
      );
      if (!granted || owner === DOMID_IO || owner === DOMID_XEN) {
        wrong.push(`${where} of ${owner === OWNER_ORPHAN ? 'a domain that is gone' : `domain ${owner}`}`);
      }
    };
    const walk = (table: number, level: number, writable: boolean): void => {
      const key = (table * 4 + level) * 2 + (writable ? 1 : 0);
      if (seen.has(key)) return;
      seen.add(key);
      let entries = level === 3 ? 4 : 1 << shift;
      // Xen's own slots stay out, also of an L2 table that is walked as an L1 (a linear table).
      if (size === 4 && frames.type[table] === TYPE_l2) entries = domain.holeStart >>> 22;
      else if (level === 2 && frames.l2Slot[table] === 3) entries = (domain.holeStart >>> 21) & 511;
      for (let i = 0; i < entries; i++) {
        const at = table * 4096 + i * size;
        const low = memory.read32(at);
        if (!(low & 1)) continue;
        const mfn = entryMfn(low, size === 8 ? memory.read32(at + 4) : 0);
        const rights = writable && (level === 3 || (low & 2) !== 0);
        if (level === 1) page(mfn, rights);
        else walk(mfn, level - 1, rights);
      }
    };
    for (const vcpu of domain.vcpus) if (vcpu.rootMfn !== 0) walk(vcpu.rootMfn, size === 4 ? 2 : 3, true);
  }
  return wrong;
}
