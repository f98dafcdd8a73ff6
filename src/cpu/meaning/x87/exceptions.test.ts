/**
 * When an x87 instruction faults instead of running, what a fault leaves, where the last instruction was, and the
 * state in memory. Intel SDM vol. 1, "Programming with the x87 FPU"; vol. 3A, #NM and #MF.
 */
import { describe, expect, it } from 'vitest';
import { addressOf } from '../../layout.ts';
import { asm } from '../../testing/asm.ts';
import { newProcessor } from '../../testing/processor.ts';
import { CODE, codeOf, DATA, dataOf, newRig, type Rig } from '../../testing/rig.ts';
import { tagWordOf } from './tags.ts';

const MP = 2,
  EM = 4,
  TS = 8,
  PE_NE = 0x21;
const AREA = DATA + 0x100;

/** Runs a program up to its HLT, or to what leaves the guest; the faulting address as offset in the program. */
function run(rig: Rig, source: string): string {
  const { bytes } = asm(`${source}\n hlt\n`, CODE);
  rig.load(bytes);
  rig.sink.log = [];
  rig.cpu.run(100);
  const left = rig.sink.log.join(', ');
  return left === 'halted' ? 'ok' : `${left} at +${(rig.cpu.eip - CODE).toString(16)}`;
}
function fresh(): Rig {
  const rig = newRig();
  rig.cpu.cr0 = PE_NE;
  expect(run(rig, 'fninit')).toBe('ok');
  return rig;
}
const words = (rig: Rig, at: number, count: number): string =>
  Array.from({ length: count }, (_, i) => rig.read(at + 4 * i).toString(16)).join(' ');
const status = (rig: Rig): string => rig.cpu.memory.view.getUint16(addressOf('fsw'), true).toString(16);

describe('#NM, device not available', () => {
  it.each([
    ['TS', TS],
    ['EM', EM],
  ])('every x87 instruction raises it while CR0.%s is set, waiting or not', (_, bit) => {
    const rig = fresh();
    rig.cpu.cr0 = PE_NE | bit;
    for (const source of ['fld1', 'fninit', 'fnstsw %ax', 'fxsave 0x9100', 'fsin'])
      expect(run(rig, source)).toBe('#NM at +0');
  });
  it('FWAIT raises it only if both MP and TS are set', () => {
    const rig = fresh();
    rig.cpu.cr0 = PE_NE | TS;
    expect(run(rig, 'fwait')).toBe('ok');
    rig.cpu.cr0 = PE_NE | MP | EM;
    expect(run(rig, 'fwait')).toBe('ok');
    rig.cpu.cr0 = PE_NE | MP | TS;
    expect(run(rig, 'fwait')).toBe('#NM at +0');
  });
});

describe('#MF, pending exception', () => {
  /** 1 / 0 with ZM clear; 12 bytes. */
  const DIVIDE = 'fldcw 0x9000\n fldz\n fld1\n .byte 0xde, 0xf1';
  const unmasked = (): Rig => {
    const rig = fresh();
    rig.write(DATA, 0x37b);
    return rig;
  };
  it('comes at the next waiting instruction, not at the one that met the error', () => {
    const rig = unmasked();
    expect(run(rig, `${DIVIDE}\n nop\n fld1`)).toBe('#16 at +d');
    expect(status(rig)).toBe('b084'); // ES and B set, TOP 6: nothing was popped
    for (const source of ['fwait', 'fsin', 'fadd %st', 'fldcw 0x9000', 'frstor 0x9100'])
      expect(run(rig, source)).toBe('#16 at +0');
  });
  it('control instructions do not wait', () => {
    const rig = unmasked();
    expect(run(rig, `${DIVIDE}\n fnstsw %ax\n fnstcw 0x9010\n fnstenv 0x9100`)).toBe('ok');
    expect(rig.get('eax') & 0xffff).toBe(0xb084);
    expect(status(rig)).toBe('3004'); // FNSTENV masked all: nothing is pending
  });
  it('FNCLEX takes it back', () => {
    const rig = unmasked();
    expect(run(rig, `${DIVIDE}\n fnclex\n fld1`)).toBe('ok');
    expect(status(rig)).toBe('2800');
  });
  it('unmasking an exception that is noted already makes it pending', () => {
    const rig = unmasked();
    expect(run(rig, 'fldz\n fld1\n .byte 0xde, 0xf1\n fldcw 0x9000\n fld1')).toBe('#16 at +c');
  });
});

describe('a faulting store leaves the x87 as it was', () => {
  it('FSTP to a segment that is too short neither pops nor notes the rounding', () => {
    const rig = fresh();
    rig.cpu.setSegmentHidden(3, dataOf(0), 0x00000fff, 0x00409300); // DS, limit fff
    expect(run(rig, 'fldpi\n fstps 0xffe')).toBe('#GP(0) at +2');
    expect(status(rig)).toBe('3800');
    expect(run(rig, 'fstpl 0xff8')).toBe('ok');
    expect(status(rig)).toBe('20');
    expect(words(rig, 0xff8, 2)).toBe('54442d18 400921fb');
  });
});

describe('the environment', () => {
  it('names the last instruction and its operand, 32-bit format', () => {
    const rig = fresh();
    rig.write(DATA + 8, 0x40490fdb);
    rig.set({ edx: DATA });
    expect(run(rig, 'fldz\n .byte 0x26\n flds 8(%edx)\n fnstenv 0x9100')).toBe('ok');
    // FCW FSW FTW FIP, FCS and opcode (d9 42), FDP FDS
    expect(words(rig, AREA, 7)).toBe('ffff037f ffff3000 ffff4fff 8002 1420008 9008 ffff0028');
  });
  it('has a 16-bit format', () => {
    const rig = fresh();
    expect(run(rig, 'fldz\n fldl 0x9020\n data16 fnstenv 0x9100')).toBe('ok');
    expect(words(rig, AREA, 3)).toBe('3000037f 80025fff 90200008');
    expect(rig.read(AREA + 12) & 0xffff).toBe(dataOf(0));
  });
  it('FNSAVE then FRSTOR gives everything back', () => {
    const rig = fresh();
    const source = 'fldpi\n fldl2e\n fchs\n ffree %st(1)';
    expect(run(rig, `${source}\n fnsave 0x9100\n fnstenv 0x9300\n frstor 0x9100\n fnsave 0x9200`)).toBe('ok');
    expect(words(rig, DATA + 0x300, 3)).toBe('ffff037f ffff0000 ffffffff');
    expect(words(rig, DATA + 0x200, 27)).toBe(words(rig, AREA, 27));
    expect(words(rig, AREA, 3)).toBe('ffff037f ffff3000 ffffcfff');
  });
});

describe('FXSAVE and FXRSTOR', () => {
  it('keep x87, XMM and MXCSR; the tag word is one bit for each register in use', () => {
    const rig = fresh();
    const { view } = rig.cpu.memory;
    view.setUint32(addressOf('xmm') + 20, 0x12345678, true);
    expect(run(rig, 'fldpi\n fldl 0x9020\n fxsave 0x9200\n fninit\n')).toBe('ok');
    const area = DATA + 0x200;
    expect(words(rig, area, 2)).toBe('3000037f 50500c0'); // FCW, FSW, tags, opcode dd 05
    expect(rig.read(area + 8)).toBe(CODE + 2); // FIP
    expect(rig.read(area + 12)).toBe(codeOf(0));
    expect(rig.read(area + 16)).toBe(0x9020);
    expect(rig.read(area + 20)).toBe(dataOf(0));
    expect(rig.read(area + 24)).toBe(0x1f80);
    expect(words(rig, area + 48, 4)).toBe('2168c235 c90fdaa2 4000 0');
    expect(rig.read(area + 160 + 20)).toBe(0x12345678);
    view.setUint32(addressOf('xmm') + 20, 0, true);
    expect(run(rig, 'fxrstor 0x9200\n fxsave 0x9400')).toBe('ok');
    expect(words(rig, DATA + 0x400, 72)).toBe(words(rig, area, 72));
    expect(view.getUint32(addressOf('xmm') + 20, true)).toBe(0x12345678);
  });
  it('want 16-byte alignment and no reserved bit in MXCSR', () => {
    const rig = fresh();
    expect(run(rig, 'fxsave 0x9208')).toBe('#GP(0) at +0');
    expect(run(rig, 'fxsave 0x9200')).toBe('ok');
    rig.write(DATA + 0x218, 0x10000);
    expect(run(rig, 'fxrstor 0x9200')).toBe('#GP(0) at +0');
  });
});

describe('at power-on', () => {
  it('the x87 is as FNINIT leaves it', () => {
    const { view } = newProcessor(1).memory;
    const before = ['fcw', 'fsw'].map((field) => view.getUint16(addressOf(field as 'fcw'), true));
    expect([...before, tagWordOf(view)]).toEqual([0x37f, 0, 0xffff]);
  });
});
