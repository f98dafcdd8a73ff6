/**
 * Console bytes on their way to the face. What is printed in one slice goes as one piece per domain; the face answers
 * when it has shown a piece, and a guest that prints faster than that is made to wait.
 */
import type { ConsoleChunk } from './protocol.ts';

/** Bytes on their way before the machine is held. */
const MOST_WAITING = 1 << 18;
/** Bytes of one piece. */
const PIECE = 1 << 15;

export class ConsoleOut {
  #send: ((chunk: ConsoleChunk) => void | Promise<void>) | null = null;
  #queue: ConsoleChunk[] = [];
  #queued = 0;
  #sending = false;

  connect(send: (chunk: ConsoleChunk) => void | Promise<void>): void {
    this.#send = send;
    this.flush();
  }

  /** Must the machine wait until the face has caught up? */
  get full(): boolean {
    return this.#send !== null && this.#queued > MOST_WAITING;
  }

  print(domid: number, bytes: Uint8Array, emergency: boolean): void {
    this.#queued += bytes.length;
    const last = this.#queue.at(-1);
    if (last?.domid === domid && last.emergency === emergency && last.bytes.length + bytes.length <= PIECE) {
      const joined = new Uint8Array(last.bytes.length + bytes.length);
      joined.set(last.bytes);
      joined.set(bytes, last.bytes.length);
      last.bytes = joined;
    } else this.#queue.push({ domid, bytes: bytes.slice(), emergency });
  }

  /** Sends what waits, one piece after the other. */
  flush(): void {
    if (this.#sending || this.#send === null || this.#queue.length === 0) return;
    this.#sending = true;
    void this.#sendAll(this.#send);
  }

  async #sendAll(send: (chunk: ConsoleChunk) => void | Promise<void>): Promise<void> {
    for (let chunk = this.#queue.shift(); chunk !== undefined; chunk = this.#queue.shift()) {
      await send(chunk);
      this.#queued -= chunk.bytes.length;
    }
    this.#sending = false;
  }
}
