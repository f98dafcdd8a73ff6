/**
 * Every interface with how often it was used and how often it was refused: the reference. Rows come from the hypercall
 * table, in the order and groups of the comparison of 2006; fields of shared memory, which no call counts, are there too.
 */
import type { HypercallRowView, HypercallsView } from '../worker/protocol.ts';
import type { HypercallRow, SubOpRow } from '../xen/hypercalls/row.ts';
import { HYPERCALLS } from '../xen/hypercalls/table.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { implementations, SEED_ROWS } from '../xen/seed-rows.ts';
import { SUB_OPS } from '../xen/trace.ts';

type Told = Omit<HypercallRowView, 'calls' | 'refused'>;

const key = (number: number, sub: number | null): string => `${number}.${sub ?? ''}`;

/** Where in the comparison an interface is: its rows there, and the group of the first. */
const PLACES = new Map<string, { rows: number[]; group: string }>();
for (const seed of SEED_ROWS) {
  for (const { row, sub } of implementations(seed)) {
    const at = key(row.number, sub?.number ?? null);
    const place = PLACES.get(at);
    if (place === undefined) PLACES.set(at, { rows: [seed.number], group: seed.group });
    else if (!place.rows.includes(seed.number)) place.rows.push(seed.number);
  }
}

/** Fields of a sub-operation's struct, those that only come back marked; without a struct, the call's registers. */
function argsOf(row: HypercallRow, sub: SubOpRow | null): string {
  if (!sub?.arg) return row.args.map((arg) => arg.name).join(', ');
  return Object.entries(sub.arg.fields)
    .map(([name, { direction }]) => (direction === 'in' ? name : `${direction} ${name}`))
    .join(', ');
}

/** Calls whose sub-operations come in a list, several to a call: the call is a row of its own. */
const isBatched = (row: HypercallRow): boolean =>
  row.subOps !== undefined && row.subOpsBy === undefined && row.args[0]?.as === 'pointer';

function tell(row: HypercallRow, sub: SubOpRow | null): Told {
  const place = PLACES.get(key(row.number, sub?.number ?? null));
  return {
    number: row.number,
    name: row.name,
    sub: sub?.name ?? null,
    subNumber: sub?.number ?? null,
    args: argsOf(row, sub),
    seed: (sub ?? row).seed ?? null,
    seedRows: place?.rows ?? [],
    group: place?.group ?? null,
    vmi: (sub ?? row).vmi ?? null,
    doc: (sub ?? row).doc,
    notOffered: sub?.notOffered ?? row.notOffered ?? null,
  };
}

const TOLD = HYPERCALLS.map((row) => ({
  row,
  whole: tell(row, null),
  subs: (row.subOps ?? []).map((sub) => tell(row, sub)),
}));

const FIELDS: HypercallRowView[] = SEED_ROWS.flatMap((seed) =>
  seed.field === undefined
    ? []
    : [
        {
          number: null,
          name: seed.field,
          sub: null,
          subNumber: null,
          args: 'a field of shared_info',
          seed: seed.spelled,
          seedRows: [seed.number],
          group: seed.group,
          vmi: seed.vmi || null,
          doc: `${seed.spelled}: shared memory, read and written without a call.`,
          notOffered: null,
          calls: 0,
          refused: 0,
        },
      ],
);

export function hypercallsView(hv: Hypervisor): HypercallsView {
  const { trace } = hv;
  const rows: HypercallRowView[] = [...FIELDS];
  for (const { row, whole, subs } of TOLD) {
    let calls = trace.calls[row.number]!;
    let refused = trace.refusedCalls[row.number]!;
    for (const sub of subs) {
      // A number too large for the counters is counted with its hypercall only.
      const counted = sub.subNumber! < SUB_OPS;
      const index = row.number * SUB_OPS + sub.subNumber!;
      const subCalls = counted ? trace.subCalls[index]! : 0;
      const subRefused = counted ? trace.refusedSubCalls[index]! : 0;
      if (!isBatched(row)) {
        calls -= subCalls;
        refused -= subRefused;
      }
      rows.push({ ...sub, calls: subCalls, refused: subRefused });
    }
    // Calls without a known sub-operation, or all of them where there is none.
    if (subs.length === 0 || calls > 0) rows.push({ ...whole, calls, refused });
  }
  return { view: 'hypercalls', rows };
}
