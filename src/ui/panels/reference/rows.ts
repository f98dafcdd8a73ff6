/** The reference as groups of rows, as the comparison of 2006 has them. Pure. */
import type { HypercallRowView } from '../../../worker/protocol.ts';

export interface ReferenceGroup {
  title: string;
  rows: HypercallRowView[];
}

export const BEYOND = 'Not in the comparison of 2006';
export const NOT_OFFERED = 'Not offered';

const ACRONYMS: Record<string, string> = {
  'i/o': 'I/O',
  mmu: 'MMU',
  vcpus: 'VCPUs',
  'cpu control': 'CPU control',
};

export function groupTitle(row: HypercallRowView): string {
  if (row.group === null) return row.notOffered === null ? BEYOND : NOT_OFFERED;
  return ACRONYMS[row.group] ?? row.group.charAt(0).toUpperCase() + row.group.slice(1);
}

/** "event_channel_op EVTCHNOP_send" */
export function interfaceName(row: HypercallRowView): string {
  return row.sub === null ? row.name : `${row.name} ${row.sub}`;
}

/** Rows in which every word of the search is found, grouped; the groups in the comparison's order, the rest last. */
export function referenceGroups(rows: readonly HypercallRowView[], search: string): ReferenceGroup[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter((row) => {
    const text = [interfaceName(row), row.args, row.doc, row.vmi, row.seed, row.notOffered, groupTitle(row)]
      .join(' ')
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const place = (row: HypercallRowView): number =>
    row.seedRows[0] ?? (row.notOffered === null || row.group !== null ? 1000 : 2000);
  const order = (row: HypercallRowView): number => (row.number ?? 0) * 1000 + (row.subNumber ?? 999);
  found.sort((a, b) => place(a) - place(b) || order(a) - order(b));
  const groups = new Map<string, HypercallRowView[]>();
  for (const row of found) {
    const title = groupTitle(row);
    const group = groups.get(title);
    if (group === undefined) groups.set(title, [row]);
    else group.push(row);
  }
  return [...groups].map(([title, ofGroup]) => ({ title, rows: ofGroup }));
}
