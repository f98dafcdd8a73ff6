/** PUSHA, POPA, ENTER. Intel SDM vol. 2. */
import { describe, expect, it } from 'vitest';
import { asm } from '../testing/asm.ts';
import { FREE, newRig, segment } from '../testing/rig.ts';

const code = (source: string): Uint8Array => asm(`${source}\n`, 0x8000).bytes;
const ALL = { eax: 0x101, ecx: 0x202, edx: 0x303, ebx: 0x404, ebp: 0x505, esi: 0x606, edi: 0x707 };

describe('PUSHA and POPA', () => {
  it('push EAX ECX EDX EBX, the old ESP, EBP ESI EDI', () => {
    const rig = newRig();
    rig.set(ALL);
    expect(rig.one(code('pusha'))).toBe('ok');
    expect(rig.stack(8)).toBe('707 606 505 5000 404 303 202 101');
  });
  it('pop them again, but not ESP', () => {
    const rig = newRig();
    rig.set(ALL);
    rig.one(code('pusha'));
    rig.write(rig.get('esp') + 12, 0xdeadbeef);
    rig.set({ eax: 0, ecx: 0, edx: 0, ebx: 0, ebp: 0, esi: 0, edi: 0 });
    expect(rig.one(code('popa'))).toBe('ok');
    for (const [name, value] of Object.entries(ALL)) expect(rig.get(name as keyof typeof ALL)).toBe(value);
    expect(rig.get('esp')).toBe(0x5000);
  });
  it('16-bit: words, and the upper halves stay', () => {
    const rig = newRig();
    rig.set({ ...ALL, eax: 0xaaaa0101 });
    rig.one(code('pushaw'));
    expect(rig.get('esp')).toBe(0x4ff0);
    rig.set({ eax: 0xbbbb0000 });
    rig.one(code('popaw'));
    expect(rig.get('eax').toString(16)).toBe('bbbb0101');
  });
  it('all or nothing at the end of the stack segment', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: 7, dpl: 0, limit: 0x4fef, granular: false }));
    rig.set({ ...ALL, eax: FREE });
    rig.one(code('mov %eax, %ss'));
    expect(rig.one(code('pusha'))).toBe('#SS(0)');
    expect([rig.get('esp'), rig.read(0x4ffc)]).toEqual([0x5000, 0]);
  });
});

describe('ENTER', () => {
  it('level 0: pushes EBP, points it there, reserves', () => {
    const rig = newRig();
    rig.set({ ebp: 0x1234 });
    expect(rig.one(code('enter $0x20, $0'))).toBe('ok');
    expect([rig.get('ebp'), rig.get('esp'), rig.read(0x4ffc)]).toEqual([0x4ffc, 0x4fdc, 0x1234]);
  });
  it('level n copies the n - 1 pointers of the enclosing frames and adds its own', () => {
    const rig = newRig();
    rig.set({ ebp: 0x4800 });
    rig.write(0x47fc, 0xaaa1);
    rig.write(0x47f8, 0xaaa2);
    expect(rig.one(code('enter $8, $3'))).toBe('ok');
    expect(rig.get('ebp')).toBe(0x4ffc);
    expect(rig.get('esp')).toBe(0x5000 - 16 - 8);
    rig.set({ esp: 0x5000 - 16 });
    expect(rig.stack(4)).toBe('4ffc aaa2 aaa1 4800');
  });
  it('the level counts modulo 32', () => {
    const rig = newRig();
    rig.set({ ebp: 0x4800 });
    rig.one(code('enter $0, $32'));
    expect(rig.get('esp')).toBe(0x4ffc);
  });
  it('16-bit: changes BP alone', () => {
    const rig = newRig();
    rig.set({ ebp: 0x12345678 });
    rig.one(code('enterw $4, $0'));
    expect(rig.get('ebp').toString(16)).toBe('12344ffe');
    expect(rig.get('esp')).toBe(0x4ffa);
  });
  it('faults when the reserved space ends outside the stack, and nothing has happened', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: 7, dpl: 0, limit: 0x4fef, granular: false }));
    rig.set({ eax: FREE, ebp: 0x1234 });
    rig.one(code('mov %eax, %ss'));
    expect(rig.one(code('enter $0x20, $0'))).toBe('#SS(0)');
    expect([rig.get('ebp'), rig.get('esp'), rig.read(0x4ffc)]).toEqual([0x1234, 0x5000, 0]);
    expect(rig.one(code('enter $0x8, $0'))).toBe('ok');
  });
});
