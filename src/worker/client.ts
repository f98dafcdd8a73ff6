/**
 * The browser's side of the worker: starts it, speaks to it, and notices when it is gone. A worker is held dead when
 * it reports an uncaught error or leaves several pings in a row unanswered; it is then ended and a fresh one started.
 * What to tell the user, and what to keep, is the listener's business.
 */
import * as Comlink from 'comlink';
import type { ConsoleChunk, LabApi, Snapshot } from './protocol.ts';

export interface ClientListener {
  snapshot(snapshot: Snapshot): void;
  /** Resolves when the text has been taken in. */
  console(chunk: ConsoleChunk): Promise<void>;
  /** A worker is up and listened to: the first one, or a successor. */
  ready(): void;
  /** The worker died; a successor is being started. */
  died(reason: string): void;
}

const PING_EVERY_MS = 1000;
/** Unanswered pings that mean death. Counted in ticks, so a suspended computer does not count as a dead worker. */
const PINGS_UNANSWERED = 5;

/** Commands to a worker that died meanwhile never resolve by themselves; they fail with this. */
export class WorkerGone extends Error {
  override name = 'WorkerGone';
}

export class LabClient {
  readonly #create: () => Worker;
  readonly #listener: ClientListener;
  #worker: Worker | null = null;
  #api: Comlink.Remote<LabApi> | null = null;
  #unanswered = 0;
  #timer: ReturnType<typeof setInterval> | null = null;
  #whenGone: Promise<never> = new Promise(() => {});
  #announceGone: (reason: string) => void = () => {};

  constructor(create: () => Worker, listener: ClientListener) {
    this.#create = create;
    this.#listener = listener;
  }

  start(): void {
    const worker = this.#create();
    this.#worker = worker;
    this.#unanswered = 0;
    this.#whenGone = new Promise<never>((_, reject) => {
      this.#announceGone = (reason) => reject(new WorkerGone(reason));
    });
    this.#whenGone.catch(() => {});
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#die(worker, event.message || 'its program could not be started');
    });
    worker.addEventListener('messageerror', () => this.#die(worker, 'a message could not be read'));

    const api = Comlink.wrap<LabApi>(worker);
    this.#api = api;
    const onSnapshot = (snapshot: Snapshot): void => {
      if (this.#worker !== worker) return;
      this.#listener.snapshot(snapshot);
      void api.acknowledge(snapshot.sequence);
    };
    const onConsole = async (chunk: ConsoleChunk): Promise<void> => {
      if (this.#worker === worker) await this.#listener.console(chunk);
    };
    api.listen(Comlink.proxy(onSnapshot), Comlink.proxy(onConsole)).then(
      () => {
        if (this.#worker === worker) this.#listener.ready();
      },
      (error) => this.#die(worker, String(error)),
    );
    this.#timer ??= setInterval(() => this.#watch(), PING_EVERY_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#worker?.terminate();
    this.#worker = null;
    this.#announceGone('stopped');
  }

  /** One command. Rejects with WorkerGone when the worker dies before it answers. */
  call<T>(command: (api: Comlink.Remote<LabApi>) => Promise<T>): Promise<T> {
    if (this.#api === null) return Promise.reject(new WorkerGone('not started'));
    return Promise.race([command(this.#api), this.#whenGone]);
  }

  #watch(): void {
    const worker = this.#worker;
    if (worker === null || this.#api === null) return;
    if (this.#unanswered >= PINGS_UNANSWERED) {
      this.#die(worker, `it did not answer for ${PINGS_UNANSWERED} seconds`);
      return;
    }
    this.#unanswered++;
    this.#api.ping().then(
      () => {
        if (this.#worker === worker) this.#unanswered = 0;
      },
      () => {},
    );
  }

  #die(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    worker.terminate();
    this.#worker = null;
    this.#api = null;
    this.#announceGone(reason);
    this.#listener.died(reason);
    this.start();
  }
}

/** Hands large bytes over instead of copying them. */
export function transferring<T>(value: T, ...bytes: (Uint8Array | undefined)[]): T {
  return Comlink.transfer(
    value,
    bytes.filter((b) => b !== undefined).map((b) => b.buffer),
  );
}
