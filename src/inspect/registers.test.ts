import { describe, expect, it } from 'vitest';
import { FIELDS } from '../cpu/layout.ts';
import { Machine } from '../machine/machine.ts';
import { guestFile, MACHINE, request } from '../machine/testing/boot.ts';
import { registersView } from './registers.ts';

describe('the code around eip', () => {
  it('shows the zeros between the stubs of the hypercall page as padding, not as instructions', () => {
    const machine = new Machine(MACHINE, () => {});
    machine.addDomain(request(guestFile('hello-x86_32p.elf'), { memoryMiB: 8 }));
    expect(machine.step('hypercall', 1e9).kind).toBe('stopped');
    const view = registersView(machine.hv, 1, 0, (domid, va) => machine.symbolAt(domid, va))!;
    const lines = view.disassembly.map(({ bytes, text, padding }) => `${padding ? '|' : ''}${bytes} ${text}`);
    // Behind its INT the guest stands on the stub's RET; stubs are 32 bytes apart.
    expect(lines[0]).toBe('c3 ret');
    expect(lines[1]).toBe('|00 × 24 padding');
    expect(lines[2]).toMatch(/^b8 .. 00 00 00 mov eax, /);
    expect(lines[3]).toBe('cd 82 int 0x82');
    expect(lines.join()).not.toContain('add byte ptr');
  });

  it('never hides what the processor would run next', () => {
    const machine = new Machine(MACHINE, () => {});
    machine.addDomain(request(guestFile('hello-x86_32p.elf'), { memoryMiB: 8 }));
    machine.step('hypercall', 1e9);
    const { saved } = machine.hv.domains[1]!.vcpus[0]!;
    machine.hv.cpu.saveState(saved);
    // Two bytes on: over the RET, at the second of the 24 zeros.
    const eip = new DataView(saved.buffer, saved.byteOffset + FIELDS.eip.offset);
    eip.setUint32(0, eip.getUint32(0, true) + 2, true);
    machine.hv.cpu.loadState(saved);
    const view = registersView(machine.hv, 1, 0, () => undefined)!;
    expect(view.disassembly[0]).toMatchObject({ bytes: '00 00', current: true, padding: false });
    expect(view.disassembly[1]).toMatchObject({ bytes: '00 × 21', padding: true });
  });
});
