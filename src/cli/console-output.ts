/**
 * The guests' consoles on one stream: the bytes as they are when one domain prints, whole lines with `dN| ` in front
 * when several do. Where console_io and the console ring of a domain meet within a line, a new one begins.
 */
import { StreamSeam } from '../base/stream-seam.ts';

const NEW_LINE = 10;

export class ConsoleOutput {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #prefixed: boolean;
  readonly #lines = new Map<number, number[]>();
  readonly #seams = new Map<number, StreamSeam>();

  constructor(write: (bytes: Uint8Array) => void, domains: number) {
    this.#write = write;
    this.#prefixed = domains > 1;
  }

  print(domid: number, bytes: Uint8Array, emergency: boolean): void {
    let seam = this.#seams.get(domid);
    if (!seam) {
      seam = new StreamSeam();
      this.#seams.set(domid, seam);
    }
    if (seam.turn(emergency)) this.#take(domid, Uint8Array.of(NEW_LINE));
    seam.print(bytes);
    this.#take(domid, bytes);
  }

  #take(domid: number, bytes: Uint8Array): void {
    if (!this.#prefixed) {
      this.#write(bytes.slice());
      return;
    }
    let line = this.#lines.get(domid);
    if (!line) {
      line = [];
      this.#lines.set(domid, line);
    }
    for (const byte of bytes) {
      line.push(byte);
      if (byte === NEW_LINE) this.#flush(domid, line);
    }
  }

  /** Lines that were never ended. */
  end(): void {
    for (const [domid, line] of this.#lines) {
      if (line.length > 0) this.#flush(domid, [...line, NEW_LINE]);
      line.length = 0;
    }
  }

  #flush(domid: number, line: number[]): void {
    this.#write(Uint8Array.from([...Buffer.from(`d${domid}| `), ...line]));
    line.length = 0;
  }
}
