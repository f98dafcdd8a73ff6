/**
 * Console text, outside React: bytes go from the worker to a log and to whatever shows it. The log outlives the
 * worker, so what a guest printed is never lost with it.
 */

/** Text kept per console. Older text goes first. */
const KEPT_BYTES = 1 << 20;

export interface ConsoleSink {
  /** Resolves when the bytes are on the screen. */
  write(bytes: Uint8Array): Promise<void>;
}

export interface ConsoleLog {
  /** `generation:domid`; a generation is the life of one machine. */
  readonly key: string;
  readonly chunks: Uint8Array[];
  size: number;
  sink: ConsoleSink | null;
}

export const consoleKey = (generation: number, domid: number): string => `${generation}:${domid}`;

export class Consoles {
  readonly #logs = new Map<string, ConsoleLog>();

  log(key: string): ConsoleLog {
    let log = this.#logs.get(key);
    if (log === undefined) {
      log = { key, chunks: [], size: 0, sink: null };
      this.#logs.set(key, log);
    }
    return log;
  }

  async write(key: string, bytes: Uint8Array): Promise<void> {
    const log = this.log(key);
    log.chunks.push(bytes);
    log.size += bytes.length;
    while (log.size > KEPT_BYTES && log.chunks.length > 1) log.size -= log.chunks.shift()!.length;
    await log.sink?.write(bytes);
  }

  /** Shows a log from its first kept byte on, and from now on what comes. */
  attach(key: string, sink: ConsoleSink): void {
    const log = this.log(key);
    log.sink = sink;
    for (const chunk of log.chunks) void sink.write(chunk);
  }

  detach(key: string): void {
    this.log(key).sink = null;
  }

  text(key: string): string {
    const decoder = new TextDecoder();
    return this.log(key)
      .chunks.map((chunk) => decoder.decode(chunk, { stream: true }))
      .join('');
  }

  forget(keep: (key: string) => boolean): void {
    for (const key of this.#logs.keys()) if (!keep(key)) this.#logs.delete(key);
  }
}
