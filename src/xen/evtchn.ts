/**
 * Event channels, 2-level: ports, their states and ends, pending bits and who is notified. The rules of
 * cpu-and-events.md section 9 (public/event_channel.h); hypercalls/event-channel-op.ts is the guest's door to them,
 * the functions named toolstack... the back ends'.
 *
 * The toolstack's side of a channel is not a port but a name: a port that is interdomain with hv.toolstackDomid
 * ends in a hook, and notifyGuest() plays the other direction.
 */
import {
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
  NR_PIRQS,
  NR_VIRQS_302,
  NR_VIRQS_417,
  PER_VCPU_VIRQS,
  VIRQ_TIMER,
} from './abi/constants.ts';
import { EEXIST, EINVAL, ENOENT, ENOSPC, EPERM, ESRCH } from './abi/errno.ts';
import { DOMID_SELF, type Domain, EVTCHN_PORTS } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { kick, unblock } from './scheduler.ts';
import { TRACE_event, TRACE_virq } from './trace.ts';
import type { Vcpu } from './vcpu.ts';
import {
  clearPortMask,
  clearPortPending,
  portMasked,
  portPending,
  raiseUpcall,
  setPortPending,
  setSelectorBit,
  upcallMask,
} from './vcpu-info.ts';

/** portState of a port that is allocated but belongs to nobody; other states are the EVTCHNSTAT_* codes. */
export const PORT_reserved = 6;
const BUCKET_302 = 128;
const PERIODIC_GRACE_NS = 10_000_000;

// ---------------------------------------------------------------- ports

export function isValidPort(domain: Domain, port: number): boolean {
  return port >= 0 && port < domain.portLimit;
}

/** Lowest free port (never 0), or -ENOSPC. The caller sets its state. */
function freePort(domain: Domain): number {
  for (let port = 1; port < EVTCHN_PORTS; port++) {
    if (port >= domain.portLimit) domain.portLimit += BUCKET_302;
    if (domain.portState[port] === EVTCHNSTAT_closed) return port;
  }
  return ENOSPC;
}

function openPort(
  domain: Domain,
  port: number,
  state: number,
  remote: number,
  target: number,
  vcpu: number,
): void {
  domain.portState[port] = state;
  domain.portRemoteDomain[port] = remote;
  domain.portTarget[port] = target;
  domain.portVcpu[port] = vcpu;
  domain.portCount[port] = 0;
}

/** DOMID_SELF and the caller's own number name the caller. */
function lookUp(hv: Hypervisor, caller: Domain, domid: number): Domain | undefined {
  return domid === DOMID_SELF ? caller : hv.domains[domid];
}

/**
 * For calls that name a domain: itself always as SELF; its own number only in 4.17; others by privilege. Whether there
 * is such a domain is asked first in 4.17, last in 3.0.2.
 */
function targetDomain(hv: Hypervisor, caller: Domain, domid: number): Domain | number {
  if (domid === DOMID_SELF) return caller;
  const modern = caller.personality === '4.17';
  const domain = hv.domains[domid];
  const known = domain !== undefined && !domain.dying;
  // The toolstack's domain is there, if only for those who may not name it.
  if (modern && !known && (caller.privileged || domid !== hv.toolstackDomid)) return ESRCH;
  if (!(modern && domid === caller.id) && !caller.privileged) return EPERM;
  return known ? domain : ESRCH;
}

// ---------------------------------------------------------------- pending

/** Section 9.2. A port that was pending already, or is masked, notifies nobody. */
export function setPending(hv: Hypervisor, domain: Domain, port: number): void {
  const vcpu = domain.vcpus[domain.portVcpu[port]!];
  if (vcpu === undefined || domain.sharedInfoMfn === 0) return;
  domain.portCount[port]!++;
  if (setPortPending(hv, domain, port)) return;
  if (!portMasked(hv, domain, port) && !setSelectorBit(hv, vcpu, port) && !raiseUpcall(hv, vcpu)) {
    kick(hv, vcpu);
  } else if (domain.personality === '3.0.2' && vcpu.blocked && upcallMask(hv, vcpu) !== 0) {
    unblock(hv, vcpu);
  }
  for (const poller of domain.vcpus) {
    if (poller.blocked && poller.pollPorts?.includes(port)) unblock(hv, poller);
  }
}

/** Section 9.3: clears the mask bit and notifies if an event came meanwhile. */
export function unmask(hv: Hypervisor, domain: Domain, port: number): number {
  if (!isValidPort(domain, port)) return EINVAL;
  const vcpu = domain.vcpus[domain.portVcpu[port]!]!;
  if (
    clearPortMask(hv, domain, port) &&
    portPending(hv, domain, port) &&
    !setSelectorBit(hv, vcpu, port) &&
    !raiseUpcall(hv, vcpu)
  ) {
    kick(hv, vcpu);
  }
  return 0;
}

/** Raises a per-vcpu VIRQ. Lost while unbound. */
export function sendVcpuVirq(hv: Hypervisor, vcpu: Vcpu, virq: number): void {
  const port = vcpu.virqPort[virq]!;
  if (port === 0) return;
  hv.trace.record(hv.now(), TRACE_virq, vcpu.domain.id, vcpu.id, virq, port, 0, 0);
  setPending(hv, vcpu.domain, port);
}

/** Raises a global VIRQ: its port was bound on vcpu 0. */
export function sendGlobalVirq(hv: Hypervisor, domain: Domain, virq: number): void {
  const vcpu = domain.vcpus[0];
  if (vcpu !== undefined) sendVcpuVirq(hv, vcpu, virq);
}

/** EVTCHNOP_send. */
export function send(hv: Hypervisor, domain: Domain, port: number): number {
  if (!isValidPort(domain, port)) return EINVAL;
  switch (domain.portState[port]) {
    case EVTCHNSTAT_interdomain: {
      const remoteId = domain.portRemoteDomain[port]!;
      const remotePort = domain.portTarget[port]!;
      hv.trace.eventsSent++;
      const vcpu = hv.current?.domain === domain ? hv.current.id : 0;
      hv.trace.record(hv.now(), TRACE_event, domain.id, vcpu, port, remotePort, remoteId, 0);
      if (remoteId === hv.toolstackDomid) hv.hooks.toolstackEvent(domain, port);
      else setPending(hv, hv.domains[remoteId]!, remotePort);
      return 0;
    }
    case EVTCHNSTAT_ipi:
      hv.trace.eventsSent++;
      hv.trace.record(hv.now(), TRACE_event, domain.id, domain.portVcpu[port]!, port, port, domain.id, 0);
      setPending(hv, domain, port);
      return 0;
    case EVTCHNSTAT_unbound:
      return 0;
    default:
      return EINVAL;
  }
}

// ---------------------------------------------------------------- binding

/** EVTCHNOP_alloc_unbound. @returns the port, or an errno. */
export function allocUnbound(hv: Hypervisor, caller: Domain, domid: number, remoteDomid: number): number {
  const domain = targetDomain(hv, caller, domid);
  if (typeof domain === 'number') return domain;
  const port = freePort(domain);
  if (port < 0) return port;
  const remote = remoteDomid === DOMID_SELF ? caller.id : remoteDomid;
  openPort(domain, port, EVTCHNSTAT_unbound, remote, 0, 0);
  return port;
}

/** EVTCHNOP_bind_interdomain. The local port becomes pending at once, so that nothing sent before is missed. */
export function bindInterdomain(
  hv: Hypervisor,
  caller: Domain,
  remoteDomid: number,
  remotePort: number,
): number {
  const remote = lookUp(hv, caller, remoteDomid);
  if (remote === undefined || remote.dying) {
    // The toolstack exists but offers no port by number: its channels are made by the guest's alloc_unbound.
    return remoteDomid === hv.toolstackDomid ? EINVAL : ESRCH;
  }
  const port = freePort(caller);
  if (port < 0) return port;
  if (
    !isValidPort(remote, remotePort) ||
    remote.portState[remotePort] !== EVTCHNSTAT_unbound ||
    remote.portRemoteDomain[remotePort] !== caller.id
  ) {
    return EINVAL;
  }
  openPort(caller, port, EVTCHNSTAT_interdomain, remote.id, remotePort, 0);
  remote.portState[remotePort] = EVTCHNSTAT_interdomain;
  remote.portTarget[remotePort] = port;
  setPending(hv, caller, port);
  return port;
}

/** EVTCHNOP_bind_virq. @returns the port, or an errno. */
export function bindVirq(hv: Hypervisor, domain: Domain, virq: number, vcpuId: number): number {
  const modern = domain.personality === '4.17';
  if (virq >= (modern ? NR_VIRQS_417 : NR_VIRQS_302)) return EINVAL;
  if (modern && vcpuId !== 0 && !PER_VCPU_VIRQS.includes(virq)) return EINVAL;
  const vcpu = domain.vcpus[vcpuId];
  if (vcpu === undefined) return ENOENT;
  if (vcpu.virqPort[virq] !== 0) return EEXIST;
  const port = freePort(domain);
  if (port < 0) return port;
  openPort(domain, port, EVTCHNSTAT_virq, 0, virq, vcpuId);
  vcpu.virqPort[virq] = port;
  // The 2006 Mini-OS loops forever on a tick between this call and the moment it has a handler.
  if (virq === VIRQ_TIMER) {
    vcpu.periodicFrom = hv.now() + PERIODIC_GRACE_NS;
    if (hv.running) hv.cpu.requestExit(); // the run under way knew no tick
  }
  return port;
}

/** EVTCHNOP_bind_ipi. @returns the port, or an errno. */
export function bindIpi(domain: Domain, vcpuId: number): number {
  if (domain.vcpus[vcpuId] === undefined) return ENOENT;
  const port = freePort(domain);
  if (port < 0) return port;
  openPort(domain, port, EVTCHNSTAT_ipi, 0, 0, vcpuId);
  return port;
}

/**
 * EVTCHNOP_bind_pirq: only lines that exist and that the domain was given; they notify vcpu 0. A level line that is
 * asserted already is delivered at once. @returns the port, or an errno.
 */
export function bindPirq(hv: Hypervisor, domain: Domain, pirq: number, flags: number): number {
  const { lines } = hv.devices;
  if (pirq >= NR_PIRQS) return EINVAL;
  if (!domain.privileged) return EPERM;
  if (lines.portOf(domain, pirq) !== 0) return EEXIST;
  const port = freePort(domain);
  if (port < 0) return port;
  const bound = lines.bind(domain, pirq, port, flags);
  if (bound < 0) return bound;
  openPort(domain, port, EVTCHNSTAT_pirq, 0, pirq, 0);
  lines.enabled(hv, pirq);
  return port;
}

/** EVTCHNOP_bind_vcpu: which vcpu a port notifies from now on. What is pending stays where it is. */
export function bindVcpu(domain: Domain, port: number, vcpuId: number): number {
  if (domain.vcpus[vcpuId] === undefined) return ENOENT;
  if (!isValidPort(domain, port)) return EINVAL;
  switch (domain.portState[port]) {
    case EVTCHNSTAT_unbound:
    case EVTCHNSTAT_interdomain:
    case EVTCHNSTAT_pirq:
      break;
    case EVTCHNSTAT_virq:
      if (domain.personality === '3.0.2' || PER_VCPU_VIRQS.includes(domain.portTarget[port]!)) return EINVAL;
      break;
    default:
      return EINVAL;
  }
  domain.portVcpu[port] = vcpuId;
  return 0;
}

/** EVTCHNOP_close. */
export function close(hv: Hypervisor, domain: Domain, port: number): number {
  if (!isValidPort(domain, port)) return EINVAL;
  const state = domain.portState[port]!;
  if (state === EVTCHNSTAT_closed || state === PORT_reserved) return EINVAL;
  if (state === EVTCHNSTAT_virq) {
    for (const vcpu of domain.vcpus) {
      const virq = domain.portTarget[port]!;
      if (vcpu.virqPort[virq] === port) vcpu.virqPort[virq] = 0;
    }
  } else if (state === EVTCHNSTAT_pirq) {
    hv.devices.lines.unbind(hv, domain, domain.portTarget[port]!);
  } else if (state === EVTCHNSTAT_interdomain) {
    const remote = hv.domains[domain.portRemoteDomain[port]!];
    if (remote !== undefined && domain.portRemoteDomain[port] !== hv.toolstackDomid) {
      const remotePort = domain.portTarget[port]!;
      remote.portState[remotePort] = EVTCHNSTAT_unbound;
      remote.portRemoteDomain[remotePort] = domain.id;
      remote.portTarget[remotePort] = 0;
    }
  }
  if (domain.personality === '4.17' && domain.sharedInfoMfn !== 0) clearPortPending(hv, domain, port);
  openPort(domain, port, EVTCHNSTAT_closed, 0, 0, 0);
  return 0;
}

export function closeAll(hv: Hypervisor, domain: Domain): void {
  for (let port = 1; port < domain.portLimit; port++) {
    if (domain.portState[port] !== EVTCHNSTAT_closed) close(hv, domain, port);
  }
}

/** EVTCHNOP_reset. */
export function reset(hv: Hypervisor, caller: Domain, domid: number): number {
  const domain = targetDomain(hv, caller, domid);
  if (typeof domain === 'number') return domain;
  closeAll(hv, domain);
  return 0;
}

export interface PortStatus {
  status: number;
  vcpu: number;
  u0: number;
  u1: number;
}

/** EVTCHNOP_status: fills `into`; free ports are 'closed'. */
export function status(
  hv: Hypervisor,
  caller: Domain,
  domid: number,
  port: number,
  into: PortStatus,
): number {
  const domain = targetDomain(hv, caller, domid);
  if (typeof domain === 'number') return domain;
  if (!isValidPort(domain, port)) return EINVAL;
  const state = domain.portState[port]!;
  into.status = state === PORT_reserved ? EVTCHNSTAT_closed : state;
  into.vcpu = domain.portVcpu[port]!;
  into.u0 = 0;
  into.u1 = 0;
  if (state === EVTCHNSTAT_unbound || state === EVTCHNSTAT_interdomain)
    into.u0 = domain.portRemoteDomain[port]!;
  if (state === EVTCHNSTAT_interdomain) into.u1 = domain.portTarget[port]!;
  if (state === EVTCHNSTAT_pirq || state === EVTCHNSTAT_virq) into.u0 = domain.portTarget[port]!;
  return 0;
}

// ---------------------------------------------------------------- the toolstack's ends

/** The builder: a port in the guest that waits for the toolstack. @returns the port. */
export function toolstackAllocUnbound(hv: Hypervisor, domain: Domain): number {
  const port = freePort(domain);
  if (port > 0) openPort(domain, port, EVTCHNSTAT_unbound, hv.toolstackDomid, 0, 0);
  return port;
}

/** A back end connects to a port that waits for the toolstack. Nothing is raised in the guest. @returns success. */
export function toolstackBind(hv: Hypervisor, domain: Domain, port: number): boolean {
  if (
    !isValidPort(domain, port) ||
    domain.portState[port] !== EVTCHNSTAT_unbound ||
    domain.portRemoteDomain[port] !== hv.toolstackDomid
  ) {
    return false;
  }
  domain.portState[port] = EVTCHNSTAT_interdomain;
  domain.portTarget[port] = port;
  return true;
}

/**
 * A back end notifies a guest on a port that it has bound. It must not do so before the guest has used the channel
 * (section 9.4: a first event without a handler hangs or kills real guests). @returns false when the guest has
 * closed the port.
 */
export function notifyGuest(hv: Hypervisor, domain: Domain, port: number): boolean {
  if (
    domain.end !== null ||
    !isValidPort(domain, port) ||
    domain.portState[port] !== EVTCHNSTAT_interdomain ||
    domain.portRemoteDomain[port] !== hv.toolstackDomid
  ) {
    return false;
  }
  setPending(hv, domain, port);
  return true;
}
