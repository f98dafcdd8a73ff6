/**
 * Events through the IDT of a bare guest: gates, rings, frames, error codes, double and triple faults, interrupts.
 * Intel SDM vol. 3A, "Exception- or Interrupt-Handler Procedures", "Error Code", "Conditions for Generating a Double
 * Fault".
 */
import { describe, expect, it } from 'vitest';
import { asm } from '../testing/asm.ts';
import {
  CODE_CONFORMING,
  CODE_READ,
  codeOf,
  dataOf,
  FREE,
  gate,
  HANDLERS,
  IDT,
  innerStack,
  newRig,
  type Rig,
  segment,
  TSS,
} from '../testing/rig.ts';
import { setStateWord } from './tables.ts';

const RINGS = [0, 1, 2, 3];
const code = (source: string): Uint8Array => asm(`${source}\n`, 0x8000).bytes;

/** A rig whose guest's own IDT gets the events, in that ring; handlers are not entered beyond their first byte. */
function bare(ring = 0): Rig {
  const rig = newRig();
  rig.sink.recording = false;
  rig.enterRing(ring);
  rig.cpu.eip = 0x8000;
  return rig;
}
/** Raises an exception as the processor would. @returns the vector whose handler was entered, or what happened. */
function raise(rig: Rig, vector: number, errorCode = -1): string {
  rig.sink.log = [];
  rig.sink.exception(vector, errorCode);
  return entered(rig);
}
const entered = (rig: Rig): string =>
  rig.sink.log.join(', ') || (rig.cpu.eip >= HANDLERS ? `${(rig.cpu.eip - HANDLERS) / 16}` : 'none');

describe('frames', () => {
  it('same ring: EFLAGS CS EIP on the current stack, and the error code below', () => {
    const rig = bare(0);
    expect(raise(rig, 3 + 4)).toBe('7');
    expect(rig.get('esp')).toBe(0x5000 - 12);
    expect(rig.stack(3)).toBe('8000 8 10202');
    const other = bare(0);
    expect(raise(other, 13, 0x58)).toBe('13');
    expect(other.stack(4)).toBe('58 8000 8 10202');
  });
  it('from every outer ring: SS:ESP of the TSS, then the old SS ESP EFLAGS CS EIP', () => {
    for (const from of [1, 2, 3])
      for (const to of RINGS.filter((r) => r < from)) {
        const rig = bare(from);
        rig.setGate(13, gate({ type: 14, dpl: 0, selector: codeOf(to), offset: HANDLERS + 16 * 13 }));
        expect(raise(rig, 13, 0x18)).toBe('13');
        expect(rig.cpu.cpl).toBe(to);
        expect(rig.selector('cs')).toBe(codeOf(to));
        expect(rig.selector('ss')).toBe(dataOf(to));
        expect(rig.get('esp')).toBe(innerStack(to) - 24);
        expect(rig.stack(6)).toBe(
          `18 8000 ${codeOf(from).toString(16)} 10202 5000 ${dataOf(from).toString(16)}`,
        );
        expect(rig.selector('ds')).toBe(dataOf(from));
      }
  });
  it('conforming code runs in the ring that was interrupted', () => {
    const rig = bare(3);
    rig.define(FREE, segment({ type: CODE_CONFORMING, dpl: 0 }));
    rig.setGate(6, gate({ type: 15, dpl: 0, selector: FREE, offset: HANDLERS + 96 }));
    expect(raise(rig, 6)).toBe('6');
    expect(rig.cpu.cpl).toBe(3);
    expect(rig.selector('cs')).toBe(FREE | 3);
    expect(rig.stack(3)).toBe('8000 23 10202');
  });
  it('an interrupt gate clears IF, a trap gate leaves it; both clear TF NT RF', () => {
    for (const type of [14, 15]) {
      const rig = bare(0);
      rig.cpu.eflags = 0x14302;
      rig.setGate(6, gate({ type, dpl: 0, selector: codeOf(0), offset: HANDLERS + 96 }));
      raise(rig, 6);
      expect(rig.stack(3)).toBe('8000 8 14302');
      expect(rig.cpu.eflags).toBe(type === 14 ? 2 : 0x202);
    }
  });
  it('a 16-bit gate pushes words and takes a 16-bit offset', () => {
    const rig = bare(3);
    rig.setGate(13, gate({ type: 6, dpl: 0, selector: codeOf(0), offset: 0xdead9000 }));
    raise(rig, 13, 0x58);
    expect(rig.cpu.eip).toBe(0x9000);
    expect(rig.get('esp')).toBe(innerStack(0) - 12);
    expect(rig.stack(3)).toBe('80000058 2020023 435000');
  });
  it('faults set RF in the saved flags, traps and interrupts do not', () => {
    for (const [vector, rf] of [
      [0, true],
      [1, false],
      [6, true],
      [14, true],
      [16, true],
    ] as const) {
      const rig = bare(0);
      raise(rig, vector);
      expect((rig.read(rig.get('esp') + 8) & 0x10000) !== 0, `vector ${vector}`).toBe(rf);
    }
  });
});

describe('software interrupts', () => {
  it('INT n needs CPL <= the gate DPL, else #GP(8n+2) with EIP at the instruction', () => {
    for (const cpl of RINGS)
      for (const dpl of RINGS) {
        const rig = bare(cpl);
        rig.setGate(0x80, gate({ type: 14, dpl, selector: codeOf(0), offset: HANDLERS + 16 * 0x80 }));
        rig.load(code('int $0x80'));
        rig.step();
        const label = `CPL ${cpl} DPL ${dpl}`;
        if (cpl <= dpl) {
          expect(entered(rig), label).toBe('128');
          expect(rig.read(rig.get('esp')), label).toBe(0x8002);
        } else {
          expect(entered(rig), label).toBe('13');
          expect(rig.stack(2), label).toBe('402 8000');
        }
      }
  });
  it('INT3 and INTO honour the DPL too; hardware exceptions do not', () => {
    for (const [source, vector] of [
      ['int3', 3],
      ['into', 4],
    ] as const) {
      const rig = bare(3);
      rig.cpu.eflags = 0xa02;
      rig.load(code(source));
      rig.step();
      expect(entered(rig)).toBe('13');
      expect(rig.stack(2)).toBe(`${(vector * 8 + 2).toString(16)} 8000`);
      const open = bare(3);
      open.cpu.eflags = 0xa02;
      open.setGate(vector, gate({ type: 15, dpl: 3, selector: codeOf(0), offset: HANDLERS + 16 * vector }));
      open.load(code(source));
      open.step();
      expect(entered(open)).toBe(`${vector}`);
      expect(open.stack(2)).toBe('8001 23');
    }
    expect(raise(bare(3), 6)).toBe('6');
  });
  it('INTO without OF does nothing', () => {
    const rig = bare(0);
    rig.load(code('into'));
    rig.step();
    expect(rig.cpu.eip).toBe(0x8001);
  });
  it('INT1 enters vector 1 behind the instruction, whatever the DPL', () => {
    const rig = bare(3);
    rig.load(Uint8Array.of(0xf1));
    rig.step();
    expect(entered(rig)).toBe('1');
    expect(rig.read(rig.get('esp'))).toBe(0x8001);
  });
  it('BOUND raises #BR outside its signed bounds', () => {
    for (const [index, inside] of [
      [-5, true],
      [7, true],
      [-6, false],
      [8, false],
    ] as const) {
      const rig = bare(0);
      rig.write(0x9000, -5);
      rig.write(0x9004, 7);
      rig.set({ eax: index >>> 0 });
      rig.load(code('bound %eax, 0x9000'));
      rig.step();
      expect(entered(rig)).toBe(inside ? 'none' : '5');
    }
  });
});

describe('what can go wrong on the way, as the handler of the second fault sees it', () => {
  /** From ring 3 through vector 0x80 with DPL 3: the error code has EXT 0. */
  const through = (change: (rig: Rig) => void): string => {
    const rig = bare(3);
    rig.setGate(0x80, gate({ type: 14, dpl: 3, selector: codeOf(0), offset: HANDLERS }));
    change(rig);
    rig.load(code('int $0x80'));
    rig.step();
    const vector = entered(rig);
    return `${vector} code ${rig.read(rig.get('esp')).toString(16)} eip ${rig.read(rig.get('esp') + 4).toString(16)}`;
  };
  const gate80 = (selector: number, more = {}) =>
    gate({ type: 14, dpl: 3, selector, offset: HANDLERS, ...more });

  it.each<[string, (rig: Rig) => void, string]>([
    ['vector beyond the IDT', (rig) => setStateWord(rig.cpu, 'idtrLimit', 0x7f * 8), '13 code 402'],
    ['gate not present', (rig) => rig.setGate(0x80, gate80(codeOf(0), { present: false })), '11 code 402'],
    ['call gate in the IDT', (rig) => rig.setGate(0x80, gate80(codeOf(0), { type: 12 })), '13 code 402'],
    [
      'task gate: there are no tasks',
      (rig) => rig.setGate(0x80, gate80(codeOf(0), { type: 5 })),
      '13 code 402',
    ],
    ['null selector', (rig) => rig.setGate(0x80, gate80(0)), '13 code 0'],
    ['selector beyond the GDT', (rig) => rig.setGate(0x80, gate80(0x800)), '13 code 800'],
    ['data segment', (rig) => rig.setGate(0x80, gate80(dataOf(0))), '13 code 28'],
    [
      'code not present',
      (rig) => {
        rig.define(FREE, segment({ type: CODE_READ, dpl: 0, present: false }));
        rig.setGate(0x80, gate80(FREE));
      },
      '11 code 58',
    ],
    [
      'offset beyond the code segment',
      (rig) => {
        rig.define(FREE, segment({ type: CODE_READ, dpl: 0, limit: 0xfff, granular: false }));
        rig.setGate(0x80, gate80(FREE));
      },
      '13 code 0',
    ],
  ])('%s', (_what, change, expected) => {
    expect(through(change)).toBe(`${expected} eip 8000`);
  });

  it.each([
    ['null', 0, '10 code 0'],
    ['of a wrong RPL', 0x29, '10 code 28'],
    ['code', 0x08, '10 code 8'],
    ['beyond the GDT', 0x800, '10 code 800'],
    ['not present', FREE, '12 code 58'],
    ['too small', FREE + 8, '12 code 60'],
  ])('an inner stack that is %s', (_what, ss, expected) => {
    const rig = bare(3);
    rig.define(FREE, segment({ type: 3, dpl: 0, present: false }));
    rig.define(FREE + 8, segment({ type: 3, dpl: 0, limit: 0xfff, granular: false }));
    // The faults' own handlers run in ring 1, on a good stack.
    for (const vector of [10, 12])
      rig.setGate(vector, gate({ type: 14, dpl: 0, selector: codeOf(1), offset: HANDLERS + 16 * vector }));
    rig.setGate(0x80, gate({ type: 14, dpl: 3, selector: codeOf(0), offset: HANDLERS }));
    rig.write(TSS + 8, ss);
    rig.load(code('int $0x80'));
    rig.step();
    expect(`${entered(rig)} code ${rig.read(rig.get('esp')).toString(16)}`).toBe(expected);
  });
  it('an inner stack beyond the limit of the TSS is #TS(TR)', () => {
    const rig = bare(3);
    setStateWord(rig.cpu, 'tr', 0x9, 2);
    rig.define(FREE, segment({ type: CODE_CONFORMING, dpl: 0 }));
    rig.setGate(10, gate({ type: 14, dpl: 0, selector: FREE, offset: HANDLERS + 160 }));
    rig.setGate(0x80, gate({ type: 14, dpl: 3, selector: codeOf(1), offset: HANDLERS }));
    rig.load(code('int $0x80'));
    rig.step();
    expect(`${entered(rig)} ${rig.stack(2)}`).toBe('10 48 8000');
  });
});

describe('double and triple faults', () => {
  const absent = (rig: Rig, vector: number): void =>
    rig.setGate(vector, gate({ type: 14, dpl: 0, selector: codeOf(0), offset: 0, present: false }));
  const CONTRIBUTORY = [0, 10, 11, 12, 13];
  const BENIGN = [1, 3, 4, 5, 6, 7, 16];

  it('a benign event followed by a fault is that fault, with EXT', () => {
    for (const vector of BENIGN.filter((v) => v !== 3 && v !== 4)) {
      const rig = bare(0);
      absent(rig, vector);
      expect(raise(rig, vector)).toBe('11');
      expect(rig.read(rig.get('esp'))).toBe(vector * 8 + 3);
    }
  });
  it('a contributory exception followed by another is #DF(0), with the EIP of the first', () => {
    for (const vector of CONTRIBUTORY.filter((v) => v !== 11)) {
      const rig = bare(0);
      absent(rig, vector);
      expect(raise(rig, vector, vector === 0 ? -1 : 0), `vector ${vector}`).toBe('8');
      expect(rig.stack(2)).toBe('0 8000');
    }
  });
  it('a page fault followed by a contributory exception is #DF too', () => {
    const rig = bare(0);
    absent(rig, 14);
    expect(raise(rig, 14, 2)).toBe('8');
  });
  it('a fault while #DF is delivered shuts the processor down', () => {
    const rig = bare(0);
    absent(rig, 13);
    absent(rig, 8);
    expect(raise(rig, 13, 0)).toBe('triple fault');
    expect(rig.sink.isShutDown).toBe(true);
    expect(rig.cpu.eip).toBe(0x8000);
  });
  it('an empty IDT is a triple fault at the first exception', () => {
    const rig = bare(0);
    setStateWord(rig.cpu, 'idtrLimit', 0);
    expect(raise(rig, 6)).toBe('triple fault');
  });
});

describe('external interrupts', () => {
  it('wait for IF and for the interrupt shadow, and arrive in order', () => {
    const rig = bare(0);
    rig.cpu.eflags = 2;
    rig.sink.raiseInterrupt(0x20);
    rig.sink.raiseInterrupt(0x21);
    expect(rig.sink.deliverWaiting()).toBe(false);
    rig.cpu.eflags = 0x202;
    setStateWord(rig.cpu, 'interruptShadow', 1);
    expect(rig.sink.deliverWaiting()).toBe(false);
    setStateWord(rig.cpu, 'interruptShadow', 0);
    expect(rig.sink.deliverWaiting()).toBe(true);
    expect(entered(rig)).toBe('32');
    expect(rig.stack(3)).toBe('8000 8 202');
    expect(rig.sink.deliverWaiting()).toBe(false);
    rig.cpu.eflags = 0x202;
    expect(rig.sink.deliverWaiting()).toBe(true);
    expect(entered(rig)).toBe('33');
  });
  it('a fault on the way of an interrupt has EXT set and is no double fault', () => {
    const rig = bare(0);
    rig.write(IDT + 0x20 * 8 + 4, 0);
    rig.sink.raiseInterrupt(0x20);
    rig.sink.deliverWaiting();
    expect(entered(rig)).toBe('13');
    expect(rig.read(rig.get('esp'))).toBe(0x103);
  });
  it('STI holds them back for one instruction', () => {
    const rig = bare(0);
    rig.cpu.eflags = 2;
    rig.load(code('sti\n cli'));
    rig.sink.raiseInterrupt(0x20);
    rig.cpu.run(1);
    expect(rig.sink.deliverWaiting()).toBe(false);
    rig.cpu.run(1);
    expect(rig.sink.deliverWaiting()).toBe(false);
    expect(rig.cpu.eip).toBe(0x8002);
  });
  it('end a HLT, whose EIP is behind it', () => {
    const rig = bare(0);
    rig.load(code('hlt'));
    rig.cpu.run(1);
    expect(rig.sink.isHalted).toBe(true);
    rig.sink.raiseInterrupt(0x30);
    expect(rig.sink.deliverWaiting()).toBe(true);
    expect(rig.sink.isHalted).toBe(false);
    expect(rig.read(rig.get('esp'))).toBe(0x8001);
  });
});

describe('the I/O permission bitmap', () => {
  it('opens ports to rings above IOPL where all bits of the access are 0', () => {
    const rig = bare(3);
    const map = 0x68;
    rig.write(TSS + 0x64, map << 16);
    setStateWord(rig.cpu, 'tr', 0x68 + 0x20, 2);
    for (let i = 0; i < 0x24; i += 4) rig.write(TSS + map + i, 0xffffffff);
    // Ports 0x40-0x43 open.
    rig.write(TSS + map + 8, 0xfffffff0);
    rig.sink.recording = true;
    for (const [source, port, expected] of [
      ['in %dx, %al', 0x40, 'ok'],
      ['in %dx, %ax', 0x42, 'ok'],
      ['in %dx, %ax', 0x43, '#GP(0)'],
      ['in %dx, %eax', 0x40, 'ok'],
      ['in %dx, %eax', 0x41, '#GP(0)'],
      ['in %dx, %al', 0x44, '#GP(0)'],
      ['in %dx, %al', 0x3f, '#GP(0)'],
      ['in %dx, %al', 0x1000, '#GP(0)'],
    ] as const) {
      rig.set({ edx: port });
      expect(rig.one(code(source)), `${source} ${port.toString(16)}`).toBe(expected);
    }
  });
});
