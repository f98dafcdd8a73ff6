/**
 * The IO-APIC at fec00000: version and 24 redirection entries, as PHYSDEVOP_APIC_READ and _WRITE show them
 * (hypercalls.md section 9; Intel 82093AA data sheet). The guest chooses mask, trigger mode and vector of an entry;
 * identification and destination stay the hypervisor's.
 *
 *   entry, low word:  16 mask | 15 level | 14 remote IRR | 13 active low | 11 logical | 10..8 delivery mode | 7..0 vector
 */
import { EINVAL } from '../abi/errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import type { InterruptLines } from './interrupt-lines.ts';

export const IO_APIC_BASE = 0xfec0_0000;
const ENTRIES = 24;
/** Version 0x11 (82093AA), last entry 23. */
const VERSION = 0x0017_0011;
const REG_ID = 0;
const REG_VERSION = 1;
const REG_ARBITRATION = 2;
const FIRST_ENTRY = 0x10;
const REGISTERS = FIRST_ENTRY + 2 * ENTRIES;
const MASKED = 1 << 16;
const LEVEL = 1 << 15;
const GUEST_BITS = MASKED | LEVEL | (1 << 13) | 0x7ff;
/** fixed and lowest priority; SMI, NMI, INIT, ExtINT are not the guest's to choose. */
const HIGHEST_DELIVERY_MODE = 1;
const FIRST_DEVICE_VECTOR = 0x31;

export class IoApic {
  /** Low words of the redirection entries. */
  readonly entries = new Uint32Array(ENTRIES);
  readonly #lines: InterruptLines;

  constructor(lines: InterruptLines) {
    this.#lines = lines;
    for (let pin = 0; pin < ENTRIES; pin++) {
      const line = lines.get(pin);
      this.entries[pin] = (line ? 0 : MASKED) | (line?.level ? LEVEL : 0) | this.vectorOf(pin);
    }
  }

  /** The vector that PHYSDEVOP_ASSIGN_VECTOR gives a line in 3.0.2: fixed, pins 8 apart as priorities are. */
  vectorOf(irq: number): number {
    return FIRST_DEVICE_VECTOR + (irq % ENTRIES) * 8 + (Math.floor(irq / ENTRIES) % 8);
  }

  /** Registers that do not exist read as 0. */
  read(register: number): number {
    if (register === REG_ID || register === REG_ARBITRATION) return 0;
    if (register === REG_VERSION) return VERSION;
    if (register < FIRST_ENTRY || register >= REGISTERS || register & 1) return 0;
    return this.entries[(register - FIRST_ENTRY) >> 1]!;
  }

  /** Writes below the entries and to upper halves are ignored. @returns 0 or a negative errno. */
  write(hv: Hypervisor, register: number, value: number): number {
    if (register < FIRST_ENTRY || register >= REGISTERS || register & 1) return 0;
    const pin = (register - FIRST_ENTRY) >> 1;
    if (((value >>> 8) & 7) > HIGHEST_DELIVERY_MODE) return EINVAL;
    this.entries[pin] = value & GUEST_BITS;
    this.#lines.setMode(hv, pin, (value & MASKED) !== 0, (value & LEVEL) !== 0);
    return 0;
  }
}
