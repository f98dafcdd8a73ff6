/**
 * System instructions in 16-bit code and on 16-bit stacks: operand sizes default to 16, SP wraps at 64 KiB, gates
 * decide the size of what they push. Intel SDM vol. 3A, "Mixing 16-Bit and 32-Bit Code".
 */
import { describe, expect, it } from 'vitest';
import { asm } from '../testing/asm.ts';
import {
  CODE_READ,
  codeOf,
  DATA,
  dataOf,
  FREE,
  gate,
  innerStack,
  newRig,
  type Rig,
  SEGMENTS,
  segment,
} from '../testing/rig.ts';

const CODE16 = FREE;
const STACK16 = FREE + 8;
const TARGET = FREE + 16;
const code = (source: string): Uint8Array => asm(`.code16\n${source}\n`, 0x8000).bytes;

/** Ring 0 or 3 with a 16-bit code segment and a 16-bit stack, both at base 0. */
function small(ring: 0 | 3 = 0): Rig {
  const rig = newRig();
  const flat = { dpl: ring, big: false, granular: false, limit: 0xffff };
  rig.define(CODE16, segment({ type: CODE_READ, ...flat }));
  rig.define(STACK16, segment({ type: 3, ...flat }));
  rig.enterRing(ring);
  rig.cpu.setSegmentHidden(SEGMENTS.cs, CODE16 | ring, ...segment({ type: CODE_READ, ...flat }));
  rig.cpu.setSegmentHidden(SEGMENTS.ss, STACK16 | ring, ...segment({ type: 3, ...flat }));
  rig.set({ esp: 0xabcd5000 });
  return rig;
}
const word = (rig: Rig, address: number): string => (rig.read(address) & 0xffff).toString(16);

describe('16-bit code', () => {
  it('PUSHF, POPF and PUSHA move words and only SP', () => {
    const rig = small();
    expect(rig.one(code('pushfw'))).toBe('ok');
    expect(rig.get('esp').toString(16)).toBe('abcd4ffe');
    expect(word(rig, 0x4ffe)).toBe('202');
    expect(rig.one(code('popfw'))).toBe('ok');
    expect(rig.get('esp').toString(16)).toBe('abcd5000');
    expect(rig.one(code('pushaw'))).toBe('ok');
    expect(rig.get('esp').toString(16)).toBe('abcd4ff0');
    expect(word(rig, 0x4ff6)).toBe('5000');
  });
  it('SP wraps from 0 to the top of the segment', () => {
    const rig = small();
    rig.set({ esp: 0xabcd0000 });
    expect(rig.one(code('pushfw'))).toBe('ok');
    expect(rig.get('esp').toString(16)).toBe('abcdfffe');
    expect(word(rig, 0xfffe)).toBe('202');
  });
  it('PUSHA that wraps in its middle stores both parts', () => {
    const rig = small();
    rig.set({ esp: 6, eax: 0x1111, ecx: 0x2222, edx: 0x3333, ebx: 0x4444, edi: 0x7777 });
    expect(rig.one(code('pushaw'))).toBe('ok');
    expect([word(rig, 4), word(rig, 0), word(rig, 0xfffe), word(rig, 0xfff6)]).toEqual([
      '1111',
      '3333',
      '4444',
      '7777',
    ]);
    expect(rig.get('esp')).toBe(0xfff6);
  });
  it('a word at offset FFFF does not fit the segment: #SS(0)', () => {
    const rig = small();
    rig.set({ esp: 1 });
    expect(rig.one(code('pushfw'))).toBe('#SS(0)');
    expect(rig.get('esp')).toBe(1);
  });
  it('far JMP and CALL take 16:16 pointers, with a prefix 16:32', () => {
    const rig = small();
    expect(rig.one(code('ljmpw $0x58, $0x8100'))).toBe('ok');
    expect(rig.cpu.eip).toBe(0x8100);
    expect(rig.one(code('lcallw $0x58, $0x8100'))).toBe('ok');
    expect(rig.get('esp').toString(16)).toBe('abcd4ffc');
    expect([word(rig, 0x4ffc), word(rig, 0x4ffe)]).toEqual(['8005', '58']);
    expect(rig.one(code('ljmpl $0x08, $0x12345'))).toBe('ok');
    expect(rig.cpu.eip).toBe(0x12345);
    expect(rig.selector('cs')).toBe(codeOf(0));
  });
  it('RETF and IRET pop words; with a prefix doublewords', () => {
    const rig = small();
    rig.write(0x5000, 0x00588100);
    expect(rig.one(code('lretw'))).toBe('ok');
    expect([rig.cpu.eip, rig.get('esp')]).toEqual([0x8100, 0xabcd5004]);
    rig.write(0x5004, 0x12345);
    rig.write(0x5008, codeOf(0));
    rig.write(0x500c, 0x40602);
    expect(rig.one(code('iretl'))).toBe('ok');
    expect([rig.cpu.eip, rig.get('esp'), rig.cpu.eflags]).toEqual([0x12345, 0xabcd5010, 0x40602]);
  });
  it('a 32-bit call gate pushes doublewords, whatever calls it', () => {
    const rig = small(3);
    rig.define(TARGET, gate({ type: 12, dpl: 3, selector: codeOf(0), offset: 0x12345, parameters: 1 }));
    rig.write(0x5000, 0x11223344);
    expect(rig.one(code('lcallw $0x68, $0'))).toBe('ok');
    expect(rig.cpu.eip).toBe(0x12345);
    expect(rig.get('esp')).toBe(innerStack(0) - 20);
    expect(rig.stack(5)).toBe(`8005 5b 11223344 abcd5000 63`);
  });
  it('an interrupt gate to 32-bit code saves EIP and ESP in full', () => {
    const rig = small(3);
    rig.sink.recording = false;
    rig.setGate(0x80, gate({ type: 14, dpl: 3, selector: codeOf(0), offset: 0x12345 }));
    rig.one(code('int $0x80'));
    expect(rig.cpu.eip).toBe(0x12345);
    expect(rig.stack(5)).toBe('8002 5b 202 abcd5000 63');
    // And back to where it came from: SP alone is popped.
    rig.set({ esp: rig.get('esp') });
    rig.load(asm('iret\n', DATA).bytes, DATA);
    rig.sink.recording = true;
    expect(rig.step()).toBe('ok');
    expect([rig.cpu.eip, rig.selector('ss'), rig.get('esp') & 0xffff]).toEqual([0x8002, STACK16 | 3, 0x5000]);
  });
  it('the offset of a far pointer in memory is a word, and the next word the selector', () => {
    const rig = small();
    rig.write(DATA, (dataOf(0) << 16) | 0x1234);
    rig.set({ ecx: 0xffffffff });
    expect(rig.one(code('les (0x9000), %cx'))).toBe('ok');
    expect([rig.get('ecx'), rig.selector('es')]).toEqual([0xffff1234, dataOf(0)]);
  });
  it('ENTER frames on a 16-bit stack go by SP and BP', () => {
    const rig = small();
    rig.set({ ebp: 0x55554800 });
    expect(rig.one(code('enterw $0x10, $1'))).toBe('ok');
    expect(rig.get('ebp').toString(16)).toBe('55554ffe');
    expect(rig.get('esp').toString(16)).toBe('abcd4fec');
    expect([word(rig, 0x4ffe), word(rig, 0x4ffc)]).toEqual(['4800', '4ffe']);
  });
});
