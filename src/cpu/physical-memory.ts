/**
 * Machine RAM as the engine sees it: frames of 4 KiB inside one fixed WebAssembly memory, which also holds the CPU
 * state, the TLB and decoded instructions (`layout.ts` owns the map). Everybody but the CPU's own fast path writes
 * RAM through here, so that code and page-table frames are never changed behind the back of what was derived
 * from them (decoded records, TLB entries).
 */
import { EngineBug } from '../base/assert.ts';
import { FRAME_FLAGS_BASE, MEMORY_PAGES_BELOW_RAM, RAM_BASE } from './layout.ts';

export const FRAME_SIZE = 4096;
export const FRAME_SHIFT = 12;

/** Bits of a frame's flag byte (one byte per mfn at FRAME_FLAGS_BASE). */
export const FRAME_HAS_CODE = 1;
export const FRAME_IS_TABLE = 2;

/** Told before a watched frame changes: `length` bytes from maddr on, inside one frame. Installed by the CPU. */
export interface FrameWatcher {
  codeChanged(maddr: number, length: number): void;
  tableChanged(maddr: number, length: number): void;
}

export class PhysicalMemory {
  readonly memory: WebAssembly.Memory;
  readonly frames: number;
  /** Where machine address 0 is in the linear memory. */
  readonly ramBase = RAM_BASE;
  /** The whole linear memory; RAM starts at RAM_BASE. */
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  /** Per mfn: FRAME_HAS_CODE, FRAME_IS_TABLE. */
  readonly frameFlags: Uint8Array;
  watcher: FrameWatcher | null = null;

  /** @param sizeMiB machine RAM, 1 to 1024 MiB. */
  constructor(sizeMiB: number) {
    if (!(sizeMiB >= 1 && sizeMiB <= 1024)) throw new EngineBug(`machine memory of ${sizeMiB} MiB`);
    const pages = MEMORY_PAGES_BELOW_RAM + sizeMiB * 16;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.frames = sizeMiB * 256;
    this.u8 = new Uint8Array(this.memory.buffer);
    this.u32 = new Uint32Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    this.frameFlags = new Uint8Array(this.memory.buffer, FRAME_FLAGS_BASE, this.frames);
  }

  read8(maddr: number): number {
    return this.u8[RAM_BASE + maddr]!;
  }
  read16(maddr: number): number {
    return this.view.getUint16(RAM_BASE + maddr, true);
  }
  /** Unsigned. */
  read32(maddr: number): number {
    return this.view.getUint32(RAM_BASE + maddr, true);
  }
  write8(maddr: number, value: number): void {
    this.beforeWrite(maddr, 1);
    this.u8[RAM_BASE + maddr] = value;
  }
  write16(maddr: number, value: number): void {
    this.beforeWrite(maddr, 2);
    this.view.setUint16(RAM_BASE + maddr, value, true);
  }
  write32(maddr: number, value: number): void {
    this.beforeWrite(maddr, 4);
    this.view.setUint32(RAM_BASE + maddr, value, true);
  }
  /** Bytes of RAM, without copying; for reading, or for writing frames that beforeWrite was called for. */
  bytes(maddr: number, length: number): Uint8Array {
    return this.u8.subarray(RAM_BASE + maddr, RAM_BASE + maddr + length);
  }
  writeBytes(maddr: number, bytes: Uint8Array): void {
    for (let at = maddr; at < maddr + bytes.length; ) {
      const end = Math.min((at | 4095) + 1, maddr + bytes.length);
      this.beforeWrite(at, end - at);
      at = end;
    }
    this.u8.set(bytes, RAM_BASE + maddr);
  }
  zeroFrame(mfn: number): void {
    this.beforeWrite(mfn * FRAME_SIZE, FRAME_SIZE);
    this.u8.fill(0, RAM_BASE + mfn * FRAME_SIZE, RAM_BASE + (mfn + 1) * FRAME_SIZE);
  }

  /**
   * To be called before a store that does not go through the functions above.
   * @param length bytes, inside one frame; without it the whole frame counts as changed.
   */
  beforeWrite(maddr: number, length = 0): void {
    const flags = this.frameFlags[maddr >>> FRAME_SHIFT]!;
    if (flags !== 0) {
      if (length === 0) {
        maddr -= maddr & (FRAME_SIZE - 1);
        length = FRAME_SIZE;
      }
      if (flags & FRAME_HAS_CODE) this.watcher?.codeChanged(maddr, length);
      if (flags & FRAME_IS_TABLE) this.watcher?.tableChanged(maddr, length);
    }
  }
}
