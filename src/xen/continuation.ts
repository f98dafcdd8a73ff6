/**
 * Long hypercalls in parts. A guest may hand over hundreds of millions of entries at once; no call may keep the
 * processor from its timers, from other vcpus, or the host from its user. So every call that works through a list
 * looks between two entries whether its part is over, and if so is put aside as in Xen: what remains is written into
 * its arguments, EIP is set back to the `int $0x82`, and the guest meets the same instruction again, after whatever
 * was due (an upcall, another vcpu, a stop of the host's). Progress is certain: each part does at least one entry.
 *
 *   while (done < count) {
 *     if (done > 0 && partIsOver(hv)) {
 *       args[0] = ...; args[1] = ...;          what remains; `done` and the like are written out as at an end
 *       return meetAgain(hv);                  the value does not matter: EAX will hold the call's number
 *     }
 *     ... one entry
 *   }
 *
 * What the arguments become (hypercalls.md 1.2; a call in one part leaves all registers as they were):
 *
 *   mmu_update, mmuext_op   list advanced, count less what was done with bit 31 set: `*done` is added to
 *   memory_op 0, 1, 6       the command's upper bits hold the extent to go on with
 *   memory_op 11            nothing: nr_exchanged in the struct tells
 *   grant_table_op          list advanced, count less
 *   set_trap_table          list advanced
 *   console_io              buffer advanced, count less
 *   multicall               list advanced, count less. An entry that is put aside itself has its own arguments
 *                           rewritten, in the guest's list, and the multicall goes on with that entry
 *
 * A part ends after PART_CYCLES of virtual time, whatever is or is not due then, and where an entry has left tables
 * undone (Domain.undone), as the next entry may need them done: where a call is cut is a function of counts, never of
 * the host. Every entry takes time (`entryCheck` at least; the first one's is in the price of the
 * call), so the host's work in a part is bounded as well.
 */
import { charge } from './charge.ts';
import type { Hypervisor } from './hypervisor.ts';

/**
 * Long enough for 2,500 of the cheapest entries, so that no guest that batches a page or two of them ever meets a call
 * again; short enough for timers, and for a few milliseconds of the host's time at the dearest.
 */
export const PART_CYCLES = 100_000;

/** The hypercall under way, as far as it is cut into parts. One per hypervisor; nothing in it outlives a call. */
export class Continuation {
  /** Are the two times below those of this part? Calls that never look do not pay for them. */
  begun = false;
  /** The trace's record of a call that is no continuation: when it began is found there at its first look. */
  record = 0;
  /** The part is over when the clock has reached this. */
  until = 0.5;
  /** The clock at the last look: an entry that took no time is charged at the next one. */
  looked = 0.5;
  /** The call is to be met again, with the arguments as its handler has left them. */
  wanted = false;
}

/** A part begins at this moment. */
export function beginPart(continuation: Continuation, now: number): void {
  continuation.begun = true;
  continuation.until = now + PART_CYCLES;
  continuation.looked = now;
}

/** Between two entries of a list: charges the one before if it took no time. Is the call to be put aside here? */
export function partIsOver(hv: Hypervisor): boolean {
  const { continuation } = hv;
  const { undone } = hv.current!.domain;
  const { at, capacity } = hv.trace;
  if (!continuation.begun) beginPart(continuation, at[continuation.record & (capacity - 1)]!);
  let now = hv.now();
  if (now === continuation.looked) {
    charge(hv, Math.max(1, hv.costs.entryCheck));
    now = hv.now();
  }
  continuation.looked = now;
  return now >= continuation.until || undone.length > 0;
}

/** The handler has put what remains into its arguments. @returns what it may return. */
export function meetAgain(hv: Hypervisor): number {
  hv.continuation.wanted = true;
  return 0;
}
