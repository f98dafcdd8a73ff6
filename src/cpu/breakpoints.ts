/**
 * DR0-DR3 and DR7. Intel SDM vol. 3B, "Debug Registers". While a data breakpoint is on, the TLB is kept empty, so that
 * every access comes by here; instruction breakpoints make the run loop go by single instructions. I/O breakpoints
 * (CR4.DE) are accepted and never hit.
 */
import { CS } from './layout.ts';
import { BASE, DR, EIP } from './state-words.ts';

export class Breakpoints {
  private readonly u32: Uint32Array;
  /** Is a data breakpoint on? */
  watching = false;
  /** Bits of DR6 for data breakpoints that the instruction hit. */
  hits = 0;

  constructor(u32: Uint32Array) {
    this.u32 = u32;
  }

  get areOn(): boolean {
    return (this.u32[DR + 7]! & 0xff) !== 0;
  }
  /** After a change of DR7. */
  refresh(): void {
    this.watching = this.hasData();
  }
  private hasData(): boolean {
    const dr7 = this.u32[DR + 7]!;
    if ((dr7 & 0xff) === 0) return false;
    for (let n = 0; n < 4; n++) {
      if ((dr7 >>> (2 * n)) & 3 && (dr7 >>> (16 + 4 * n)) & 3) return true;
    }
    return false;
  }

  /** Bits of DR6 for breakpoints at the instruction in hand. */
  instruction(): number {
    const { u32 } = this;
    const linear = (u32[BASE + CS]! + u32[EIP]!) >>> 0;
    const dr7 = u32[DR + 7]!;
    let hits = 0;
    for (let n = 0; n < 4; n++) {
      if ((dr7 >>> (2 * n)) & 3 && ((dr7 >>> (16 + 4 * n)) & 15) === 0 && u32[DR + n] === linear)
        hits |= 1 << n;
    }
    return hits;
  }

  /** Bytes are being read or written. */
  note(linear: number, size: number, write: boolean): void {
    const { u32 } = this;
    const dr7 = u32[DR + 7]!;
    for (let n = 0; n < 4; n++) {
      const kind = (dr7 >>> (16 + 4 * n)) & 3;
      if (!((dr7 >>> (2 * n)) & 3) || kind === 0 || kind === 2 || (kind === 1 && !write)) continue;
      const length = ((dr7 >>> (18 + 4 * n)) & 3) + 1;
      const at = (u32[DR + n]! & ~(length - 1)) >>> 0;
      if (linear < at + length && at < linear + size) this.hits |= 1 << n;
    }
  }
}
