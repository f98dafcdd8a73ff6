/**
 * A run without a screen, from boot to an end or a bound: what the command line and the tests do. Idle time is
 * jumped over, typing follows a script, everything printed is kept.
 */
import type { Result } from '../base/result.ts';
import { requestStop } from '../xen/run.ts';
import type { BuildRequest } from '../xen/toolstack/build-domain.ts';
import type { ImageError } from '../xen/toolstack/image-error.ts';
import type { ConsoleSink } from '../xen/toolstack/toolstack.ts';
import { toText } from '../xen/toolstack/xenstore-wire.ts';
import { type InputScript, LOOK_NS } from './input-script.ts';
import { Machine, type MachineOptions } from './machine.ts';
import { restoreDomain } from './restore-domain.ts';
import { saveDomain } from './save-domain.ts';
import type { SaveFileError } from './save-file.ts';
import { loadLab } from './save-lab.ts';

/** Of a console's text, the newest part that is kept. */
const CONSOLE_KEPT = 4 * 1024 * 1024;
/** Virtual time between two looks at the bounds while nothing is typed. */
const STRIDE_NS = 2_000_000;

export interface SessionBounds {
  /** Stop when all of these have been printed, by any domain. */
  until?: readonly string[] | undefined;
  maxInstructions?: number | undefined;
  /** Asked between strides: has the host run out of time? */
  expired?: (() => boolean) | undefined;
  /** Called between strides. */
  watch?: (() => void) | undefined;
  /** A domain that suspended itself goes on in a fresh machine, whose frames lie elsewhere; then the run goes on. */
  restoreSuspended?: boolean | undefined;
  /** Cuts the run at least this often; makes no difference to it. */
  strideNs?: number | undefined;
}

/**
 * 'ended'             every domain has ended
 * 'until'             the texts were printed
 * 'max-instructions'  exactly so many were run
 * 'timeout'           the host's time was up
 * 'waiting'           everybody waits for input that the script will not give
 */
export type SessionEnd = 'ended' | 'until' | 'max-instructions' | 'timeout' | 'waiting';

export interface ConsoleText {
  /** All that the domain printed, bytes as characters. */
  text: string;
  /** The part of it that came by console_io. */
  emergency: string;
}

const bounded = (text: string): string => (text.length > 2 * CONSOLE_KEPT ? text.slice(-CONSOLE_KEPT) : text);

export class Session {
  #machine: Machine;
  readonly consoles = new Map<number, ConsoleText>();
  script: InputScript | null = null;
  /** Why a suspended domain did not go on. */
  restoreError: SaveFileError | null = null;
  #awaited: string[] = [];

  readonly #print: ConsoleSink;

  /** @param start the options of a new machine, or what makes one (a saved lab). */
  constructor(
    start: MachineOptions | ((print: ConsoleSink) => Machine),
    print: (domid: number, bytes: Uint8Array, emergency: boolean) => void = () => {},
  ) {
    this.#print = (domid, bytes, emergency) => {
      this.#keep(domid, toText(bytes), emergency);
      print(domid, bytes, emergency);
    };
    this.#machine = typeof start === 'function' ? start(this.#print) : new Machine(start, this.#print);
  }

  /** A saved lab that goes on. */
  static resume(file: Uint8Array, print: ConsoleSink): Result<Session, SaveFileError> {
    // Nothing is printed before the machine runs.
    let sink: ConsoleSink = () => {};
    const loaded = loadLab(file, (...printed) => sink(...printed));
    if (!loaded.ok) return loaded;
    const session = new Session((keep) => {
      sink = keep;
      return loaded.value;
    }, print);
    return { ok: true, value: session };
  }

  /** Another one after `restoreSuspended`. */
  get machine(): Machine {
    return this.#machine;
  }

  boot(request: BuildRequest): Result<{ domid: number }, ImageError> {
    return this.machine.addDomain(request);
  }

  /** What a domain printed so far. */
  text(domid: number): string {
    return this.consoles.get(domid)?.text ?? '';
  }

  run(bounds: SessionBounds): SessionEnd {
    for (;;) {
      const end = this.#runMachine(bounds);
      if (end !== 'ended' || !bounds.restoreSuspended || !this.#restore()) return end;
    }
  }

  #runMachine(bounds: SessionBounds): SessionEnd {
    const { machine } = this;
    const most = bounds.maxInstructions ?? Number.POSITIVE_INFINITY;
    const awaits = bounds.until !== undefined && bounds.until.length > 0;
    this.#awaited = this.#missing(bounds.until ?? []);
    // Idle time of which the end is known passes in one stride.
    let wakes = 0;
    machine.hv.instructionLimit = most;
    for (;;) {
      if (awaits && this.#awaited.length === 0) return 'until';
      if (machine.ended) return 'ended';
      if (machine.instructions >= most) return 'max-instructions';
      if (bounds.expired?.()) return 'timeout';
      this.script?.look(machine);
      const now = machine.now;
      const typing = this.script !== null && !this.script.finished;
      const grid = typing ? LOOK_NS : STRIDE_NS;
      const next = Math.max((Math.floor(now / grid) + 1) * grid, typing ? 0 : wakes);
      // An instruction takes at least a cycle: the bound is reached exactly, never passed.
      const result = machine.run(
        Math.min(next, now + (bounds.strideNs ?? grid), now + most - machine.instructions),
      );
      bounds.watch?.();
      wakes = Number.isFinite(result.nextDeadline) ? result.nextDeadline : 0;
      if (result.kind !== 'idle' || this.script?.replyDue || this.script?.waitsForSilence(machine)) continue;
      if (result.nextDeadline === Number.POSITIVE_INFINITY && !(awaits && this.#awaited.length === 0))
        return 'waiting';
    }
  }

  /** Carries a suspended domain over to a new machine. @returns false when there is none, or it cannot be saved. */
  #restore(): boolean {
    const { options, domains } = this.#machine;
    const domain = domains.find(({ end }) => end?.reason === 'suspend');
    const saved = domain && saveDomain(this.#machine, domain.id);
    if (!saved?.ok) {
      this.restoreError = saved?.error ?? null;
      return false;
    }
    const seed = (options.seed + 1) >>> 0;
    const machine = new Machine({ ...options, seed, replay: undefined }, this.#print);
    const restored = restoreDomain(machine, saved.value);
    if (restored.ok) this.#machine = machine;
    else this.restoreError = restored.error;
    return restored.ok;
  }

  #missing(texts: readonly string[]): string[] {
    const all = [...this.consoles.values()].map((c) => c.text);
    return texts.filter((text) => !all.some((printed) => printed.includes(text)));
  }

  #keep(domid: number, text: string, emergency: boolean): void {
    let kept = this.consoles.get(domid);
    if (!kept) {
      kept = { text: '', emergency: '' };
      this.consoles.set(domid, kept);
    }
    kept.text = bounded(kept.text + text);
    if (emergency) kept.emergency = bounded(kept.emergency + text);
    if (this.script?.domid === domid) this.script.printed(this.machine.now, text);
    if (this.#awaited.length > 0) {
      const { text: all } = kept;
      this.#awaited = this.#awaited.filter((t) => !all.slice(-(text.length + t.length)).includes(t));
      if (this.#awaited.length === 0) requestStop(this.machine.hv);
    }
  }
}
