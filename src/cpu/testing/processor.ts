/** A processor for tests, before somebody gives it a sink. */
import { EngineBug } from '../../base/assert.ts';
import type { Processor } from '../cpu.ts';
import { createCpu } from '../i386.ts';
import { PhysicalMemory } from '../physical-memory.ts';
import type { TrapSink } from '../trap-sink.ts';

const missing = (): never => {
  throw new EngineBug('a processor without a sink left the guest');
};
const NO_SINK: TrapSink = {
  exception: missing,
  softwareInterrupt: missing,
  descriptorAddress: missing,
  kernelStack: missing,
  portRead: missing,
  portWrite: missing,
  portAllowed: missing,
  halted: missing,
};

export const newProcessor = (sizeMiB: number): Processor => createCpu(new PhysicalMemory(sizeMiB), NO_SINK);
