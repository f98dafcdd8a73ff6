/**
 * A descriptor out of its table, by way of the sink, and back into it with its accessed bit.
 */
import type { Processor } from '../cpu.ts';
import { addressOf } from '../layout.ts';
import { DESCRIPTOR_FAULT } from '../trap-sink.ts';
import { DESC_ACCESSED, faultOnSelector, refusal, VECTOR_GP } from './descriptors.ts';

const FAULT_VECTOR = addressOf('faultVector') >>> 2;
const FAULT_CODE = addressOf('faultCode') >>> 2;

/** $ The descriptor that fetchDescriptor read last: its words and its machine address. */
export const $descriptor = { low: 0, high: 0, maddr: 0 };

/** What the sink left behind with DESCRIPTOR_FAULT, as a refusal; cr2 is set. */
export function takeSinkFault(cpu: Processor): number {
  const words = cpu.memory.u32;
  const refused = refusal(words[FAULT_VECTOR]!, words[FAULT_CODE]!);
  words[FAULT_VECTOR] = 0xffffffff;
  return refused;
}

/** @param outside the vector for an index beyond the table. @returns 0 or a refusal. */
export function fetchDescriptor(cpu: Processor, selector: number, outside: number = VECTOR_GP): number {
  const maddr = cpu.sink.descriptorAddress(selector);
  if (maddr < 0) return maddr === DESCRIPTOR_FAULT ? takeSinkFault(cpu) : faultOnSelector(outside, selector);
  $descriptor.maddr = maddr;
  $descriptor.low = cpu.memory.read32(maddr);
  $descriptor.high = cpu.memory.read32(maddr + 4);
  return 0;
}

/** Sets the accessed bit of a code or data descriptor in its table. */
export function markAccessed(cpu: Processor, maddr: number, high: number): void {
  if ((high & DESC_ACCESSED) === 0) cpu.memory.write8(maddr + 5, ((high >>> 8) & 0xff) | 1);
}

/** Loads a segment register with the fetched descriptor, which was checked. */
export function commitDescriptor(cpu: Processor, segment: number, selector: number): void {
  const { maddr, low, high } = $descriptor;
  markAccessed(cpu, maddr, high);
  cpu.setSegmentHidden(segment, selector, low, high | DESC_ACCESSED);
}
