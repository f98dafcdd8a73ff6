import { describe, expect, it } from 'vitest';
import { CS, EBX, GS, SS } from '../cpu/layout.ts';
import { BASE } from './testing/flat-domain.ts';
import {
  ENTRY,
  fault,
  type Script,
  type ScriptedGuest,
  ScriptedMachine,
  TRAP_HANDLER,
} from './testing/scripted-machine.ts';

// Thread data of a user program: base b7f00000, 4 GiB long, reached at negative offsets. 3.0.2 truncates the segment
// at the hypervisor's part (memory.md 6, 8), so that those offsets fault.
const GDT_PAGE = BASE + 12 * 4096;
const TLS_SELECTOR = 0x0b;
const TLS_LOW = 0x0000_ffff;
const TLS_HIGH = 0xb7cf_f2f0;

/** Installs the descriptor, enters ring 3 with it in GS, and faults on `bytes` as the processor would. */
function* access(g: ScriptedGuest, bytes: number[]): Script {
  const gdt = g.frames[12]!;
  g.write32(GDT_PAGE + 8, TLS_LOW);
  g.write32(GDT_PAGE + 12, TLS_HIGH);
  expect(yield* g.call(14, GDT_PAGE, (gdt << 12) | 0x61, 0, 2)).toBe(0);
  expect(yield* g.call(2, g.put(gdt), 512)).toBe(0);
  const { cpu } = g.machine;
  cpu.cpl = 0;
  cpu.loadSegment(CS, 0xe02b);
  cpu.cpl = 3;
  cpu.loadSegment(SS, 0xe033);
  expect(cpu.loadSegment(GS, TLS_SELECTOR)).toBe(0);
  g.log.push(`limit ${cpu.getSegmentLimit(GS).toString(16)}`);
  g.hv.memory.writeBytes(g.maddr(ENTRY), Uint8Array.from(bytes));
  cpu.setReg(EBX, 0);
  yield fault(13, 0);
  const high = g.read32(GDT_PAGE + 12);
  g.log.push(`${high & 0x400 ? 'down' : 'up'} limit ${cpu.getSegmentLimit(GS).toString(16)}`);
}
function run(bytes: number[], assists: number, personality: '3.0.2' | '4.17' = '3.0.2'): ScriptedGuest {
  const machine = new ScriptedMachine();
  const guest = machine.guest([(g) => access(g, bytes)], { personality });
  guest.domain.vmAssist = assists;
  machine.run(10_000_000);
  expect(guest.domain.end?.reason).toBe('poweroff');
  return guest;
}
/** mov %gs:-4(%ebx), %eax */
const NEGATIVE = [0x65, 0x8b, 0x43, 0xfc, 0x90, 0x90];

describe('the 4gb_segments assist of 3.0.2', () => {
  it('flips a truncated segment to expand-down when a negative offset of GS faults', () => {
    const guest = run(NEGATIVE, 1);
    // The segment ends at f6800000; flipped it reaches from -b7f00000 up.
    expect(guest.log).toEqual(['limit 3e8fffff', 'down limit 480fffff']);
    expect(guest.deliveries).toEqual([]);
  });
  it('tells the guest by trap 15, with the length of what it parsed, if it asked', () => {
    const guest = run(NEGATIVE, 3);
    expect(guest.deliveries.map((d) => [d.handler, d.stack[0], d.stack[1]])).toEqual([
      [TRAP_HANDLER + 15, 4, ENTRY],
    ]);
  });
  it.each([
    ['without the assist', NEGATIVE, 0, '3.0.2'],
    ['in 4.17', NEGATIVE, 1, '4.17'],
    ['without a GS prefix', [0x8b, 0x43, 0xfc, 0x90], 1, '3.0.2'],
    ['with a SIB byte', [0x65, 0x8b, 0x44, 0x23, 0xfc, 0x90], 1, '3.0.2'],
    ['for an offset that the segment holds', [0x65, 0xa1, 4, 0, 0, 0, 0x90], 1, '3.0.2'],
  ] as const)('leaves the fault to the guest %s', (_, bytes, assists, personality) => {
    const guest = run([...bytes], assists, personality);
    expect(guest.deliveries.map((d) => d.handler)).toEqual([TRAP_HANDLER + 13]);
    expect(guest.log[1]).toMatch(/^up/);
  });
});
