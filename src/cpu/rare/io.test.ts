/** IN, OUT and their string forms. Intel SDM vol. 2, INS, OUTS, REP. */
import { describe, expect, it } from 'vitest';
import { asm } from '../testing/asm.ts';
import { DATA, newRig, type Rig } from '../testing/rig.ts';

const code = (source: string): Uint8Array => asm(`${source}\n`, 0x8000).bytes;

/** A rig with a device at port 0x10 that gives counting values and writes down what it gets. */
function withDevice(): { rig: Rig; log: string[] } {
  const rig = newRig();
  const log: string[] = [];
  let next = 0xa1b2c300;
  rig.ports.add(0x10, 4, {
    read: (port, size) => {
      log.push(`in ${port.toString(16)} ${size}`);
      return next++;
    },
    write: (port, size, value) => {
      log.push(`out ${port.toString(16)} ${size} ${value.toString(16)}`);
    },
  });
  return { rig, log };
}

describe('IN and OUT', () => {
  it('move as many bytes as the form says and leave the rest of EAX', () => {
    const { rig, log } = withDevice();
    rig.set({ eax: 0x55555555, edx: 0xffff0010 });
    rig.one(code('in $0x10, %al'));
    expect(rig.get('eax').toString(16)).toBe('55555500');
    rig.one(code('in %dx, %ax'));
    expect(rig.get('eax').toString(16)).toBe('5555c301');
    rig.one(code('in %dx, %eax'));
    expect(rig.get('eax').toString(16)).toBe('a1b2c302');
    rig.one(code('out %al, $0x11'));
    rig.one(code('out %ax, %dx'));
    rig.one(code('out %eax, %dx'));
    expect(log).toEqual([
      'in 10 1',
      'in 10 2',
      'in 10 4',
      'out 11 1 2',
      'out 10 2 c302',
      'out 10 4 a1b2c302',
    ]);
  });
  it('a port that nobody claims reads as ones', () => {
    const { rig } = withDevice();
    rig.set({ eax: 0, edx: 0x99 });
    rig.one(code('in %dx, %ax'));
    expect(rig.get('eax')).toBe(0xffff);
  });
});

describe('INS and OUTS', () => {
  it('move one element and the index register, up or down', () => {
    const { rig, log } = withDevice();
    rig.set({ edx: 0x10, edi: DATA, esi: DATA });
    expect(rig.one(code('insl'))).toBe('ok');
    expect(rig.read(DATA).toString(16)).toBe('a1b2c300');
    expect(rig.get('edi')).toBe(DATA + 4);
    rig.cpu.eflags = 0x602;
    expect(rig.one(code('outsw'))).toBe('ok');
    expect(log[1]).toBe('out 10 2 c300');
    expect(rig.get('esi')).toBe(DATA - 2);
  });
  it('REP counts ECX down, an element for each instruction counted', () => {
    const { rig, log } = withDevice();
    rig.set({ edx: 0x10, edi: DATA, ecx: 3 });
    rig.load(code('rep insb'));
    rig.cpu.run(2);
    expect([rig.get('ecx'), rig.get('edi'), rig.cpu.eip]).toEqual([1, DATA + 2, 0x8000]);
    rig.cpu.run(1);
    expect([rig.get('ecx'), rig.get('edi'), rig.cpu.eip]).toEqual([0, DATA + 3, 0x8002]);
    expect(log.length).toBe(3);
    expect((rig.read(DATA) & 0xffffff).toString(16)).toBe('20100');
  });
  it('REP with ECX 0 touches nothing', () => {
    const { rig, log } = withDevice();
    rig.set({ edx: 0x10, edi: DATA, ecx: 0 });
    rig.one(code('rep insl'));
    expect(log).toEqual([]);
    expect(rig.cpu.eip).toBe(0x8002);
  });
  it('a 16-bit address size uses CX, SI and DI alone', () => {
    const { rig } = withDevice();
    rig.set({ edx: 0x10, edi: 0x12349000, ecx: 0xabcd0001 });
    rig.one(code('addr16 rep insb'));
    expect(rig.get('edi').toString(16)).toBe('12349001');
    expect(rig.get('ecx').toString(16)).toBe('abcd0000');
    expect(rig.read(DATA) & 0xff).toBe(0);
  });
  it('the device is not read when the element could not be stored', () => {
    const { rig, log } = withDevice();
    rig.set({ eax: 0 });
    rig.one(code('mov %eax, %es'));
    rig.set({ edx: 0x10, edi: DATA, ecx: 2 });
    expect(rig.one(code('rep insb'))).toBe('#GP(0)');
    expect(log).toEqual([]);
    expect(rig.get('ecx')).toBe(2);
  });
});
