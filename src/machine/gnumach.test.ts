/**
 * GNU Mach for Xen, as Debian ships it: on a real Xen 4.17 it dies silently before its first line of output, because
 * it stores directly into a live L2 table. Here it gets exactly as far, and is told why.
 */
import { describe, expect, it } from 'vitest';
import { audit } from '../xen/audit.ts';
import { bootOne } from './testing/boot.ts';
import { gnumach, titled } from './testing/real-guests.ts';

describe.skipIf(gnumach.image === null)(titled('GNU Mach for Xen', gnumach), () => {
  it('stores into entry 0 of its page directory, is refused, and shuts down without a word', () => {
    const session = bootOne(gnumach.image!, [], { memoryMiB: 96 });
    expect(session.run({ maxInstructions: 100_000_000 })).toBe('ended');
    const { hv, domains } = session.machine;
    const { end, vcpus } = domains[0]!;
    expect(session.text(1)).toBe('');
    const last = vcpus[0]!.refusals.at(-1)!;
    expect(last).toMatchObject({
      operation: 'store',
      rule: 'store-to-l2-table',
      outcome: { vector: 14, code: 3 },
      entry: 0,
      frameType: 'L2',
    });
    expect(hv.frames.owner[last.mfn!]).toBe(1);
    // Its shutdown passes the low byte of an address as the reason.
    expect(end).toMatchObject({ reason: 'other' });
    expect(audit(hv)).toEqual([]);
  });

  it('is explained in one sentence: instruction, entry, frame, type, and what would have been legal', () => {
    const session = bootOne(gnumach.image!, [], { memoryMiB: 96 });
    session.run({ maxInstructions: 100_000_000 });
    const { end, vcpus } = session.machine.domains[0]!;
    const mfn = vcpus[0]!.refusals.at(-1)!.mfn!.toString(16);
    expect(end!.sentence).toMatch(/^The store at c000525a \(mov .+\) to entry 0 of frame/);
    expect(end!.sentence).toContain(`frame ${mfn} is in use as an L2 table`);
    expect(end!.sentence).toContain('mmu_update call may change the entry');
  });
});
