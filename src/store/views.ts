/**
 * The last snapshot of each view, by subscription key, and which views the shown panels want. Pure: the effects that
 * talk to the worker are in actions.ts.
 */
import type {
  DomainsView,
  HypercallsView,
  MachineView,
  PageTablesView,
  PageTableWindow,
  PortsView,
  RegistersView,
  RunstatesView,
  TracedCall,
  TraceView,
  View,
  ViewQuery,
} from '../worker/protocol.ts';

export interface Views {
  machine?: MachineView;
  domains?: DomainsView;
  registers?: RegistersView;
  pageTables?: PageTablesView;
  ports?: PortsView;
  runstates?: RunstatesView;
  trace?: TraceView;
  /** The trace of one hypercall, when one was chosen. */
  called?: TraceView;
  hypercalls?: HypercallsView;
}
export type ViewKey = keyof Views;

/** Takes over what a snapshot holds; views that did not change keep their identity. */
export function mergeViews(views: Views, arrived: Record<string, View>): Views {
  return { ...views, ...arrived };
}

/** What the user looks at: all that decides which views are wanted. */
export interface Shown {
  screen: 'lab' | 'gallery' | 'reference';
  domid: number | null;
  vcpu: number;
  window: PageTableWindow;
  hypercallTab: 'trace' | 'counts';
  traceAll: boolean;
  /** The trace holds this hypercall only. */
  traceCall: (TracedCall & { name: string }) | null;
  historyNs: number;
}

export const TRACE_ROWS = 200;

export function wantedViews(shown: Shown): Record<string, ViewQuery> {
  const wanted: Record<string, ViewQuery> = { machine: { view: 'machine' }, domains: { view: 'domains' } };
  if (shown.screen === 'reference') wanted['hypercalls'] = { view: 'hypercalls' };
  if (shown.screen !== 'lab') return wanted;
  wanted['runstates'] = { view: 'runstates', historyNs: shown.historyNs };
  if (shown.hypercallTab === 'counts') wanted['hypercalls'] = { view: 'hypercalls' };
  const { domid, vcpu } = shown;
  wanted['trace'] = {
    view: 'trace',
    limit: TRACE_ROWS,
    ...(shown.traceAll || domid === null ? {} : { domid }),
  };
  if (shown.traceCall !== null) {
    const { number, sub } = shown.traceCall;
    // Beside the trace: what happened last is told from all of it.
    wanted['called'] = { ...wanted['trace'], call: { number, sub } };
  }
  if (domid !== null) {
    wanted['registers'] = { view: 'registers', domid, vcpu };
    wanted['pageTables'] = { view: 'pageTables', domid, vcpu, window: shown.window };
    wanted['ports'] = { view: 'ports', domid };
  }
  return wanted;
}

/** Drops views that are no longer asked for or that belong to another domain, so a panel never shows stale state. */
export function keepWanted(views: Views, wanted: Record<string, ViewQuery>): Views {
  const kept: Views = {};
  for (const [key, view] of Object.entries(views) as [ViewKey, View][]) {
    const query = wanted[key];
    if (query === undefined) continue;
    if ('domid' in query && 'domid' in view && query.domid !== view.domid) continue;
    if ('vcpu' in query && 'vcpu' in view && query.vcpu !== view.vcpu) continue;
    Object.assign(kept, { [key]: view });
  }
  return kept;
}
