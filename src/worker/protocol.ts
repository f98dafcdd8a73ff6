/**
 * The whole contract between the lab's face and its engine: plain data, types only. The UI imports nothing else of
 * the engine. Numbers are plain: linear and machine addresses unsigned 32-bit, times virtual nanoseconds.
 */
import type { Result } from '../base/result.ts';

// ---------------------------------------------------------------- commands

export interface MachineSettings {
  /** Machine RAM in MiB, 16 to 1024. */
  memoryMiB: number;
  seed: number;
  /** UTC seconds at system time 0. */
  wallClockSeconds: number;
  /** Simulated physical CPUs, 1 to 4; 1 unless said. */
  cpus?: number;
}

export interface DomainRequest {
  name: string;
  /** ELF32 image, packed or not, or a bzImage. Transferred. */
  image: Uint8Array;
  ramdisk?: Uint8Array;
  commandLine: string;
  memoryMiB: number;
  vcpus: number;
  abi: 'auto' | 'x86_32' | 'x86_32p';
  xen: '3.0.2' | '4.17' | 'auto';
  privileged: boolean;
}

export type StepKind = 'instruction' | 'hypercall' | 'event';
/** The lab button (IRQ 11), the NMI button, the debug key (VIRQ_DEBUG); a physical CPU goes off line or on line. */
export type PressKind = 'button' | 'nmi' | 'debug' | `cpu${1 | 2 | 3}-${'off' | 'on'}`;

/** What a demo asks of its user, to be done by the lab. */
export interface Script {
  /** Who is typed to. */
  domid: number;
  /** One after the other, each when the domain has printed something since and was silent for a while. */
  lines: string[];
  /** At these virtual times; when the first is over already, all are as much later. */
  presses: { press: PressKind; domid: number; atMs: number }[];
}

/** Offered by the worker through comlink. Expected failures are values. */
export interface LabApi {
  /** A fresh machine; all domains are gone. */
  reset(settings: MachineSettings): Promise<void>;
  /** Builds a domain and leaves it unpaused; the machine keeps running or stays paused. */
  boot(request: DomainRequest): Promise<Result<{ domid: number }>>;
  destroy(domid: number): Promise<void>;
  /** The whole lab as a file; the machine goes on as it was. */
  save(): Promise<Result<Uint8Array>>;
  /**
   * A saved lab takes the place of the machine, and stands still; a suspended domain's file becomes one more domain.
   * A refused file changes nothing.
   */
  open(file: Uint8Array): Promise<Result<{ kind: 'lab' | 'domain'; domids: number[] }>>;
  /** A domain that suspended itself goes on as a new domain of the same machine, on other frames. */
  restore(domid: number): Promise<Result<{ domid: number }>>;
  run(): Promise<void>;
  /** Resolves when the machine stands still. */
  pause(): Promise<void>;
  /** Paused only: runs to the end of one instruction, to after the next hypercall, or to the next event. */
  step(kind: StepKind): Promise<void>;
  /** Virtual seconds per wall second at most; 0 = as fast as possible. */
  setSpeed(factor: number): Promise<void>;
  /** Typed into a domain's console. */
  input(domid: number, bytes: Uint8Array): Promise<void>;
  /** Pressed on the machine; `domid` is who is meant, for the debug key. */
  press(press: PressKind, domid: number): Promise<void>;
  /** Types and presses by itself, at virtual times; takes the place of a script that is not through. */
  play(script: Script): Promise<void>;
  /** Replaces all subscriptions. Keys are chosen by the caller and name the views in snapshots. */
  subscribe(subscriptions: Record<string, ViewQuery>): Promise<void>;
  /** Sinks for what the worker sends by itself (comlink proxies). */
  listen(
    onSnapshot: (snapshot: Snapshot) => void,
    /** Resolves when the text is on the screen: that is the flow control. */
    onConsole: (chunk: ConsoleChunk) => void | Promise<void>,
  ): Promise<void>;
  /** Browser-side acknowledgement of a snapshot: the worker sends at most one unacknowledged snapshot. */
  acknowledge(sequence: number): void;
  /** Answers at once, also while a guest spins: the watchdog's question. */
  ping(): Promise<void>;
}

export interface ConsoleChunk {
  domid: number;
  /** Raw bytes as the guest wrote them. */
  bytes: Uint8Array;
  /** True for the emergency console (console_io). */
  emergency: boolean;
}

// ---------------------------------------------------------------- views

export type ViewQuery =
  | { view: 'machine' }
  | { view: 'domains' }
  | { view: 'registers'; domid: number; vcpu: number }
  | { view: 'pageTables'; domid: number; vcpu: number; window: PageTableWindow }
  | { view: 'ports'; domid: number }
  | { view: 'runstates'; historyNs: number }
  | { view: 'trace'; limit: number; domid?: number; call?: TracedCall }
  | { view: 'hypercalls' };

/** Sent at most once per animation frame; holds only views that changed since the last one. */
export interface Snapshot {
  sequence: number;
  views: Record<string, View>;
}

export type View =
  | MachineView
  | DomainsView
  | RegistersView
  | PageTablesView
  | PortsView
  | RunstatesView
  | TraceView
  | HypercallsView;

export interface MachineView {
  view: 'machine';
  mode: 'empty' | 'running' | 'paused' | 'idle' | 'ended' | 'failed';
  /** The mode written out: 'running', 'paused after a step', 'waiting for an event of d1'. */
  reason: string;
  virtualNs: number;
  instructions: number;
  /** Real guest instructions per second over the last half second, in millions; 0 while not running. */
  mips: number;
  /** Speed limit as set. */
  speed: number;
  memoryMiB: number;
  /** Simulated physical CPUs. */
  cpus: number;
  /** Those of them that are off line, in order. */
  cpusOffLine: number[];
  freeFrames: number;
  /** A script types and presses. */
  playing: boolean;
  /** An engine bug: the run has stopped, the state stays inspectable. */
  failure: string | null;
}

export type RunstateName = 'running' | 'runnable' | 'blocked' | 'offline';

export interface VcpuSummary {
  vcpu: number;
  runstate: RunstateName;
  /** Ring of the code it would run next: 1 kernel, 3 user. */
  ring: number;
  /** The physical CPU that it runs on. */
  pcpu: number | null;
  /** 'waits for an event', 'polls ports 3 4', 'down' ... */
  note: string;
}

export interface DomainSummary {
  domid: number;
  name: string;
  abi: 'x86_32' | 'x86_32p';
  xen: '3.0.2' | '4.17';
  privileged: boolean;
  /** Frames owned. */
  frames: number;
  state: 'running' | 'paused' | 'shutdown' | 'crashed' | 'dying';
  /** 'powered off', 'rebooted', 'suspended', or the crash in one sentence. */
  ending: string | null;
  /** The last refusals, as sentences, oldest first; filled once the domain ended. */
  refusals: string[];
  vcpus: VcpuSummary[];
}
export interface DomainsView {
  view: 'domains';
  domains: DomainSummary[];
}

export interface DisassemblyLine {
  va: number;
  bytes: string;
  text: string;
  symbol: string | null;
  current: boolean;
  /** Nothing but zeros that nobody runs into. */
  padding: boolean;
}
export interface RegistersView {
  view: 'registers';
  domid: number;
  vcpu: number;
  present: boolean;
  /** eax ecx edx ebx esp ebp esi edi, unsigned. */
  gpr: number[];
  eip: number;
  eflags: number;
  /** es cs ss ds fs gs. */
  segments: { name: string; selector: number; base: number; limit: number; text: string }[];
  cr0: number;
  cr2: number;
  cr3: number;
  cr4: number;
  cpl: number;
  upcallMask: number;
  upcallPending: number;
  fpu: string[];
  disassembly: DisassemblyLine[];
  /** Top of stack: 32-bit words from esp, null where unmapped. */
  stack: { va: number; value: number | null; symbol: string | null }[];
}

/** Which part of a page-table tree is wanted. Indexes of opened upper-level entries, as 'l3.l2' or 'l2' paths. */
export interface PageTableWindow {
  opened: string[];
  /** First row and row count of the flattened tree. */
  from: number;
  count: number;
  /** A linear address to walk, or null. */
  walk: number | null;
}
export interface PageTableRow {
  /** 'l3', 'l3.l2', 'l3.l2.l1' (PAE) or 'l2', 'l2.l1'. */
  path: string;
  level: 1 | 2 | 3;
  index: number;
  /** First linear address that the entry maps. */
  va: number;
  /** The entry as stored; high is 0 in 2-level tables. */
  low: number;
  high: number;
  /** 'PWUAD' letters, '·' where clear. */
  flags: string;
  mfn: number;
  pfn: number | null;
  /** What the frame is in use as: 'L1', 'writable', 'Xen M2P' ... */
  type: PageTypeName;
  owner: string;
  pinned: boolean;
  /** Present entries below it; null for leaves. */
  children: number | null;
  /** Consecutive leaves alike may be folded: number of entries this row stands for. */
  span: number;
}
export type PageTypeName =
  | 'none'
  | 'L1'
  | 'L2'
  | 'L3'
  | 'descriptor'
  | 'writable'
  | 'xen'
  | 'foreign'
  | 'io'
  | 'free';
export interface WalkStep {
  level: 1 | 2 | 3;
  tableMfn: number;
  index: number;
  entryMaddr: number;
  low: number;
  high: number;
  present: boolean;
}
export interface PageTablesView {
  view: 'pageTables';
  domid: number;
  vcpu: number;
  abi: 'x86_32' | 'x86_32p';
  rootMfn: number;
  /** Which row of the flattened tree rows[0] is: the window's, unless the tree has become shorter. */
  from: number;
  rows: PageTableRow[];
  /** Rows of the whole flattened tree. */
  totalRows: number;
  counts: { l3: number; l2: number; l1: number; leaves: number };
  walk: { va: number; steps: WalkStep[]; maddr: number | null; verdict: string } | null;
}

export interface PortRow {
  port: number;
  state: 'unbound' | 'interdomain' | 'pirq' | 'virq' | 'ipi';
  /** 'd0:12 console', 'TIMER', 'waits for d2' ... */
  boundTo: string;
  vcpu: number;
  pending: boolean;
  masked: boolean;
  sent: number;
}
export interface PortsView {
  view: 'ports';
  domid: number;
  rows: PortRow[];
  vcpus: { vcpu: number; upcallPending: number; upcallMask: number; pendingSel: number }[];
  /** Why something waits, in words; null when nothing does. */
  note: string | null;
}

export interface RunstateInterval {
  from: number;
  to: number;
  state: RunstateName;
  /** Ring it ended in, for running intervals. */
  ring: number;
}
export interface RunstateLane {
  domid: number;
  vcpu: number;
  state: RunstateName;
  /** ns in running, runnable, blocked, offline, up to now. */
  times: number[];
  /** Virtual ns of the vcpu's creation. */
  createdAt: number;
  /** The physical CPU that it runs on. */
  pcpu: number | null;
  /** History before this virtual time was not kept. */
  keptFrom: number;
  /** Bounded; oldest first. */
  history: RunstateInterval[];
}
export interface RunstatesView {
  view: 'runstates';
  now: number;
  lanes: RunstateLane[];
}

export interface TraceRow {
  sequence: number;
  at: number;
  domid: number;
  vcpu: number;
  kind: 'hypercall' | 'exception' | 'upcall' | 'switch' | 'emulate' | 'virq' | 'event' | 'domain' | 'pirq';
  text: string;
  result: string;
  refused: boolean;
  /** The refusal in words, when refused. */
  because: string | null;
}
export interface TraceView {
  view: 'trace';
  /** Events recorded so far; rows hold the newest. */
  total: number;
  rows: TraceRow[];
}
/** A hypercall of the trace; with a sub-operation also the batches that may hold it. */
export interface TracedCall {
  number: number;
  sub: number | null;
}
export interface HypercallRowView {
  /** Null: a field of shared memory, which nobody calls. */
  number: number | null;
  name: string;
  sub: string | null;
  subNumber: number | null;
  seed: string | null;
  /** Its rows in the comparison of 2006, and the group of the first; empty and null where it is not in it. */
  seedRows: number[];
  group: string | null;
  vmi: string | null;
  calls: number;
  refused: number;
  doc: string;
  /** Registers, or the fields of the sub-operation's struct: `remote_dom, remote_port, out local_port`. */
  args: string;
  /** In the ABI, but answered with -ENOSYS, and why. */
  notOffered: string | null;
}
export interface HypercallsView {
  view: 'hypercalls';
  rows: HypercallRowView[];
}
