/**
 * A bare machine: one processor, ports, and interrupts that arrive when the guest lets them. Its guest owns ring 0.
 */
import type { Processor } from '../cpu.ts';
import { IF } from '../flags.ts';
import { BareSink } from './bare-sink.ts';
import { Ports } from './ports.ts';
import { stateWord } from './tables.ts';

export type BareStop = 'cycles' | 'halted' | 'triple-fault' | 'asked';

export class BareMachine {
  readonly cpu: Processor;
  readonly ports = new Ports();
  readonly sink: BareSink;
  private asked = false;

  constructor(cpu: Processor) {
    this.cpu = cpu;
    this.sink = new BareSink(cpu, this.ports, { onTripleFault() {}, onHalt() {} });
    cpu.sink = this.sink;
  }

  /** Ends the current run() after this instruction; for port devices such as a power switch. */
  stop(): void {
    this.asked = true;
    this.cpu.requestExit();
  }

  /** Runs until the cycles have passed, or until nothing more happens without the outside. */
  run(cycles: number): BareStop {
    this.asked = false;
    let left = cycles;
    while (left > 0) {
      this.sink.deliverWaiting();
      if (this.sink.isShutDown) return 'triple-fault';
      if (this.sink.isHalted) return 'halted';
      // Interrupts wait for one instruction after STI or MOV SS; IF off is left by an exit that STI itself requests.
      const shadowed = this.sink.hasWaiting && (this.cpu.eflags & IF) !== 0;
      left -= this.cpu.run(shadowed && stateWord(this.cpu, 'interruptShadow') !== 0 ? 1 : left);
      if (this.asked) return 'asked';
    }
    return this.sink.isShutDown ? 'triple-fault' : this.sink.isHalted ? 'halted' : 'cycles';
  }
}
