/** The trace and the counts as rows. Pure. */
import { formatSpan } from '../../../format/time.ts';
import type { HypercallsView } from '../../../worker/protocol.ts';

/** How long ago: agoText(0) = "now", agoText(9400) = "−9.4 µs". */
export function agoText(ns: number): string {
  return ns <= 0 ? 'now' : `−${formatSpan(ns)}`;
}

/** Calls that were made, most often first. */
export function countRows(view: HypercallsView): HypercallsView['rows'] {
  return view.rows.filter((row) => row.calls > 0).sort((a, b) => b.calls - a.calls || a.number - b.number);
}
