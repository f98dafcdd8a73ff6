/**
 * Why the last check of the memory model failed. Rules deep inside a validation fill this one record and return an
 * errno; the hypercall or fault at the top turns it into a Refusal of its vcpu. Text is built on failure only.
 */
import { EFAULT, EINVAL, ESRCH } from './abi/errno.ts';
import type { Domain } from './domain.ts';
import { typeName } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Refusal } from './refusal.ts';
import { type RefusalFacts, refuse } from './refuse.ts';
import type { Vcpu } from './vcpu.ts';

/** SCRATCH: valid from a failed check until the next one. */
const denial = { rule: '', because: '', legal: '', mfn: -1, type: -1, entry: -1 };

export const hex = (n: number): string => n.toString(16);

/** Notes why and hands the errno back. @param type of the frame when it was refused; -1: does not matter. */
export function deny(
  errno: number,
  rule: string,
  because: string,
  legal: string,
  mfn = -1,
  type = -1,
  entry = -1,
): number {
  denial.rule = rule;
  denial.because = because;
  denial.legal = legal;
  denial.mfn = mfn;
  denial.type = type;
  denial.entry = entry;
  return errno;
}

/** A validation failed in entry `index` of a table: the reason gets its place. */
export function denyInEntry(errno: number, tableType: number, tableMfn: number, index: number): number {
  denial.because = `entry ${index} of ${typeName(tableType)} table ${hex(tableMfn)}: ${denial.because}`;
  if (denial.entry < 0) denial.entry = index;
  return errno;
}

/** What the domain's hypervisor generation answers: 3.0.2 knows EINVAL, ESRCH and EFAULT only. */
export function errnoFor(domain: Domain, errno: number): number {
  if (errno >= 0 || domain.personality !== '3.0.2') return errno;
  return errno === ESRCH || errno === EFAULT ? errno : EINVAL;
}

/** The last denial's facts, as a refusal wants them. */
function facts(
  operation: string,
  outcome: Refusal['outcome'],
  low: number,
  high: number,
  va: number,
): RefusalFacts {
  const refusal: RefusalFacts = {
    rule: denial.rule,
    because: denial.because,
    legal: `legal would have been ${denial.legal}`,
    operation,
    outcome,
    valueLow: low,
    valueHigh: high,
  };
  if (denial.mfn >= 0) refusal.mfn = denial.mfn;
  if (denial.type >= 0) refusal.frameType = typeName(denial.type);
  if (denial.entry >= 0) refusal.entry = denial.entry;
  if (va >= 0) refusal.va = va;
  return refusal;
}

/** Records the last denial as a refusal of `vcpu`. @returns the errno in the caller's generation. */
export function refuseDenied(
  hv: Hypervisor,
  vcpu: Vcpu,
  operation: string,
  errno: number,
  valueLow = 0,
  valueHigh = 0,
  va = -1,
): number {
  const answer = errnoFor(vcpu.domain, errno);
  refuse(hv, vcpu, facts(operation, { errno: answer }, valueLow, valueHigh, va));
  return answer;
}

/** Records the last denial as the reason for a #PF on a store to a page table. */
export function refuseStore(
  hv: Hypervisor,
  vcpu: Vcpu,
  va: number,
  code: number,
  valueLow: number,
  valueHigh: number,
): void {
  refuse(hv, vcpu, facts('store', { vector: 14, code }, valueLow, valueHigh, va));
}

/** The last denial's reason, for a sentence about a domain that dies of it. */
export function lastReason(): string {
  return denial.because;
}
