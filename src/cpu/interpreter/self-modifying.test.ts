import { describe, expect, it } from 'vitest';
import { EAX, EBX } from '../layout.ts';
import { Guest, P, RW, US } from '../testing/guest.ts';

describe('self-modifying code', () => {
  it('sees a store into the very next instruction', () => {
    const g = new Guest(`
      mov $1, %eax
      movb $5, next+1
      next: mov $1, %eax
      hlt
    `);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(5);
    expect(g.cpu.instructions).toBe(4);
  });

  it('sees a change of a loop that is running, each time', () => {
    const g = new Guest(`
      xor %ebx, %ebx
      mov $10, %ecx
      again: add $1, %ebx
      addb $1, again+2
      dec %ecx
      jnz again
      hlt
    `);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EBX)).toBe(55);
  });

  it('sees code written through another mapping of the frame', () => {
    const g = new Guest(`
      call target
      movb $9, 0x25000 + (target - 0x10000) + 1
      call target
      hlt
      target: mov $1, %eax
      add %eax, %ebx
      ret
    `).pagePaging();
    g.memory.write32(g.pte(0x25000), 0x10000 | P | RW | US);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EBX)).toBe(10);
  });

  it('sees code that a string instruction or the outside writes', () => {
    const g = new Guest(`
      call target
      mov $new, %esi
      mov $target, %edi
      mov $6, %ecx
      rep movsb
      call target
      hlt
      new: mov $7, %eax
      ret
      .skip 64
      target: mov $1, %eax
      ret
    `);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(7);
    g.memory.write8(g.label('target') + 1, 0x44);
    g.cpu.eip = g.snippet.origin;
    g.cpu.run(1);
    g.cpu.run(1);
    expect(g.cpu.getReg(EAX)).toBe(0x44);
  });

  it('runs code and data in one page; data stores leave the code alone', () => {
    const g = new Guest(`
      mov $1000, %ecx
      again: incl counter
      dec %ecx
      jnz again
      mov counter, %eax
      hlt
      counter: .long 0
    `);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(1000);
  });

  it('follows a remapping of the page that is being executed', () => {
    // Both frames hold the same code up to the constant.
    const g = new Guest(`
      movl $0x25007, 0x2040        # the entry of 0x10000
      mov $1, %eax
      hlt
    `).pagePaging();
    g.memory.writeBytes(0x25000, g.snippet.bytes);
    g.memory.write8(0x25000 + 11, 2);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(2);
  });
});
