/**
 * The life of a domain: created with all its vcpus (down, not initialised), paused and unpaused, shut down by itself
 * or killed, and destroyed. boot.md section 14; cpu-and-events.md section 10.
 */
import { invariant } from '../base/assert.ts';
import {
  SHARED_VCPU_INFO_SIZE,
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_soft_reset,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
  VCPU_INFO_UPCALL_MASK,
  VIRQ_DOM_EXC,
} from './abi/constants.ts';
import { enteredConsoleRing } from './console-ring.ts';
import { Devices } from './devices/devices.ts';
import { DOMID_IO, DOMID_TOOLSTACK, Domain, type DomainConfig, type DomainEnd } from './domain.ts';
import { closeAll, sendGlobalVirq } from './evtchn.ts';
import { explainCrash } from './explain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { HOLE_START } from './personality.ts';
import type { RefusalFacts } from './refuse.ts';
import { refuse } from './refuse.ts';
import { startRunstate } from './runstate.ts';
import { sleep, wake } from './scheduler.ts';
import { updateTimeInfo, updateWallClock } from './time-info.ts';
import { TRACE_domain } from './trace.ts';
import { Vcpu } from './vcpu.ts';

const FIRST_DOMID = 1;

/** Frames that a domain gets from the Xen heap, given by the memory side (frames of shared_info and grant table). */
export interface DomainMemory {
  /** A zeroed Xen-heap frame owned by the domain; its mfn, or -1 when the heap is empty. */
  allocateShared(hv: Hypervisor, domain: Domain): number;
  /** Drops everything the domain holds and frees its frames. */
  release(hv: Hypervisor, domain: Domain): void;
}

/**
 * A new domain with its vcpus and its shared_info page; paused until unpauseDomain(). Privileged: domain 0.
 * @returns null when the Xen heap has no frame left.
 */
export function createDomain(hv: Hypervisor, config: DomainConfig, memory: DomainMemory): Domain | null {
  let id = config.privileged ? 0 : FIRST_DOMID;
  while (hv.domains[id] !== undefined) id++;
  invariant(id < DOMID_IO, 'domain ids are used up');
  if (config.privileged) {
    invariant(id === 0, 'there is one initial domain');
    hv.toolstackDomid = DOMID_TOOLSTACK;
    hv.devices = new Devices();
  }
  const domain = new Domain(id, config, HOLE_START[config.abi]);
  const shared = memory.allocateShared(hv, domain);
  if (shared < 0) return null;
  domain.sharedInfoMfn = shared;
  domain.createdAt = hv.now();
  domain.paused = true;
  for (let i = 0; i < 16; i += 4) {
    const word = hv.random();
    for (let byte = 0; byte < 4; byte++) domain.handle[i + byte] = word >>> (8 * byte);
  }
  for (let vcpuId = 0; vcpuId < config.vcpus; vcpuId++) {
    const vcpu = new Vcpu(domain, vcpuId);
    vcpu.vcpuInfo = shared * 4096 + vcpuId * SHARED_VCPU_INFO_SIZE;
    vcpu.saved.set(hv.resetState);
    if (domain.personality === '3.0.2') vcpu.trapCs.fill(0xe019);
    else {
      vcpu.debugRegisters[6] = 0xffff_0ff0;
      vcpu.debugRegisters[7] = 0x400;
    }
    domain.vcpus.push(vcpu);
    startRunstate(hv, vcpu);
    updateTimeInfo(hv, vcpu);
  }
  for (let slot = 0; slot < 32; slot++) {
    hv.memory.write8(shared * 4096 + slot * SHARED_VCPU_INFO_SIZE + VCPU_INFO_UPCALL_MASK, 1);
  }
  updateWallClock(hv, domain);
  hv.domains[id] = domain;
  return domain;
}

export function pauseDomain(hv: Hypervisor, domain: Domain): void {
  if (domain.paused) return;
  domain.paused = true;
  for (const vcpu of domain.vcpus) sleep(hv, vcpu);
}

export function unpauseDomain(hv: Hypervisor, domain: Domain): void {
  if (!domain.paused) return;
  domain.paused = false;
  for (const vcpu of domain.vcpus) wake(hv, vcpu);
}

const REASONS: Record<number, DomainEnd['reason']> = {
  [SHUTDOWN_poweroff]: 'poweroff',
  [SHUTDOWN_reboot]: 'reboot',
  [SHUTDOWN_suspend]: 'suspend',
  [SHUTDOWN_crash]: 'crash',
  [SHUTDOWN_watchdog]: 'watchdog',
  [SHUTDOWN_soft_reset]: 'soft_reset',
};

function end(hv: Hypervisor, domain: Domain, vcpu: Vcpu | null, code: number, sentence: string | null): void {
  if (domain.end !== null) return;
  const onProcessor = vcpu !== null && vcpu === hv.current;
  domain.end = {
    reason: REASONS[code] ?? 'other',
    code,
    sentence,
    refusals: vcpu === null ? [] : [...vcpu.refusals],
    vcpu: vcpu?.id ?? 0,
    eip: onProcessor ? hv.cpu.eip : 0,
    at: hv.now(),
  };
  hv.trace.record(domain.end.at, TRACE_domain, domain.id, vcpu?.id ?? 0, code, 0, 0, domain.end.eip);
  for (const each of domain.vcpus) sleep(hv, each);
  const initial = hv.domains[0];
  if (initial !== undefined && initial !== domain) sendGlobalVirq(hv, initial, VIRQ_DOM_EXC);
  if (sentence !== null) enteredConsoleRing(hv, domain);
  hv.hooks.domainEnded(domain);
}

/** SCHEDOP_shutdown: only the low byte of the reason counts. */
export function shutdownDomain(hv: Hypervisor, domain: Domain, vcpu: Vcpu | null, reason: number): void {
  const code = domain.shutdownCode >= 0 ? domain.shutdownCode : reason & 0xff;
  const known = code <= SHUTDOWN_soft_reset;
  const sentence =
    known && code !== SHUTDOWN_crash ? null : explainCrash(vcpu?.refusals ?? [], code, hv.now());
  end(hv, domain, vcpu, code, sentence);
}

/** The hypervisor kills a domain. What it did wrong is recorded as its last refusal and told in one sentence. */
export function crashDomain(hv: Hypervisor, vcpu: Vcpu, facts: Omit<RefusalFacts, 'outcome'>): void {
  if (vcpu.domain.end !== null) return;
  refuse(hv, vcpu, { ...facts, outcome: null });
  end(hv, vcpu.domain, vcpu, SHUTDOWN_crash, explainCrash(vcpu.refusals, SHUTDOWN_crash, hv.now()));
}

/** Ends what is left of a domain and gives back all it holds. Between cpu.run() calls only. */
export function destroyDomain(hv: Hypervisor, domain: Domain, memory: DomainMemory): void {
  if (domain.dying) return;
  domain.dying = true;
  if (domain.end === null) end(hv, domain, domain.vcpus[0] ?? null, SHUTDOWN_poweroff, null);
  hv.dropRunning(domain);
  closeAll(hv, domain);
  memory.release(hv, domain);
  // Whoever runs next loads a state, which drops the TLB; but no entry outlives its frame even until then.
  hv.cpu.flushTlb();
  hv.domains[domain.id] = undefined;
}
