/**
 * Far JMP, CALL, RET and IRET between rings. Intel SDM vol. 3A, "Privilege Level Checking When Transferring Program
 * Control Between Code Segments"; vol. 2, CALL, RET, IRET.
 */
import { describe, expect, it } from 'vitest';
import { asm } from '../testing/asm.ts';
import {
  CODE_CONFORMING,
  CODE_READ,
  codeOf,
  DATA,
  dataOf,
  FREE,
  gate,
  innerStack,
  newRig,
  type Rig,
  segment,
  TSS,
  TSS_SELECTOR,
} from '../testing/rig.ts';

const RINGS = [0, 1, 2, 3];
const TARGET = 0x8800;
const run = (rig: Rig, source: string): string => rig.one(asm(`${source}\n`, 0x8000).bytes);
const at = (rig: Rig): string =>
  `${rig.selector('cs').toString(16)}:${rig.cpu.eip.toString(16)} cpl ${rig.cpu.cpl}`;
/** A far pointer at DATA, and the instruction through it. */
function through(rig: Rig, instruction: 'ljmp' | 'lcall', selector: number, offset = TARGET): string {
  rig.write(DATA, offset);
  rig.write(DATA + 4, selector);
  rig.cpu.eip = 0x8000;
  return run(rig, `${instruction} *0x9000`);
}

describe('direct far transfers', () => {
  it.each(['ljmp', 'lcall'] as const)(
    '%s goes to code of the same ring, and to conforming code of an inner one',
    (insn) => {
      for (const cpl of RINGS)
        for (const rpl of RINGS)
          for (const dpl of RINGS)
            for (const type of [CODE_READ, CODE_CONFORMING]) {
              const rig = newRig();
              rig.define(FREE, segment({ type, dpl }));
              rig.enterRing(cpl);
              rig.cpu.eip = 0x8000;
              const before = rig.state();
              const allowed = type === CODE_CONFORMING ? dpl <= cpl : dpl === cpl && rpl <= cpl;
              const label = `CPL ${cpl} RPL ${rpl} DPL ${dpl} type ${type}`;
              expect(through(rig, insn, FREE | rpl), label).toBe(allowed ? 'ok' : '#GP(58)');
              if (allowed) expect(at(rig), label).toBe(`${(FREE | cpl).toString(16)}:8800 cpl ${cpl}`);
              else expect(rig.state(), label).toBe(before);
            }
    },
  );
  it('an immediate pointer and one in memory mean the same', () => {
    const rig = newRig();
    expect(run(rig, 'ljmp $0x08, $0x8800')).toBe('ok');
    expect(at(rig)).toBe('8:8800 cpl 0');
    expect(run(rig, 'lcall $0x08, $0x8810')).toBe('ok');
    expect(at(rig)).toBe('8:8810 cpl 0');
    expect(rig.stack(2)).toBe('8007 8');
  });
  it('a 16-bit CALL pushes words, a 16-bit JMP takes a 16-bit offset', () => {
    const rig = newRig();
    expect(run(rig, 'data16 lcall $0x08, $0x8810')).toBe('ok');
    expect(rig.cpu.eip).toBe(0x8810);
    expect(rig.get('esp')).toBe(0x4ffc);
    expect(rig.stack(1)).toBe('88006');
  });
  it.each([
    ['null', 0, '#GP(0)'],
    ['null with RPL', 3, '#GP(0)'],
    ['beyond the GDT', 0x800, '#GP(800)'],
    ['data', 0x28, '#GP(28)'],
    ['a TSS: there are no task switches', TSS_SELECTOR, '#GP(48)'],
    ['an LDT', 0x50, '#GP(50)'],
  ])('to %s', (_what, selector, expected) => {
    for (const insn of ['ljmp', 'lcall'] as const) expect(through(newRig(), insn, selector)).toBe(expected);
  });
  it('code that is not present is #NP; an offset beyond its limit #GP(0)', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: CODE_READ, dpl: 0, present: false }));
    rig.define(FREE + 8, segment({ type: CODE_READ, dpl: 0, limit: 0x87ff, granular: false }));
    for (const insn of ['ljmp', 'lcall'] as const) {
      expect(through(rig, insn, FREE)).toBe('#NP(58)');
      expect(through(rig, insn, FREE + 8)).toBe('#GP(0)');
      expect(through(rig, insn, FREE + 8, 0x87ff)).toBe('ok');
    }
  });
  it('a CALL whose stack ends is #SS(0), and nothing has happened', () => {
    const rig = newRig();
    rig.define(FREE, segment({ type: 7, dpl: 0, limit: 0x4fff, granular: false }));
    rig.set({ eax: FREE, esp: 0x5004 });
    run(rig, 'mov %eax, %ss');
    rig.cpu.eip = 0x8000;
    const before = rig.state();
    expect(run(rig, 'lcall $0x08, $0x8810')).toBe('#SS(0)');
    expect(rig.state()).toBe(before);
  });
});

describe('call gates', () => {
  /** A gate at FREE to code at FREE + 8. */
  function withGate(
    cpl: number,
    gateDpl: number,
    codeType: number,
    codeDpl: number,
    parameters = 0,
    type = 12,
  ): Rig {
    const rig = newRig();
    rig.define(FREE, gate({ type, dpl: gateDpl, selector: FREE + 8, offset: TARGET, parameters }));
    rig.define(FREE + 8, segment({ type: codeType, dpl: codeDpl }));
    rig.enterRing(cpl);
    return rig;
  }

  it('the matrix: gate DPL >= CPL and RPL; CALL to DPL <= CPL, JMP to DPL = CPL or conforming', () => {
    for (const cpl of RINGS)
      for (const rpl of RINGS)
        for (const gateDpl of RINGS)
          for (const dpl of RINGS)
            for (const type of [CODE_READ, CODE_CONFORMING])
              for (const insn of ['ljmp', 'lcall'] as const) {
                const rig = withGate(cpl, gateDpl, type, dpl);
                const label = `${insn} CPL ${cpl} RPL ${rpl} gate ${gateDpl} code ${dpl} type ${type}`;
                const gateOk = gateDpl >= cpl && gateDpl >= rpl;
                const conforming = type === CODE_CONFORMING;
                const codeOk = insn === 'lcall' || conforming ? dpl <= cpl : dpl === cpl;
                const expected = !gateOk ? '#GP(58)' : codeOk ? 'ok' : '#GP(60)';
                expect(through(rig, insn, FREE | rpl, 0xdeadbeef), label).toBe(expected);
                const ring = insn === 'lcall' && !conforming ? dpl : cpl;
                if (expected === 'ok')
                  expect(at(rig), label).toBe(`${((FREE + 8) | ring).toString(16)}:8800 cpl ${ring}`);
              }
  });

  it('to an inner ring: stack from the TSS, SS ESP parameters CS EIP on it', () => {
    for (const ring of [0, 1, 2]) {
      const rig = withGate(3, 3, CODE_READ, ring, 3);
      rig.push(0x33333333, 0x22222222, 0x11111111);
      const esp = rig.get('esp');
      expect(through(rig, 'lcall', FREE | 3)).toBe('ok');
      expect(rig.selector('ss')).toBe(dataOf(ring));
      expect(rig.get('esp')).toBe(innerStack(ring) - 28);
      expect(rig.stack(7)).toBe(`8006 23 11111111 22222222 33333333 ${esp.toString(16)} 43`);
    }
  });
  it('the data segments stay as they are on the way in', () => {
    const rig = withGate(3, 3, CODE_READ, 0);
    through(rig, 'lcall', FREE | 3);
    expect(rig.selector('ds')).toBe(dataOf(3));
  });
  it('to the same ring, or to conforming code, the gate pushes on the current stack and copies nothing', () => {
    for (const [dpl, type] of [
      [3, CODE_READ],
      [0, CODE_CONFORMING],
    ] as const) {
      const rig = withGate(3, 3, type, dpl, 5);
      expect(through(rig, 'lcall', FREE | 3)).toBe('ok');
      expect(rig.get('esp')).toBe(0x4ff8);
      expect(rig.stack(2)).toBe('8006 23');
    }
  });
  it('a 16-bit gate pushes and copies words and takes a 16-bit offset', () => {
    const rig = withGate(3, 3, CODE_READ, 0, 2, 4);
    rig.push(0x22221111);
    const esp = rig.get('esp');
    expect(through(rig, 'lcall', FREE | 3)).toBe('ok');
    expect(rig.cpu.eip).toBe(0x8800);
    expect(rig.get('esp')).toBe(innerStack(0) - 12);
    expect(rig.stack(3)).toBe(`238006 22221111 43${esp.toString(16).padStart(4, '0')}`);
  });
  it('refuses what the gate names: null, data, not present, beyond the limit', () => {
    const rig = withGate(3, 3, CODE_READ, 0);
    const gateTo = (selector: number, offset = TARGET, present = true): string => {
      rig.define(FREE, gate({ type: 12, dpl: 3, selector, offset, present }));
      return through(rig, 'lcall', FREE | 3);
    };
    expect(gateTo(0)).toBe('#GP(0)');
    expect(gateTo(dataOf(0))).toBe('#GP(28)');
    expect(gateTo(FREE + 8, TARGET, false)).toBe('#NP(58)');
    rig.define(FREE + 16, segment({ type: CODE_READ, dpl: 0, present: false }));
    expect(gateTo(FREE + 16)).toBe('#NP(68)');
    rig.define(FREE + 24, segment({ type: CODE_READ, dpl: 0, limit: 0xfff, granular: false }));
    expect(gateTo(FREE + 24)).toBe('#GP(0)');
  });
  it.each([
    ['null', 0, '#TS(0)'],
    ['of a wrong RPL', 0x28 | 1, '#TS(28)'],
    ['of a wrong DPL', 0x30, '#TS(30)'],
    ['beyond the GDT', 0x800, '#TS(800)'],
    ['code', 0x08, '#TS(8)'],
    ['not present', FREE + 16, '#SS(68)'],
    ['too small', FREE + 24, '#SS(70)'],
  ])('an inner stack that is %s', (_what, ss, expected) => {
    const rig = withGate(3, 3, CODE_READ, 0);
    rig.define(FREE + 16, segment({ type: 3, dpl: 0, present: false }));
    rig.define(FREE + 24, segment({ type: 3, dpl: 0, limit: 0xfff, granular: false }));
    rig.write(TSS + 8, ss);
    rig.cpu.eip = 0x8000;
    const before = rig.state();
    expect(through(rig, 'lcall', FREE | 3)).toBe(expected);
    expect(rig.state()).toBe(before);
  });
  it('a task gate and a TSS are refused with #GP(selector), after the privilege rule', () => {
    const rig = newRig();
    rig.define(FREE, gate({ type: 5, dpl: 3, selector: TSS_SELECTOR, offset: 0 }));
    expect(through(rig, 'lcall', FREE)).toBe('#GP(58)');
    expect(through(rig, 'ljmp', FREE)).toBe('#GP(58)');
  });
});

describe('RETF', () => {
  const ret = (cpl: number, selector: number, ...above: number[]): Rig => {
    const rig = newRig();
    rig.enterRing(cpl);
    rig.push(...above.reverse(), selector, TARGET);
    rig.cpu.eip = 0x8000;
    return rig;
  };

  it('to the same ring pops EIP and CS, and releases parameters', () => {
    const rig = ret(3, codeOf(3));
    expect(run(rig, 'lret')).toBe('ok');
    expect(at(rig)).toBe('23:8800 cpl 3');
    expect(rig.get('esp')).toBe(0x5000);
    const other = ret(3, codeOf(3));
    expect(run(other, 'lret $0x20')).toBe('ok');
    expect(other.get('esp')).toBe(0x5020);
  });
  it('16-bit: pops words', () => {
    const rig = newRig();
    rig.push(0x00088800);
    expect(run(rig, 'lretw')).toBe('ok');
    expect(at(rig)).toBe('8:8800 cpl 0');
    expect(rig.get('esp')).toBe(0x5000);
  });
  it('to every outer ring: ESP and SS follow, the parameters go from both stacks, DS to GS are nulled', () => {
    for (const cpl of RINGS)
      for (const rpl of RINGS) {
        const label = `from ${cpl} to ${rpl}`;
        const outer = rpl > cpl;
        const rig = ret(cpl, codeOf(rpl), 0x77777777, 0x66666666, 0x4000, dataOf(rpl));
        const esp = rig.get('esp');
        const before = rig.state();
        const result = run(rig, 'lret $8');
        if (rpl < cpl) {
          expect(result, label).toBe(`#GP(${(codeOf(rpl) & ~3).toString(16)})`);
          expect(rig.state()).toBe(before);
          continue;
        }
        expect(result, label).toBe('ok');
        expect(at(rig), label).toBe(`${codeOf(rpl).toString(16)}:8800 cpl ${rpl}`);
        expect(rig.get('esp'), label).toBe(outer ? 0x4008 : esp + 16);
        expect(rig.selector('ss')).toBe(dataOf(rpl));
        for (const name of ['ds', 'es', 'fs', 'gs'] as const)
          expect(rig.selector(name), label).toBe(outer ? 0 : dataOf(cpl));
      }
  });
  it('a data segment that the outer ring may use stays', () => {
    const rig = ret(0, codeOf(3), 0x4000, dataOf(3));
    rig.define(FREE, segment({ type: CODE_CONFORMING, dpl: 0 }));
    rig.set({ eax: dataOf(3), ecx: FREE });
    run(rig, 'mov %eax, %es');
    run(rig, 'mov %ecx, %fs');
    expect(run(rig, 'lret')).toBe('ok');
    expect(rig.selector('es')).toBe(dataOf(3));
    expect(rig.selector('fs')).toBe(FREE);
    expect(rig.selector('ds')).toBe(0);
  });
  it.each([
    ['null', 0, '#GP(0)'],
    ['null with RPL 3', 3, '#GP(0)'],
    ['of a wrong RPL', 0x40 | 2, '#GP(40)'],
    ['of a wrong DPL', 0x38 | 3, '#GP(38)'],
    ['beyond the GDT', 0x803, '#GP(800)'],
    ['code', 0x20 | 3, '#GP(20)'],
    ['not present', FREE | 3, '#SS(58)'],
  ])('to ring 3 with a stack that is %s', (_what, ss, expected) => {
    const rig = ret(0, codeOf(3), 0x4000, ss);
    rig.define(FREE, segment({ type: 3, dpl: 3, present: false }));
    const before = rig.state();
    expect(run(rig, 'lret')).toBe(expected);
    expect(rig.state()).toBe(before);
  });
  it.each([
    ['null', 0, '#GP(0)'],
    ['data', dataOf(0), '#GP(28)'],
    ['beyond the GDT', 0x800, '#GP(800)'],
    ['not present', FREE, '#NP(58)'],
    ['beyond its limit', FREE + 8, '#GP(0)'],
    ['of an outer DPL than its RPL', 0x20, '#GP(20)'],
  ])('to code that is %s', (_what, cs, expected) => {
    const rig = ret(0, cs);
    rig.define(FREE, segment({ type: CODE_READ, dpl: 0, present: false }));
    rig.define(FREE + 8, segment({ type: CODE_READ, dpl: 0, limit: 0xfff, granular: false }));
    const before = rig.state();
    for (const insn of ['lret', 'iret']) {
      rig.cpu.eip = 0x8000;
      expect(run(rig, insn)).toBe(expected);
      expect(rig.state()).toBe(before);
    }
  });
  it('to a 16-bit stack writes SP alone', () => {
    const rig = ret(0, codeOf(3), 0x12344000, FREE | 3);
    rig.define(FREE, segment({ type: 3, dpl: 3, big: false }));
    const high = rig.get('esp') & 0xffff0000;
    expect(run(rig, 'lret')).toBe('ok');
    expect(rig.get('esp')).toBe(high | 0x4000);
  });
});

describe('IRET', () => {
  const frame = (cpl: number, cs: number, flags: number, ...outer: number[]): Rig => {
    const rig = newRig();
    rig.enterRing(cpl);
    rig.push(...outer.reverse(), flags, cs, TARGET);
    return rig;
  };

  it('to the same ring pops EIP, CS, EFLAGS', () => {
    const rig = frame(1, codeOf(1), 0x244ed7);
    expect(run(rig, 'iret')).toBe('ok');
    expect(at(rig)).toBe('11:8800 cpl 1');
    expect(rig.get('esp')).toBe(0x5000);
    // IOPL 0 and CPL 1: IF stays.
    expect((rig.cpu.eflags & ~0x10000).toString(16)).toBe('244ed7');
  });
  it('every pair of rings, with the flags that the old ring may change', () => {
    for (const cpl of RINGS)
      for (const rpl of RINGS)
        for (const iopl of RINGS) {
          const label = `from ${cpl} to ${rpl}, IOPL ${iopl}`;
          const rig = frame(cpl, codeOf(rpl), 0x3002 ^ (iopl << 12), 0x4000, dataOf(rpl));
          rig.cpu.eflags = 0x202 | (iopl << 12);
          if (rpl < cpl) {
            expect(run(rig, 'iret'), label).toBe(`#GP(${(codeOf(rpl) & ~3).toString(16)})`);
            continue;
          }
          expect(run(rig, 'iret'), label).toBe('ok');
          expect(at(rig), label).toBe(`${codeOf(rpl).toString(16)}:8800 cpl ${rpl}`);
          expect((rig.cpu.eflags >>> 12) & 3, label).toBe(cpl === 0 ? 3 ^ iopl : iopl);
          expect(rig.cpu.eflags & 0x200, label).toBe(cpl <= iopl ? 0 : 0x200);
          if (rpl > cpl) {
            expect(rig.get('esp'), label).toBe(0x4000);
            expect(rig.selector('ss'), label).toBe(dataOf(rpl));
            expect(rig.selector('ds'), label).toBe(0);
          }
        }
  });
  it('16-bit: pops words and leaves the upper half of EFLAGS', () => {
    const rig = newRig();
    rig.cpu.eflags = 0x240202;
    rig.push(0xaaaa0046, 0x00088800);
    expect(run(rig, 'iretw')).toBe('ok');
    expect(at(rig)).toBe('8:8800 cpl 0');
    expect(rig.get('esp')).toBe(0x4ffe);
    expect(rig.cpu.eflags.toString(16)).toBe('240046');
  });
  it('with NT set is #TS(0): there is no task to return to', () => {
    const rig = frame(0, codeOf(0), 2);
    rig.cpu.eflags = 0x4002;
    expect(run(rig, 'iret')).toBe('#TS(0)');
    expect(rig.get('esp')).toBe(0x4ff4);
  });
  it('to virtual-8086 mode is #GP(0) in ring 0; elsewhere VM is ignored', () => {
    const rig = frame(0, codeOf(0), 0x20002, 0x4000, dataOf(0));
    expect(run(rig, 'iret')).toBe('#GP(0)');
    const user = frame(3, codeOf(3), 0x20002);
    expect(run(user, 'iret')).toBe('ok');
    expect(user.cpu.eflags & 0x20000).toBe(0);
  });
  it('the upper half of the CS slot is ignored', () => {
    const rig = frame(1, 0x12340000 | codeOf(3), 0x202, 0x4000, 0xabcd0000 | dataOf(3));
    expect(run(rig, 'iret')).toBe('ok');
    expect(at(rig)).toBe('23:8800 cpl 3');
  });
});
