/**
 * The guests' consoles on one stream: the bytes as they are when one domain prints, whole lines with `dN| ` in front
 * when several do.
 */
export class ConsoleOutput {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #prefixed: boolean;
  readonly #lines = new Map<number, number[]>();

  constructor(write: (bytes: Uint8Array) => void, domains: number) {
    this.#write = write;
    this.#prefixed = domains > 1;
  }

  print(domid: number, bytes: Uint8Array): void {
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
      if (byte === 10) this.#flush(domid, line);
    }
  }

  /** Lines that were never ended. */
  end(): void {
    for (const [domid, line] of this.#lines) {
      if (line.length > 0) this.#flush(domid, [...line, 10]);
      line.length = 0;
    }
  }

  #flush(domid: number, line: number[]): void {
    this.#write(Uint8Array.from([...Buffer.from(`d${domid}| `), ...line]));
    line.length = 0;
  }
}
