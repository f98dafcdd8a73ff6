/** Ports as rows, with what changed since the baseline. Pure. */
import type { PortRow, PortsView } from '../../../worker/protocol.ts';

export interface ShownPort extends PortRow {
  /** What it is bound to, the telling part first. */
  lead: string;
  rest: string;
  /** The port as it was, when it was there. */
  was: PortRow | null;
  changed: { pending: boolean; masked: boolean; sent: boolean };
}

export function portRows(view: PortsView, before: PortsView | undefined): ShownPort[] {
  const old = new Map(before?.domid === view.domid ? before.rows.map((row) => [row.port, row]) : []);
  return view.rows.map((row) => {
    const was = old.get(row.port);
    return {
      ...row,
      lead: row.state === 'interdomain' ? row.boundTo : row.state,
      rest: row.state === 'interdomain' ? 'interdomain' : row.boundTo,
      was: was ?? null,
      changed: {
        pending: was !== undefined && was.pending !== row.pending,
        masked: was !== undefined && was.masked !== row.masked,
        sent: was !== undefined && was.sent !== row.sent,
      },
    };
  });
}
