/** Numbers of the ABI that the lab answers with -ENOSYS, and why: the gap shows in the reference and in the trace. */
import type { HypercallRow } from './row.ts';

const missing = (number: number, name: string, doc: string, notOffered: string): HypercallRow => ({
  number,
  name,
  args: [],
  doc,
  notOffered,
});
const CONTROL = 'the built-in toolstack controls domains itself';

export const NOT_OFFERED: readonly HypercallRow[] = [
  missing(25, 'set_segment_base', 'Segment bases of 64-bit guests.', 'only for 64-bit guests'),
  missing(27, 'xsm_op', 'Security policy (acm_op in 3.0.2).', 'no security modules'),
  missing(31, 'xenoprof_op', 'Profiling.', 'the lab counts everything itself'),
  missing(34, 'hvm_op', 'Parameters of fully virtualised guests.', 'only paravirtual guests'),
  missing(35, 'sysctl', 'Control of the system.', CONTROL),
  missing(36, 'domctl', 'Control of domains.', CONTROL),
  missing(37, 'kexec_op', 'Replacing the hypervisor.', CONTROL),
  missing(38, 'tmem_op', 'Transcendent memory.', 'gone from the ABI'),
  missing(39, 'argo_op', 'Messages between domains.', 'optional'),
  missing(40, 'xenpmu_op', 'Performance counters.', 'optional'),
  missing(41, 'dm_op', 'Device models of fully virtualised guests.', 'only paravirtual guests'),
  missing(42, 'hypfs_op', 'A file system of hypervisor parameters.', 'optional'),
  missing(48, 'mca', 'Machine checks.', 'the simulated machine has none'),
];
