/** multicall (13): a batch of hypercalls in one entry, each result in its own entry. hypercalls.md 4.6. */
import { EFAULT, EINVAL } from '../abi/errno.ts';
import { meetAgain, partIsOver } from '../continuation.ts';
import type { Domain } from '../domain.ts';
import type { Hypervisor } from '../hypervisor.ts';
import type { HypercallRow } from './row.ts';

const ENTRY_SIZE = 32;
const RESULT = 4;
const ARGS = 8;
const IRET = 23;
const MULTICALL = 13;

const args = new Uint32Array(6); // scratch: no multicall inside a multicall

/** What remains of an entry that is put aside goes into the guest's list. @returns false: EFAULT */
function writeArgs(hv: Hypervisor, domain: Domain, entry: number): boolean {
  for (let n = 0; n < 5; n++) {
    if (!hv.guest.writeU32(domain, entry + ARGS + 4 * n, args[n]!)) return false;
  }
  return true;
}

/** The call is met again, with what remains of its list from entry `i` on. */
function putAside(hv: Hypervisor, registers: Uint32Array, i: number): number {
  registers[0] = registers[0]! + i * ENTRY_SIZE;
  registers[1] = registers[1]! - i;
  return meetAgain(hv);
}

export const multicall: HypercallRow = {
  number: MULTICALL,
  name: 'multicall',
  args: [
    { name: 'calls', as: 'pointer' },
    { name: 'count', as: 'dec' },
  ],
  doc: 'Runs an array of hypercalls in order. Failures stay in their entries; the call itself succeeds.',
  seed: 'multicall',
  vmi: 'VMI_SetDeferredMode*, VMI_FlushDeferredCalls*',
  run: ({ hv, domain, vcpu }, registers) => {
    const list = registers[0]!;
    const count = registers[1]!;
    if (list + count * ENTRY_SIZE > domain.holeStart) return EFAULT;
    for (let i = 0; i < count; i++) {
      if (i > 0 && partIsOver(hv)) return putAside(hv, registers, i);
      const at = list + i * ENTRY_SIZE;
      const entry = hv.guest.read(domain, at, ENTRY_SIZE);
      if (entry === null) return EFAULT;
      const op = entry.getUint32(0, true);
      for (let n = 0; n < 6; n++) args[n] = entry.getUint32(ARGS + 4 * n, true);
      const result = op === MULTICALL ? EINVAL : hv.callHypercall(vcpu, op, args);
      if (domain.end !== null) return 0;
      if (hv.continuation.wanted) {
        if (writeArgs(hv, domain, at)) return putAside(hv, registers, i);
        hv.continuation.wanted = false;
        hv.trace.unfinished.forget();
        return EFAULT;
      }
      if (op === IRET) return result;
      if (!hv.guest.writeU32(domain, at + RESULT, result >>> 0)) return EFAULT;
      // The rest runs after the wake-up.
      if (vcpu.blocked && i + 1 < count) return putAside(hv, registers, i + 1);
    }
    return 0;
  },
};
