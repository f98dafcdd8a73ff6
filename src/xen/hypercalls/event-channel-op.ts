/**
 * event_channel_op: the guest's door to evtchn.ts. One list of operations serves both call forms, 16 (3.0.2: command
 * inside the struct) and 32 (4.17: command and pointer); both personalities answer both.
 */
import * as structs from '../abi/structs.ts';
import * as evtchn from '../evtchn.ts';
import { type HypercallRow, missingSubOp, type SubOpRow, subOp } from './row.ts';

const status: evtchn.PortStatus = { status: 0, vcpu: 0, u0: 0, u1: 0 }; // scratch

const OPERATIONS: readonly SubOpRow[] = [
  subOp({
    number: 0,
    name: 'EVTCHNOP_bind_interdomain',
    arg: structs.evtchn_bind_interdomain,
    doc: 'Connects a new local port to a port that another domain offers. The local port is pending at once.',
    seed: 'event_channel_op(EVTCHNOP_bind_interdomain)',
    run: ({ hv, domain }, a) => {
      const port = evtchn.bindInterdomain(hv, domain, a.remote_dom, a.remote_port);
      if (port < 0) return port;
      a.local_port = port;
      return 0;
    },
  }),
  subOp({
    number: 1,
    name: 'EVTCHNOP_bind_virq',
    arg: structs.evtchn_bind_virq,
    doc: 'Binds a new local port to a virtual IRQ of one vcpu.',
    seed: 'event_channel_op(EVTCHNOP_bind_virq)',
    run: ({ hv, domain }, a) => {
      const port = evtchn.bindVirq(hv, domain, a.virq, a.vcpu);
      if (port < 0) return port;
      a.port = port;
      return 0;
    },
  }),
  subOp({
    number: 2,
    name: 'EVTCHNOP_bind_pirq',
    arg: structs.evtchn_bind_pirq,
    doc: 'Binds a new local port to a physical interrupt line that the domain may use.',
    seed: 'event_channel_op(EVTCHNOP_bind_pirq)',
    vmi: 'PIC programming*',
    run: ({ hv, domain }, a) => {
      const port = evtchn.bindPirq(hv, domain, a.pirq, a.flags);
      if (port < 0) return port;
      a.port = port;
      return 0;
    },
  }),
  subOp({
    number: 3,
    name: 'EVTCHNOP_close',
    arg: structs.evtchn_close,
    doc: 'Frees a port. The other end of a pair waits for this domain again.',
    seed: 'event_channel_op(EVTCHNOP_close)',
    run: ({ hv, domain }, a) => evtchn.close(hv, domain, a.port),
  }),
  subOp({
    number: 4,
    name: 'EVTCHNOP_send',
    arg: structs.evtchn_send,
    doc: 'Sends an event to the remote end of a port.',
    seed: 'event_channel_op(EVTCHNOP_send)',
    run: ({ hv, domain }, a) => evtchn.send(hv, domain, a.port),
  }),
  subOp({
    number: 5,
    name: 'EVTCHNOP_status',
    arg: structs.evtchn_status,
    doc: 'Tells what a port is bound to.',
    seed: 'event_channel_op(EVTCHNOP_status)',
    run: ({ hv, domain }, a) => {
      const result = evtchn.status(hv, domain, a.dom, a.port, status);
      if (result === 0) Object.assign(a, status);
      return result;
    },
  }),
  subOp({
    number: 6,
    name: 'EVTCHNOP_alloc_unbound',
    arg: structs.evtchn_alloc_unbound,
    doc: 'Opens a port that waits for a named remote domain.',
    seed: 'event_channel_op(EVTCHNOP_alloc_unbound)',
    run: ({ hv, domain }, a) => {
      const port = evtchn.allocUnbound(hv, domain, a.dom, a.remote_dom);
      if (port < 0) return port;
      a.port = port;
      return 0;
    },
  }),
  subOp({
    number: 7,
    name: 'EVTCHNOP_bind_ipi',
    arg: structs.evtchn_bind_ipi,
    doc: 'Opens a port by which vcpus of the domain signal one of them.',
    seed: 'event_channel_op(EVTCHNOP_bind_ipi)',
    run: ({ domain }, a) => {
      const port = evtchn.bindIpi(domain, a.vcpu);
      if (port < 0) return port;
      a.port = port;
      return 0;
    },
  }),
  subOp({
    number: 8,
    name: 'EVTCHNOP_bind_vcpu',
    arg: structs.evtchn_bind_vcpu,
    doc: 'Chooses which vcpu a port notifies.',
    seed: 'event_channel_op(EVTCHNOP_bind_vcpu)',
    run: ({ domain }, a) => evtchn.bindVcpu(domain, a.port, a.vcpu),
  }),
  subOp({
    number: 9,
    name: 'EVTCHNOP_unmask',
    arg: structs.evtchn_unmask,
    doc: "Clears a port's mask bit, and notifies if an event came meanwhile.",
    seed: 'event_channel_op(EVTCHNOP_unmask)',
    run: ({ hv, domain }, a) => evtchn.unmask(hv, domain, a.port),
  }),
  subOp({
    number: 10,
    name: 'EVTCHNOP_reset',
    arg: structs.evtchn_reset,
    doc: 'Closes all ports of a domain.',
    run: ({ hv, domain }, a) => evtchn.reset(hv, domain, a.dom),
  }),
  missingSubOp(
    11,
    'EVTCHNOP_init_control',
    'Switches to the FIFO form of event channels.',
    'only 2-level channels',
  ),
  missingSubOp(12, 'EVTCHNOP_expand_array', 'Adds a page of FIFO event words.', 'only 2-level channels'),
  missingSubOp(13, 'EVTCHNOP_set_priority', 'Sets the FIFO priority of a port.', 'only 2-level channels'),
];
const LAST_COMPAT_OPERATION = 9;

export const eventChannelOpCompat: HypercallRow = {
  number: 16,
  name: 'event_channel_op_compat',
  args: [{ name: 'op', as: 'pointer' }],
  doc: 'Event channels, the 3.0.2 form: one struct holds command and arguments.',
  subOpsBy: 'struct',
  structSize: structs.EVTCHN_OP_SIZE,
  subOps: OPERATIONS.filter((row) => row.number <= LAST_COMPAT_OPERATION),
};

export const eventChannelOp: HypercallRow = {
  number: 32,
  name: 'event_channel_op',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'arg', as: 'pointer' },
  ],
  doc: 'Event channels, the later form: command and pointer.',
  subOpsBy: 'cmd',
  subOps: OPERATIONS,
};
