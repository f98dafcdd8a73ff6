/** Every hypercall and sub-operation with how often it was made and how often it was refused. Rows come from the table. */
import type { HypercallsView } from '../worker/protocol.ts';
import { HYPERCALLS } from '../xen/hypercalls/table.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { SUB_OPS } from '../xen/trace.ts';

export function hypercallsView(hv: Hypervisor): HypercallsView {
  const { trace } = hv;
  const rows: HypercallsView['rows'] = [];
  for (const row of HYPERCALLS) {
    let bySub = 0;
    for (const sub of row.subOps ?? []) {
      const index = row.number * SUB_OPS + sub.number;
      // A number too large for the counters is counted with its hypercall only.
      const calls = sub.number < SUB_OPS ? trace.subCalls[index]! : 0;
      bySub += calls;
      rows.push({
        number: row.number,
        name: row.name,
        sub: sub.name,
        seed: sub.seed ?? null,
        vmi: sub.vmi ?? null,
        calls,
        refused: sub.number < SUB_OPS ? trace.refusedSubCalls[index]! : 0,
        doc: sub.doc,
      });
    }
    // Calls without a known sub-operation, or all of them where there is none.
    const calls = trace.calls[row.number]!;
    if (row.subOps === undefined || calls > bySub) {
      const refusedBySub = rows
        .filter((r) => r.number === row.number && r.sub !== null)
        .reduce((sum, r) => sum + r.refused, 0);
      rows.push({
        number: row.number,
        name: row.name,
        sub: null,
        seed: row.seed ?? null,
        vmi: row.vmi ?? null,
        calls: row.subOps === undefined ? calls : calls - bySub,
        refused: trace.refusedCalls[row.number]! - refusedBySub,
        doc: row.doc,
      });
    }
  }
  return { view: 'hypercalls', rows };
}
