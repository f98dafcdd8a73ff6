/** Every hypercall and sub-operation with how often it was made and how often it was refused. Rows come from the table. */
import type { HypercallsView } from '../worker/protocol.ts';
import type { HypercallRow, SubOpRow } from '../xen/hypercalls/row.ts';
import { HYPERCALLS } from '../xen/hypercalls/table.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { SUB_OPS } from '../xen/trace.ts';

/** Registers of a call. */
const argsOf = (row: HypercallRow): string => row.args.map((arg) => arg.name).join(', ');

/** Fields of a sub-operation's struct, those that only come back marked; without a struct, the call's registers. */
function subArgs(row: HypercallRow, sub: SubOpRow): string {
  if (sub.arg === null) return argsOf(row);
  return Object.entries(sub.arg.fields)
    .map(([name, { direction }]) => (direction === 'in' ? name : `${direction} ${name}`))
    .join(', ');
}

/** Calls whose sub-operations come in a list, several to a call: the call is a row of its own. */
const isBatched = (row: HypercallRow): boolean =>
  row.subOps !== undefined && row.subOpsBy === undefined && row.args[0]?.as === 'pointer';

export function hypercallsView(hv: Hypervisor): HypercallsView {
  const { trace } = hv;
  const rows: HypercallsView['rows'] = [];
  for (const row of HYPERCALLS) {
    const { number, name } = row;
    let calls = trace.calls[number]!;
    let refused = trace.refusedCalls[number]!;
    for (const sub of row.subOps ?? []) {
      // A number too large for the counters is counted with its hypercall only.
      const counted = sub.number < SUB_OPS;
      const index = number * SUB_OPS + sub.number;
      const subCalls = counted ? trace.subCalls[index]! : 0;
      const subRefused = counted ? trace.refusedSubCalls[index]! : 0;
      if (!isBatched(row)) {
        calls -= subCalls;
        refused -= subRefused;
      }
      rows.push({
        number,
        name,
        sub: sub.name,
        seed: sub.seed ?? null,
        vmi: sub.vmi ?? null,
        calls: subCalls,
        refused: subRefused,
        doc: sub.doc,
        args: subArgs(row, sub),
        notOffered: sub.notOffered ?? row.notOffered ?? null,
      });
    }
    // Calls without a known sub-operation, or all of them where there is none.
    if (row.subOps === undefined || calls > 0) {
      rows.push({
        number,
        name,
        sub: null,
        seed: row.seed ?? null,
        vmi: row.vmi ?? null,
        calls,
        refused,
        doc: row.doc,
        args: argsOf(row),
        notOffered: row.notOffered ?? null,
      });
    }
  }
  return { view: 'hypercalls', rows };
}
