/** The domains there are, how each is doing, and how those that ended came to their end. */
import type { DomainSummary, DomainsView, VcpuSummary } from '../worker/protocol.ts';
import type { Domain } from '../xen/domain.ts';
import { explainRefusal } from '../xen/explain.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { RUNSTATE_NAMES } from '../xen/runstate.ts';
import type { Vcpu } from '../xen/vcpu.ts';
import { pcpuOf, vcpuState } from './vcpu-state.ts';

function note(vcpu: Vcpu): string {
  if (vcpu.domain.end !== null) return 'stopped';
  if (!vcpu.initialised) return 'not initialised';
  if (vcpu.down) return 'down';
  if (vcpu.blocked && vcpu.pollPorts !== null) {
    return vcpu.pollPorts.length > 0
      ? `polls port ${vcpu.pollPorts.slice(0, 4).join(', ')}`
      : 'polls for a time-out';
  }
  if (vcpu.blocked) {
    return Number.isFinite(vcpu.singleShotDeadline)
      ? 'waits for an event or its timer'
      : 'waits for an event';
  }
  return '';
}

function summary(hv: Hypervisor, vcpu: Vcpu): VcpuSummary {
  return {
    vcpu: vcpu.id,
    runstate: RUNSTATE_NAMES[vcpu.runstate]!,
    ring: vcpu.initialised ? vcpuState(hv, vcpu).u32('cpl') : 1,
    pcpu: pcpuOf(hv, vcpu),
    note: note(vcpu),
  };
}

const ENDINGS: Record<string, string> = {
  poweroff: 'powered off',
  reboot: 'asked to be rebooted',
  suspend: 'suspended',
  watchdog: 'ended by its watchdog',
  soft_reset: 'asked for a soft reset',
};

function ending(domain: Domain): string | null {
  const { end } = domain;
  if (end === null) return null;
  return end.sentence ?? ENDINGS[end.reason] ?? `shut down with reason ${end.code}`;
}

function stateOf(domain: Domain): DomainSummary['state'] {
  if (domain.dying) return 'dying';
  if (domain.end !== null)
    return domain.end.sentence !== null || domain.end.reason === 'crash' ? 'crashed' : 'shutdown';
  return domain.paused ? 'paused' : 'running';
}

export function domainsView(hv: Hypervisor): DomainsView {
  const domains: DomainSummary[] = [];
  for (const domain of hv.domains) {
    if (domain === undefined) continue;
    domains.push({
      domid: domain.id,
      name: domain.config.name,
      abi: domain.abi,
      xen: domain.personality,
      privileged: domain.privileged,
      frames: domain.totalFrames,
      state: stateOf(domain),
      ending: ending(domain),
      refusals: (domain.end?.refusals ?? []).map(explainRefusal),
      vcpus: domain.vcpus.map((vcpu) => summary(hv, vcpu)),
    });
  }
  return { view: 'domains', domains };
}
