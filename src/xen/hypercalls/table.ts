/**
 * Every hypercall of the ABI, once, by number. Joins the families' rows and refuses two rows for one number.
 * Dispatch, multicall, trace text, counters, reference pages and the VMI map all read this.
 */
import { invariant } from '../../base/assert.ts';
import { consoleIo } from './console-io.ts';
import {
  callbackOp,
  fpuTaskswitch,
  getDebugreg,
  iretRow,
  nmiOp,
  setCallbacks,
  setDebugreg,
  setTrapTable,
  stackSwitch,
} from './cpu-state.ts';
import { setGdtRow, updateDescriptorRow } from './descriptors.ts';
import { eventChannelOp, eventChannelOpCompat } from './event-channel-op.ts';
import { grantTableOpRow } from './grant-table-op.ts';
import { memoryOpRow } from './memory-op.ts';
import { mmuUpdateRow } from './mmu-update.ts';
import { mmuextOpRow } from './mmuext-op.ts';
import { multicall } from './multicall.ts';
import { NOT_OFFERED } from './not-offered.ts';
import { physdevOp, physdevOpCompat } from './physdev-op.ts';
import { platformOp } from './platform-op.ts';
import type { HypercallRow } from './row.ts';
import { schedOp, schedOpCompat, setTimerOpRow } from './sched-op.ts';
import { updateVaMappingOtherdomainRow, updateVaMappingRow } from './update-va-mapping.ts';
import { vcpuOp } from './vcpu-op.ts';
import { vmAssistRow } from './vm-assist.ts';
import { xenVersion } from './xen-version.ts';

export const HYPERCALLS: readonly HypercallRow[] = [
  setTrapTable,
  mmuUpdateRow,
  setGdtRow,
  stackSwitch,
  setCallbacks,
  fpuTaskswitch,
  schedOpCompat,
  setDebugreg,
  getDebugreg,
  updateDescriptorRow,
  memoryOpRow,
  multicall,
  updateVaMappingRow,
  setTimerOpRow,
  eventChannelOpCompat,
  xenVersion,
  consoleIo,
  physdevOpCompat,
  grantTableOpRow,
  vmAssistRow,
  updateVaMappingOtherdomainRow,
  iretRow,
  vcpuOp,
  mmuextOpRow,
  nmiOp,
  schedOp,
  callbackOp,
  eventChannelOp,
  physdevOp,
  platformOp,
  ...NOT_OFFERED,
].sort((a, b) => a.number - b.number);

for (const [index, row] of HYPERCALLS.entries()) {
  invariant(row.number !== HYPERCALLS[index + 1]?.number, `two rows for hypercall ${row.number}`);
}

/** The row of a number; undefined: not assigned, -ENOSYS. */
export function hypercallRow(number: number): HypercallRow | undefined {
  return HYPERCALLS.find((row) => row.number === number);
}
