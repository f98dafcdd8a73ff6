/**
 * The hypervisor's way into a guest's memory: linear addresses of the address space that is loaded, with the guest
 * kernel's own (supervisor) rights. A range that does not end below the hypervisor's hole, is not mapped or, for
 * writes, read-only, is refused as a whole value: callers answer -EFAULT. Nothing is ever delivered to the guest.
 * hypercalls.md section 1, "pointers"; cpu-and-events.md section 13.
 */
import { ACCESS_READ, ACCESS_WRITE, type Processor } from '../cpu/cpu.ts';
import { RAM_BASE } from '../cpu/layout.ts';
import type { PhysicalMemory } from '../cpu/physical-memory.ts';
import type { Domain } from './domain.ts';

const FAULT = -1;

export class GuestAccess {
  readonly #memory: PhysicalMemory;
  readonly #cpu: Processor;
  /** What read() returns a view of. */
  #scratch = new Uint8Array(8192);
  #view = new DataView(this.#scratch.buffer);
  /** Machine address of each page of a write, collected before the first byte is stored. */
  readonly #pages: number[] = [];

  constructor(memory: PhysicalMemory, cpu: Processor) {
    this.#memory = memory;
    this.#cpu = cpu;
  }

  /** A vcpu that was taken off its tables (3.0.2 does so before it ends a domain) has nothing mapped: 0 is no root. */
  #translate(va: number, access: number): number {
    return this.#cpu.cr3 === 0 ? FAULT : this.#cpu.translate(va, access);
  }

  /** Does the range end below the hole (and not wrap)? */
  inRange(domain: Domain, va: number, length: number): boolean {
    return va + length <= domain.holeStart;
  }

  /**
   * Copies a guest range into the scratch buffer.
   * @returns a view that begins with the bytes and is valid until the next read(); null: EFAULT.
   */
  read(domain: Domain, va: number, length: number): DataView | null {
    va >>>= 0;
    if (!this.inRange(domain, va, length)) return null;
    if (length > this.#scratch.length) {
      this.#scratch = new Uint8Array(length);
      this.#view = new DataView(this.#scratch.buffer);
    }
    return this.#copyIn(va, length, this.#scratch) ? this.#view : null;
  }

  /** A fresh copy of a guest range; null: EFAULT. */
  readBytes(domain: Domain, va: number, length: number): Uint8Array | null {
    va >>>= 0;
    if (!this.inRange(domain, va, length)) return null;
    const bytes = new Uint8Array(length);
    return this.#copyIn(va, length, bytes) ? bytes : null;
  }

  #copyIn(va: number, length: number, into: Uint8Array): boolean {
    let done = 0;
    while (done < length) {
      const at = va + done;
      const chunk = Math.min(length - done, 4096 - (at & 4095));
      const maddr = this.#translate(at, ACCESS_READ);
      if (maddr === FAULT) return false;
      const from = RAM_BASE + maddr;
      const u8 = this.#memory.u8;
      if (chunk <= 64) for (let i = 0; i < chunk; i++) into[done + i] = u8[from + i]!;
      else into.set(u8.subarray(from, from + chunk), done);
      done += chunk;
    }
    return true;
  }

  /** @returns the u32 at va, or -1: EFAULT. */
  readU32(domain: Domain, va: number): number {
    va >>>= 0;
    if (va + 4 > domain.holeStart) return FAULT;
    if ((va & 4095) > 4092) {
      const view = this.read(domain, va, 4);
      return view === null ? FAULT : view.getUint32(0, true);
    }
    const maddr = this.#translate(va, ACCESS_READ);
    return maddr === FAULT ? FAULT : this.#memory.read32(maddr);
  }

  /** @returns the u16 at va, or -1: EFAULT. */
  readU16(domain: Domain, va: number): number {
    const view = this.read(domain, va, 2);
    return view === null ? FAULT : view.getUint16(0, true);
  }

  /** All or nothing. @returns false: EFAULT. */
  write(domain: Domain, va: number, bytes: Uint8Array): boolean {
    va >>>= 0;
    if (!this.inRange(domain, va, bytes.length)) return false;
    let pages = 0;
    for (let offset = 0; offset < bytes.length; offset += 4096 - ((va + offset) & 4095)) {
      const maddr = this.#translate(va + offset, ACCESS_WRITE);
      if (maddr === FAULT) return false;
      this.#pages[pages++] = maddr;
    }
    let done = 0;
    for (let page = 0; page < pages; page++) {
      const chunk = Math.min(bytes.length - done, 4096 - ((va + done) & 4095));
      this.#memory.writeBytes(this.#pages[page]!, bytes.subarray(done, done + chunk));
      done += chunk;
    }
    return true;
  }

  /** @returns false: EFAULT. */
  writeU32(domain: Domain, va: number, value: number): boolean {
    va >>>= 0;
    if (va + 4 > domain.holeStart) return false;
    if ((va & 4095) > 4092) {
      return this.write(domain, va, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
    }
    const maddr = this.#translate(va, ACCESS_WRITE);
    if (maddr === FAULT) return false;
    this.#memory.write32(maddr, value);
    return true;
  }

  /** Could `length` bytes at va be written now? Nothing is changed (A and D bits apart). */
  writable(domain: Domain, va: number, length: number): boolean {
    va >>>= 0;
    if (!this.inRange(domain, va, length)) return false;
    for (let offset = 0; offset < length; offset += 4096 - ((va + offset) & 4095)) {
      if (this.#translate(va + offset, ACCESS_WRITE) === FAULT) return false;
    }
    return true;
  }
}
