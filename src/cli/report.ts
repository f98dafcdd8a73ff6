/** The report of a run as plain data (report.schema.json), and the exit status with its reason in words. */
import { domainsView } from '../inspect/domains.ts';
import { portsView } from '../inspect/ports.ts';
import { registersView } from '../inspect/registers.ts';
import { runstatesView } from '../inspect/runstates.ts';
import { type Demo, missingTexts } from '../machine/manifest.ts';
import type { Press } from '../machine/press.ts';
import type { Session, SessionEnd } from '../machine/session.ts';
import { stateHash } from '../machine/state-hash.ts';
import type { DomainsView, PortsView, RegistersView, RunstatesView } from '../worker/protocol.ts';
import { type Costs, hashCosts } from '../xen/costs.ts';
import type { Domain } from '../xen/domain.ts';
import { explainRefusal } from '../xen/explain.ts';
import { type CallCount, callCounts } from './call-counts.ts';

export interface Report {
  schema: 1;
  target: string;
  demo: string | null;
  exit: { status: number; reason: ExitReason; sentence: string };
  instructions: number;
  virtualNs: number;
  wallMs: number;
  configuration: {
    machineMemoryMiB: number;
    seed: number;
    wallClockSeconds: number;
    costs: Costs;
    costsHash: string;
  };
  /** What was typed, when. */
  inputs: { cycle: number; instructions: number; domid: number; text: string; press: Press | null }[];
  hypercalls: CallCount[];
  exceptions: { vector: number; count: number }[];
  upcalls: number;
  switches: number;
  emulated: number;
  eventsSent: number;
  domains: DomainReport[];
  views: {
    domains: DomainsView;
    runstates: RunstatesView;
    ports: PortsView[];
    registers: RegistersView[];
  };
  stateHash: string;
}

export interface DomainReport {
  domid: number;
  name: string;
  abi: string;
  xen: string;
  privileged: boolean;
  end: {
    reason: string;
    code: number;
    sentence: string | null;
    vcpu: number;
    eip: number;
    at: number;
  } | null;
  /** Everything printed, the emergency console's part included; bytes as characters 0 to 255. */
  console: string;
  emergencyConsole: string;
  refusals: string[];
}

export type ExitReason =
  | 'poweroff'
  | 'suspend'
  | 'reboot'
  | 'crash'
  | 'expected'
  | 'unexpected'
  | 'until'
  | 'until-not-seen'
  | 'waiting'
  | 'max-instructions'
  | 'timeout';

export interface Verdict {
  status: 0 | 1 | 2 | 3;
  reason: ExitReason;
  sentence: string;
}

const endings: Record<string, string> = {
  poweroff: 'powered off',
  reboot: 'asked for a reboot',
  suspend: 'asked to be suspended',
  crash: 'crashed',
  watchdog: 'was ended by its watchdog',
  soft_reset: 'asked for a soft reset',
  other: 'ended for a reason of its own',
};

/** How a domain ended, and for a bad end why: 'd1 (hello) crashed: The store at ... .' */
export function endingOf(domain: Domain): string {
  const who = `d${domain.id} (${domain.config.name})`;
  const { end } = domain;
  if (!end) return `${who} is still running`;
  return `${who} ${endings[end.reason]}${end.sentence ? `: ${end.sentence}` : ''}`;
}

/** @param demo whose expectations decide, or null. */
export function judge(session: Session, end: SessionEnd, demo: Demo | null, until: string | null): Verdict {
  const { domains } = session.machine;
  const told = domains.map(endingOf).join('; ');
  if (end === 'max-instructions')
    return { status: 3, reason: end, sentence: `the bound of instructions was reached; ${told}` };
  if (end === 'timeout') return { status: 3, reason: end, sentence: `the time was up; ${told}` };
  if (until !== null) {
    return end === 'until'
      ? { status: 0, reason: 'until', sentence: `'${until}' was printed` }
      : { status: 1, reason: 'until-not-seen', sentence: `'${until}' was never printed; ${told}` };
  }
  if (demo) return judgeDemo(session, end, demo, told);
  if (end === 'waiting')
    return { status: 1, reason: 'waiting', sentence: `nothing is left to happen without input; ${told}` };
  const reasons = domains.map((domain) => domain.end?.reason ?? 'other');
  const bad = reasons.find((reason) => reason !== 'poweroff' && reason !== 'suspend');
  if (bad === undefined) {
    return { status: 0, reason: reasons.includes('suspend') ? 'suspend' : 'poweroff', sentence: told };
  }
  return { status: 1, reason: bad === 'reboot' ? 'reboot' : 'crash', sentence: told };
}

function judgeDemo(session: Session, end: SessionEnd, demo: Demo, told: string): Verdict {
  const printed = [...session.consoles.values()].map((c) => c.text).join('\n');
  const missing = missingTexts(demo.expect.console, printed);
  if (missing.length > 0) {
    const list = missing.map((text) => `'${text}'`).join(', ');
    return { status: 1, reason: 'unexpected', sentence: `the demo should have printed ${list}; ${told}` };
  }
  const wanted = demo.expect.exit;
  const endedAsWanted =
    wanted === 'running'
      ? end === 'until'
      : session.machine.domains.every((domain) => domain.end?.reason === wanted);
  if (!endedAsWanted) {
    return {
      status: 1,
      reason: 'unexpected',
      sentence: `the demo should have ended with ${wanted}; ${told}`,
    };
  }
  return { status: 0, reason: 'expected', sentence: `as the demo expects: ${told}` };
}

export interface ReportFacts {
  target: string;
  demo: Demo | null;
  verdict: Verdict;
  costs: Costs;
  wallMs: number;
}

export function makeReport(session: Session, facts: ReportFacts): Report {
  const { machine } = session;
  const { hv, options } = machine;
  const symbolAt = (domid: number, va: number) => machine.symbolAt(domid, va);
  const exceptions: { vector: number; count: number }[] = [];
  for (const [vector, count] of hv.trace.exceptions.entries())
    if (count > 0) exceptions.push({ vector, count });
  return {
    schema: 1,
    target: facts.target,
    demo: facts.demo?.id ?? null,
    exit: facts.verdict,
    instructions: machine.instructions,
    virtualNs: machine.now,
    wallMs: Math.round(facts.wallMs),
    configuration: {
      machineMemoryMiB: options.memoryMiB,
      seed: options.seed,
      wallClockSeconds: options.wallClockSeconds,
      costs: facts.costs,
      costsHash: hashCosts(facts.costs).toString(16).padStart(8, '0'),
    },
    inputs: machine.inputLog.entries.map((entry) => ({
      cycle: entry.cycle,
      instructions: entry.instructions,
      domid: entry.domid,
      text: String.fromCharCode(...entry.bytes),
      press: entry.press,
    })),
    hypercalls: callCounts(hv.trace),
    exceptions,
    upcalls: hv.trace.upcalls,
    switches: hv.trace.switches,
    emulated: hv.trace.emulated,
    eventsSent: hv.trace.eventsSent,
    domains: machine.domains.map((domain) => domainReport(session, domain)),
    views: {
      domains: domainsView(hv),
      runstates: runstatesView(hv, 1_000_000_000),
      ports: machine.domains.flatMap((domain) => portsView(hv, domain.id) ?? []),
      registers: machine.domains.flatMap((domain) =>
        domain.vcpus.flatMap((vcpu) => registersView(hv, domain.id, vcpu.id, symbolAt) ?? []),
      ),
    },
    stateHash: stateHash(machine),
  };
}

function domainReport(session: Session, domain: Domain): DomainReport {
  const { end } = domain;
  const texts = session.consoles.get(domain.id);
  return {
    domid: domain.id,
    name: domain.config.name,
    abi: domain.abi,
    xen: domain.personality,
    privileged: domain.privileged,
    end: end && {
      reason: end.reason,
      code: end.code,
      sentence: end.sentence,
      vcpu: end.vcpu,
      eip: end.eip,
      at: end.at,
    },
    console: texts?.text ?? '',
    emergencyConsole: texts?.emergency ?? '',
    refusals: domain.vcpus.flatMap((vcpu) => vcpu.refusals.map(explainRefusal)),
  };
}
