/** Segment loads through real instructions. Intel SDM vol. 2, MOV, POP, Lxx; vol. 3A, "Segment Descriptors". */
import { describe, expect, it } from 'vitest';
import { stateWord } from '../bare/tables.ts';
import { asm } from '../testing/asm.ts';
import { codeOf, DATA, dataOf, FREE, GDT, newRig, type Rig, SEGMENTS, segment } from '../testing/rig.ts';

const run = (rig: Rig, source: string): string => rig.one(asm(`${source}\n`, 0x8000).bytes);
const hidden = (rig: Rig, name: keyof typeof SEGMENTS): string => {
  const s = SEGMENTS[name];
  const { cpu } = rig;
  return `${cpu.getSelector(s).toString(16)} base ${cpu.getSegmentBase(s).toString(16)} limit ${cpu.getSegmentLimit(s).toString(16)}`;
};

describe('MOV to a segment register', () => {
  const DATA_REGISTERS = ['ds', 'es', 'fs', 'gs'] as const;

  it('takes base, limit and access from the descriptor and sets its accessed bit', () => {
    for (const register of DATA_REGISTERS) {
      const rig = newRig();
      rig.define(FREE, segment({ type: 2, dpl: 0, base: 0x12345678, limit: 0x54321 }));
      rig.set({ eax: FREE });
      expect(run(rig, `mov %eax, %${register}`)).toBe('ok');
      expect(hidden(rig, register)).toBe(`${FREE.toString(16)} base 12345678 limit 54321fff`);
      expect((rig.read(GDT + FREE + 4) >>> 8) & 15).toBe(3);
    }
  });

  it('every descriptor type in every register, and nothing changes where it is refused', () => {
    for (const register of [...DATA_REGISTERS, 'ss'] as const)
      for (const system of [false, true])
        for (let type = 0; type < 16; type++) {
          const rig = newRig();
          rig.define(FREE, segment({ type, system, dpl: 0 }));
          const before = rig.read(GDT + FREE + 4);
          rig.set({ ebx: FREE });
          const data = !system && (type < 8 || (type & 2) !== 0);
          const stack = !system && type < 8 && (type & 2) !== 0;
          const allowed = register === 'ss' ? stack : data;
          rig.cpu.eip = 0x8000;
          const state = rig.state();
          expect(run(rig, `mov %ebx, %${register}`), `${register} type ${type}`).toBe(
            allowed ? 'ok' : `#GP(${FREE.toString(16)})`,
          );
          if (!allowed) {
            expect(rig.state()).toBe(state);
            expect(rig.read(GDT + FREE + 4)).toBe(before);
          }
        }
  });

  it('a null selector empties DS ES FS GS, keeps its RPL, and makes the next access #GP(0)', () => {
    for (const register of DATA_REGISTERS) {
      const rig = newRig();
      rig.set({ eax: 3 });
      expect(run(rig, `mov %eax, %${register}`)).toBe('ok');
      expect(rig.selector(register)).toBe(3);
      expect(run(rig, `verr %${register}:0x9000`)).toBe('#GP(0)');
    }
  });
  it('a null selector in SS is #GP(0)', () => {
    const rig = newRig();
    rig.set({ eax: 0 });
    expect(run(rig, 'mov %eax, %ss')).toBe('#GP(0)');
    expect(rig.selector('ss')).toBe(dataOf(0));
  });
  it('a selector beyond the table is #GP(selector), with its table bit', () => {
    const rig = newRig();
    for (const [selector, code] of [
      [0x803, '800'],
      [0x87, '84'],
      [0xffff, 'fffc'],
    ] as const) {
      rig.set({ eax: selector });
      expect(run(rig, 'mov %eax, %es')).toBe(`#GP(${code})`);
    }
  });
  it('finds local descriptors in the LDT, and none without one', () => {
    const rig = newRig();
    rig.define(0x0c, segment({ type: 3, dpl: 3, base: 0x4000, limit: 0xfff, granular: false }));
    rig.set({ eax: 0x0f });
    expect(run(rig, 'mov %eax, %fs')).toBe('ok');
    expect(hidden(rig, 'fs')).toBe('f base 4000 limit fff');
    rig.set({ ecx: 0 });
    expect(run(rig, 'lldt %cx')).toBe('ok');
    expect(run(rig, 'mov %eax, %fs')).toBe('#GP(c)');
  });
  it('a segment that is not present is #NP, in SS #SS', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: 3, dpl: 0, present: false }));
    rig.set({ eax: FREE });
    expect(run(rig, 'mov %eax, %ds')).toBe('#NP(58)');
    expect(run(rig, 'mov %eax, %ss')).toBe('#SS(58)');
  });
  it('MOV SS holds traps back for one instruction, MOV DS does not', () => {
    const rig = newRig();
    const shadow = (): number => stateWord(rig.cpu, 'interruptShadow');
    rig.set({ eax: dataOf(0) });
    run(rig, 'mov %eax, %ds');
    expect(shadow()).toBe(0);
    run(rig, 'mov %eax, %ss');
    expect(shadow()).toBe(1);
  });
  it('reads 16 bits from memory, whatever the operand size', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: 3, dpl: 0, base: 0, limit: DATA + 1, granular: false }));
    rig.set({ eax: FREE });
    run(rig, 'mov %eax, %ds');
    rig.write(DATA, 0xabcd0000 | dataOf(0));
    expect(run(rig, 'mov 0x9000, %es')).toBe('ok');
    expect(rig.selector('es')).toBe(dataOf(0));
    expect(run(rig, 'mov 0x9001, %es')).toBe('#GP(0)');
  });
});

describe('POP to a segment register', () => {
  it('moves the stack by the operand size and uses 16 bits', () => {
    const rig = newRig();
    rig.push(0xffff0000 | dataOf(0));
    expect(run(rig, 'pop %gs')).toBe('ok');
    expect(rig.selector('gs')).toBe(dataOf(0));
    expect(rig.get('esp')).toBe(0x5000);
    rig.push(dataOf(0));
    expect(run(rig, 'popw %fs')).toBe('ok');
    expect(rig.get('esp')).toBe(0x4ffe);
  });
  it('leaves the stack pointer when the selector is refused', () => {
    for (const register of ['ds', 'es', 'fs', 'gs', 'ss']) {
      const rig = newRig();
      rig.push(0x800);
      expect(run(rig, `pop %${register}`)).toBe('#GP(800)');
      expect(rig.get('esp')).toBe(0x4ffc);
    }
  });
  it('POP SS to a 16-bit stack moves the pointer of the stack it popped from', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: 3, dpl: 0, big: false }));
    rig.set({ esp: 0x1fffc });
    rig.write(0x1fffc, FREE);
    expect(run(rig, 'pop %ss')).toBe('ok');
    expect(rig.get('esp')).toBe(0x20000);
  });
});

describe('LDS LES LFS LGS LSS', () => {
  it.each(['ds', 'es', 'fs', 'gs', 'ss'] as const)(
    'l%s loads offset and selector, or neither',
    (register) => {
      const rig = newRig();
      rig.write(DATA, 0x11223344);
      rig.write(DATA + 4, dataOf(0));
      expect(run(rig, `l${register} 0x9000, %ecx`)).toBe('ok');
      expect(rig.get('ecx')).toBe(0x11223344);
      rig.set({ ecx: 0xaaaaaaaa });
      rig.write(DATA + 2, dataOf(0));
      expect(run(rig, `l${register} 0x9000, %cx`)).toBe('ok');
      expect(rig.get('ecx')).toBe(0xaaaa3344);
      rig.write(DATA + 4, 0x800);
      expect(run(rig, `l${register} 0x9000, %ecx`)).toBe('#GP(800)');
      expect(rig.get('ecx')).toBe(0xaaaa3344);
    },
  );
});

describe('Processor.loadSegment', () => {
  it('returns vector << 16 | code, or 0', () => {
    const rig = newRig();
    expect(rig.cpu.loadSegment(SEGMENTS.ds, dataOf(0))).toBe(0);
    expect(rig.cpu.loadSegment(SEGMENTS.ds, 0x800)).toBe((13 << 16) | 0x800);
  });
  it('loads CS as a far return would: outwards only, taking the CPL along', () => {
    const rig = newRig();
    expect(rig.cpu.loadSegment(SEGMENTS.cs, codeOf(3))).toBe(0);
    expect(rig.cpu.cpl).toBe(3);
    expect(rig.cpu.loadSegment(SEGMENTS.cs, codeOf(0))).toBe((13 << 16) | 8);
    expect(rig.cpu.loadSegment(SEGMENTS.cs, 0)).toBe(13 << 16);
  });
});

describe('LAR, LSL, VERR, VERW', () => {
  const zf = (rig: Rig): boolean => (rig.cpu.eflags & 0x40) !== 0;
  const VALID_LAR = [1, 2, 3, 4, 5, 9, 11, 12];
  const VALID_LSL = [1, 2, 3, 9, 11];

  it('know the system types of the manual, LSL fewer than LAR, VERR and VERW none', () => {
    for (let type = 0; type < 16; type++) {
      const rig = newRig();
      rig.define(FREE, segment({ type, system: true, dpl: 0, limit: 0x1ff, granular: false }));
      rig.set({ ecx: FREE, eax: 0x55555555 });
      expect(run(rig, 'lar %ecx, %eax')).toBe('ok');
      expect(zf(rig), `LAR type ${type}`).toBe(VALID_LAR.includes(type));
      expect(rig.get('eax')).toBe(
        VALID_LAR.includes(type) ? rig.read(GDT + FREE + 4) & 0xffff00 : 0x55555555,
      );
      rig.set({ eax: 0x55555555 });
      expect(run(rig, 'lsl %ecx, %eax')).toBe('ok');
      expect(zf(rig), `LSL type ${type}`).toBe(VALID_LSL.includes(type));
      expect(rig.get('eax')).toBe(VALID_LSL.includes(type) ? 0x1ff : 0x55555555);
      run(rig, 'verr %cx');
      expect(zf(rig)).toBe(false);
      run(rig, 'verw %cx');
      expect(zf(rig)).toBe(false);
    }
  });
  it('VERR takes what DS could read, VERW what DS could write', () => {
    for (let type = 0; type < 16; type++) {
      const rig = newRig();
      rig.define(FREE, segment({ type, dpl: 0 }));
      rig.set({ ecx: FREE });
      run(rig, 'verr %cx');
      expect(zf(rig), `VERR type ${type}`).toBe(type < 8 || (type & 2) !== 0);
      run(rig, 'verw %cx');
      expect(zf(rig), `VERW type ${type}`).toBe(type < 8 && (type & 2) !== 0);
    }
  });
  it('see only what CPL and RPL may see, and conforming code always', () => {
    for (const ring of [0, 1, 2, 3])
      for (const rpl of [0, 1, 2, 3])
        for (const dpl of [0, 1, 2, 3]) {
          const rig = newRig();
          rig.define(FREE, segment({ type: 3, dpl }));
          rig.define(FREE + 8, segment({ type: 15, dpl }));
          rig.enterRing(ring);
          rig.set({ ecx: FREE | rpl, edx: (FREE + 8) | rpl });
          for (const source of ['lar %ecx, %eax', 'lsl %ecx, %eax', 'verr %cx', 'verw %cx']) {
            expect(run(rig, source)).toBe('ok');
            expect(zf(rig), `${source} CPL ${ring} RPL ${rpl} DPL ${dpl}`).toBe(dpl >= ring && dpl >= rpl);
          }
          run(rig, 'verr %dx');
          expect(zf(rig)).toBe(true);
        }
  });
  it('null selectors and those beyond the table clear ZF and fault nowhere', () => {
    const rig = newRig();
    for (const ecx of [0, 3, 0x800, 0xfff8, 0xffff])
      for (const source of ['lar %ecx, %eax', 'lsl %ecx, %eax', 'verr %cx', 'verw %cx']) {
        rig.set({ ecx });
        rig.cpu.eflags = 0x242;
        expect(run(rig, source)).toBe('ok');
        expect(zf(rig)).toBe(false);
      }
  });
  it('LSL applies the granularity', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: 3, dpl: 0, limit: 0x12 }));
    rig.set({ ecx: FREE });
    run(rig, 'lsl %ecx, %eax');
    expect(rig.get('eax')).toBe(0x12fff);
  });
  it('ARPL raises the RPL and tells so in ZF', () => {
    for (const from of [0, 1, 2, 3])
      for (const to of [0, 1, 2, 3]) {
        const rig = newRig();
        rig.set({ eax: 0xffff0048 | from, ecx: to });
        expect(run(rig, 'arpl %cx, %ax')).toBe('ok');
        expect(zf(rig)).toBe(from < to);
        expect(rig.get('eax').toString(16)).toBe(`ffff00${(0x48 | Math.max(from, to)).toString(16)}`);
      }
  });
});

describe('LGDT, SGDT and the other table registers', () => {
  it('a 16-bit operand size takes 24 bits of the base and stores the rest as 0', () => {
    const rig = newRig();
    rig.write(DATA, 0x567807ff);
    rig.write(DATA + 4, 0xffff1234);
    expect(run(rig, 'lidt 0x9000')).toBe('ok');
    expect(stateWord(rig.cpu, 'idtrBase').toString(16)).toBe('12345678');
    expect(run(rig, 'lidtw 0x9000')).toBe('ok');
    expect(stateWord(rig.cpu, 'idtrBase').toString(16)).toBe('345678');
    expect(run(rig, 'lidt 0x9000')).toBe('ok');
    expect(run(rig, 'sidt 0x9008')).toBe('ok');
    expect(rig.read(DATA + 8).toString(16)).toBe('567807ff');
    expect((rig.read(DATA + 12) & 0xffff).toString(16)).toBe('1234');
    expect(run(rig, 'sidtw 0x9008')).toBe('ok');
    expect((rig.read(DATA + 12) & 0xffff).toString(16)).toBe('34');
  });
  it('LLDT takes a present LDT of the GDT, or null', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: 2, system: true, dpl: 0, present: false }));
    for (const [ax, expected] of [
      [0x50, 'ok'],
      [0, 'ok'],
      [0x54, '#GP(54)'],
      [0x48, '#GP(48)'],
      [dataOf(0), '#GP(28)'],
      [FREE, '#NP(58)'],
      [0x800, '#GP(800)'],
    ] as const) {
      rig.set({ eax: ax });
      expect(run(rig, 'lldt %ax')).toBe(expected);
    }
    expect(run(rig, 'sldt %eax')).toBe('ok');
    expect(rig.get('eax')).toBe(0);
  });
  it('LTR takes an available TSS and marks it busy', () => {
    const rig = newRig();
    const tss = (type: number, present = true) =>
      segment({ type, system: true, dpl: 0, limit: 0x67, present });
    rig.define(FREE, tss(9));
    rig.define(FREE + 8, tss(9, false));
    for (const [ax, expected] of [
      [FREE, 'ok'],
      [FREE, '#GP(58)'],
      [FREE + 8, '#NP(60)'],
      [0, '#GP(0)'],
      [0x54, '#GP(54)'],
      [0x50, '#GP(50)'],
    ] as const) {
      rig.set({ eax: ax });
      expect(run(rig, 'ltr %ax'), ax.toString(16)).toBe(expected);
    }
    expect((rig.read(GDT + FREE + 4) >>> 8) & 15).toBe(11);
    run(rig, 'str %ebx');
    expect(rig.get('ebx')).toBe(FREE);
  });
});
