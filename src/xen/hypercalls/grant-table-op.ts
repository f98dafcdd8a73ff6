/**
 * Hypercall 20, grant_table_op: an array of structs of one command. Each element has a status of its own; the call
 * fails only when copying does. The rules are grants.ts and grant-map.ts.
 */
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../abi/errno.ts';
import { inout, out, readStruct, type StructType, s16, struct, u16, u32, writeField } from '../abi/struct.ts';
import {
  gnttab_copy,
  gnttab_map_grant_ref,
  gnttab_query_size,
  gnttab_setup_table,
  gnttab_unmap_grant_ref,
} from '../abi/structs.ts';
import { meetAgain, partIsOver } from '../continuation.ts';
import { DOMID_SELF, type Domain } from '../domain.ts';
import { mapGrant, mapped, unmapAndReplace, unmapGrant } from '../grant-map.ts';
import {
  copyGrant,
  GNTST_bad_domain,
  GNTST_bad_virt_addr,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  growGrantTable,
  maxGrantFrames,
  swapGrants,
  transferGrant,
} from '../grants.ts';
import { flushTlb } from '../mmuext-op.ts';
import { refuse } from '../refuse.ts';
import type { Caller, HypercallRow, SubOpRow } from './row.ts';

const gnttab_transfer = struct('gnttab_transfer', 16, {
  mfn: u32(0, 'mfn'),
  domid: u16(4, 'domid'),
  ref: u32(8, 'dec'),
  status: out(s16(12, 'dec')),
});
const gnttab_unmap_and_replace = struct('gnttab_unmap_and_replace', 24, {
  host_addr: u32(0, 'va'),
  new_addr: u32(8, 'va'),
  handle: u32(16, 'dec'),
  status: out(s16(20, 'dec')),
});
const gnttab_set_version = struct('gnttab_set_version', 4, { version: inout(u32(0, 'dec')) });
const gnttab_get_status_frames = struct('gnttab_get_status_frames', 12, {
  nr_frames: u32(0, 'dec'),
  dom: u16(4, 'domid'),
  status: out(s16(6, 'dec')),
  frame_list: u32(8, 'va'),
});
const gnttab_get_version = struct('gnttab_get_version', 8, {
  dom: u16(0, 'domid'),
  version: out(u32(4, 'dec')),
});
const gnttab_swap_grant_ref = struct('gnttab_swap_grant_ref', 12, {
  ref_a: u32(0, 'dec'),
  ref_b: u32(4, 'dec'),
  status: out(s16(8, 'dec')),
});
const gnttab_dump_table = struct('gnttab_dump_table', 4, {
  dom: u16(0, 'domid'),
  status: out(s16(2, 'dec')),
});

/** 3.0.2 takes so many elements at most. */
const MAX_COUNT_302 = 512;
const COPY_SOURCE_IS_REF = 1;
const COPY_DEST_IS_REF = 2;

type Fields = Record<string, number>;
/** Carries out one element: sets its out fields. @returns an errno that ends the call, or 0. */
type One = (caller: Caller, op: Fields) => number;

/** The domain that `dom` names for a table operation of the caller, or a status. */
function tableOf({ hv, domain }: Caller, dom: number): Domain | number {
  if (dom === DOMID_SELF || dom === domain.id) return domain;
  const modern = domain.personality !== '3.0.2';
  if (!domain.privileged && !modern) return GNTST_permission_denied;
  const other = hv.domains[dom];
  if (!other) return GNTST_bad_domain;
  return domain.privileged ? other : GNTST_permission_denied;
}

const setupTable: One = (caller, op) => {
  const { hv } = caller;
  const table = tableOf(caller, op.dom!);
  op.status = typeof table === 'number' ? table : GNTST_okay;
  if (typeof table === 'number') return 0;
  const frames = op.nr_frames!;
  if (!growGrantTable(hv, table, frames)) {
    op.status = GNTST_general_error;
    return 0;
  }
  for (let i = 0; i < frames; i++) {
    if (hv.guest.writeU32(caller.domain, op.frame_list! + i * 4, table.grantFrames[i]!)) continue;
    // 3.0.2 does not look whether the list could be written.
    if (caller.domain.personality !== '3.0.2') op.status = GNTST_bad_virt_addr;
    break;
  }
  return 0;
};

const querySize: One = (caller, op) => {
  const table = tableOf(caller, op.dom!);
  if (typeof table === 'number') {
    op.status = table;
    return 0;
  }
  op.nr_frames = table.grantFrames.length;
  op.max_nr_frames = maxGrantFrames(table);
  op.status = GNTST_okay;
  return 0;
};

const map: One = ({ hv, vcpu }, op) => {
  op.status = mapGrant(hv, vcpu, op.host_addr!, op.flags!, op.ref!, op.dom!);
  if (op.status === GNTST_okay) {
    op.handle = mapped.handle;
    op.dev_bus_addr = mapped.mfn * 4096;
  }
  return 0;
};

const copy: One = ({ hv, domain }, op) => {
  const flags = op.flags!;
  op.status = copyGrant(
    hv,
    domain,
    DOMID_SELF,
    {
      isRef: (flags & COPY_SOURCE_IS_REF) !== 0,
      name: op.source_u!,
      domid: op.source_domid!,
      offset: op.source_offset!,
    },
    {
      isRef: (flags & COPY_DEST_IS_REF) !== 0,
      name: op.dest_u!,
      domid: op.dest_domid!,
      offset: op.dest_offset!,
    },
    op.len!,
  );
  return 0;
};

const setVersion: One = (_, op) => {
  const version = op.version!;
  if (version !== 1 && version !== 2) return EINVAL;
  op.version = 1;
  return version === 1 ? 0 : ENOSYS;
};

const unmap: One = ({ hv, vcpu }, op) => {
  op.status = unmapGrant(hv, vcpu, op.host_addr!, op.dev_bus_addr!, op.handle!);
  return 0;
};
const transfer: One = ({ hv, domain }, op) => {
  op.status = transferGrant(hv, domain, op.mfn!, op.domid!, op.ref!);
  return 0;
};
const replace: One = ({ hv, vcpu }, op) => {
  op.status = unmapAndReplace(hv, vcpu, op.host_addr!, op.new_addr!, op.handle!);
  return 0;
};
const statusFrames: One = (caller, op) => {
  const table = tableOf(caller, op.dom!);
  op.status = typeof table === 'number' ? table : GNTST_general_error;
  return 0;
};
const getVersion: One = (caller, op) => {
  const table = tableOf(caller, op.dom!);
  if (typeof table === 'number') return table === GNTST_bad_domain ? ESRCH : EPERM;
  op.version = 1;
  return 0;
};
const swap: One = ({ hv, domain }, op) => {
  op.status = swapGrants(hv, domain, op.ref_a!, op.ref_b!);
  return 0;
};
const dump: One = (caller, op) => {
  op.status = caller.domain.privileged ? GNTST_okay : GNTST_permission_denied;
  return 0;
};

interface Command {
  readonly row: SubOpRow;
  readonly one: One | null;
  /** 3.0.2 does not have it. */
  readonly later: boolean;
  readonly single: boolean;
  readonly flushes: boolean;
}

function command(
  number: number,
  name: string,
  arg: StructType | null,
  one: One | null,
  doc: string,
  more: { later?: boolean; single?: boolean; flushes?: boolean; notOffered?: string } = {},
): Command {
  const row: SubOpRow = { number, name, arg, doc };
  if (more.notOffered) row.notOffered = more.notOffered;
  return {
    row,
    one,
    later: more.later ?? false,
    single: more.single ?? false,
    flushes: more.flushes ?? false,
  };
}

const COMMANDS: readonly Command[] = [
  command(0, 'GNTTABOP_map_grant_ref', gnttab_map_grant_ref, map, 'Map a frame that another domain granted.'),
  command(1, 'GNTTABOP_unmap_grant_ref', gnttab_unmap_grant_ref, unmap, 'End such a mapping.', {
    flushes: true,
  }),
  command(2, 'GNTTABOP_setup_table', gnttab_setup_table, setupTable, 'The frames of the own grant table.', {
    single: true,
  }),
  command(
    3,
    'GNTTABOP_dump_table',
    gnttab_dump_table,
    dump,
    'Print a grant table on the hypervisor console.',
    {
      later: true,
    },
  ),
  command(
    4,
    'GNTTABOP_transfer',
    gnttab_transfer,
    transfer,
    'Give a frame away to a domain that accepts it.',
  ),
  command(5, 'GNTTABOP_copy', gnttab_copy, copy, 'Copy bytes between frames, own or granted.'),
  command(
    6,
    'GNTTABOP_query_size',
    gnttab_query_size,
    querySize,
    'How large the grant table is and may be.',
    {
      single: true,
    },
  ),
  command(
    7,
    'GNTTABOP_unmap_and_replace',
    gnttab_unmap_and_replace,
    replace,
    'End a mapping and put what another address maps in its place.',
    { later: true, flushes: true },
  ),
  command(
    8,
    'GNTTABOP_set_version',
    gnttab_set_version,
    setVersion,
    'Choose the entry format; only 1 is offered.',
    {
      later: true,
      single: true,
    },
  ),
  command(9, 'GNTTABOP_get_status_frames', gnttab_get_status_frames, statusFrames, 'Version 2 only.', {
    later: true,
    single: true,
  }),
  command(10, 'GNTTABOP_get_version', gnttab_get_version, getVersion, 'Entry format in use.', {
    later: true,
    single: true,
  }),
  command(11, 'GNTTABOP_swap_grant_ref', gnttab_swap_grant_ref, swap, 'Exchange two unused entries.', {
    later: true,
  }),
  command(12, 'GNTTABOP_cache_flush', null, null, 'Cache maintenance for devices.', {
    notOffered: 'x86 caches are coherent',
  }),
];

/** set_version and get_version take one struct, whatever the count says. */
const TAKES_ANY_COUNT = new Set([8, 10]);

const STATUS_NAMES: Record<number, string> = {
  [-1]: 'general_error',
  [-2]: 'bad_domain',
  [-3]: 'bad_gntref',
  [-4]: 'bad_handle',
  [-5]: 'bad_virt_addr',
  [-6]: 'bad_dev_addr',
  [-7]: 'no_device_space',
  [-8]: 'permission_denied',
  [-9]: 'bad_page',
  [-10]: 'bad_copy_arg',
  [-11]: 'address_too_big',
  [-12]: 'eagain',
  [-13]: 'no_space',
};

function run(caller: Caller, args: Uint32Array): number {
  const result = operation(caller, args);
  const { continuation, trace } = caller.hv;
  if (!continuation.wanted) trace.countSubCall(20, args[0]!, result < 0);
  return result;
}

function operation(caller: Caller, args: Uint32Array): number {
  const { hv, domain, vcpu } = caller;
  const found = COMMANDS[args[0]!];
  const array = args[1]!;
  const count = args[2]!;
  const old = domain.personality === '3.0.2';
  if (old && count > MAX_COUNT_302) return EINVAL;
  if (!found?.one || !found.row.arg || (old && found.later)) return ENOSYS;
  const { arg } = found.row;
  if (!hv.guest.inRange(domain, array, count * arg.size)) return EFAULT;
  if (found.single && count !== 1 && !TAKES_ANY_COUNT.has(found.row.number)) return EINVAL;
  let result = 0;
  const elements = found.single ? 1 : count;
  for (let i = 0; i < elements && result === 0; i++) {
    const at = array + i * arg.size;
    if (i > 0 && partIsOver(hv)) {
      args[1] = at;
      args[2] = count - i;
      result = meetAgain(hv);
      break;
    }
    const bytes = hv.guest.readBytes(domain, at, arg.size);
    if (bytes === null) {
      result = EFAULT;
      break;
    }
    const view = new DataView(bytes.buffer);
    const op: Fields = readStruct(arg, view);
    result = found.one(caller, op);
    for (const [name, field] of Object.entries(arg.fields)) {
      if (field.direction !== 'in') writeField(view, 0, field, op[name]!);
    }
    if (op.status !== undefined && op.status < 0) {
      refuse(hv, vcpu, {
        operation: found.row.name,
        rule: 'grant-status',
        outcome: { errno: 0 },
        because: `element ${i} ended with status ${STATUS_NAMES[op.status] ?? op.status}`,
      });
    }
    if (!hv.guest.write(domain, at, bytes)) result = EFAULT;
  }
  if (found.flushes) flushTlb(hv);
  return result;
}

export const grantTableOpRow: HypercallRow = {
  number: 20,
  name: 'grant_table_op',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'uop', as: 'pointer' },
    { name: 'count', as: 'dec' },
  ],
  doc: 'Sharing single frames between domains: a table of grants, mapping, copying and giving away.',
  subOps: COMMANDS.map((entry) => entry.row),
  run,
};
