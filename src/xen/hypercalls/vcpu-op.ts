/** vcpu_op (24): life of vcpus, runstates, per-vcpu timers and shared areas. hypercalls.md 5.3. */
import { SHUTDOWN_poweroff } from '../abi/constants.ts';
import { EEXIST, EFAULT, EINVAL, ENOENT, ENOSYS } from '../abi/errno.ts';
import { readStruct, type StructType } from '../abi/struct.ts';
import * as structs from '../abi/structs.ts';
import { shutdownDomain } from '../domain-lifecycle.ts';
import { raiseNmi } from '../nmi.ts';
import { registerVcpuInfo } from '../register-vcpu-info.ts';
import { runstateRecord, updateRunstateArea } from '../runstate.ts';
import { sleep, wake } from '../scheduler.ts';
import { updateTimeArea } from '../time-info.ts';
import { NEVER, setPeriodic, setSingleShot } from '../timers.ts';
import type { Vcpu } from '../vcpu.ts';
import { applyContext } from '../vcpu-context.ts';
import type { Caller, HypercallRow, SubOpRow } from './row.ts';

const RUNSTATE_INFO_SIZE = 44;
const TIME_INFO_SIZE = 32;
const MIN_PERIOD_NS = 1_000_000;
const MAX_VCPUS = 32;

type Run = (caller: Caller, vcpu: Vcpu, arg: number) => number;

/** Reads the argument struct; null: EFAULT. */
function copyIn<S extends StructType>(
  caller: Caller,
  type: S,
  at: number,
): { [K in keyof S['fields']]: number } | null {
  const view = caller.hv.guest.read(caller.domain, at, type.size);
  return view === null ? null : (readStruct(type, view) as { [K in keyof S['fields']]: number });
}

interface Operation {
  number: number;
  name: string;
  doc: string;
  arg?: StructType;
  seed?: string;
  vmi?: string;
  run: Run;
}

const OPERATIONS: readonly Operation[] = [
  {
    number: 0,
    name: 'VCPUOP_initialise',
    arg: structs.vcpu_guest_context,
    doc: 'Gives a vcpu its first context, once. It starts down.',
    seed: 'vcpu_op(VCPUOP_initialise)',
    vmi: 'VMI_SetInitialAPState',
    run: ({ hv, domain }, vcpu, arg) => {
      const bytes = hv.guest.readBytes(domain, arg, structs.vcpu_guest_context.size);
      if (bytes === null) return EFAULT;
      if (vcpu.initialised) return EEXIST;
      const result = applyContext(hv, vcpu, bytes);
      if (result === 0 && !vcpu.down) wake(hv, vcpu);
      return result;
    },
  },
  {
    number: 1,
    name: 'VCPUOP_up',
    doc: 'Makes an initialised vcpu runnable.',
    seed: 'vcpu_op(VCPUOP_up)',
    run: ({ hv }, vcpu) => {
      if (!vcpu.initialised) return EINVAL;
      if (vcpu.down) {
        vcpu.down = false;
        wake(hv, vcpu);
      }
      return 0;
    },
  },
  {
    number: 2,
    name: 'VCPUOP_down',
    doc: 'Takes a vcpu off until it is brought up again. Its references to memory stay.',
    seed: 'vcpu_op(VCPUOP_down)',
    run: ({ hv, domain, vcpu: self }, vcpu) => {
      if (vcpu.down) return 0;
      const last = domain.vcpus.every((other) => other === vcpu || other.down);
      if (last && domain.personality === '4.17') {
        shutdownDomain(hv, domain, self, SHUTDOWN_poweroff);
        return 0;
      }
      vcpu.down = true;
      sleep(hv, vcpu);
      return 0;
    },
  },
  {
    number: 3,
    name: 'VCPUOP_is_up',
    doc: 'Tells whether the vcpu is up: 1 or 0.',
    seed: 'vcpu_op(VCPUOP_is_up)',
    run: (_caller, vcpu) => (vcpu.down ? 0 : 1),
  },
  {
    number: 4,
    name: 'VCPUOP_get_runstate_info',
    doc: 'Writes the runstate and the time spent in each, up to now.',
    seed: 'vcpu_op(VCPUOP_get_runstate_info)',
    run: ({ hv, domain }, vcpu, arg) =>
      hv.guest.write(domain, arg, runstateRecord(hv, vcpu, true)) ? 0 : EFAULT,
  },
  {
    number: 5,
    name: 'VCPUOP_register_runstate_memory_area',
    arg: structs.vcpu_register_runstate_memory_area,
    doc: 'Names memory that gets the runstate record at each switch.',
    seed: 'vcpu_op(VCPUOP_register_runstate_memory_area)',
    run: (caller, vcpu, arg) => {
      const { hv, domain } = caller;
      const area = copyIn(caller, structs.vcpu_register_runstate_memory_area, arg);
      if (area === null) return EFAULT;
      if (!hv.guest.inRange(domain, area.addr, RUNSTATE_INFO_SIZE)) return EFAULT;
      vcpu.runstateArea = area.addr;
      if (vcpu === hv.current) updateRunstateArea(hv, vcpu);
      else hv.guest.write(domain, area.addr, runstateRecord(hv, vcpu, true));
      return 0;
    },
  },
  {
    number: 6,
    name: 'VCPUOP_set_periodic_timer',
    arg: structs.vcpu_set_periodic_timer,
    doc: 'Sets the period of VIRQ_TIMER.',
    run: (caller, vcpu, arg) => {
      const set = copyIn(caller, structs.vcpu_set_periodic_timer, arg);
      if (set === null) return EFAULT;
      if (set.period_ns < MIN_PERIOD_NS) return EINVAL;
      setPeriodic(caller.hv, vcpu, set.period_ns);
      return 0;
    },
  },
  {
    number: 7,
    name: 'VCPUOP_stop_periodic_timer',
    doc: 'Stops the periodic VIRQ_TIMER.',
    run: ({ hv }, vcpu) => {
      setPeriodic(hv, vcpu, 0);
      return 0;
    },
  },
  {
    number: 8,
    name: 'VCPUOP_set_singleshot_timer',
    arg: structs.vcpu_set_singleshot_timer,
    doc: "Sets the calling vcpu's one-shot timer; a past time fires at once.",
    run: (caller, vcpu, arg) => {
      if (vcpu !== caller.vcpu) return EINVAL;
      const set = copyIn(caller, structs.vcpu_set_singleshot_timer, arg);
      if (set === null) return EFAULT;
      setSingleShot(caller.hv, vcpu, Math.max(1, set.timeout_abs_ns));
      return 0;
    },
  },
  {
    number: 9,
    name: 'VCPUOP_stop_singleshot_timer',
    doc: "Stops the calling vcpu's one-shot timer.",
    run: ({ vcpu: self }, vcpu) => {
      if (vcpu !== self) return EINVAL;
      vcpu.singleShotDeadline = NEVER;
      return 0;
    },
  },
  {
    number: 10,
    name: 'VCPUOP_register_vcpu_info',
    arg: structs.vcpu_register_vcpu_info,
    doc: "Moves the vcpu's vcpu_info into memory of the guest's own, for good.",
    run: (caller, vcpu, arg) => {
      const where = copyIn(caller, structs.vcpu_register_vcpu_info, arg);
      if (where === null) return EFAULT;
      return registerVcpuInfo(caller.hv, vcpu, where.mfn, where.offset);
    },
  },
  {
    number: 11,
    name: 'VCPUOP_send_nmi',
    doc: 'Sends a vcpu a non-maskable interrupt.',
    run: ({ hv }, vcpu) => {
      raiseNmi(hv, vcpu);
      return 0;
    },
  },
  {
    number: 12,
    name: 'VCPUOP_get_physid',
    arg: structs.vcpu_get_physid,
    doc: 'Names the physical processor of a pinned vcpu of the hardware domain.',
    run: () => EINVAL,
  },
  {
    number: 13,
    name: 'VCPUOP_register_vcpu_time_memory_area',
    arg: structs.vcpu_register_time_memory_area,
    doc: 'Names memory that gets a copy of the time record.',
    run: (caller, vcpu, arg) => {
      const area = copyIn(caller, structs.vcpu_register_time_memory_area, arg);
      if (area === null || !caller.hv.guest.inRange(caller.domain, area.addr, TIME_INFO_SIZE)) return EFAULT;
      vcpu.timeArea = area.addr;
      if (vcpu === caller.hv.current) updateTimeArea(caller.hv, vcpu);
      return 0;
    },
  },
];

const BY_NUMBER: (Operation | undefined)[] = [];
for (const operation of OPERATIONS) BY_NUMBER[operation.number] = operation;

export const vcpuOp: HypercallRow = {
  number: 24,
  name: 'vcpu_op',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'vcpuid', as: 'dec' },
    { name: 'arg', as: 'pointer' },
  ],
  doc: 'Initialises, starts, stops and asks about vcpus.',
  subOps: OPERATIONS.map(
    ({ number, name, doc, arg, seed, vmi }): SubOpRow => ({
      number,
      name,
      doc,
      arg: arg ?? null,
      ...(seed ? { seed } : {}),
      ...(vmi ? { vmi } : {}),
    }),
  ),
  run: (caller, args) => {
    const { hv, domain } = caller;
    const id = args[1]!;
    if (domain.personality === '3.0.2' && id >= MAX_VCPUS) return EINVAL;
    const vcpu = domain.vcpus[id];
    if (vcpu === undefined) return ENOENT;
    const cmd = args[0]!;
    const operation = BY_NUMBER[cmd];
    const result = operation === undefined ? ENOSYS : operation.run(caller, vcpu, args[2]!);
    hv.trace.countSubCall(24, cmd, result < 0);
    return result;
  },
};
