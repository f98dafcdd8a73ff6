/** Scheduling: sched_op in both forms (6: value argument; 29: pointer) and set_timer_op. hypercalls.md section 5. */
import { EFAULT, EINVAL, ENOSPC, EPERM, ESRCH } from '../abi/errno.ts';
import * as structs from '../abi/structs.ts';
import { DOMID_SELF, EVTCHN_PORTS } from '../domain.ts';
import { shutdownDomain } from '../domain-lifecycle.ts';
import { isValidPort } from '../evtchn.ts';
import { refuseWith } from '../refuse.ts';
import { block, blockForPoll, yieldVcpu } from '../scheduler.ts';
import { NEVER, setTimerOp } from '../timers.ts';
import { portPending, upcallMask, upcallPending } from '../vcpu-info.ts';
import { type Caller, type HypercallRow, plainSubOp, type SubOpRow, subOp } from './row.ts';

const MAX_POLL_PORTS = 128;
const SECOND_NS = 1_000_000_000;

const YIELD = plainSubOp({
  number: 0,
  name: 'SCHEDOP_yield',
  doc: 'Gives way to other vcpus.',
  seed: 'sched_op(SCHEDOP_yield)',
  vmi: 'VMI_Pause',
  run: ({ hv, vcpu }) => {
    yieldVcpu(hv, vcpu);
    return 0;
  },
});
const BLOCK = plainSubOp({
  number: 1,
  name: 'SCHEDOP_block',
  doc: 'Enables events and sleeps until one comes, without a race between the two.',
  seed: 'sched_op(SCHEDOP_block)',
  vmi: 'VMI_Halt',
  run: ({ hv, vcpu }) => {
    block(hv, vcpu);
    return 0;
  },
});
const SHUTDOWN_TEXT = {
  number: 2,
  name: 'SCHEDOP_shutdown',
  doc: 'Stops the whole domain: 0 power off, 1 reboot, 2 suspend, 3 crash.',
  seed: 'sched_op(SCHEDOP_shutdown), sched_op(SCHEDOP_shutdown, SHUTDOWN_suspend)',
  vmi: 'VMI_Shutdown, VMI_Reboot',
};

function shutdown({ hv, domain, vcpu }: Caller, reason: number): number {
  shutdownDomain(hv, domain, vcpu, reason);
  return 0;
}

function poll({ hv, domain, vcpu }: Caller, list: number, count: number, timeout: number): number {
  const modern = domain.personality === '4.17';
  if (count > MAX_POLL_PORTS) {
    return refuseWith(hv, vcpu, EINVAL, {
      operation: 'SCHEDOP_poll',
      rule: 'too-many-ports',
      because: `${count} ports were listed`,
      legal: `at most ${MAX_POLL_PORTS} may be polled`,
    });
  }
  const ports: number[] = [];
  for (let i = 0; i < count; i++) {
    const port = hv.guest.readU32(domain, list + 4 * i);
    if (port < 0) return EFAULT;
    if (port >= EVTCHN_PORTS) return EINVAL;
    if (modern && (!isValidPort(domain, port) || domain.portState[port] === 0)) return EINVAL;
    ports.push(port);
  }
  // Mask bits of the ports are ignored; the vcpu's own mask need not be set (the later rule, for both).
  if (ports.some((port) => portPending(hv, domain, port))) return 0;
  if (upcallMask(hv, vcpu) === 0 && upcallPending(hv, vcpu) !== 0) return 0;
  if (timeout !== 0 && timeout <= hv.now()) return 0;
  blockForPoll(hv, vcpu, ports, timeout);
  return 0;
}

const NEW_OPERATIONS: readonly SubOpRow[] = [
  YIELD,
  BLOCK,
  subOp({
    ...SHUTDOWN_TEXT,
    arg: structs.sched_shutdown,
    run: (caller, { reason }) => shutdown(caller, reason),
  }),
  subOp({
    number: 3,
    name: 'SCHEDOP_poll',
    arg: structs.sched_poll,
    doc: 'Waits until one of a list of ports is pending, or a time comes.',
    seed: 'sched_op_new(SCHEDOP_poll)',
    run: (caller, a) => poll(caller, a.ports, a.nr_ports, a.timeout),
  }),
  subOp({
    number: 4,
    name: 'SCHEDOP_remote_shutdown',
    arg: structs.sched_remote_shutdown,
    doc: 'Stops another domain, for control domains.',
    run: ({ hv, domain }, a) => {
      const { privileged, personality } = domain;
      if (!privileged && personality === '3.0.2') return EPERM;
      const other = a.domain_id === DOMID_SELF ? undefined : hv.domains[a.domain_id];
      const toolstack = !privileged && a.domain_id === hv.toolstackDomid;
      if (!toolstack && (other === undefined || other === domain)) return ESRCH;
      if (!privileged || other === undefined) return EPERM;
      shutdownDomain(hv, other, null, a.reason);
      return 0;
    },
  }),
  subOp({
    number: 5,
    name: 'SCHEDOP_shutdown_code',
    arg: structs.sched_shutdown,
    doc: 'Remembers the reason that a later shutdown reports.',
    run: ({ domain }, { reason }) => {
      domain.shutdownCode = reason & 0xff;
      return 0;
    },
  }),
  subOp({
    number: 6,
    name: 'SCHEDOP_watchdog',
    arg: structs.sched_watchdog,
    doc: 'Sets, re-arms or removes a timer that stops the domain unless it is set again in time.',
    run: ({ hv, domain }, { id, timeout }) => {
      const watchdogs = domain.watchdogs;
      if (id > watchdogs.length) return EINVAL;
      const deadline = hv.now() + timeout * SECOND_NS;
      let slot = id - 1;
      if (id === 0) {
        if (timeout === 0) return EINVAL;
        slot = watchdogs.indexOf(NEVER);
        if (slot < 0) return ENOSPC;
      } else if (watchdogs[slot] === NEVER) return EINVAL;
      watchdogs[slot] = timeout === 0 ? NEVER : deadline;
      if (hv.running) hv.cpu.requestExit(); // the run under way knew no such deadline
      return id === 0 ? slot + 1 : 0;
    },
  }),
  plainSubOp({
    number: 7,
    name: 'SCHEDOP_pin_override',
    doc: 'Pins a vcpu to a processor, for the hardware domain.',
    run: () => EPERM,
  }),
];

export const schedOpCompat: HypercallRow = {
  number: 6,
  name: 'sched_op_compat',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'value', as: 'hex' },
  ],
  doc: 'Scheduling, the old form: the argument is a value.',
  subOpsBy: 'cmd',
  subOps: [YIELD, BLOCK, plainSubOp({ ...SHUTDOWN_TEXT, run: shutdown })],
};

export const schedOp: HypercallRow = {
  number: 29,
  name: 'sched_op',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'arg', as: 'pointer' },
  ],
  doc: "Scheduling, the form with a pointer (the seed's sched_op_new).",
  subOpsBy: 'cmd',
  subOps: NEW_OPERATIONS,
};

export const setTimerOpRow: HypercallRow = {
  number: 15,
  name: 'set_timer_op',
  args: [{ name: 'timeout', as: 'u64' }],
  doc: "Sets the calling vcpu's one-shot timer to an absolute system time; works while blocked. 0 stops it.",
  seed: 'set_timer_op',
  run: ({ hv, vcpu }, args) => {
    setTimerOp(hv, vcpu, args[0]!, args[1]!);
    return 0;
  },
};
