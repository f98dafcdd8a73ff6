/**
 * platform_op (7), 4.17: control of the machine by the initial domain (public/platform.h). The lab offers the physical
 * CPUs: which there are, off line and on line. Under 3.0.2 number 7 is dom0_op, which the built-in toolstack replaces.
 */
import { EACCES, ENOSYS, EPERM } from '../abi/errno.ts';
import * as structs from '../abi/structs.ts';
import { bringOnLine, takeOffLine } from '../cpu-hotplug.ts';
import { type HypercallRow, missingSubOp, subOp } from './row.ts';

export const PLATFORM_INTERFACE_VERSION = 0x0300_0001;
/** command, version, union. */
const VERSION_AT = 4;
const BODY_AT = 8;
const PCPU_ONLINE = 1;
const PCPU_INVALID = 2;

export const platformOp: HypercallRow = {
  number: 7,
  name: 'platform_op',
  args: [{ name: 'op', as: 'pointer' }],
  doc: 'Control of the machine by the initial domain, 4.17: its physical CPUs; dom0_op in 3.0.2.',
  subOpsBy: 'struct',
  structSize: structs.PLATFORM_OP_SIZE,
  structBodyAt: BODY_AT,
  admit: ({ domain }, whole) => {
    if (domain.personality === '3.0.2') return domain.privileged ? ENOSYS : EPERM;
    if (whole.getUint32(VERSION_AT, true) !== PLATFORM_INTERFACE_VERSION) return EACCES;
    return domain.privileged ? 0 : EPERM;
  },
  subOps: [
    missingSubOp(
      17,
      'XENPF_settime',
      'Sets the time of day.',
      'the time of day is part of the configuration',
    ),
    subOp({
      number: 55,
      name: 'XENPF_get_cpuinfo',
      arg: structs.xenpf_pcpuinfo,
      doc: 'Tells of a physical CPU whether it is there and on line, and the highest number that is there.',
      run: ({ hv }, a) => {
        const cpu = hv.pcpus[a.xen_cpuid];
        a.max_present = hv.pcpus.length - 1;
        a.flags = cpu === undefined ? PCPU_INVALID : cpu.online ? PCPU_ONLINE : 0;
        if (cpu !== undefined) {
          a.apic_id = cpu.id;
          a.acpi_id = cpu.id;
        }
        return 0;
      },
    }),
    subOp({
      number: 56,
      name: 'XENPF_cpu_online',
      arg: structs.xenpf_cpu_ol,
      doc: 'Brings a physical CPU on line.',
      run: ({ hv }, { cpuid }) => bringOnLine(hv, cpuid),
    }),
    subOp({
      number: 57,
      name: 'XENPF_cpu_offline',
      arg: structs.xenpf_cpu_ol,
      doc: 'Takes a physical CPU off line; its vcpus go on elsewhere. CPU 0 stays.',
      run: ({ hv }, { cpuid }) => takeOffLine(hv, cpuid),
    }),
  ],
};
