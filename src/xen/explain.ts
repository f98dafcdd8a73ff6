/**
 * THE sentence for a domain that ended badly, made from what was refused to the vcpu that ended it. A pure function
 * of the refusals; naming the symbols or disassembling the instruction is the caller's business.
 *
 *   "The store at c000525a (mov dword ptr [edx], eax) to entry 0 of frame d4fb (type L2) at address c00ce000 was
 *    refused with #PF (code 3): frame d4fb is in use as an L2 table, which the guest may only read; an mmu_update
 *    call may change the entry. The domain then shut down with the unknown reason 0x80."
 */
import { disassemble } from '../cpu/disassemble.ts';
import { errnoName } from './abi/errno.ts';
import type { Refusal } from './refusal.ts';

const VECTOR_NAMES: Record<number, string> = {
  0: '#DE',
  1: '#DB',
  3: '#BP',
  4: '#OF',
  5: '#BR',
  6: '#UD',
  7: '#NM',
  10: '#TS',
  11: '#NP',
  12: '#SS',
  13: '#GP',
  14: '#PF',
  16: '#MF',
  17: '#AC',
  19: '#XM',
};
/** vectorName(14) = "#PF"; vectorName(32) = "vector 32". */
export function vectorName(vector: number): string {
  return VECTOR_NAMES[vector] ?? `vector ${vector}`;
}

const hex = (n: number) => (n >>> 0).toString(16);
const hex8 = (n: number) => hex(n).padStart(8, '0');

/** A refusal longer before the end than this is not told as its cause. */
const RELATED_NS = 100_000_000;

/** The refused instruction from its bytes (hex); '' when there are none. */
function instructionText(refusal: Refusal): string {
  if (!refusal.instruction) return '';
  const bytes = Uint8Array.from(refusal.instruction.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  return ` (${disassemble(bytes, refusal.eip, { bits: 32 }).text})`;
}

/** What was tried, where: "The store at c0101234 to entry 0 of frame 1a2c4 (in use as L2) at address c0003000". */
function attempt(refusal: Refusal): string {
  let text = `The ${refusal.operation} at ${hex8(refusal.eip)}${instructionText(refusal)}`;
  if (refusal.mfn !== undefined) {
    text += refusal.entry === undefined ? ' concerning frame ' : ` to entry ${refusal.entry} of frame `;
    text += hex(refusal.mfn);
    if (refusal.frameType !== undefined) text += ` (type ${refusal.frameType})`;
  }
  if (refusal.va !== undefined) text += ` at address ${hex8(refusal.va)}`;
  return text;
}

function outcome(refusal: Refusal): string {
  const result = refusal.outcome;
  if (result === null) return 'ended the domain';
  if ('errno' in result) return `was refused with ${errnoName(result.errno) ?? result.errno}`;
  return `was refused with ${vectorName(result.vector)}${result.code >= 0 ? ` (code ${hex(result.code)})` : ''}`;
}

/** One refusal as a sentence. */
export function explainRefusal(refusal: Refusal): string {
  const legal = refusal.legal ? `; ${refusal.legal}` : '';
  return `${attempt(refusal)} ${outcome(refusal)}: ${refusal.because}${legal}.`;
}

/**
 * @param refusals to the vcpu that ended, oldest first.
 * @param code the shutdown reason: 3 for a crash.
 * @param at virtual ns of the end.
 */
export function explainCrash(refusals: readonly Refusal[], code: number, at: number): string {
  const last = refusals[refusals.length - 1];
  if (last === undefined || at - last.at > RELATED_NS) {
    return code === 3
      ? 'The domain reported a crash of its own; nothing had just been refused to it.'
      : `The domain shut down with the unknown reason 0x${hex(code)}; nothing had just been refused to it.`;
  }
  if (last.outcome === null) {
    // The hypervisor ended it. What came just before is often why.
    const before = refusals[refusals.length - 2];
    const cause =
      before && before.outcome !== null && last.at - before.at <= RELATED_NS ? explainRefusal(before) : null;
    return cause ? `${explainRefusal(last)} Before that: ${cause}` : explainRefusal(last);
  }
  const ending = code === 3 ? 'reported a crash' : `shut down with the unknown reason 0x${hex(code)}`;
  return `${explainRefusal(last)} The domain then ${ending}.`;
}
