/** The hypervisor's way into a guest's memory, beside what every hypercall's test shows. */
import { expect, it } from 'vitest';
import { Fuzzer } from './fuzz/fuzzer.ts';

it('nothing is mapped for a vcpu that is off its tables, whatever frame 0 holds', () => {
  const { hv, guests } = new Fuzzer({ seed: 1, auditEvery: 64, auditRefusals: false });
  const { domain } = guests.find((guest) => guest.domain.entryBytes === 4)!;
  const table = 0;
  // A table that maps frame 1 at 0, and itself as the table of its first slot.
  hv.memory.write32(table * 4096, (table << 12) | 7);
  hv.memory.write32(table * 4096 + 4, (1 << 12) | 7);
  hv.cpu.cr4 = 0;
  hv.cpu.cr3 = table * 4096;
  expect(hv.guest.readU32(domain, 0x1000)).toBe(-1);
  expect(hv.guest.writeU32(domain, 0x1000, 1)).toBe(false);
  expect(hv.guest.read(domain, 0x1000, 8)).toBeNull();
  expect(hv.memory.read32(table * 4096)).toBe((table << 12) | 7);
  // The same words elsewhere are a root.
  hv.memory.write32(2 * 4096, (2 << 12) | 7);
  hv.memory.write32(2 * 4096 + 4, (1 << 12) | 7);
  hv.cpu.cr3 = 2 * 4096;
  expect(hv.guest.writeU32(domain, 0x1000, 5)).toBe(true);
  expect(hv.memory.read32(4096)).toBe(5);
});
