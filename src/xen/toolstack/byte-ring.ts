/**
 * The byte streams inside a shared page that the console and the xenstore use: free-running 32-bit indices, slot =
 * index mod size, a power of two. The producer stores the bytes, then its index. public/io/console.h, xs_wire.h.
 */
import { RAM_BASE } from '../../cpu/layout.ts';
import type { PhysicalMemory } from '../../cpu/physical-memory.ts';

export interface RingPlace {
  /** Offsets in the page. */
  readonly data: number;
  readonly size: number;
  readonly cons: number;
  readonly prod: number;
}

export class ByteRing {
  readonly #memory: PhysicalMemory;
  readonly #page: number;
  readonly #place: RingPlace;

  /** @param page machine address of the shared page. */
  constructor(memory: PhysicalMemory, page: number, place: RingPlace) {
    this.#memory = memory;
    this.#page = page;
    this.#place = place;
  }

  get cons(): number {
    return this.#memory.read32(this.#page + this.#place.cons);
  }
  get prod(): number {
    return this.#memory.read32(this.#page + this.#place.prod);
  }
  /** Bytes in the ring; more than its size when the indices are corrupt. */
  get filled(): number {
    return (this.prod - this.cons) >>> 0;
  }
  get corrupt(): boolean {
    return this.filled > this.#place.size;
  }

  /** Takes everything out (as consumer). */
  take(): Uint8Array {
    const { data, size, cons } = this.#place;
    const from = this.cons;
    const length = this.filled;
    const bytes = new Uint8Array(length);
    const base = RAM_BASE + this.#page + data;
    for (let i = 0; i < length; i++) bytes[i] = this.#memory.u8[base + ((from + i) & (size - 1))]!;
    if (length > 0) this.#memory.write32(this.#page + cons, (from + length) >>> 0);
    return bytes;
  }

  /** Puts in what fits (as producer). @returns how many bytes that was. */
  put(bytes: Uint8Array): number {
    const { data, size, prod } = this.#place;
    const to = this.prod;
    const length = Math.min(bytes.length, size - this.filled);
    for (let i = 0; i < length; i++)
      this.#memory.write8(this.#page + data + ((to + i) & (size - 1)), bytes[i]!);
    if (length > 0) this.#memory.write32(this.#page + prod, (to + length) >>> 0);
    return length;
  }
}
