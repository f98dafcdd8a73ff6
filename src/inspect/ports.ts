/** Event-channel ports of a domain, its vcpus' upcall state, and why something that is pending still waits. */
import type { PortRow, PortsView } from '../worker/protocol.ts';
import {
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
  VIRQ_NAMES,
  VIRQ_NEVER_RAISED,
} from '../xen/abi/constants.ts';
import { IRQ_NAMES } from '../xen/devices/devices.ts';
import type { Domain } from '../xen/domain.ts';
import { PORT_reserved } from '../xen/evtchn.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { pendingSelector, portMasked, portPending, upcallMask, upcallPending } from '../xen/vcpu-info.ts';

const STATES: Record<number, PortRow['state']> = {
  [EVTCHNSTAT_unbound]: 'unbound',
  [EVTCHNSTAT_interdomain]: 'interdomain',
  [EVTCHNSTAT_pirq]: 'pirq',
  [EVTCHNSTAT_virq]: 'virq',
  [EVTCHNSTAT_ipi]: 'ipi',
};

/** 'PIRQ 11, lab button, in service' */
function pirqText(hv: Hypervisor, domain: Domain, pirq: number): string {
  const binding = hv.devices.lines.get(pirq)?.bindings.find((b) => b.domid === domain.id);
  return [`PIRQ ${pirq}`, IRQ_NAMES[pirq], binding?.inService ? 'in service' : undefined]
    .filter((part) => part !== undefined)
    .join(', ');
}

/** 'DEBUG'; 'TBUF, never raised: there is no trace buffer' */
function virqText(virq: number): string {
  const name = VIRQ_NAMES[virq] ?? `VIRQ ${virq}`;
  const never = VIRQ_NEVER_RAISED[virq];
  return never === undefined ? name : `${name}, never raised: ${never}`;
}

function boundTo(hv: Hypervisor, domain: Domain, port: number): string {
  const remote = domain.portRemoteDomain[port]!;
  const target = domain.portTarget[port]!;
  switch (domain.portState[port]) {
    case EVTCHNSTAT_unbound:
      return `waits for d${remote}`;
    case EVTCHNSTAT_interdomain: {
      if (remote !== hv.toolstackDomid) return `d${remote}:${target}`;
      const use =
        port === domain.consolePort ? 'console' : port === domain.storePort ? 'xenstore' : 'back end';
      return `toolstack, ${use}`;
    }
    case EVTCHNSTAT_pirq:
      return pirqText(hv, domain, target);
    case EVTCHNSTAT_virq:
      return virqText(target);
    default:
      return `vcpu ${domain.portVcpu[port]}`;
  }
}

/** The first port that is pending but cannot be delivered now, and the reason. */
function waitingNote(rows: readonly PortRow[], vcpus: PortsView['vcpus']): string | null {
  for (const row of rows) {
    if (!row.pending) continue;
    if (row.masked) return `Port ${row.port} waits: it is pending, but its own mask bit is set.`;
    const vcpu = vcpus[row.vcpu];
    if (vcpu?.upcallMask)
      return `Port ${row.port} waits: vcpu ${row.vcpu} has its upcall mask set, as IF clear on bare hardware.`;
    if (vcpu && !vcpu.upcallPending)
      return `Port ${row.port} is pending, but nobody set the upcall byte of vcpu ${row.vcpu}: the guest handles it by itself.`;
  }
  return null;
}

export function portsView(hv: Hypervisor, domid: number): PortsView | null {
  const domain = hv.domains[domid];
  if (domain === undefined || domain.sharedInfoMfn === 0) return null;
  const rows: PortRow[] = [];
  for (let port = 1; port < domain.portLimit; port++) {
    const state = domain.portState[port]!;
    if (state === EVTCHNSTAT_closed || state === PORT_reserved) continue;
    rows.push({
      port,
      state: STATES[state]!,
      boundTo: boundTo(hv, domain, port),
      vcpu: domain.portVcpu[port]!,
      pending: portPending(hv, domain, port),
      masked: portMasked(hv, domain, port),
      sent: domain.portCount[port]!,
    });
  }
  const vcpus = domain.vcpus
    .filter((v) => v.vcpuInfo !== 0)
    .map((v) => ({
      vcpu: v.id,
      upcallPending: upcallPending(hv, v),
      upcallMask: upcallMask(hv, v),
      pendingSel: pendingSelector(hv, v),
    }));
  return { view: 'ports', domid, rows, vcpus, note: waitingNote(rows, vcpus) };
}
