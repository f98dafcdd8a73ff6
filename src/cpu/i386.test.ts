import { describe, expect, it } from 'vitest';
import { TF } from './flags.ts';
import { EAX, EBX, ECX, EDI, ESI } from './layout.ts';
import { CODE, DATA, Guest } from './testing/guest.ts';

const MIX = `
  mov $20, %ecx
  mov $0x20000, %edi
  again: mov %ecx, (%edi)
  add $4, %edi
  push %edi
  pop %eax
  call f
  dec %ecx
  jnz again
  mov $0x20000, %esi
  mov $0x20400, %edi
  mov $50, %ecx
  rep movsb
  mov $30, %ecx
  rep stosl
  imul $3, %eax, %ebx
  sbb %eax, (%edi)
  hlt
  f: xor %ecx, %eax
  ret
`;

describe('exact counts', () => {
  it('run(n) ends after n instructions, wherever that is', () => {
    const whole = new Guest(MIX);
    expect(whole.run()).toBe('hlt');
    const total = whole.cpu.instructions;
    expect(total).toBe(2 + 20 * 9 + 3 + 50 + 1 + 30 + 2 + 1);
    const stepped = new Guest(MIX);
    const inChunks = new Guest(MIX);
    for (let n = 1; n < total; n++) {
      expect(stepped.cpu.run(1)).toBe(1);
      expect(stepped.cpu.instructions).toBe(n);
      if (n % 7 === 0) {
        inChunks.cpu.run(7);
        for (let r = 0; r < 8; r++) expect(inChunks.cpu.getReg(r)).toBe(stepped.cpu.getReg(r));
        expect(inChunks.cpu.eip).toBe(stepped.cpu.eip);
        expect(inChunks.cpu.eflags).toBe(stepped.cpu.eflags);
      }
    }
    stepped.cpu.run(1);
    expect(stepped.log).toEqual(['hlt']);
    expect(stepped.memory.bytes(DATA, 0x800)).toEqual(whole.memory.bytes(DATA, 0x800));
  });

  it('a REP instruction can end a slice between iterations, with eip at it', () => {
    const g = new Guest('mov $100, %ecx\n mov $0x20000, %edi\n rep stosb\n hlt\n');
    g.cpu.run(12);
    expect(g.cpu.getReg(ECX)).toBe(90);
    expect(g.cpu.getReg(EDI)).toBe(DATA + 10);
    expect(g.cpu.eip).toBe(CODE + 10);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.instructions).toBe(2 + 100 + 1);
  });

  it('REP with a count of 0 is one instruction and touches nothing', () => {
    const g = new Guest('xor %ecx, %ecx\n mov $0xdead0000, %edi\n rep stosb\n hlt\n').pagePaging();
    expect(g.run()).toBe('hlt');
    expect(g.cpu.instructions).toBe(4);
  });

  it('a fault in the middle of REP keeps what is done', () => {
    const g = new Guest('mov $8, %ecx\n mov $0x20ff0, %edi\n mov $-1, %eax\n rep stosl\n hlt\n').pagePaging();
    g.memory.write32(g.pte(0x21000), 0);
    expect(g.run()).toBe('#14(2)');
    expect([g.cpu.getReg(ECX), g.cpu.getReg(EDI), g.cpu.cr2]).toEqual([4, 0x21000, 0x21000]);
    expect(g.cpu.instructions).toBe(3 + 4);
    g.memory.write32(g.pte(0x21000), 0x21007);
    expect(g.run()).toBe('hlt');
    expect(g.memory.read32(0x2100c)).toBe(0xffffffff);
  });

  it('counts virtual time in cycles: instructions and charges', () => {
    const g = new Guest('again: jmp again\n');
    expect(g.cpu.run(1000)).toBe(1000);
    expect(g.cpu.now()).toBe(1000);
    g.cpu.charge(50);
    expect(g.cpu.now()).toBe(1050);
    g.cpu.advanceTo(5000);
    expect(g.cpu.now()).toBe(5000);
    expect(g.cpu.run(250_000)).toBe(250_000);
    expect(g.cpu.now()).toBe(255_000);
    expect(g.cpu.instructions).toBe(251_000);
  });

  it('a charge by the sink shortens the slice', () => {
    const g = new Guest('1: int $0x80\n jmp 1b\n');
    g.cpu.sink.softwareInterrupt = (_vector, length) => {
      g.cpu.eip += length;
      g.cpu.retire();
      g.cpu.charge(98);
    };
    expect(g.cpu.run(1000)).toBe(1000);
    expect(g.cpu.instructions).toBe(20);
  });
});

describe('strings', () => {
  it('a forward copy over itself repeats the bytes between', () => {
    const g = new Guest('mov $0x20000, %esi\n mov $0x20003, %edi\n mov $30, %ecx\n rep movsb\n hlt\n');
    g.memory.writeBytes(DATA, Uint8Array.of(1, 2, 3));
    expect(g.run()).toBe('hlt');
    expect([...g.memory.bytes(DATA, 9)]).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3]);
  });

  it('go down when DF is set', () => {
    const g = new Guest(
      'std\n mov $0x20010, %esi\n mov $0x20020, %edi\n mov $4, %ecx\n rep movsl\n cld\n hlt\n',
    );
    for (let i = 0; i < 4; i++) g.memory.write32(DATA + 4 + 4 * i, i + 1);
    expect(g.run()).toBe('hlt');
    expect([0, 1, 2, 3].map((i) => g.memory.read32(DATA + 0x14 + 4 * i))).toEqual([1, 2, 3, 4]);
    expect(g.cpu.getReg(ESI)).toBe(DATA);
  });

  it('copy whole pages with the same result as byte by byte', () => {
    const g = new Guest(
      'mov $0x20003, %esi\n mov $0x22001, %edi\n mov $5000, %ecx\n rep movsb\n hlt\n',
    ).pagePaging();
    for (let i = 0; i < 5100; i++) g.memory.write8(DATA + i, (i * 7) & 255);
    expect(g.run()).toBe('hlt');
    expect(g.memory.bytes(0x22001, 5000)).toEqual(g.memory.bytes(DATA + 3, 5000));
    expect(g.cpu.instructions).toBe(5004);
  });

  it('REPE and REPNE stop at the right element', () => {
    const g = new Guest('mov $0x20000, %edi\n mov $10, %ecx\n mov $5, %al\n repne scasb\n hlt\n');
    g.memory.writeBytes(DATA, Uint8Array.of(1, 2, 3, 5, 9));
    expect(g.run()).toBe('hlt');
    expect([g.cpu.getReg(EDI), g.cpu.getReg(ECX)]).toEqual([DATA + 4, 6]);
    expect(g.cpu.instructions).toBe(3 + 4 + 1);
  });
});

describe('debugging', () => {
  it('TF traps after each instruction, with eip behind it', () => {
    const g = new Guest('nop\n mov $1, %eax\n hlt\n');
    g.cpu.eflags |= TF;
    expect(g.run()).toBe('#1');
    expect([g.cpu.eip, g.cpu.instructions]).toEqual([CODE + 1, 1]);
    expect(g.cpu.getDr(6) & 0x4000).toBe(0x4000);
    expect(g.run()).toBe('#1');
    expect(g.cpu.eip).toBe(CODE + 6);
  });

  it('TF that POPF sets traps after the instruction behind it', () => {
    const g = new Guest('pushf\n orl $0x100, (%esp)\n popf\n nop\n nop\n hlt\n');
    expect(g.run()).toBe('#1');
    expect(g.cpu.eip).toBe(g.snippet.origin + g.snippet.bytes.length - 2);
  });

  it('instruction breakpoints fault before, RF lets one instruction by', () => {
    const g = new Guest('nop\n nop\n nop\n hlt\n');
    g.cpu.setDr(0, CODE + 1);
    g.cpu.setDr(7, 1);
    expect(g.run()).toBe('#1');
    expect([g.cpu.eip, g.cpu.getDr(6) & 15]).toEqual([CODE + 1, 1]);
    g.cpu.eflags |= 0x10000;
    expect(g.run()).toBe('hlt');
    expect(g.cpu.eflags & 0x10000).toBe(0);
  });

  it('data breakpoints trap after the access', () => {
    const g = new Guest('mov 0x20000, %eax\n movb $1, 0x20002\n nop\n hlt\n');
    g.cpu.setDr(1, DATA);
    g.cpu.setDr(7, (1 << 2) | (0b1101 << 20));
    expect(g.run()).toBe('#1');
    expect(g.cpu.getDr(6) & 15).toBe(2);
    expect(g.cpu.eip).toBe(CODE + 12);
  });
});

describe('vcpu switching', () => {
  it('saves and loads the architectural state, flags materialised', () => {
    const g = new Guest('mov $1, %eax\n sub $2, %eax\n mov %eax, %ebx\n hlt\n');
    g.cpu.run(2);
    const state = new Uint8Array(1024);
    g.cpu.saveState(state);
    const flags = g.cpu.eflags;
    expect(flags & 0x8d5).toBe(0x95);
    g.cpu.eflags = 2;
    g.cpu.setReg(EAX, 0);
    g.cpu.eip = 0;
    const now = g.cpu.now();
    g.cpu.loadState(state);
    expect([g.cpu.eflags, g.cpu.getReg(EAX), g.cpu.now()]).toEqual([flags, 0xffffffff, now]);
    const again = new Uint8Array(1024);
    g.cpu.saveState(again);
    expect(again).toEqual(state);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EBX)).toBe(0xffffffff);
  });
});
