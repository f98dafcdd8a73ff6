/**
 * Single step and debug registers. Intel SDM vol. 3B, "Debug Exceptions": what is a trap and what is a fault, what DR6
 * tells, when a trap waits.
 */
import { describe, expect, it } from 'vitest';
import { asm } from '../testing/asm.ts';
import { CODE, DATA, dataOf, HANDLERS, newRig, type Rig } from '../testing/rig.ts';

const code = (source: string): Uint8Array => asm(`${source}\n`, 0x8000).bytes;
const TF = 0x100;
const BS = 0x4000;
const dr6 = (rig: Rig): number => rig.cpu.getDr(6) & 0xe00f;
/** Runs up to `cycles` until something leaves. */
function go(rig: Rig, cycles = 10): string {
  rig.sink.log = [];
  rig.cpu.run(cycles);
  return `${rig.sink.log.join(', ') || 'ok'} at ${rig.cpu.eip.toString(16)}`;
}

describe('single step', () => {
  it('is a trap behind the instruction, with DR6.BS', () => {
    const rig = newRig();
    rig.cpu.eflags = 0x302;
    rig.load(code('inc %eax\n inc %eax'));
    expect(go(rig)).toBe('#DB at 8001');
    expect(rig.get('eax')).toBe(1);
    expect(dr6(rig)).toBe(BS);
    expect(go(rig)).toBe('#DB at 8002');
  });
  it('a faulting instruction faults first and is not stepped over', () => {
    const rig = newRig();
    rig.cpu.eflags = 0x302;
    rig.load(code('ud2'));
    expect(go(rig)).toBe('#UD at 8000');
  });
  it('POPF that sets TF is not stepped itself; POPF that clears it is', () => {
    const rig = newRig();
    rig.load(code('popf\n nop\n nop'));
    rig.push(0x302);
    expect(go(rig)).toBe('#DB at 8002');
    rig.load(code('popf\n nop'));
    rig.push(0x202);
    expect(go(rig)).toBe('#DB at 8001');
    expect(rig.cpu.eflags & TF).toBe(0);
  });
  it('IRET that sets TF steps the instruction it returns to', () => {
    const rig = newRig();
    rig.load(code('iret\n nop\n nop\n nop'));
    rig.push(0x302, 0x08, 0x8001);
    expect(go(rig)).toBe('#DB at 8002');
  });
  it('waits for the instruction behind MOV SS', () => {
    const rig = newRig();
    rig.cpu.eflags = 0x302;
    rig.set({ eax: dataOf(0) });
    rig.load(code('mov %eax, %ss\n nop\n nop'));
    expect(go(rig)).toBe('#DB at 8003');
  });
  it('steps each iteration of a REP', () => {
    const rig = newRig();
    rig.cpu.eflags = 0x302;
    rig.set({ ecx: 3, edi: DATA });
    rig.load(code('rep stosb\n nop'));
    expect(go(rig)).toBe('#DB at 8000');
    expect(rig.get('ecx')).toBe(2);
    expect(go(rig)).toBe('#DB at 8000');
    expect(go(rig)).toBe('#DB at 8002');
  });
  it('is delivered through vector 1 with TF cleared for the handler', () => {
    const rig = newRig();
    rig.sink.recording = false;
    rig.enterRing(3);
    rig.cpu.eflags = 0x302;
    rig.load(code('nop\n nop'));
    rig.cpu.run(10);
    expect(rig.cpu.eip).toBe(HANDLERS + 16);
    expect(rig.stack(5)).toBe(`8001 23 302 5000 43`);
    expect(rig.cpu.eflags & TF).toBe(0);
  });
});

describe('breakpoints', () => {
  const BREAK = { execute: 0, write: 1, access: 3 } as const;
  function watch(
    rig: Rig,
    index: number,
    address: number,
    kind: keyof typeof BREAK,
    length: 1 | 2 | 4,
  ): void {
    const bits = BREAK[kind] | ((length === 1 ? 0 : length === 2 ? 1 : 3) << 2);
    rig.cpu.setDr(index, address);
    rig.cpu.setDr(7, (rig.cpu.getDr(7) | (1 << (2 * index)) | (bits << (16 + 4 * index))) >>> 0);
  }

  it('on execution is a fault before the instruction; RF lets it through once', () => {
    for (const index of [0, 1, 2, 3]) {
      const rig = newRig();
      rig.load(code('nop\n inc %eax\n nop\n nop'));
      watch(rig, index, 0x8001, 'execute', 1);
      expect(go(rig)).toBe('#DB at 8001');
      expect(dr6(rig)).toBe(1 << index);
      expect(rig.get('eax')).toBe(0);
      rig.cpu.eflags |= 0x10000;
      rig.cpu.run(1);
      expect([rig.get('eax'), rig.cpu.eip, rig.cpu.eflags & 0x10000]).toEqual([1, 0x8002, 0]);
    }
  });
  it('on data is a trap behind the instruction that touched it', () => {
    for (const [kind, source, hit] of [
      ['write', 'mov %eax, 0x9000', true],
      ['write', 'mov 0x9000, %eax', false],
      ['access', 'mov 0x9000, %eax', true],
      ['access', 'mov 0x9004, %eax', false],
      ['write', 'mov %al, 0x9003', true],
      ['write', 'push %eax', false],
      ['write', 'pusha', false],
      ['access', 'bound %eax, 0x8ffc', true],
      ['write', 'sidt 0x8ffe', true],
      ['write', 'mov %ds, 0x9002', true],
      ['access', 'les 0x8ffe, %ecx', true],
    ] as const) {
      const rig = newRig();
      rig.load(code(`${source}\n nop\n nop`));
      watch(rig, 2, DATA, kind, 4);
      const behind = 0x8000 + code(`${source}\n`).length;
      expect(go(rig, 2), `${kind} ${source}`).toBe(
        hit ? `#DB at ${behind.toString(16)}` : `ok at ${(behind + 1).toString(16)}`,
      );
      expect(dr6(rig)).toBe(hit ? 4 : 0);
    }
  });
  describe('on data that MOV SS or POP SS touches wait for the instruction behind it', () => {
    const SS = dataOf(0);
    /** @param rest follows a MOV SS from watched memory. */
    const shadowed = (rest: string): Rig => {
      const rig = newRig();
      rig.load(code(`mov 0x9000, %ss\n ${rest}`));
      rig.write(DATA, SS);
      watch(rig, 1, DATA, 'access', 4);
      return rig;
    };
    it('and trap behind that, wherever it goes', () => {
      for (const [rest, at] of [
        ['nop\n nop', '8007'],
        ['mov $0x5000, %esp\n nop', '800b'],
        ['jmp .+0x20\n nop', '8026'],
        ['movw 0x9000, %ax\n nop', '800c'],
      ] as const) {
        const rig = shadowed(rest);
        expect(go(rig, 5), rest).toBe(`#DB at ${at}`);
        expect(dr6(rig), rest).toBe(2);
        expect(go(rig, 1), rest).not.toContain('#DB');
      }
    });
    it('POP SS too', () => {
      const rig = newRig();
      rig.load(code('pop %ss\n nop\n nop'));
      rig.push(SS);
      watch(rig, 0, rig.get('esp'), 'access', 4);
      expect(go(rig, 5)).toBe('#DB at 8002');
      expect(dr6(rig)).toBe(1);
    });
    it('with all that this one hits itself, and its step', () => {
      const rig = shadowed('mov %eax, 0x9100\n nop');
      watch(rig, 3, 0x9100, 'write', 4);
      rig.cpu.eflags |= TF;
      expect(go(rig, 5)).toBe('#DB at 800b');
      expect(dr6(rig)).toBe(2 | 8 | BS);
    });
    it('DR6 tells nothing before', () => {
      const rig = shadowed('nop');
      expect(go(rig, 1)).toBe('ok at 8006');
      expect(dr6(rig)).toBe(0);
    });
    it('a second MOV SS holds them back once more', () => {
      const rig = shadowed('mov %eax, %ss\n nop\n nop');
      rig.set({ eax: SS });
      expect(go(rig, 5)).toBe('#DB at 8009');
      expect(dr6(rig)).toBe(2);
    });
    it('also in a state that is saved in between', () => {
      const rig = shadowed('nop\n nop');
      rig.cpu.run(1);
      const state = new Uint8Array(1024);
      rig.cpu.saveState(state);
      rig.load(code('nop\n nop'));
      go(rig, 2);
      rig.cpu.loadState(state);
      rig.load(code('mov 0x9000, %ss\n nop\n nop'));
      rig.cpu.eip = 0x8006;
      expect(go(rig, 5)).toBe('#DB at 8007');
    });
    it('and come at the first instruction of the handler, if it raises something', () => {
      for (const [rest, vector] of [
        ['int $0x40', 0x40],
        ['int3', 3],
        ['ud2', 6],
        ['div %ecx', 0],
      ] as const) {
        const rig = shadowed(rest);
        rig.sink.recording = false;
        rig.cpu.run(2);
        expect(rig.cpu.eip, rest).toBe(HANDLERS + 16);
        // Interrupted: the handler of the vector, in ring 0.
        expect(rig.stack(2), rest).toBe(`${(HANDLERS + 16 * vector).toString(16)} 8`);
        expect(dr6(rig), rest).toBe(2);
      }
    });
    it('and wake HLT', () => {
      const rig = shadowed('hlt\n nop');
      expect(go(rig, 5)).toBe('#DB at 8007');
      expect(rig.sink.isHalted).toBe(false);
    });
    it('a fetch that faults does not lose them', () => {
      const rig = newRig();
      rig.sink.recording = false;
      const at = 0x9000 - 6;
      rig.load(code('mov 0xa000, %ss'), at);
      rig.write(0xa000, SS);
      watch(rig, 1, 0xa000, 'access', 4);
      // One page table behind one directory: all of it but the page behind the instruction.
      rig.write(0x20000, 0x21007);
      for (let page = 0; page < 0x30; page++) rig.write(0x21000 + 4 * page, (page << 12) | 7);
      rig.write(0x21000 + 4 * 9, 0);
      rig.cpu.cr3 = 0x20000;
      rig.cpu.cr0 = 0x80000011;
      rig.cpu.flushTlb();
      rig.cpu.run(2);
      expect(rig.cpu.eip).toBe(HANDLERS + 16);
      expect(rig.stack(2)).toBe(`${(HANDLERS + 16 * 14).toString(16)} 8`);
      expect(dr6(rig)).toBe(2);
    });
  });
  it('disabled ones do nothing', () => {
    const rig = newRig();
    rig.cpu.setDr(0, 0x8001);
    rig.load(code('nop\n nop\n nop'));
    expect(go(rig, 3)).toBe('ok at 8003');
  });
  it('watched addresses have no effect on other code pages', () => {
    const rig = newRig();
    rig.load(code('nop\n nop\n nop'));
    watch(rig, 0, CODE + 0x100, 'execute', 1);
    expect(go(rig, 3)).toBe('ok at 8003');
  });
});
