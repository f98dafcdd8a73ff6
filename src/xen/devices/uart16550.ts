/**
 * A 16550 UART (PC16550D data sheet) at ports 3f8-3ff, IRQ 4: what is written comes out on the lab's serial line at
 * once. What is typed waits on the line until the receiver has room (1 byte, 16 with FIFOs): the sender is as patient
 * as one with flow control, so nothing typed is lost. Loopback (MCR bit 4) feeds the transmitter to the receiver,
 * which can overrun. Each received byte is a cause of its own; there are no line or modem status interrupts.
 */
import type { Hypervisor } from '../hypervisor.ts';
import type { InterruptLines } from './interrupt-lines.ts';

export const UART_BASE = 0x3f8;
export const UART_IRQ = 4;
const FIFO = 16;

const RBR_THR_DLL = 0;
const IER_DLM = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;
const IER_RECEIVE = 1;
const IER_TRANSMIT = 2;
const LCR_DLAB = 0x80;
const MCR_OUT2 = 0x08;
const MCR_LOOP = 0x10;
const LSR_DATA = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_IDLE = 0x60; // transmitter and its holding register are empty: always
const IIR_NONE = 0x01;
const IIR_TRANSMIT = 0x02;
const IIR_RECEIVE = 0x04;
const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVE = 0x02;
/** CTS, DSR, DCD: somebody is at the other end. */
const MODEM_PRESENT = 0xb0;

export class Uart16550 {
  readonly #lines: InterruptLines;
  /** Typed, not yet received. */
  readonly line: number[] = [];
  readonly received: number[] = [];
  ier = 0;
  lcr = 0;
  mcr = 0;
  scratch = 0;
  divisor = 1;
  fifo = false;
  overrun = false;
  transmitInterrupt = false;

  constructor(lines: InterruptLines) {
    this.#lines = lines;
  }

  /** Does the guest listen? Then typing goes here and not to the emergency console. */
  get listening(): boolean {
    return (this.ier & IER_RECEIVE) !== 0;
  }

  /** Has the guest taken in all that was typed? */
  get inputEmpty(): boolean {
    return this.line.length === 0 && this.received.length === 0;
  }

  /** Typed at the other end of the line. */
  type(hv: Hypervisor, bytes: Uint8Array): void {
    this.line.push(...bytes);
    this.#drive(hv);
  }

  /** The transmitter is wired to the receiver. */
  #loop(byte: number): void {
    if (this.received.length >= (this.fifo ? FIFO : 1)) this.overrun = true;
    else this.received.push(byte);
  }

  read(hv: Hypervisor, register: number): number {
    switch (register) {
      case RBR_THR_DLL: {
        if (this.lcr & LCR_DLAB) return this.divisor & 0xff;
        const byte = this.received.shift() ?? 0;
        this.#drive(hv);
        return byte;
      }
      case IER_DLM:
        return this.lcr & LCR_DLAB ? this.divisor >> 8 : this.ier;
      case IIR_FCR: {
        const cause = this.#cause();
        if (cause === IIR_TRANSMIT) {
          this.transmitInterrupt = false;
          this.#drive(hv);
        }
        return cause | (this.fifo ? 0xc0 : 0);
      }
      case LCR:
        return this.lcr;
      case MCR:
        return this.mcr;
      case LSR: {
        const status =
          LSR_IDLE | (this.received.length > 0 ? LSR_DATA : 0) | (this.overrun ? LSR_OVERRUN : 0);
        this.overrun = false;
        return status;
      }
      case MSR:
        // In loopback the modem outputs come back as inputs: DTR RTS OUT1 OUT2 as DSR CTS RI DCD.
        if (this.mcr & MCR_LOOP) {
          const m = this.mcr;
          return ((m & 1) << 5) | ((m & 2) << 3) | ((m & 4) << 4) | ((m & 8) << 4);
        }
        return MODEM_PRESENT;
      default:
        return this.scratch;
    }
  }

  write(hv: Hypervisor, register: number, value: number): void {
    switch (register) {
      case RBR_THR_DLL:
        if (this.lcr & LCR_DLAB) {
          this.divisor = (this.divisor & 0xff00) | value;
          return;
        }
        this.transmitInterrupt = true; // the register is empty again
        if (this.mcr & MCR_LOOP) this.#loop(value);
        else hv.hooks.serialOut(value);
        break;
      case IER_DLM:
        if (this.lcr & LCR_DLAB) {
          this.divisor = (this.divisor & 0xff) | (value << 8);
          return;
        }
        if (value & IER_TRANSMIT & ~this.ier) this.transmitInterrupt = true;
        this.ier = value & 0x0f;
        break;
      case IIR_FCR:
        // Switching the FIFOs on or off empties them.
        if (value & FCR_CLEAR_RECEIVE || this.fifo !== ((value & FCR_ENABLE) !== 0)) this.received.length = 0;
        this.fifo = (value & FCR_ENABLE) !== 0;
        break;
      case LCR:
        this.lcr = value;
        return;
      case MCR:
        this.mcr = value & 0x1f;
        break;
      case SCR:
        this.scratch = value;
        return;
      default:
        return;
    }
    this.#drive(hv);
  }

  #cause(): number {
    if (this.ier & IER_RECEIVE && this.received.length > 0) return IIR_RECEIVE;
    if (this.ier & IER_TRANSMIT && this.transmitInterrupt) return IIR_TRANSMIT;
    return IIR_NONE;
  }

  /** What waits on the line comes when the receiver is empty: an edge of its own, however late the guest reads. */
  #drive(hv: Hypervisor): void {
    this.#setLine(hv);
    if (this.line.length === 0 || this.received.length > 0 || this.mcr & MCR_LOOP) return;
    this.received.push(...this.line.splice(0, this.fifo ? FIFO : 1));
    this.#setLine(hv);
  }

  /** OUT2 gates the interrupt on a PC. A new cause on an edge-triggered line needs a new edge. */
  #setLine(hv: Hypervisor): void {
    const wanted = this.#cause() !== IIR_NONE && (this.mcr & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
    if (wanted) this.#lines.assert(hv, UART_IRQ);
    else this.#lines.deassert(UART_IRQ);
  }
}
