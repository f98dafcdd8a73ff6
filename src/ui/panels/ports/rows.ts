/** Ports as rows, with what changed since the baseline. Pure. */
import type { PortRow, PortsView } from '../../../worker/protocol.ts';

export interface ShownPort extends PortRow {
  kind: string;
  to: string;
  /** The port as it was, when it was there. */
  was: PortRow | null;
  changed: { pending: boolean; masked: boolean; sent: boolean };
}

const KINDS: Record<PortRow['state'], string> = {
  unbound: 'unbound',
  interdomain: 'interdomain',
  pirq: 'pirq',
  virq: 'virq',
  ipi: 'ipi',
};

export function portRows(view: PortsView, before: PortsView | undefined): ShownPort[] {
  const old = new Map(before?.domid === view.domid ? before.rows.map((row) => [row.port, row]) : []);
  return view.rows.map((row) => {
    const was = old.get(row.port);
    return {
      ...row,
      kind: KINDS[row.state],
      to: row.boundTo,
      was: was ?? null,
      changed: {
        pending: was !== undefined && was.pending !== row.pending,
        masked: was !== undefined && was.masked !== row.masked,
        sent: was !== undefined && was.sent !== row.sent,
      },
    };
  });
}
