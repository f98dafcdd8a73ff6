/**
 * The hypercall transfer page: slot n at n*32 is `mov eax, n; int 0x82; ret`; the iret slot pushes EAX first and never
 * returns. What an image had behind each stub stays. hypercalls.md 1.1.
 */
import type { PhysicalMemory } from '../../cpu/physical-memory.ts';

const SLOTS = 128;
const SLOT_SIZE = 32;
const IRET = 23;

export function writeHypercallPage(memory: PhysicalMemory, mfn: number): void {
  for (let number = 0; number < SLOTS; number++) {
    const call = [0xb8, number, 0, 0, 0, 0xcd, 0x82];
    const stub = number === IRET ? [0x50, ...call] : [...call, 0xc3];
    memory.writeBytes(mfn * 4096 + number * SLOT_SIZE, Uint8Array.from(stub));
  }
}
