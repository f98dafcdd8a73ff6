/** Page-table rows and walks as text and bits. What an entry means is decided by the engine; here it is only shown. */
import { hexDigits } from '../../../format/hex.ts';
import type { PageTableRow, PageTablesView } from '../../../worker/protocol.ts';

/** A slot's number in its table, as its path's last part: three hex digits, one for an L3. */
export function slotText(row: PageTableRow): string {
  const slot = hexDigits(row.index, row.level === 3 ? 1 : 3);
  return row.span > 1 ? `${slot} +${(row.span - 1).toString(16)}` : slot;
}

/** Depth in the shown tree, for indenting. */
export const depthOf = (row: PageTableRow): number => row.path.split('.').length - 1;

/** "1 L2, 17 L1, 8 192 pages", leaving out the levels that the mode lacks. */
export function countsText(counts: PageTablesView['counts']): string {
  const parts: string[] = [];
  if (counts.l3 > 0) parts.push(`${counts.l3} L3`);
  parts.push(
    `${counts.l2} L2`,
    `${counts.l1} L1`,
    `${counts.leaves} ${counts.leaves === 1 ? 'page' : 'pages'}`,
  );
  return parts.join(', ');
}

export interface BitField {
  name: string;
  /** Most significant first. */
  bits: string[];
  value: string;
}

/** The address cut where the processor cuts it: 10 + 10 + 12, or 2 + 9 + 9 + 12 with PAE. */
export function addressFields(va: number, abi: PageTablesView['abi']): BitField[] {
  const layout: readonly (readonly [string, number, number])[] =
    abi === 'x86_32p'
      ? [
          ['L3', 2, 1],
          ['L2 slot', 9, 3],
          ['L1 slot', 9, 3],
          ['offset', 12, 3],
        ]
      : [
          ['L2 slot', 10, 3],
          ['L1 slot', 10, 3],
          ['offset', 12, 3],
        ];
  const all = (va >>> 0).toString(2).padStart(32, '0');
  let at = 0;
  return layout.map(([name, width, digits]) => {
    const bits = all.slice(at, at + width);
    at += width;
    return { name, bits: [...bits], value: hexDigits(Number.parseInt(bits, 2), digits) };
  });
}

/** An entry's eight or sixteen digits; the upper half only where it says something. */
export function entryDigits(low: number, high: number): string {
  const lower = hexDigits(low);
  const grouped = `${lower.slice(0, 4)} ${lower.slice(4)}`;
  return high === 0 ? grouped : `${(high >>> 0).toString(16)}·${grouped}`;
}

/** Entries that changed since the baseline, by path: what they were. */
export function changedEntries(
  view: PageTablesView,
  before: PageTablesView | undefined,
): Map<string, string> {
  const changed = new Map<string, string>();
  if (before === undefined || before.domid !== view.domid || before.rootMfn !== view.rootMfn) return changed;
  const old = new Map(before.rows.map((row) => [row.path, row]));
  for (const row of view.rows) {
    const was = old.get(row.path);
    if (was !== undefined && was.span === row.span && (was.low !== row.low || was.high !== row.high)) {
      changed.set(row.path, entryDigits(was.low, was.high));
    }
  }
  return changed;
}
