/**
 * physdev_op: I/O privilege for everybody, interrupt lines and IO-APIC for whoever was given devices. Call forms 19
 * (3.0.2: command inside the struct, copied back whole) and 33 (4.17). hypercalls.md section 9.
 */
import { NR_PIRQS } from '../abi/constants.ts';
import { EINVAL, ESRCH } from '../abi/errno.ts';
import * as structs from '../abi/structs.ts';
import { IO_APIC_BASE } from '../devices/io-apic.ts';
import { DOMID_SELF } from '../domain.ts';
import { type HypercallRow, missingSubOp, plainSubOp, type SubOpRow, subOp } from './row.ts';

const MAX_PORTS = 65536;
const IOBITMAP_BYTES = 8192;
/** Flags of IRQ_STATUS_QUERY. */
const IRQSTAT_needs_eoi = 1;
const IRQSTAT_shared = 2;
/** MAP_PIRQ_TYPE_GSI: a line of the IO-APIC. */
const MAP_PIRQ_TYPE_GSI = 1;
const OWN_CHOICE = -1;

const OPERATIONS: readonly SubOpRow[] = [
  plainSubOp({
    number: 4,
    name: 'PHYSDEVOP_IRQ_UNMASK_NOTIFY',
    doc: 'Ends all interrupts in service whose ports are unmasked.',
    seed: 'physdev_op(PHYSDEVOP_IRQ_UNMASK_NOTIFY)',
    run: ({ hv, domain }) => {
      hv.devices.lines.endUnmasked(hv, domain);
      return 0;
    },
  }),
  subOp({
    number: 5,
    name: 'PHYSDEVOP_IRQ_STATUS_QUERY',
    arg: structs.physdev_irq_status_query,
    doc: 'Tells whether the end of this interrupt must be announced.',
    seed: 'physdev_op(PHYSDEVOP_IRQ_STATUS_QUERY)',
    run: ({ hv, domain }, a) => {
      if (a.irq >= NR_PIRQS) return EINVAL;
      const { lines } = hv.devices;
      if (domain.personality === '3.0.2') a.flags = lines.get(a.irq)?.level ? IRQSTAT_needs_eoi : 0;
      else a.flags = IRQSTAT_needs_eoi | (lines.shared(a.irq) ? IRQSTAT_shared : 0);
      return 0;
    },
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
    run: ({ hv }, a) => {
      if (a.apic_physbase !== IO_APIC_BASE) return EINVAL;
      a.value = hv.devices.ioApic.read(a.reg);
      return 0;
    },
  }),
  subOp({
    number: 9,
    name: 'PHYSDEVOP_APIC_WRITE',
    arg: structs.physdev_apic,
    doc: 'Writes a register of an IO-APIC.',
    seed: 'physdev_op(PHYSDEVOP_APIC_WRITE)',
    privileged: true,
    run: ({ hv }, a) =>
      a.apic_physbase === IO_APIC_BASE ? hv.devices.ioApic.write(hv, a.reg, a.value) : EINVAL,
  }),
  subOp({
    number: 10,
    name: 'PHYSDEVOP_ASSIGN_VECTOR',
    arg: structs.physdev_irq,
    doc: 'Gives an interrupt line its vector.',
    seed: 'physdev_op(PHYSDEVOP_ASSIGN_VECTOR)',
    privileged: true,
    run: ({ hv, domain }, a) => {
      if (a.irq >= NR_PIRQS) return EINVAL;
      a.vector = domain.personality === '3.0.2' ? hv.devices.ioApic.vectorOf(a.irq) : a.irq;
      return 0;
    },
  }),
  plainSubOp({ number: 11, name: 'PHYSDEVOP_FREE_VECTOR', doc: 'Does nothing any more.', run: () => 0 }),
  subOp({
    number: 12,
    name: 'PHYSDEVOP_eoi',
    arg: structs.physdev_eoi,
    doc: 'Ends one physical interrupt.',
    run: ({ hv, domain }, a) => hv.devices.lines.end(hv, domain, a.irq),
  }),
  subOp({
    number: 13,
    name: 'PHYSDEVOP_map_pirq',
    arg: structs.physdev_map_pirq,
    doc: 'Gives a line of the IO-APIC its number: its own. There are no message interrupts.',
    privileged: true,
    run: ({ hv, domain }, a) => {
      if (a.domid !== DOMID_SELF && a.domid !== domain.id) return ESRCH;
      if (a.type !== MAP_PIRQ_TYPE_GSI || hv.devices.lines.get(a.index) === undefined) return EINVAL;
      if (a.pirq >= 0 && a.pirq !== a.index) return EINVAL;
      if (a.pirq < OWN_CHOICE) return EINVAL;
      a.pirq = a.index;
      return 0;
    },
  }),
  subOp({
    number: 14,
    name: 'PHYSDEVOP_unmap_pirq',
    arg: structs.physdev_unmap_pirq,
    doc: 'Undoes map_pirq; a line keeps its own number.',
    privileged: true,
    run: ({ hv, domain }, a) => {
      if (a.domid !== DOMID_SELF && a.domid !== domain.id) return ESRCH;
      return hv.devices.lines.get(a.pirq) === undefined ? EINVAL : 0;
    },
  }),
  missingSubOp(
    17,
    'PHYSDEVOP_pirq_eoi_gmfn_v1',
    'Names a page with one bit per line.',
    'ends are announced by PHYSDEVOP_eoi',
  ),
  missingSubOp(
    28,
    'PHYSDEVOP_pirq_eoi_gmfn_v2',
    'Names a page with one bit per line.',
    'ends are announced by PHYSDEVOP_eoi',
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
