/** The trace and the counts as rows. Pure. */
import { formatSeconds, formatSpan } from '../../../format/time.ts';
import type { HypercallsView, TraceRow } from '../../../worker/protocol.ts';

/** When, against the newest event: offsetText(0) = "0", offsetText(-9400) = "−9.4 µs". */
export function offsetText(ns: number): string {
  return ns === 0 ? '0' : `${ns < 0 ? '−' : '+'}${formatSpan(Math.abs(ns))}`;
}

/** An event as one line, to be copied: "0.012 169 748 d1 v0 sched_op(...) → -22. Refused: ...". */
export function detailText(row: TraceRow): string {
  const kind = row.kind === 'hypercall' || row.text.startsWith(row.kind) ? '' : `${row.kind} `;
  const result = row.result === '' ? '' : ` → ${row.result}`;
  const because = row.because === null ? '' : `. Refused: ${row.because}`;
  return `${formatSeconds(row.at)} d${row.domid} v${row.vcpu} ${kind}${row.text}${result}${because}`;
}

/** A call's name and what follows it: splitCall("set_timer_op(timeout 0x0)").name = "set_timer_op". */
export function splitCall(text: string): { name: string; rest: string } {
  const name = /^\w+/.exec(text)?.[0] ?? '';
  return { name, rest: text.slice(name.length) };
}

/** Calls that were made, most often first. */
export function countRows(view: HypercallsView): HypercallsView['rows'] {
  return view.rows
    .filter((row) => row.calls > 0)
    .sort((a, b) => b.calls - a.calls || (a.number ?? 0) - (b.number ?? 0));
}
