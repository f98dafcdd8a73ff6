/**
 * Console text, outside React: bytes go from the worker to a log and to whatever shows it. The log outlives the
 * worker, so what a guest printed is never lost with it.
 */

/** Text kept per console. Older text goes first. */
const KEPT_BYTES = 1 << 20;

export interface ConsoleSink {
  /** Resolves when the bytes are on the screen. @param emergency they came by console_io. */
  write(bytes: Uint8Array, emergency: boolean): Promise<void>;
}

interface Chunk {
  bytes: Uint8Array;
  emergency: boolean;
}

export interface ConsoleLog {
  /** `generation:domid`; a generation is the life of one machine. */
  readonly key: string;
  readonly chunks: Chunk[];
  size: number;
  sink: ConsoleSink | null;
}

export const consoleKey = (generation: number, domid: number): string => `${generation}:${domid}`;

/** The initial domain has no console ring: what it prints by console_io is its console, not a second stream. */
export const hasRing = (key: string): boolean => !key.endsWith(':0');

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

  async write(key: string, bytes: Uint8Array, emergency: boolean): Promise<void> {
    const log = this.log(key);
    log.chunks.push({ bytes, emergency });
    log.size += bytes.length;
    while (log.size > KEPT_BYTES && log.chunks.length > 1) log.size -= log.chunks.shift()!.bytes.length;
    await log.sink?.write(bytes, emergency);
  }

  /** Shows a log from its first kept byte on, and from now on what comes. */
  attach(key: string, sink: ConsoleSink): void {
    const log = this.log(key);
    log.sink = sink;
    for (const { bytes, emergency } of log.chunks) void sink.write(bytes, emergency);
  }

  detach(key: string): void {
    this.log(key).sink = null;
  }

  text(key: string): string {
    const decoder = new TextDecoder();
    return this.log(key)
      .chunks.map(({ bytes }) => decoder.decode(bytes, { stream: true }))
      .join('');
  }

  forget(keep: (key: string) => boolean): void {
    for (const key of this.#logs.keys()) if (!keep(key)) this.#logs.delete(key);
  }
}
