/**
 * The lab's own device: a button that the user presses. A press asserts IRQ 11, level-triggered, until the guest reads
 * the count at port 2a0. That makes the end-of-interrupt calls visible: without them a second press is not heard.
 */
import type { Hypervisor } from '../hypervisor.ts';
import type { InterruptLines } from './interrupt-lines.ts';

export const BUTTON_PORT = 0x2a0;
export const BUTTON_IRQ = 11;

export class LabButton {
  readonly #lines: InterruptLines;
  presses = 0;

  constructor(lines: InterruptLines) {
    this.#lines = lines;
  }

  press(hv: Hypervisor): void {
    this.presses++;
    this.#lines.assert(hv, BUTTON_IRQ);
  }

  /** Presses since the last read, at most 255. */
  read(): number {
    const presses = Math.min(this.presses, 255);
    this.presses = 0;
    this.#lines.deassert(BUTTON_IRQ);
    return presses;
  }
}
