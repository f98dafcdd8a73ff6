/**
 * The simulated devices behind one port map. They belong to the initial domain: it alone has rights to them
 * (cpu-and-events.md 7.1, step 2), and each initial domain finds them as after a reset. All their state is in public
 * fields of plain values: that is what is hashed and saved.
 */
import type { Hypervisor } from '../hypervisor.ts';
import { InterruptLines } from './interrupt-lines.ts';
import { IoApic } from './io-apic.ts';
import { BUTTON_IRQ, BUTTON_PORT, LabButton } from './lab-button.ts';
import { RTC_DATA_PORT, RTC_INDEX_PORT, RTC_IRQ, Rtc } from './rtc.ts';
import { UART_BASE, UART_IRQ, Uart16550 } from './uart16550.ts';

/**
 * The second serial port carries the hypervisor's own console: its line is the hypervisor's, and its I/O ports are
 * nobody's. That is why bind_pirq can find a line busy.
 */
export const CONSOLE_IRQ = 3;

/** Whose line it is, for people. */
export const IRQ_NAMES: Readonly<Record<number, string>> = {
  [UART_IRQ]: 'UART',
  [CONSOLE_IRQ]: 'hypervisor console',
  [RTC_IRQ]: 'clock',
  [BUTTON_IRQ]: 'lab button',
};

export class Devices {
  readonly lines = new InterruptLines();
  readonly ioApic: IoApic;
  readonly uart: Uart16550;
  readonly rtc: Rtc;
  readonly button: LabButton;

  constructor() {
    this.lines.add(CONSOLE_IRQ, false, true);
    this.lines.add(UART_IRQ, false);
    this.lines.add(RTC_IRQ, false);
    this.lines.add(BUTTON_IRQ, true);
    this.ioApic = new IoApic(this.lines);
    this.uart = new Uart16550(this.lines);
    this.rtc = new Rtc(this.lines);
    this.button = new LabButton(this.lines);
  }

  /** Ports are bytes; a wider access is a row of them. No device there: all ones. @returns unsigned. */
  read(hv: Hypervisor, port: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(hv, port + i) << (8 * i);
    return value >>> 0;
  }

  write(hv: Hypervisor, port: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.#writeByte(hv, port + i, (value >>> (8 * i)) & 0xff);
  }

  #readByte(hv: Hypervisor, port: number): number {
    if (port >= UART_BASE && port < UART_BASE + 8) return this.uart.read(hv, port - UART_BASE);
    if (port === RTC_INDEX_PORT || port === RTC_DATA_PORT) return this.rtc.read(hv, port);
    if (port === BUTTON_PORT) return this.button.read();
    return 0xff;
  }

  #writeByte(hv: Hypervisor, port: number, value: number): void {
    if (port >= UART_BASE && port < UART_BASE + 8) this.uart.write(hv, port - UART_BASE, value);
    else if (port === RTC_INDEX_PORT || port === RTC_DATA_PORT) this.rtc.write(hv, port, value);
  }

  /** Absolute virtual ns at which fire() is due; Infinity when nobody is there to be interrupted. */
  deadline(hv: Hypervisor): number {
    const initial = hv.domains[0];
    return initial !== undefined && initial.end === null ? this.rtc.deadline : Number.POSITIVE_INFINITY;
  }
  fire(hv: Hypervisor): void {
    if (this.rtc.deadline <= hv.now()) this.rtc.fire(hv);
  }
}
