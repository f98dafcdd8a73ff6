/**
 * The writable page-table assist (vm_assist 2, memory.md section 7): a ring-1 store to a read-only mapping of an L1
 * table of the same domain is carried out here as a checked update of the entry. Stores of 1, 2, 4 and (PAE) 8 bytes,
 * naturally aligned, read-modify-write forms included. L2 and L3 tables are never assisted. A refused entry is the
 * guest's #PF. (3.0.2 really unhooks the table and checks later; a guest sees a difference only when it stores an
 * entry that is refused.)
 */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { charge } from './charge.ts';
import { refuseStore } from './denial.ts';
import type { Domain } from './domain.ts';
import { TYPE_l1 } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { PTE_PRESENT, readHigh, readLow } from './page-table-entries.ts';
import { finishPlan, plan, planStore } from './store-emulation.ts';
import { updateEntry } from './table-updates.ts';
import { TRACE_emulate } from './trace.ts';
import { isTableInUse } from './validate.ts';

const WRITABLE_PAGETABLES = 1 << 2;
const PF_PRESENT_WRITE = 3;

/**
 * After a write #PF (P and W set) from ring 1 at `va`, below the hole.
 * @returns true when the store was carried out: registers, flags and eip are those behind the instruction.
 */
export function tryWritablePageTable(hv: Hypervisor, va: number): boolean {
  const vcpu = hv.current;
  if (vcpu === null || !(vcpu.domain.vmAssist & WRITABLE_PAGETABLES)) return false;
  const { domain } = vcpu;
  const maddr = hv.cpu.peekTranslate(va);
  if (maddr < 0) return false;
  const table = Math.floor(maddr / FRAME_SIZE);
  if (hv.frames.owner[table] !== domain.id || !isTableInUse(hv, table, TYPE_l1)) return false;
  if (!planStore(hv, va, table * FRAME_SIZE) || plan.size > domain.entryBytes) return false;
  charge(hv, hv.costs.emulation);
  if (plan.stores) {
    const errno = storePlanned(hv, domain, table * FRAME_SIZE + (plan.address & 4095));
    if (errno !== 0) {
      refuseStore(hv, vcpu, va, PF_PRESENT_WRITE, plan.low, plan.high);
      return false;
    }
  }
  hv.trace.emulated++;
  hv.trace.record(
    hv.now(),
    TRACE_emulate,
    domain.id,
    vcpu.id,
    plan.opcode,
    plan.size,
    plan.low | 0,
    hv.cpu.eip,
  );
  finishPlan(hv);
  hv.cpu.retire();
  return true;
}

/** The store as an update of the whole entry: bytes that it does not name stay. */
function storePlanned(hv: Hypervisor, domain: Domain, at: number): number {
  const { entryBytes } = domain;
  const entry = at - (at % entryBytes);
  let low = readLow(hv.memory, entry);
  let high = readHigh(hv.memory, entry, entryBytes);
  const offset = at % entryBytes;
  if (plan.size === 8) {
    low = plan.low;
    high = plan.high;
  } else if (offset < 4) low = merge(low, plan.low, offset, plan.size);
  else high = merge(high, plan.low, offset - 4, plan.size);

  const errno = updateEntry(hv, domain, domain.id, TYPE_l1, entry, low, high, false);
  const upperHalf = plan.size === 4 && offset === 4 && !plan.comparing;
  if (errno === 0 || !upperHalf || !(low & PTE_PRESENT)) return errno;
  // The halves of an entry in the wrong order: not present until the lower half follows.
  return updateEntry(hv, domain, domain.id, TYPE_l1, entry, low & ~PTE_PRESENT, high, false);
}

function merge(word: number, value: number, offset: number, size: number): number {
  if (size === 4) return value >>> 0;
  const mask = (2 ** (size * 8) - 1) << (offset * 8);
  return ((word & ~mask) | ((value << (offset * 8)) & mask)) >>> 0;
}
