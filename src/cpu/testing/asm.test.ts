import { describe, expect, it } from 'vitest';
import { asm } from './asm.ts';

describe('assembly snippets', () => {
  it('come with their bytes, placed at their origin, and their labels', () => {
    const { bytes, labels } = asm('start: mov $data, %eax\n jmp start\n data: .long 7', 0x1000);
    expect([...bytes]).toEqual([0xb8, 0x07, 0x10, 0, 0, 0xeb, 0xf9, 7, 0, 0, 0]);
    expect(labels).toEqual({ start: 0x1000, data: 0x1007 });
  });

  it('are refused when the table lacks them', () => {
    if (process.env['ASSEMBLE_SNIPPETS']) return;
    expect(() => asm(`nop # ${'never assembled'}`)).toThrow('snippets.txt');
  });
});
