/** Interrupts reach a running guest at the first instruction boundary that allows them, and end its HLT. */
import { describe, expect, it } from 'vitest';
import { CPU_STATE_SIZE } from '../layout.ts';
import { asm } from '../testing/asm.ts';
import { CODE, HANDLERS, newRig, type Rig } from '../testing/rig.ts';
import { BareMachine } from './bare-machine.ts';

/** The rig's tables under a machine of their own; vector 0x20 counts in EDX and returns. */
function machine(source: string): { m: BareMachine; rig: Rig } {
  const rig = newRig();
  rig.load(asm('inc %edx\n iret\n', HANDLERS + 16 * 0x20).bytes, HANDLERS + 16 * 0x20);
  rig.load(asm(`${source}\n`, CODE).bytes);
  rig.cpu.eflags = 2;
  return { m: new BareMachine(rig.cpu), rig };
}

describe('a bare machine', () => {
  it('lets an interrupt in one instruction after STI', () => {
    const { m, rig } = machine('inc %eax\n sti\n inc %ebx\n inc %esi\n 1: jmp 1b');
    m.sink.raiseInterrupt(0x20);
    // INC, STI, INC, then INC and IRET of the handler, then two more.
    expect(m.run(5)).toBe('cycles');
    expect([rig.get('eax'), rig.get('ebx'), rig.get('edx'), rig.get('esi')]).toEqual([1, 1, 1, 0]);
    expect(rig.cpu.eip).toBe(CODE + 3);
    m.run(1);
    expect(rig.get('esi')).toBe(1);
  });
  it('keeps an interrupt while IF is off, at full length of the run', () => {
    const { m, rig } = machine('1: inc %eax\n jmp 1b');
    m.sink.raiseInterrupt(0x20);
    expect(m.run(1000)).toBe('cycles');
    expect([rig.get('eax'), rig.get('edx')]).toEqual([500, 0]);
    expect(m.sink.hasWaiting).toBe(true);
  });
  it.each(['popf', 'iret'])('%s that sets IF lets it in at once', (how) => {
    const source = how === 'popf' ? 'push $0x202\n popf' : 'push $0x202\n push $8\n push $1f\n iret\n 1:';
    const { m, rig } = machine(`${source}\n inc %eax\n 2: jmp 2b`);
    m.sink.raiseInterrupt(0x20);
    m.run(how === 'popf' ? 4 : 6);
    expect([rig.get('edx'), rig.get('eax')]).toEqual([1, 0]);
  });
  it('halts until an interrupt comes, in order of arrival', () => {
    const { m, rig } = machine('1: sti\n hlt\n inc %ecx\n jmp 1b');
    expect(m.run(1000)).toBe('halted');
    expect(m.run(1000)).toBe('halted');
    for (let n = 1; n <= 3; n++) {
      m.sink.raiseInterrupt(0x20);
      expect(m.run(1000)).toBe('halted');
      expect([rig.get('edx'), rig.get('ecx')]).toEqual([n, n]);
    }
  });
  it('a device can raise an interrupt from inside a port access', () => {
    const { m, rig } = machine('sti\n nop\n out %al, $0x10\n inc %ebx\n 1: jmp 1b');
    m.ports.add(0x10, 1, { read: () => 0, write: () => m.sink.raiseInterrupt(0x20) });
    m.run(5);
    expect([rig.get('edx'), rig.get('ebx')]).toEqual([1, 0]);
  });
  it('runs the same whatever the length of its slices, interrupt shadow included', () => {
    const results = [1, 2, 3, 7, 40, 200].map((slice) => {
      const { m, rig } = machine('1: sti\n inc %eax\n mov %ss, %ecx\n mov %ecx, %ss\n nop\n cli\n jmp 1b');
      const state = new Uint8Array(CPU_STATE_SIZE);
      const trail: string[] = [];
      for (let at = 0; at < 1200; at += 40) {
        for (let done = 0; done < 40; ) {
          const cycles = Math.min(slice, 40 - done);
          m.run(cycles);
          done += cycles;
        }
        m.sink.raiseInterrupt(0x20);
        rig.cpu.saveState(state);
        trail.push(state.join());
      }
      return trail;
    });
    for (const trail of results) expect(trail).toEqual(results[0]);
    expect(results[0]!.length).toBe(30);
  });
  it('stops at a triple fault and stays stopped', () => {
    const { m, rig } = machine('lidt 0x9000\n ud2');
    rig.write(0x9000, 0);
    rig.write(0x9004, 0);
    expect(m.run(1000)).toBe('triple-fault');
    expect(m.run(1000)).toBe('triple-fault');
  });
});
