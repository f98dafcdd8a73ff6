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
