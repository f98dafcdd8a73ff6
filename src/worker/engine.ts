/** What the lab asks of the engine: a narrow interface, so that the lab's own rules can be tested with a small one. */
import type { Result } from '../base/result.ts';
import type {
  DomainRequest,
  MachineSettings,
  PressKind,
  Script,
  StepKind,
  View,
  ViewQuery,
} from './protocol.ts';

/** What can be asked of an engine: all views but the machine's own. */
export type EngineQuery = Exclude<ViewQuery, { view: 'machine' }>;

/** A machine's view lacks only what the lab itself knows: mode, speed, rate. */
export interface EngineFacts {
  memoryMiB: number;
  cpus: number;
  /** CPUs that are off line. */
  cpusOffLine: number[];
  freeFrames: number;
  /** A script types and presses. */
  playing: boolean;
  /** Who waits for what, when nobody can run: 'd1 waits for an event'. */
  waiting: string | null;
}

export interface EngineRun {
  kind: 'ran' | 'idle' | 'ended' | 'stopped';
  /** Of 'idle': virtual ns of the next timer; Infinity when only input can wake anybody. */
  nextDeadline: number;
}

export interface Engine {
  /** Virtual ns. */
  readonly now: number;
  readonly instructions: number;
  readonly domainCount: number;
  /** Has every domain ended? */
  readonly ended: boolean;
  addDomain(request: DomainRequest): Result<{ domid: number }>;
  destroyDomain(domid: number): void;
  readonly domids: number[];
  save(): Uint8Array;
  /** A domain's file becomes a domain. */
  restore(file: Uint8Array): Result<{ domid: number }>;
  /** A domain that suspended itself goes on as another one. */
  restoreSuspended(domid: number): Result<{ domid: number }>;
  input(domid: number, bytes: Uint8Array): void;
  press(press: PressKind, domid: number): void;
  /** Types and presses in the runs that follow. */
  play(script: Script): void;
  run(untilNs: number): EngineRun;
  /** To the end of one instruction, to after the next hypercall, or to the next event; at most to `untilNs`. */
  step(kind: StepKind, untilNs: number): EngineRun;
  facts(): EngineFacts;
  /** Null when what is asked about does not exist. */
  view(query: EngineQuery): View | null;
}

/** What domains print, in the middle of a run. */
export type Print = (domid: number, bytes: Uint8Array, emergency: boolean) => void;

export type CreateEngine = (settings: MachineSettings, print: Print) => Engine;

/** An engine as it was saved. */
export type OpenEngine = (file: Uint8Array, print: Print) => Result<Engine>;
