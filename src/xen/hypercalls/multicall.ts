/** multicall (13): a batch of hypercalls in one entry, each result in its own entry. hypercalls.md 4.6. */
import { EBX, ECX } from '../../cpu/layout.ts';
import { EFAULT, EINVAL } from '../abi/errno.ts';
import type { HypercallRow } from './row.ts';

const ENTRY_SIZE = 32;
const RESULT = 4;
const IRET = 23;
const MULTICALL = 13;

const args = new Uint32Array(6); // scratch: no multicall inside a multicall

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
      const at = list + i * ENTRY_SIZE;
      const entry = hv.guest.read(domain, at, ENTRY_SIZE);
      if (entry === null) return EFAULT;
      const op = entry.getUint32(0, true);
      for (let n = 0; n < 6; n++) args[n] = entry.getUint32(8 + 4 * n, true);
      const result = op === MULTICALL ? EINVAL : hv.callHypercall(vcpu, op, args);
      if (domain.end !== null) return 0;
      if (op === IRET) return result;
      if (!hv.guest.writeU32(domain, at + RESULT, result >>> 0)) return EFAULT;
      if (vcpu.blocked && i + 1 < count) {
        // The rest runs after the wake-up: the instruction is met again, with what remains.
        hv.cpu.setReg(EBX, at + ENTRY_SIZE);
        hv.cpu.setReg(ECX, count - i - 1);
        hv.cpu.eip = (hv.cpu.eip - 2) >>> 0;
        return MULTICALL;
      }
    }
    return 0;
  },
};
