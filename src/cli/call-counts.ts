/** How often each hypercall and sub-operation was made and refused, from the trace's counters. */
import { HYPERCALLS } from '../xen/hypercalls/table.ts';
import type { Trace } from '../xen/trace.ts';

export interface CallCount {
  number: number;
  name: string;
  /** Sub-operation, or null for the call as a whole. */
  sub: string | null;
  calls: number;
  refused: number;
}

const SUB_OPS = 64;

/** Only what was called; the whole call first, then its sub-operations. */
export function callCounts(trace: Trace): CallCount[] {
  const counts: CallCount[] = [];
  for (const { number, name, subOps } of HYPERCALLS) {
    const calls = trace.calls[number] ?? 0;
    if (calls === 0) continue;
    counts.push({ number, name, sub: null, calls, refused: trace.refusedCalls[number] ?? 0 });
    for (const sub of subOps ?? []) {
      const index = number * SUB_OPS + sub.number;
      const subCalls = trace.subCalls[index] ?? 0;
      if (subCalls > 0) {
        counts.push({
          number,
          name,
          sub: sub.name,
          calls: subCalls,
          refused: trace.refusedSubCalls[index] ?? 0,
        });
      }
    }
  }
  return counts;
}
