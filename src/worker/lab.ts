/**
 * The lab in the worker: drives the engine in slices of a few milliseconds and serves commands between them, paces
 * virtual time by the wall clock, and keeps the face informed. An error of the engine stops the run and leaves all
 * that can still be looked at.
 */
import type { Result } from '../base/result.ts';
import { isSaveFile } from '../machine/save-file.ts';
import { ConsoleOut } from './console-out.ts';
import type { CreateEngine, Engine, OpenEngine } from './engine.ts';
import { Pace } from './pace.ts';
import type {
  ConsoleChunk,
  DomainRequest,
  LabApi,
  MachineSettings,
  MachineView,
  PressKind,
  Script,
  Snapshot,
  StepKind,
  View,
  ViewQuery,
} from './protocol.ts';
import { SnapshotPump } from './snapshot-pump.ts';

/** A command waits at most about this long while a guest spins. */
const SLICE_MS = 8;
/** One call of the engine: a part of a slice, adjusted to the speed of this computer. */
const CALL_MS = 2;
const LEAST_CALL_NS = 20_000;
const MOST_CALL_NS = 50_000_000;
/** Virtual time goes on while everybody waits; how often the face is told. */
const IDLE_TICK_MS = 50;
/** A step that finds nothing ends here. */
const STEP_SLICE_NS = 1_000_000;
const RATE_WINDOW_MS = 500;

/** The host's side: clocks and ways to be called again. */
export interface Host {
  /** Monotonic milliseconds. */
  wallMs(): number;
  /** Calls back as soon as waiting commands were served. */
  soon(callback: () => void): void;
  /** Calls back after that many milliseconds; returns how to call it off. */
  after(ms: number, callback: () => void): () => void;
}

export class Lab implements LabApi {
  readonly #create: CreateEngine;
  readonly #open: OpenEngine;
  readonly #host: Host;
  readonly #pump: SnapshotPump;
  readonly #console = new ConsoleOut();
  readonly #pace = new Pace();
  #engine: Engine | null = null;
  #settings: MachineSettings = { memoryMiB: 0, seed: 0, wallClockSeconds: 0 };
  #mode: MachineView['mode'] = 'empty';
  #reason = 'no domain yet';
  #failure: string | null = null;
  #speed = 1;
  #callNs = 1_000_000;
  #scheduled = false;
  #cancelWait: (() => void) | null = null;
  /** Commands that stop the machine; a step that waits gives up when it changes. */
  #stops = 0;
  /** A step looks for something, over several slices of its own. */
  #searching = false;
  #rate: { at: number; instructions: number }[] = [];

  constructor(create: CreateEngine, open: OpenEngine, host: Host) {
    this.#create = create;
    this.#open = open;
    this.#host = host;
    this.#pump = new SnapshotPump(
      (query) => this.#view(query),
      () => host.wallMs(),
    );
  }

  // ---------------------------------------------------------------- commands

  async reset(settings: MachineSettings): Promise<void> {
    this.#stopMoving();
    this.#settings = settings;
    this.#failure = null;
    this.#engine = this.#create(settings, (domid, bytes, emergency) =>
      this.#console.print(domid, bytes, emergency),
    );
    this.#setMode('empty', 'no domain yet');
    this.#pump.forget();
    this.#pump.pump(true);
  }

  async boot(request: DomainRequest): Promise<Result<{ domid: number }>> {
    return this.#newDomain((engine) => engine.addDomain(request));
  }

  async restore(domid: number): Promise<Result<{ domid: number }>> {
    return this.#newDomain((engine) => engine.restoreSuspended(domid));
  }

  #newDomain(make: (engine: Engine) => Result<{ domid: number }>): Result<{ domid: number }> {
    const engine = this.#engine;
    if (engine === null) return NO_MACHINE;
    if (this.#failure !== null) return MACHINE_FAILED;
    let made: Result<{ domid: number }>;
    try {
      made = make(engine);
    } catch (error) {
      this.#fail(error);
      return { ok: false, error: { code: 'engine-failed', message: messageOf(error) } };
    }
    if (made.ok && (this.#mode === 'empty' || this.#mode === 'ended')) {
      this.#setMode('paused', 'paused before the first instruction');
    }
    this.#console.flush();
    if (this.#moving) this.#wake();
    this.#pump.pump(true);
    return made;
  }

  async save(): Promise<Result<Uint8Array>> {
    if (this.#engine === null) return NO_MACHINE;
    if (this.#failure !== null) return MACHINE_FAILED;
    try {
      return { ok: true, value: this.#engine.save() };
    } catch (error) {
      return { ok: false, error: { code: 'engine-failed', message: messageOf(error) } };
    }
  }

  async open(file: Uint8Array): Promise<Result<{ kind: 'lab' | 'domain'; domids: number[] }>> {
    if (isSaveFile(file, 'DOM ')) {
      const restored = this.#newDomain((engine) => engine.restore(file));
      return restored.ok ? { ok: true, value: { kind: 'domain', domids: [restored.value.domid] } } : restored;
    }
    const opened = this.#open(file, (domid, bytes, emergency) =>
      this.#console.print(domid, bytes, emergency),
    );
    if (!opened.ok) return opened;
    this.#stopMoving();
    const engine = opened.value;
    this.#engine = engine;
    const { memoryMiB, cpus } = engine.facts();
    this.#settings = { ...this.#settings, memoryMiB, cpus };
    this.#failure = null;
    this.#rate = [];
    if (engine.domainCount === 0) this.#setMode('empty', 'no domain yet');
    else if (engine.ended) this.#setMode('ended', 'every domain has ended');
    else this.#setMode('paused', 'paused as it was saved');
    this.#pump.forget();
    this.#pump.pump(true);
    return { ok: true, value: { kind: 'lab', domids: engine.domids } };
  }

  async destroy(domid: number): Promise<void> {
    this.#guarded((engine) => engine.destroyDomain(domid));
    if (this.#engine?.domainCount === 0) {
      this.#stopMoving();
      this.#setMode('empty', 'no domain');
    } else if (this.#moving) this.#wake();
    this.#pump.pump(true);
  }

  async run(): Promise<void> {
    const engine = this.#engine;
    if (engine === null || this.#failure !== null || engine.domainCount === 0 || this.#moving) return;
    this.#pace.anchor(this.#host.wallMs(), engine.now, this.#speed);
    this.#rate = [];
    this.#setMode('running', 'running');
    this.#wake();
  }

  async pause(): Promise<void> {
    if (this.#moving) {
      this.#stopMoving();
      this.#setMode('paused', 'paused');
    }
    this.#console.flush();
    this.#pump.pump(true);
  }

  async step(kind: StepKind): Promise<void> {
    if (this.#engine === null || this.#moving || this.#failure !== null) return;
    this.#rate = [];
    const stops = ++this.#stops;
    const words = { instruction: 'an instruction', hypercall: 'a hypercall', event: 'an event' }[kind];
    for (;;) {
      const started = this.#host.wallMs();
      let found: ReturnType<Engine['step']> | undefined;
      do {
        found = this.#guarded((engine) => engine.step(kind, engine.now + STEP_SLICE_NS));
      } while (found?.kind === 'ran' && kind !== 'instruction' && this.#host.wallMs() - started < SLICE_MS);
      this.#console.flush();
      if (this.#engine !== null) this.#measure(this.#host.wallMs(), this.#engine.instructions);
      if (found === undefined) break;
      if (found.kind === 'ended') {
        this.#setMode('ended', 'every domain has ended');
        break;
      }
      if (found.kind === 'stopped' || (kind === 'instruction' && found.kind === 'ran')) {
        this.#setMode('paused', `paused after ${words}`);
        break;
      }
      if (found.kind === 'idle' && found.nextDeadline === Number.POSITIVE_INFINITY) {
        this.#setMode('paused', 'paused: all wait for input');
        break;
      }
      // Not found yet: let commands in. A pause, or a reset, ends the search.
      this.#searching = true;
      this.#setMode('running', `looking for ${words}`);
      this.#pump.pump(false);
      await new Promise<void>((resolve) => this.#host.soon(resolve));
      if (this.#stops !== stops) break;
    }
    if (this.#stops === stops) this.#searching = false;
    await this.#pump.flush();
  }

  async setSpeed(factor: number): Promise<void> {
    this.#speed = factor;
    if (this.#engine !== null) this.#pace.anchor(this.#host.wallMs(), this.#engine.now, factor);
    if (this.#moving) this.#wake();
    this.#pump.pump(true);
  }

  async input(domid: number, bytes: Uint8Array): Promise<void> {
    this.#guarded((engine) => engine.input(domid, bytes));
    this.#console.flush();
    if (this.#moving) this.#wake();
  }

  async press(press: PressKind, domid: number): Promise<void> {
    this.#guarded((engine) => engine.press(press, domid));
    this.#console.flush();
    if (this.#moving) this.#wake();
    this.#pump.pump(false);
  }

  async play(script: Script): Promise<void> {
    this.#guarded((engine) => engine.play(script));
    if (this.#moving) this.#wake();
    this.#pump.pump(false);
  }

  async subscribe(subscriptions: Record<string, ViewQuery>): Promise<void> {
    this.#pump.subscribe(subscriptions);
    this.#pump.pump(true);
  }

  async listen(
    onSnapshot: (snapshot: Snapshot) => void,
    onConsole: (chunk: ConsoleChunk) => void | Promise<void>,
  ): Promise<void> {
    this.#pump.connect(onSnapshot);
    this.#console.connect(onConsole);
  }

  acknowledge(sequence: number): void {
    this.#pump.acknowledge(sequence);
    // What changed meanwhile waits for this, when no slice will come to send it.
    if (!this.#moving) this.#pump.pump(true);
  }

  async ping(): Promise<void> {}

  // ---------------------------------------------------------------- the run

  get #moving(): boolean {
    return this.#mode === 'running' || this.#mode === 'idle';
  }

  #setMode(mode: MachineView['mode'], reason: string): void {
    this.#mode = mode;
    this.#reason = reason;
  }

  #stopMoving(): void {
    this.#stops++;
    this.#searching = false;
    this.#cancelWait?.();
    this.#cancelWait = null;
  }

  /** The next slice comes as soon as waiting commands were served. */
  #wake(): void {
    this.#cancelWait?.();
    this.#cancelWait = null;
    if (this.#scheduled || this.#searching) return;
    this.#scheduled = true;
    this.#host.soon(() => {
      this.#scheduled = false;
      if (this.#moving) this.#slice();
    });
  }

  #sleep(ms: number): void {
    this.#cancelWait?.();
    this.#cancelWait = this.#host.after(ms, () => {
      this.#cancelWait = null;
      if (this.#moving) this.#slice();
    });
  }

  #slice(): void {
    const engine = this.#engine;
    if (engine === null) return;
    const started = this.#host.wallMs();
    if (this.#console.full) {
      this.#sleep(SLICE_MS);
      return;
    }
    let wall = started;
    let wait: number | null = null;
    while (wait === null && wall - started < SLICE_MS && this.#moving) {
      const target = this.#pace.target(wall, engine.now);
      if (target - engine.now < this.#leastNs) {
        wait = Math.min(IDLE_TICK_MS, this.#pace.waitFor(engine.now + this.#leastNs, target) + 1);
        break;
      }
      const before = engine.now;
      const result = this.#guarded((e) => e.run(Math.min(target, e.now + this.#callNs)));
      if (result === undefined) return;
      const after = this.#host.wallMs();
      this.#adjustCall(after - wall, engine.now - before, result.kind);
      wall = after;
      wait = this.#judge(result, target, engine);
    }
    this.#measure(wall, engine.instructions);
    this.#console.flush();
    this.#pump.pump(!this.#moving);
    if (!this.#moving) return;
    if (wait === null) this.#wake();
    else this.#sleep(wait);
  }

  /** What a call's end means; how many ms to wait before the next one, null to go on. */
  #judge(result: ReturnType<Engine['run']>, target: number, engine: Engine): number | null {
    if (result.kind === 'ended') {
      this.#setMode('ended', 'every domain has ended');
      return null;
    }
    if (result.kind !== 'idle') {
      this.#setMode('running', 'running');
      return null;
    }
    this.#setMode('idle', engine.facts().waiting ?? 'waiting for an event');
    const { nextDeadline } = result;
    if (this.#speed === 0 && nextDeadline === Number.POSITIVE_INFINITY) return IDLE_TICK_MS;
    // Idle time costs nothing: it passes at once, up to the wall clock or to the one who wakes first.
    const passes = Math.min(target, nextDeadline);
    if (passes > engine.now) this.#guarded((e) => e.run(passes));
    if (nextDeadline <= target) return null;
    return Math.min(IDLE_TICK_MS, this.#pace.waitFor(nextDeadline, target) + 0.5);
  }

  /** Calls long enough to be worth it, short enough that a slice keeps its length. */
  #adjustCall(tookMs: number, ranNs: number, kind: string): void {
    if (kind !== 'ran' || ranNs <= 0) return;
    if (tookMs > CALL_MS * 1.5) this.#callNs = Math.max(LEAST_CALL_NS, this.#callNs * (CALL_MS / tookMs));
    else if (tookMs < CALL_MS / 2) this.#callNs = Math.min(MOST_CALL_NS, this.#callNs * 1.5);
  }

  #measure(wall: number, instructions: number): void {
    this.#rate.push({ at: wall, instructions });
    while (this.#rate.length > 2 && wall - this.#rate[0]!.at > RATE_WINDOW_MS) this.#rate.shift();
  }

  /** The least piece of virtual time worth a call: about a frame of wall time where time goes slowly. */
  get #leastNs(): number {
    return this.#speed === 0 ? 1 : Math.max(100, Math.min(LEAST_CALL_NS, 16e6 * this.#speed));
  }

  #mips(): number {
    const [first] = this.#rate;
    const last = this.#rate.at(-1);
    if (!this.#moving || first === undefined || last === undefined || last.at - first.at < 1) return 0;
    return (last.instructions - first.instructions) / (last.at - first.at) / 1000;
  }

  // ---------------------------------------------------------------- errors and views

  #guarded<T>(use: (engine: Engine) => T): T | undefined {
    if (this.#engine === null || this.#failure !== null) return undefined;
    try {
      return use(this.#engine);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #fail(error: unknown): void {
    this.#stopMoving();
    this.#failure = messageOf(error);
    this.#setMode('failed', 'stopped by an error of the lab');
    this.#console.flush();
    this.#pump.pump(true);
  }

  #view(query: ViewQuery): View | null {
    const engine = this.#engine;
    if (engine === null) return null;
    try {
      return query.view === 'machine' ? this.#machineView(engine) : engine.view(query);
    } catch (error) {
      // A view that cannot be made must not hide the others, nor be retried for ever in silence.
      if (this.#failure === null) {
        this.#stopMoving();
        this.#failure = `the view '${query.view}' could not be made: ${messageOf(error)}`;
        this.#setMode('failed', 'stopped by an error of the lab');
      }
      return null;
    }
  }

  #machineView(engine: Engine): MachineView {
    const facts = engine.facts();
    return {
      view: 'machine',
      mode: this.#mode,
      reason: this.#reason,
      virtualNs: engine.now,
      instructions: engine.instructions,
      mips: this.#mips(),
      speed: this.#speed,
      memoryMiB: this.#settings.memoryMiB,
      cpus: facts.cpus,
      cpusOffLine: facts.cpusOffLine,
      freeFrames: facts.freeFrames,
      playing: facts.playing,
      failure: this.#failure,
    };
  }
}

const NO_MACHINE = {
  ok: false,
  error: { code: 'no-machine', message: 'There is no machine yet.' },
} as const;
const MACHINE_FAILED = {
  ok: false,
  error: {
    code: 'machine-failed',
    message: 'The machine stopped on an error of the lab; reset it first.',
  },
} as const;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
