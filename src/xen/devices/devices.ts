/** The simulated devices behind one port map. They belong to privileged domains (cpu-and-events.md 7.1, step 2). */
import type { Domain } from '../domain.ts';
import type { Hypervisor, IoPorts } from '../hypervisor.ts';
import { InterruptLines } from './interrupt-lines.ts';
import { IoApic } from './io-apic.ts';
import { BUTTON_IRQ, BUTTON_PORT, LabButton } from './lab-button.ts';
import { RTC_DATA_PORT, RTC_INDEX_PORT, RTC_IRQ, Rtc } from './rtc.ts';
import { UART_BASE, UART_IRQ, Uart16550 } from './uart16550.ts';

export class Devices implements IoPorts {
  readonly #hv: Hypervisor;
  readonly lines = new InterruptLines();
  readonly ioApic: IoApic;
  readonly uart: Uart16550;
  readonly rtc: Rtc;
  readonly button: LabButton;

  /** @param serialOut receives what the guest sends through the UART. */
  constructor(hv: Hypervisor, serialOut: (byte: number) => void) {
    this.#hv = hv;
    this.lines.add(UART_IRQ, false);
    this.lines.add(RTC_IRQ, false);
    this.lines.add(BUTTON_IRQ, true);
    this.ioApic = new IoApic(this.lines);
    this.uart = new Uart16550(this.lines, serialOut);
    this.rtc = new Rtc(this.lines);
    this.button = new LabButton(this.lines);
  }

  allowed(domain: Domain, _port: number, _size: number): boolean {
    return domain.privileged;
  }

  /** Ports are bytes; a wider access is a row of them. No device there: all ones. */
  read(port: number, size: number): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#readByte(port + i);
    return value;
  }

  write(port: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.#writeByte(port + i, (value >>> (8 * i)) & 0xff);
  }

  #readByte(port: number): number {
    if (port >= UART_BASE && port < UART_BASE + 8) return this.uart.read(this.#hv, port - UART_BASE);
    if (port === RTC_INDEX_PORT || port === RTC_DATA_PORT) return this.rtc.read(this.#hv, port);
    if (port === BUTTON_PORT) return this.button.read();
    return 0xff;
  }

  #writeByte(port: number, value: number): void {
    if (port >= UART_BASE && port < UART_BASE + 8) this.uart.write(this.#hv, port - UART_BASE, value);
    else if (port === RTC_INDEX_PORT || port === RTC_DATA_PORT) this.rtc.write(this.#hv, port, value);
  }

  /** Absolute virtual ns at which a device wants fire(). */
  get nextDeadline(): number {
    return this.rtc.deadline;
  }
  fire(): void {
    if (this.rtc.deadline <= this.#hv.now()) this.rtc.fire(this.#hv);
  }

  /** Everything that decides what devices do next, for the state hash. */
  state(): number[] {
    const lines = [...this.lines.all()].flatMap((line) => [
      line.irq,
      Number(line.level),
      Number(line.masked),
      Number(line.asserted),
      line.delivered,
      ...line.bindings.flatMap((b) => [b.domid, b.port, Number(b.inService)]),
    ]);
    return [
      ...lines,
      ...this.ioApic.entries,
      ...this.uart.state(),
      ...this.rtc.state(),
      ...this.button.state(),
    ];
  }
}
