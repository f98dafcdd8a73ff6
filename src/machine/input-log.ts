/**
 * Everything that reached the machine from outside, with the virtual cycle at which it did: together with the
 * images and the configuration it determines the run. Replaying a log gives the same run, bit for bit.
 */
import type { Press } from './press.ts';

export interface InputEntry {
  /** Virtual cycle (= ns) between two instructions at which the bytes were handed over. */
  cycle: number;
  /** Instructions retired by then: a check when the log is read again. */
  instructions: number;
  domid: number;
  bytes: Uint8Array;
  /** Something pressed instead of typed. */
  press: Press | null;
}

export class InputLog {
  readonly entries: InputEntry[] = [];

  type(cycle: number, instructions: number, domid: number, bytes: Uint8Array): void {
    this.entries.push({ cycle, instructions, domid, bytes: bytes.slice(), press: null });
  }
  press(cycle: number, instructions: number, domid: number, press: Press): void {
    this.entries.push({ cycle, instructions, domid, bytes: new Uint8Array(), press });
  }
}

/** Hands out a log's entries when their time has come. */
export class InputReplay {
  readonly #entries: readonly InputEntry[];
  #next = 0;

  constructor(log: { readonly entries: readonly InputEntry[] }) {
    this.#entries = log.entries;
  }

  /** What has not been handed out yet. */
  get remaining(): InputEntry[] {
    return this.#entries.slice(this.#next);
  }

  /** Cycle of the next entry; Infinity behind the last. */
  get nextCycle(): number {
    return this.#entries[this.#next]?.cycle ?? Number.POSITIVE_INFINITY;
  }

  /** The next entry, if it is due. */
  take(now: number): InputEntry | null {
    return this.nextCycle <= now ? this.#entries[this.#next++]! : null;
  }
}

/** What is to be pressed when, fixed beforehand: a log of a run that has not happened yet. */
export interface TimedPress {
  press: Press;
  domid: number;
  /** Virtual ms. */
  atMs: number;
}

export function timedPresses(presses: readonly TimedPress[]): InputReplay {
  const log = new InputLog();
  for (const { press, domid, atMs } of [...presses].sort((a, b) => a.atMs - b.atMs))
    log.press(Math.round(atMs * 1e6), 0, domid, press);
  return new InputReplay(log);
}
