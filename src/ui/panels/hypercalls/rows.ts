/** The trace and the counts as rows. Pure. */
import { formatSpan } from '../../../format/time.ts';
import type { HypercallsView } from '../../../worker/protocol.ts';

/** When, against the newest event: offsetText(0) = "0", offsetText(-9400) = "−9.4 µs". */
export function offsetText(ns: number): string {
  return ns === 0 ? '0' : `${ns < 0 ? '−' : '+'}${formatSpan(Math.abs(ns))}`;
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
