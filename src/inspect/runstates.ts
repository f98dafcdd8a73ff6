/** Runstates of every vcpu: where its time went, and the intervals of the last while. */
import type { RunstateInterval, RunstateLane, RunstatesView } from '../worker/protocol.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { RUNSTATE_NAMES, timeIn } from '../xen/runstate.ts';
import { RunstateHistory, type Vcpu } from '../xen/vcpu.ts';
import { pcpuOf, vcpuState } from './vcpu-state.ts';

/** Intervals that overlap [since, now], oldest first; bounded by the recorder's capacity. */
function intervals(hv: Hypervisor, vcpu: Vcpu, since: number): RunstateInterval[] {
  const { history } = vcpu;
  const now = hv.now();
  const list: RunstateInterval[] = [];
  const first = Math.max(0, history.total - RunstateHistory.CAPACITY);
  for (let n = history.total - 1, to = now; n >= first; n--) {
    const slot = n % RunstateHistory.CAPACITY;
    const from = history.from[slot]!;
    const open = n === history.total - 1;
    if (to >= since && to > from) {
      const ring = open && pcpuOf(hv, vcpu) !== null ? vcpuState(hv, vcpu).u32('cpl') : history.ring[slot]!;
      list.push({ from, to, state: RUNSTATE_NAMES[history.state[slot]!]!, ring });
    }
    if (from < since) break;
    to = from;
  }
  return list.reverse();
}

/** The recorder overwrites its oldest intervals: from when on it has all of them. */
function keptFrom({ history, domain }: Vcpu): number {
  if (history.total <= RunstateHistory.CAPACITY) return domain.createdAt;
  return history.from[history.total % RunstateHistory.CAPACITY]!;
}

export function runstatesView(hv: Hypervisor, historyNs: number): RunstatesView {
  const now = hv.now();
  const lanes: RunstateLane[] = [];
  for (const domain of hv.domains) {
    for (const vcpu of domain?.vcpus ?? []) {
      lanes.push({
        domid: vcpu.domain.id,
        vcpu: vcpu.id,
        state: RUNSTATE_NAMES[vcpu.runstate]!,
        times: [0, 1, 2, 3].map((state) => timeIn(hv, vcpu, state)),
        createdAt: vcpu.domain.createdAt,
        pcpu: pcpuOf(hv, vcpu),
        keptFrom: keptFrom(vcpu),
        history: intervals(hv, vcpu, now - historyNs),
      });
    }
  }
  return { view: 'runstates', now, lanes };
}
