/** A domain and its vcpus in words. */
import type { DomainSummary, MachineView, VcpuSummary } from '../../../worker/protocol.ts';

/** "32 MiB, 2-level, Xen 3.0.2" */
export function aboutDomain(domain: DomainSummary): string {
  const memory = domain.frames / 256;
  const size = memory >= 1 ? `${Number(memory.toFixed(1))} MiB` : `${domain.frames} frames`;
  const parts = [size, domain.abi === 'x86_32p' ? 'PAE' : '2-level', `Xen ${domain.xen}`];
  if (domain.privileged) parts.push('privileged');
  return parts.join(', ');
}

/** "256 MiB machine", "256 MiB, 2 CPUs", "256 MiB, 4 CPUs, 1 off line" */
export function machineWords({
  memoryMiB,
  cpus,
  cpusOffLine,
}: Pick<MachineView, 'memoryMiB' | 'cpus' | 'cpusOffLine'>): string {
  const off = cpusOffLine.length === 0 ? '' : `, ${cpusOffLine.length} off line`;
  return cpus === 1 ? `${memoryMiB} MiB machine` : `${memoryMiB} MiB, ${cpus} CPUs${off}`;
}

export function stateWords(domain: DomainSummary): string {
  switch (domain.state) {
    case 'crashed':
      return 'crashed';
    case 'shutdown':
      return domain.ending ?? 'shut down';
    case 'dying':
      return 'being removed';
    case 'paused':
      return 'paused';
    case 'running':
      return 'running';
  }
}

/** "running, ring 1", on a machine of several CPUs "ring 1 on CPU 2"; "blocked" with the note in the tooltip. */
export function runstateWords(vcpu: VcpuSummary, cpus = 1): string {
  if (vcpu.runstate === 'running') {
    return cpus > 1 && vcpu.pcpu !== null
      ? `ring ${vcpu.ring} on CPU ${vcpu.pcpu}`
      : `running, ring ${vcpu.ring}`;
  }
  if (vcpu.runstate === 'offline') return vcpu.note || 'offline';
  return vcpu.runstate;
}
