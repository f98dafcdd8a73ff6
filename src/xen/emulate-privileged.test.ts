import { describe, expect, it } from 'vitest';
import { CS, EAX, EBX, ECX, EDI, EDX, ESI, SS } from '../cpu/layout.ts';
import {
  ENTRY,
  fault,
  type GuestOptions,
  type Script,
  type ScriptedGuest,
  ScriptedMachine,
  TRAP_HANDLER,
} from './testing/scripted-machine.ts';

const GP = TRAP_HANDLER + 13;
const PF = TRAP_HANDLER + 14;
const UD = TRAP_HANDLER + 6;

interface Outcome {
  /** Handlers entered. */
  handlers: number[];
  /** eip after the instruction, from its start; null when it faulted. */
  length: number | null;
}

/** The instruction raises #GP(0) (or `vector`) at ENTRY, as the processor does in ring 1 or 3. */
function* attempt(
  g: ScriptedGuest,
  bytes: string,
  vector = 13,
): Generator<ReturnType<typeof fault>, Outcome, number> {
  const code = bytes.split(' ').map((byte) => Number.parseInt(byte, 16));
  g.hv.memory.writeBytes(g.maddr(ENTRY), Uint8Array.from([...code, 0x90, 0x90, 0x90, 0x90]));
  g.machine.cpu.eip = ENTRY;
  const before = g.deliveries.length;
  const { machine } = g;
  let eip = -1;
  const leave = machine.onStep;
  machine.onStep = () => {
    if (eip < 0) eip = machine.cpu.eip;
  };
  yield fault(vector, vector === 13 ? 0 : -1);
  machine.onStep = leave;
  const handlers = g.deliveries.slice(before).map((delivery) => delivery.handler);
  return { handlers, length: handlers.length > 0 ? null : eip - ENTRY };
}

function run(script: (g: ScriptedGuest) => Script, options: GuestOptions = {}) {
  const machine = new ScriptedMachine();
  machine.guest([script], options);
  machine.run(100_000_000);
  expect(machine.ended).toEqual(['d1 poweroff']);
}
function toRing3(g: ScriptedGuest): void {
  const { cpu } = g.machine;
  cpu.cpl = 0;
  cpu.loadSegment(CS, 0xe02b);
  cpu.cpl = 3;
  cpu.loadSegment(SS, 0xe033);
}
const done = (length: number): Outcome => ({ handlers: [], length });
const refused = (handler: number): Outcome => ({ handlers: [handler], length: null });

describe.each(['3.0.2', '4.17'] as const)('privileged instructions in ring 1, %s', (personality) => {
  const old = personality === '3.0.2';

  it('CLI and STI do nothing with virtual IOPL 1, and fault without', () => {
    run(
      function* (g) {
        expect(yield* attempt(g, 'fa')).toEqual(refused(GP));
        const one = g.put(1);
        expect(yield* g.call(33, 6, one)).toBe(0);
        g.setMask(1);
        expect(yield* attempt(g, 'fa')).toEqual(done(1));
        expect(yield* attempt(g, 'fb')).toEqual(done(1));
        expect(g.hv.memory.read8(g.vcpu.vcpuInfo + 1)).toBe(1);
        expect(yield* g.call(33, 6, g.put(4))).toBe(-22);
      },
      { personality },
    );
  });

  it('HLT, LGDT, INVLPG and LMSW are never emulated', () => {
    run(
      function* (g) {
        for (const bytes of ['f4', '0f 01 10', '0f 01 38', '0f 01 f0', '0f 08']) {
          expect([bytes, yield* attempt(g, bytes)]).toEqual([bytes, refused(GP)]);
        }
      },
      { personality },
    );
  });

  it('ports: without the guest right #GP(0); without the administrator right ones are read and writes vanish', () => {
    run(
      function* (g) {
        const { cpu } = g.machine;
        expect(yield* attempt(g, 'e4 60')).toEqual(refused(GP));
        expect(yield* g.call(19, g.put(6, 1, 0, 0))).toBe(0);
        cpu.setReg(EAX, 0x1234_5678);
        expect(yield* attempt(g, 'e4 60')).toEqual(done(2));
        expect(cpu.getReg(EAX)).toBe(0x1234_56ff);
        expect(yield* attempt(g, '66 ed')).toEqual(done(2));
        expect(cpu.getReg(EAX)).toBe(0x1234_ffff);
        expect(yield* attempt(g, 'ed')).toEqual(done(1));
        expect(cpu.getReg(EAX)).toBe(0xffff_ffff);
        expect(yield* attempt(g, 'e7 61')).toEqual(done(2));
        expect(yield* attempt(g, 'ee')).toEqual(done(1));
      },
      { personality },
    );
  });

  it('ports: the guest bitmap lets ring 3 use what it names', () => {
    run(
      function* (g) {
        // Ports 0-63: only 0x10 and 0x11 are allowed. The bitmap must have room for all ports below the hole.
        const bitmap = g.put(0xfffc_ffff, 0xffff_ffff);
        expect(yield* g.call(33, 7, g.put(bitmap, 64))).toBe(0);
        toRing3(g);
        const { cpu } = g.machine;
        cpu.setReg(EDX, 0x10);
        expect(yield* attempt(g, 'ec')).toEqual(done(1));
        expect(yield* attempt(g, '66 ed')).toEqual(done(2));
        expect(yield* attempt(g, 'ed')).toEqual(refused(GP));
        toRing3(g);
        cpu.setReg(EDX, 0x12);
        expect(yield* attempt(g, 'ec')).toEqual(refused(GP));
      },
      { personality },
    );
  });

  it('REP INS goes element by element and can be tried again after a page fault', () => {
    run(
      function* (g) {
        const { cpu } = g.machine;
        yield* g.call(33, 6, g.put(1));
        const to = g.room(16);
        cpu.setReg(EDI, to);
        cpu.setReg(ECX, 2);
        expect(yield* attempt(g, 'f3 6d')).toEqual(done(0));
        expect([cpu.getReg(ECX), cpu.getReg(EDI), g.read32(to)]).toEqual([1, to + 4, 0xffff_ffff]);
        expect(yield* attempt(g, 'f3 6d')).toEqual(done(2));
        expect([cpu.getReg(ECX), cpu.getReg(EDI)]).toEqual([0, to + 8]);
        cpu.setReg(EDI, 0x5000);
        expect(yield* attempt(g, '6c')).toEqual(refused(PF));
        expect(g.deliveries.at(-1)!.stack[0]).toBe(2);
        expect(g.hv.memory.read32(g.vcpu.vcpuInfo + 8)).toBe(0x5000);
        cpu.setReg(ESI, to);
        expect(yield* attempt(g, '6e')).toEqual(done(1));
        expect(cpu.getReg(ESI)).toBe(to + 1);
      },
      { personality },
    );
  });

  it('MOV CR0 may change TS only; CLTS clears it', () => {
    run(
      function* (g) {
        const { cpu } = g.machine;
        yield* g.call(5, 1);
        expect(yield* attempt(g, '0f 20 c3')).toEqual(done(3));
        expect(cpu.getReg(EBX)).toBe(0x8001_003b);
        expect(yield* attempt(g, '0f 06')).toEqual(done(2));
        expect(g.vcpu.virtualTs).toBe(false);
        expect(yield* attempt(g, '0f 22 c3')).toEqual(done(3));
        expect(g.vcpu.virtualTs).toBe(true);
        cpu.setReg(EBX, 0x33);
        expect(yield* attempt(g, '0f 22 c3')).toEqual(refused(GP));
      },
      { personality },
    );
  });

  it('MOV CR2 is virtual, CR3 names the root, CR4 answers its generation', () => {
    run(
      function* (g) {
        const { cpu } = g.machine;
        cpu.setReg(EBX, 0x1234);
        expect(yield* attempt(g, '0f 22 d3')).toEqual(done(3));
        expect(g.hv.memory.read32(g.vcpu.vcpuInfo + 8)).toBe(0x1234);
        expect(yield* attempt(g, '0f 20 d9')).toEqual(done(3));
        expect(cpu.getReg(ECX)).toBe(g.vcpu.rootMfn * 4096);
        expect(yield* attempt(g, '0f 22 d9')).toEqual(done(3));
        expect(yield* attempt(g, '0f 20 e3')).toEqual(done(3));
        expect(yield* attempt(g, '0f 22 e3')).toEqual(done(3));
        cpu.setReg(EBX, cpu.getReg(EBX) | 0x80);
        expect(yield* attempt(g, '0f 22 e3')).toEqual(old ? refused(GP) : done(3));
      },
      { personality },
    );
  });

  it('MOV DR follows set_debugreg', () => {
    run(
      function* (g) {
        const { cpu } = g.machine;
        cpu.setReg(EBX, 0xf600_0000);
        expect(yield* attempt(g, '0f 23 c3')).toEqual(refused(GP));
        cpu.setReg(EBX, 0xc000_0000);
        expect(yield* attempt(g, '0f 23 c3')).toEqual(done(3));
        expect(yield* attempt(g, '0f 21 c1')).toEqual(done(3));
        expect(cpu.getReg(ECX)).toBe(0xc000_0000);
        expect(cpu.getDr(0)).toBe(0xc000_0000);
      },
      { personality },
    );
  });

  it('RDMSR knows a few registers; WRMSR is ignored in 3.0.2, checked in 4.17', () => {
    run(
      function* (g) {
        const { cpu } = g.machine;
        cpu.setReg(ECX, 0xc000_0080);
        expect(yield* attempt(g, '0f 32')).toEqual(done(2));
        expect(cpu.getReg(EAX)).toBe(0x800);
        expect(yield* attempt(g, '0f 30')).toEqual(done(2));
        cpu.setReg(EAX, 0);
        expect(yield* attempt(g, '0f 30')).toEqual(old ? done(2) : refused(GP));
        cpu.setReg(ECX, 0x9999);
        expect(yield* attempt(g, '0f 32')).toEqual(refused(GP));
        expect(yield* attempt(g, '0f 30')).toEqual(old ? done(2) : refused(GP));
        g.vcpu.trapAddress[13] = 0;
        if (!old) expect(yield* attempt(g, '0f 32')).toEqual(done(2));
      },
      { personality },
    );
  });

  it('4.17 shows the PAT that it runs with, to who has no #GP handler too', () => {
    run(
      function* (g) {
        const { cpu } = g.machine;
        cpu.setReg(ECX, 0x277);
        for (const handler of old ? [g.vcpu.trapAddress[13]!] : [g.vcpu.trapAddress[13]!, 0]) {
          g.vcpu.trapAddress[13] = handler;
          expect(yield* attempt(g, '0f 32')).toEqual(old ? refused(GP) : done(2));
        }
        if (!old) expect([cpu.getReg(EDX), cpu.getReg(EAX)]).toEqual([0x0501, 0x0007_0406]);
      },
      { personality },
    );
  });

  it('ring 3 gets #GP for all of them', () => {
    run(
      function* (g) {
        yield* g.call(33, 6, g.put(2));
        for (const bytes of ['fa', '0f 06', '0f 20 c3', '0f 32', 'e4 60']) {
          toRing3(g);
          expect([bytes, yield* attempt(g, bytes)]).toEqual([bytes, refused(GP)]);
        }
      },
      { personality },
    );
  });

  it('forced CPUID works in every ring and hides what the generation hides; UD2 alone is #UD', () => {
    run(
      function* (g) {
        const { cpu } = g.machine;
        cpu.setReg(EAX, 1);
        expect(yield* attempt(g, '0f 0b 78 65 6e 0f a2', 6)).toEqual(done(7));
        expect(cpu.getReg(EDX) & (1 << 6)).not.toBe(0);
        expect(cpu.getReg(EDX) & ((1 << 3) | (1 << 11) | (1 << 13))).toBe(0);
        expect(cpu.getReg(ECX) >>> 31).toBe(old ? 0 : 1);
        toRing3(g);
        cpu.setReg(EAX, 0x4000_0000);
        expect(yield* attempt(g, '0f 0b 78 65 6e 0f a2', 6)).toEqual(done(7));
        expect(cpu.getReg(EBX) === 0x566e_6558).toBe(!old);
        expect(yield* attempt(g, '0f 0b 90', 6)).toEqual(refused(UD));
      },
      { personality },
    );
  });
});
