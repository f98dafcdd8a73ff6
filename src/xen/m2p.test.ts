import { describe, expect, it } from 'vitest';
import { TYPE_l3 } from './frames.ts';
import { entryMfn, PTE_ACCESSED, PTE_PRESENT, PTE_PS, readLow, XEN_SLOT_PAE } from './page-table-entries.ts';
import { pin } from './pinning.ts';
import { MemoryMachine } from './testing/memory-machine.ts';

describe("the hypervisor's slots of a PAE L2 table", () => {
  it('look like 2 MiB pages to who walks in software, and lead the processor to the M2P all the same', () => {
    const machine = new MemoryMachine();
    const { hv } = machine;
    const guest = machine.domain('x86_32p');
    guest.write('L3 root: 3 -> top');
    expect(pin(hv, guest.domain, guest.mfn('root'), TYPE_l3)).toBe(0);
    machine.check();

    const slot = readLow(hv.memory, guest.mfn('top') * 4096 + XEN_SLOT_PAE * 8);
    expect(slot & 0xfff).toBe(PTE_PRESENT | PTE_ACCESSED | PTE_PS);
    const first = readLow(hv.memory, entryMfn(slot, 0) * 4096);
    expect([entryMfn(first, 0), first & 0xfff]).toEqual([hv.m2p.firstMfn, PTE_PRESENT | PTE_ACCESSED]);
  });
});
