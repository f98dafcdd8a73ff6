import { describe, expect, it } from 'vitest';
import { EINVAL } from './abi/errno.ts';
import { explainCrash, explainRefusal } from './explain.ts';
import type { Refusal } from './refusal.ts';

const store: Refusal = {
  at: 1000,
  eip: 0xc000_525a,
  cpl: 1,
  operation: 'store',
  rule: 'store-to-l2-table',
  outcome: { vector: 14, code: 3 },
  va: 0xc00c_e000,
  mfn: 0xd4fb,
  frameType: 'L2',
  entry: 0,
  instruction: '8902',
  because: 'frame d4fb is in use as an L2 table, which the guest may only read',
  legal: 'an mmu_update call may change the entry',
};
const call: Refusal = {
  at: 2000,
  eip: 0xc000_1000,
  cpl: 1,
  operation: 'mmu_update',
  rule: 'type-conflict',
  outcome: { errno: EINVAL },
  because: 'frame 12 is writable',
};
const death: Refusal = {
  at: 3000,
  eip: 0xc000_2000,
  cpl: 1,
  operation: '#PF',
  rule: 'no-handler',
  outcome: null,
  because: 'the guest has not registered a handler for #PF',
};

describe('why a domain ended, in one sentence', () => {
  it('names instruction, entry, frame, type, answer, rule and what would have been legal', () => {
    expect(explainRefusal(store)).toBe(
      'The store at c000525a (mov dword ptr [edx], eax) to entry 0 of frame d4fb (type L2) at address c00ce000 ' +
        'was refused with #PF (code 3): frame d4fb is in use as an L2 table, which the guest may only read; ' +
        'an mmu_update call may change the entry.',
    );
  });
  it('names the errno of a hypercall', () => {
    expect(explainRefusal(call)).toBe(
      'The mmu_update at c0001000 was refused with EINVAL: frame 12 is writable.',
    );
  });
  it('a domain that shuts down oddly after a refusal: the refusal is the cause', () => {
    expect(explainCrash([call, store], 0x80, 5000)).toMatch(
      /^The store at c000525a .* The domain then shut down with the unknown reason 0x80\.$/,
    );
    expect(explainCrash([store], 3, 5000)).toMatch(/The domain then reported a crash\.$/);
  });
  it('a refusal of long ago is not told as the cause', () => {
    expect(explainCrash([store], 3, 5_000_000_000)).toBe(
      'The domain reported a crash of its own; nothing had just been refused to it.',
    );
    expect(explainCrash([], 0x54, 1)).toContain('unknown reason 0x54');
  });
  it('a domain that the hypervisor killed: what killed it, and what came before', () => {
    expect(explainCrash([death], 3, 3000)).toBe(
      'The #PF at c0002000 ended the domain: the guest has not registered a handler for #PF.',
    );
    expect(explainCrash([store, death], 3, 3000)).toMatch(/for #PF\. Before that: The store at c000525a/);
  });
});
