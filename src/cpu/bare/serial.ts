/**
 * A serial line for bare kernels: the transmit side of a 16550 that is always ready. What is written to the data
 * register becomes text; the line status says "transmitter empty" and, when input waits, "data ready".
 */
import type { PortDevice } from './ports.ts';

const DATA = 0;
const LINE_CONTROL = 3;
const LINE_STATUS = 5;
const DLAB = 0x80;
const DATA_READY = 0x01;
const TRANSMITTER_EMPTY = 0x60;

export class Serial implements PortDevice {
  text = '';
  private lineControl = 0;
  private readonly input: number[] = [];
  private readonly base: number;

  constructor(base: number) {
    this.base = base;
  }
  /** Bytes typed on the line. */
  type(text: string): void {
    for (const char of text) this.input.push(char.charCodeAt(0) & 0xff);
  }
  read(port: number): number {
    switch (port - this.base) {
      case DATA:
        return this.lineControl & DLAB ? 1 : (this.input.shift() ?? 0);
      case LINE_CONTROL:
        return this.lineControl;
      case LINE_STATUS:
        return TRANSMITTER_EMPTY | (this.input.length > 0 ? DATA_READY : 0);
      default:
        return 0;
    }
  }
  write(port: number, _size: number, value: number): void {
    if (port - this.base === LINE_CONTROL) this.lineControl = value & 0xff;
    else if (port - this.base === DATA && !(this.lineControl & DLAB))
      this.text += String.fromCharCode(value & 0xff);
  }
}
