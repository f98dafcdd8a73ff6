/** xen_version (17): who the hypervisor is, per personality. hypercalls.md section 7. */
import { EFAULT, EINVAL, ENOSYS, EPERM } from '../abi/errno.ts';
import * as structs from '../abi/structs.ts';
import type { Domain } from '../domain.ts';
import { type Caller, type HypercallRow, plainSubOp, type SubOpRow, subOp } from './row.ts';

interface Identity {
  version: number;
  extraversion: string;
  capabilities(domain: Domain): string;
  changeset: string;
  compiler: string;
  compileDate: string;
}

const IDENTITIES: Record<Domain['personality'], Identity> = {
  '3.0.2': {
    version: 3 << 16,
    extraversion: '.2-ringside',
    capabilities: (domain) => `xen-3.0-${domain.abi}`,
    changeset: 'unavailable',
    compiler: 'Ringside, a PV lab (TypeScript)',
    compileDate: 'Thu Apr 13 2006',
  },
  '4.17': {
    version: (4 << 16) | 17,
    extraversion: '.ringside',
    capabilities: () => 'xen-3.0-x86_64 xen-3.0-x86_32p ',
    changeset: '',
    compiler: 'Ringside, a PV lab (TypeScript)',
    compileDate: 'Mon Dec 12 2022',
  },
};

// --- feature bits, submap 0
const XENFEAT_pae_pgdir_above_4gb = 1 << 4;
const XENFEAT_mmu_pt_update_preserve_ad = 1 << 5;
const XENFEAT_highmem_assist = 1 << 6;
const XENFEAT_gnttab_map_avail_bits = 1 << 7;
const XENFEAT_dom0 = 1 << 11;
const XENFEAT_memory_op_vnode_supported = 1 << 13;
const XENFEAT_direct_mapped = 1 << 17;
const VMASST_pae_extended_cr3 = 1 << 3;

export function features(domain: Domain): number {
  if (domain.personality === '3.0.2') return 0;
  return (
    XENFEAT_mmu_pt_update_preserve_ad |
    XENFEAT_highmem_assist |
    XENFEAT_gnttab_map_avail_bits |
    XENFEAT_memory_op_vnode_supported |
    XENFEAT_direct_mapped |
    (domain.vmAssist & VMASST_pae_extended_cr3 ? XENFEAT_pae_pgdir_above_4gb : 0) |
    (domain.privileged ? XENFEAT_dom0 : 0)
  );
}

/** The text in an array of `size` bytes, NUL-terminated and zero-filled. */
function padded(text: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < Math.min(text.length, size - 1); i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const copyOut = ({ hv, domain }: Caller, at: number, bytes: Uint8Array): number =>
  hv.guest.write(domain, at, bytes) ? 0 : EFAULT;

const identityOf = (caller: Caller) => IDENTITIES[caller.domain.personality];
const isOld = (caller: Caller) => caller.domain.personality === '3.0.2';

const OPERATIONS: readonly SubOpRow[] = [
  plainSubOp({
    number: 0,
    name: 'XENVER_version',
    doc: "major << 16 | minor. Also guests' traditional 'deliver what is pending now'.",
    seed: 'xen_version(XENVER_version), force_evtchn_callback',
    vmi: 'VMI_DeliverInterrupts',
    run: (caller) => identityOf(caller).version,
  }),
  plainSubOp({
    number: 1,
    name: 'XENVER_extraversion',
    doc: 'Version suffix, char[16].',
    seed: 'xen_version(XENVER_extraversion)',
    run: (caller, at) => copyOut(caller, at, padded(identityOf(caller).extraversion, 16)),
  }),
  plainSubOp({
    number: 2,
    name: 'XENVER_compile_info',
    doc: 'Compiler, who, where and when.',
    seed: 'xen_version(XENVER_compile_info)',
    run: (caller, at) => {
      const identity = identityOf(caller);
      const info = new Uint8Array(144);
      info.set(padded(identity.compiler, 64), 0);
      info.set(padded('ringside', 16), 64);
      info.set(padded('ringside.lab', 32), 80);
      info.set(padded(identity.compileDate, 32), 112);
      return copyOut(caller, at, info);
    },
  }),
  plainSubOp({
    number: 3,
    name: 'XENVER_capabilities',
    doc: 'Guest ABIs that are supported, char[1024].',
    seed: 'xen_version(XENVER_capabilities)',
    run: (caller, at) => copyOut(caller, at, padded(identityOf(caller).capabilities(caller.domain), 1024)),
  }),
  plainSubOp({
    number: 4,
    name: 'XENVER_changeset',
    doc: 'Source revision, char[64].',
    run: (caller, at) => copyOut(caller, at, padded(identityOf(caller).changeset, 64)),
  }),
  subOp({
    number: 5,
    name: 'XENVER_platform_parameters',
    arg: structs.xen_platform_parameters,
    doc: "Where the hypervisor's addresses begin.",
    seed: 'xen_version(XENVER_platform_parameters)',
    run: ({ domain }, a) => {
      a.virt_start = domain.holeStart;
      return 0;
    },
  }),
  subOp({
    number: 6,
    name: 'XENVER_get_features',
    arg: structs.xen_feature_info,
    doc: 'Feature bits; there is one submap.',
    seed: 'xen_version(XENVER_get_features)',
    run: ({ domain }, a) => {
      if (a.submap_idx !== 0) return EINVAL;
      a.submap = features(domain);
      return 0;
    },
  }),
  plainSubOp({
    number: 7,
    name: 'XENVER_pagesize',
    doc: 'Page size; the argument must be NULL.',
    run: (caller, at) => (isOld(caller) ? ENOSYS : at === 0 ? 4096 : EINVAL),
  }),
  plainSubOp({
    number: 8,
    name: 'XENVER_guest_handle',
    doc: "The domain's UUID.",
    run: (caller, at) => (isOld(caller) ? ENOSYS : copyOut(caller, at, caller.domain.handle)),
  }),
  plainSubOp({
    number: 9,
    name: 'XENVER_commandline',
    doc: "The hypervisor's command line; not told to ordinary domains.",
    run: (caller, at) =>
      isOld(caller) ? ENOSYS : copyOut(caller, at, padded(caller.domain.privileged ? '' : '<denied>', 1024)),
  }),
  plainSubOp({
    number: 10,
    name: 'XENVER_build_id',
    doc: 'Build id of the hypervisor; not told to ordinary domains, and there is none.',
    run: (caller) => (isOld(caller) || caller.domain.privileged ? ENOSYS : EPERM),
  }),
];

export const xenVersion: HypercallRow = {
  number: 17,
  name: 'xen_version',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'arg', as: 'pointer' },
  ],
  doc: 'Version, features and parameters of the hypervisor.',
  subOpsBy: 'cmd',
  subOps: OPERATIONS,
};
