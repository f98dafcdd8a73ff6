/** Query in, view out. */
import { unreachable } from '../base/assert.ts';
import type { Machine } from '../machine/machine.ts';
import type { View, ViewQuery } from '../worker/protocol.ts';
import { domainsView } from './domains.ts';
import { hypercallsView } from './hypercalls.ts';
import { pageTablesView } from './page-tables.ts';
import { portsView } from './ports.ts';
import { registersView } from './registers.ts';
import { runstatesView } from './runstates.ts';
import { traceView } from './trace.ts';

/** All views but the machine's, of which the worker knows the mode. Null: what was asked about does not exist. */
export function makeView(machine: Machine, query: Exclude<ViewQuery, { view: 'machine' }>): View | null {
  const { hv } = machine;
  switch (query.view) {
    case 'domains':
      return domainsView(hv);
    case 'registers':
      return registersView(hv, query.domid, query.vcpu, (domid, va) => machine.symbolAt(domid, va));
    case 'pageTables':
      return pageTablesView(hv, query.domid, query.vcpu, query.window);
    case 'ports':
      return portsView(hv, query.domid);
    case 'runstates':
      return runstatesView(hv, query.historyNs);
    case 'trace':
      return traceView(hv, query.limit, query.domid, query.call);
    case 'hypercalls':
      return hypercallsView(hv);
    default:
      return unreachable(query);
  }
}
