/**
 * physdev_op: I/O privilege for everybody, interrupt lines and IO-APIC for whoever was given devices. Call forms 19
 * (3.0.2: command inside the struct, copied back whole) and 33 (4.17). hypercalls.md section 9.
 */
import { EINVAL, EPERM } from '../abi/errno.ts';
import * as structs from '../abi/structs.ts';
import { type Caller, type HypercallRow, missingSubOp, plainSubOp, type SubOpRow, subOp } from './row.ts';

const MAX_PORTS = 65536;
const IOBITMAP_BYTES = 8192;
const PHYSICAL_IRQS = 256;

/** No simulated device has an interrupt line yet: every number is a bad one. */
function noSuchLine(_caller: Caller): number {
  return EINVAL;
}

const OPERATIONS: readonly SubOpRow[] = [
  plainSubOp({
    number: 4,
    name: 'PHYSDEVOP_IRQ_UNMASK_NOTIFY',
    doc: 'Ends all interrupts in service whose ports are unmasked.',
    seed: 'physdev_op(PHYSDEVOP_IRQ_UNMASK_NOTIFY)',
    run: () => 0,
  }),
  subOp({
    number: 5,
    name: 'PHYSDEVOP_IRQ_STATUS_QUERY',
    arg: structs.physdev_irq_status_query,
    doc: 'Tells whether the end of this interrupt must be announced.',
    seed: 'physdev_op(PHYSDEVOP_IRQ_STATUS_QUERY)',
    run: (caller) => noSuchLine(caller),
  }),
  subOp({
    number: 6,
    name: 'PHYSDEVOP_SET_IOPL',
    arg: structs.physdev_set_iopl,
    doc: 'Sets the virtual I/O privilege level of the calling vcpu.',
    seed: 'physdev_op(PHYSDEVOP_SET_IOPL)',
    vmi: 'VMI_SetIOPLMask',
    run: ({ vcpu }, { iopl }) => {
      if (iopl > 3) return EINVAL;
      vcpu.iopl = iopl;
      return 0;
    },
  }),
  subOp({
    number: 7,
    name: 'PHYSDEVOP_SET_IOBITMAP',
    arg: structs.physdev_set_iobitmap,
    doc: 'Names the I/O permission bitmap of the calling vcpu; it is read at each access.',
    seed: 'physdev_op(PHYSDEVOP_SET_IOBITMAP)',
    run: ({ hv, domain, vcpu }, { bitmap, nr_ports }) => {
      if (nr_ports > MAX_PORTS || !hv.guest.inRange(domain, bitmap, IOBITMAP_BYTES)) return EINVAL;
      vcpu.ioBitmap = bitmap;
      vcpu.ioBitmapPorts = nr_ports;
      return 0;
    },
  }),
  subOp({
    number: 8,
    name: 'PHYSDEVOP_APIC_READ',
    arg: structs.physdev_apic,
    doc: 'Reads a register of an IO-APIC.',
    seed: 'physdev_op(PHYSDEVOP_APIC_READ)',
    privileged: true,
    run: (caller) => noSuchLine(caller),
  }),
  subOp({
    number: 9,
    name: 'PHYSDEVOP_APIC_WRITE',
    arg: structs.physdev_apic,
    doc: 'Writes a register of an IO-APIC.',
    seed: 'physdev_op(PHYSDEVOP_APIC_WRITE)',
    privileged: true,
    run: (caller) => noSuchLine(caller),
  }),
  subOp({
    number: 10,
    name: 'PHYSDEVOP_ASSIGN_VECTOR',
    arg: structs.physdev_irq,
    doc: 'Gives an interrupt line its vector.',
    seed: 'physdev_op(PHYSDEVOP_ASSIGN_VECTOR)',
    privileged: true,
    run: ({ domain }, a) => {
      if (a.irq >= PHYSICAL_IRQS || domain.personality === '3.0.2') return EINVAL;
      a.vector = a.irq;
      return 0;
    },
  }),
  plainSubOp({ number: 11, name: 'PHYSDEVOP_FREE_VECTOR', doc: 'Does nothing any more.', run: () => 0 }),
  subOp({
    number: 12,
    name: 'PHYSDEVOP_eoi',
    arg: structs.physdev_eoi,
    doc: 'Ends one physical interrupt.',
    run: (caller) => noSuchLine(caller),
  }),
  plainSubOp({ number: 13, name: 'PHYSDEVOP_map_pirq', doc: 'Maps a line to a number.', run: () => EPERM }),
  plainSubOp({ number: 14, name: 'PHYSDEVOP_unmap_pirq', doc: 'Undoes map_pirq.', run: () => EPERM }),
  missingSubOp(
    17,
    'PHYSDEVOP_pirq_eoi_gmfn_v1',
    'Names a page with one bit per line.',
    'no line needs an end',
  ),
  missingSubOp(
    28,
    'PHYSDEVOP_pirq_eoi_gmfn_v2',
    'Names a page with one bit per line.',
    'no line needs an end',
  ),
  missingSubOp(21, 'PHYSDEVOP_setup_gsi', 'Sets trigger and polarity of a line.', 'needs real ACPI'),
  missingSubOp(23, 'PHYSDEVOP_get_free_pirq', 'Reserves a number for a message interrupt.', 'needs real PCI'),
];
const LAST_COMPAT_OPERATION = 10;

export const physdevOpCompat: HypercallRow = {
  number: 19,
  name: 'physdev_op_compat',
  args: [{ name: 'op', as: 'pointer' }],
  doc: 'Physical devices, the 3.0.2 form: one struct holds command and arguments.',
  subOpsBy: 'struct',
  structSize: structs.PHYSDEV_OP_SIZE,
  unknownSubOp: 'EINVAL-302',
  subOps: OPERATIONS.filter((row) => row.number <= LAST_COMPAT_OPERATION),
};

export const physdevOp: HypercallRow = {
  number: 33,
  name: 'physdev_op',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'arg', as: 'pointer' },
  ],
  doc: 'Physical devices, the later form: command and pointer.',
  subOpsBy: 'cmd',
  subOps: OPERATIONS,
};
