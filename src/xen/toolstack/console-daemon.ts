/**
 * The console daemon's half of one domain's console page: takes what the guest prints, hands it what is typed.
 * boot.md 10.1, cpu-and-events.md 9.4.
 *
 * The guest is never notified first: kernels of 2006 hang on an event that comes before they have a handler for it.
 * It counts as ready once it sent an event on the channel or read input; until then the notification is owed. That it
 * printed proves nothing: the Mini-OS of 2006 fills its ring long before it binds the channel, with events enabled.
 */
import type { PhysicalMemory } from '../../cpu/physical-memory.ts';
import { ByteRing } from './byte-ring.ts';

const IN = { data: 0, size: 1024, cons: 3072, prod: 3076 };
const OUT = { data: 1024, size: 2048, cons: 3080, prod: 3084 };

export interface ConsoleMemory {
  backlog: Uint8Array;
  ready: boolean;
  owed: boolean;
}

export class ConsoleDaemon {
  readonly #in: ByteRing;
  readonly #out: ByteRing;
  readonly #print: (bytes: Uint8Array) => void;
  /** Typed, but no room in the ring yet. */
  #backlog: Uint8Array = new Uint8Array(0);
  #ready = false;
  #owed = false;

  /** @param page machine address of the console page. */
  constructor(memory: PhysicalMemory, page: number, print: (bytes: Uint8Array) => void) {
    this.#in = new ByteRing(memory, page, IN);
    this.#out = new ByteRing(memory, page, OUT);
    this.#print = print;
  }

  /** The guest sent an event on the channel. @returns true: notify it. */
  event(): boolean {
    this.#ready = true;
    return this.poll();
  }

  /** Looks without being asked: some guests only poll and never send. @returns true: notify the guest. */
  poll(): boolean {
    if (this.#in.cons !== 0) this.#ready = true;
    if (!this.#out.corrupt) {
      const bytes = this.#out.take();
      if (bytes.length > 0) {
        this.#owed = true;
        this.#print(bytes);
      }
    }
    if (this.#backlog.length > 0 && !this.#in.corrupt) {
      const put = this.#in.put(this.#backlog);
      if (put > 0) {
        this.#backlog = this.#backlog.slice(put);
        this.#owed = true;
      }
    }
    if (!this.#ready || !this.#owed) return false;
    this.#owed = false;
    return true;
  }

  /** Somebody typed. @returns true: notify the guest. */
  input(bytes: Uint8Array): boolean {
    const joined = new Uint8Array(this.#backlog.length + bytes.length);
    joined.set(this.#backlog);
    joined.set(bytes, this.#backlog.length);
    this.#backlog = joined;
    return this.poll();
  }

  /** Has the guest read all that was typed? */
  get inputEmpty(): boolean {
    return this.#backlog.length === 0 && this.#in.filled === 0;
  }

  /** What this half remembers outside the page: for the state hash and saved labs. */
  get remembered(): ConsoleMemory {
    return { backlog: this.#backlog, ready: this.#ready, owed: this.#owed };
  }
  remember({ backlog, ready, owed }: ConsoleMemory): void {
    this.#backlog = backlog.slice();
    this.#ready = ready;
    this.#owed = owed;
  }
}
