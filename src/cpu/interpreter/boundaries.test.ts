import { describe, expect, it } from 'vitest';
import { CS, DS, EAX, EBP, EBX, ECX, EDI, EDX, ES, ESI, ESP, SS } from '../layout.ts';
import { CODE, DATA, Guest, P, RW, STACK, US } from '../testing/guest.ts';

describe('instructions and data at page ends', () => {
  const STRADDLER = 'mov $0x12345678, %eax\n hlt\n';

  it('executes an instruction that begins in one page and ends in another frame', () => {
    const g = new Guest(STRADDLER, 0x10ffd).pagePaging();
    g.memory.writeBytes(0x25000, g.memory.bytes(0x11000, 8).slice());
    g.memory.write32(g.pte(0x11000), 0x25000 | P | RW | US);
    g.memory.zeroFrame(0x11);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(0x12345678);
    // The second part changes.
    g.memory.write8(0x25000, 0x99);
    g.cpu.eip = 0x10ffd;
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(0x12995678);
    // Another frame comes behind the first.
    g.memory.writeBytes(0x26000, Uint8Array.of(0x77, 0x66, 0xf4));
    g.memory.write32(g.pte(0x11000), 0x26000 | P | RW | US);
    g.cpu.eip = 0x10ffd;
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(0x66775678);
  });

  it('faults with the address of the second page and eip at the instruction', () => {
    const g = new Guest(STRADDLER, 0x10ffd).pagePaging();
    g.memory.write32(g.pte(0x11000), 0);
    expect(g.run()).toBe('#14(0)');
    expect(g.cpu.cr2).toBe(0x11000);
    expect(g.cpu.eip).toBe(0x10ffd);
  });

  it('does not touch the next page when the instruction ends with the page', () => {
    const g = new Guest('nop\n hlt\n', 0x10ffe).pagePaging();
    g.memory.write32(g.pte(0x11000), 0);
    expect(g.run()).toBe('hlt');
  });

  it('reads and writes values across pages, all or nothing', () => {
    const g = new Guest(`
      movl $0x11223344, 0x20ffe
      mov 0x20ffe, %eax
      addl $1, 0x20ffd
      hlt
    `).pagePaging();
    g.memory.write32(g.pte(0x21000), 0x28000 | P | RW | US);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(0x11223344);
    expect(g.memory.read16(0x28000)).toBe(0x1122);
    expect(g.memory.read8(0x20ffd)).toBe(1);
    g.memory.write32(g.pte(0x21000), 0x28000 | P);
    g.cpu.eip = CODE;
    g.memory.write16(0x20ffe, 0);
    expect(g.run()).toBe('#14(3)');
    expect(g.cpu.cr2).toBe(0x21000);
    expect(g.memory.read16(0x20ffe)).toBe(0);
  });
});

describe('faults are precise', () => {
  it('a read-modify-write of a read-only page changes neither memory nor flags', () => {
    const g = new Guest('addl $1, 0x20000\n hlt\n').pagePaging();
    g.memory.write32(DATA, 0xffffffff);
    g.memory.write32(g.pte(DATA), DATA | P);
    const flags = g.cpu.eflags;
    expect(g.run()).toBe('#14(3)');
    expect(g.memory.read32(DATA)).toBe(0xffffffff);
    expect(g.cpu.eflags).toBe(flags);
  });

  it.each([
    ['push %eax', ESP],
    ['call *%ebx', ESP],
    ['pushl 0x20000', ESP],
    ['popl 0x20000', ESP],
  ])('%s leaves esp alone', (instruction, register) => {
    const g = new Guest(`${instruction}\n hlt\n`).pagePaging();
    const target = instruction.startsWith('pop') ? DATA : STACK - 4;
    g.memory.write32(g.pte(target), target & ~0xfff);
    expect(g.run()).toMatch(/^#14/);
    expect(g.cpu.getReg(register)).toBe(STACK);
    expect(g.cpu.eip).toBe(CODE);
  });

  it('division: #DE, nothing changed', () => {
    const g = new Guest('mov $5, %eax\n xor %edx, %edx\n xor %ecx, %ecx\n div %ecx\n hlt\n');
    expect(g.run()).toBe('#0');
    expect([g.cpu.getReg(EAX), g.cpu.instructions]).toEqual([5, 3]);
    const h = new Guest('mov $0x80000000, %eax\n cdq\n mov $-1, %ecx\n idiv %ecx\n hlt\n');
    expect(h.run()).toBe('#0');
    const m = new Guest('xor %eax, %eax\n mov $0x80000000, %edx\n mov $-1, %ecx\n idiv %ecx\n hlt\n');
    expect(m.run()).toBe('#0');
  });

  it('undefined opcodes, LOCK where it is not allowed, 16 bytes', () => {
    expect(new Guest('ud2\n').run()).toBe('#6');
    expect(new Guest('.byte 0x0f, 0xff, 0xc0\n').run()).toBe('#6');
    expect(new Guest('.byte 0xf0; add %eax, %ebx\n').run()).toBe('#6');
    expect(new Guest('.byte 0xf0; cmp %eax, 0x20000\n').run()).toBe('#6');
    expect(new Guest('lock addl $1, 0x20000\n hlt\n').run()).toBe('hlt');
    expect(new Guest('.fill 15, 1, 0x66\n nop\n').run()).toBe('#13(0)');
    expect(new Guest('.fill 14, 1, 0x66\n nop\n hlt\n').run()).toBe('hlt');
  });
});

describe('segments', () => {
  it('#GP beyond the limit, exactly', () => {
    const g = new Guest('mov 0x200, %eax\n mov 0x1fd, %eax\n hlt\n');
    g.segment(DS, { limit: 0x203 });
    g.cpu.eip = CODE;
    expect(g.run()).toBe('hlt');
    g.segment(DS, { limit: 0x202 });
    g.cpu.eip = CODE;
    expect(g.run()).toBe('#13(0)');
    expect(g.cpu.eip).toBe(CODE);
  });

  it('bases, overrides and the default segment of EBP', () => {
    const g = new Guest('mov 4, %eax\n mov %es:4, %ebx\n mov 4(%ebp), %ecx\n hlt\n');
    g.segment(DS, { base: 0x20000 });
    g.segment(ES, { base: 0x21000 });
    g.segment(SS, { base: 0x22000 });
    g.memory.write32(0x20004, 1);
    g.memory.write32(0x21004, 2);
    g.memory.write32(0x22004, 3);
    expect(g.run()).toBe('hlt');
    expect([EAX, EBX, ECX].map((r) => g.cpu.getReg(r))).toEqual([1, 2, 3]);
  });

  it('#SS for the stack, by push and by EBP', () => {
    const g = new Guest('push %eax\n hlt\n');
    g.segment(SS, { limit: 0xfff });
    g.cpu.setReg(ESP, 0x2000);
    expect(g.run()).toBe('#12(0)');
    const h = new Guest('mov (%ebp), %eax\n hlt\n');
    h.segment(SS, { limit: 0xfff });
    h.cpu.setReg(EBP, 0x2000);
    expect(h.run()).toBe('#12(0)');
  });

  it('expand-down segments are valid above their limit', () => {
    const g = new Guest('mov 0x1000, %eax\n mov 0xfff, %eax\n hlt\n');
    g.segment(DS, { limit: 0xfff, type: 7 });
    expect(g.run()).toBe('#13(0)');
    expect(g.cpu.instructions).toBe(1);
  });

  it('null and read-only segments refuse', () => {
    const g = new Guest('mov %gs:0, %eax\n hlt\n');
    g.cpu.setSegmentHidden(5, 0, 0, 0);
    expect(g.run()).toBe('#13(0)');
    const h = new Guest('mov 0, %eax\n mov %eax, 0\n hlt\n');
    h.segment(DS, { type: 1 });
    expect(h.run()).toBe('#13(0)');
    expect(h.cpu.instructions).toBe(1);
  });

  it('the limit of CS holds inside a page, for fetches and jumps', () => {
    const g = new Guest('nop\n nop\n nop\n hlt\n');
    g.segment(CS, { code: true, limit: CODE + 1 });
    expect(g.run()).toBe('#13(0)');
    expect([g.cpu.instructions, g.cpu.eip]).toEqual([2, CODE + 2]);
    const h = new Guest('jmp 1f\n .skip 20\n 1: hlt\n');
    h.segment(CS, { code: true, limit: CODE + 10 });
    expect(h.run()).toBe('#13(0)');
    expect(h.cpu.eip).toBe(CODE);
  });

  it('flat segments that end below 4 GiB fault beyond their limit', () => {
    const g = new Guest('mov 0xfc400000, %eax\n hlt\n').pagePaging();
    for (let s = 0; s < 6; s++) g.segment(s, { code: s === CS, limit: 0xfc3fffff });
    expect(g.run()).toBe('#13(0)');
    const h = new Guest('mov (%ebp), %eax\n hlt\n').pagePaging();
    for (let s = 0; s < 6; s++) h.segment(s, { code: s === CS, limit: 0xfc3fffff });
    h.cpu.setReg(EBP, 0xfc400000);
    expect(h.run()).toBe('#12(0)');
  });
});

describe('16-bit code', () => {
  const guest = (source: string): Guest => {
    const g = new Guest(`.code16\n${source}`);
    g.segment(CS, { code: true, big: false, base: CODE, limit: 0xffff });
    g.segment(SS, { big: false, base: 0x20000, limit: 0xffff });
    for (const s of [DS, ES]) g.segment(s, { base: DATA, limit: 0xffff });
    g.cpu.eip = 0;
    return g;
  };

  it('wraps addresses, keeps upper halves, counts CX', () => {
    const g = guest(`
      mov $0xffff, %bx
      mov $0x1234, %ax
      mov %ax, 0x11(%bx)
      mov 0x10, %dx
      mov $3, %cx
      1: incw %si
      loop 1b
      hlt
    `);
    g.cpu.setReg(EDX, 0xabcd0000);
    g.cpu.setReg(ECX, 0x10000);
    g.cpu.setReg(EBX, 0);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EDX)).toBe(0xabcd1234);
    expect(g.cpu.getReg(ECX)).toBe(0x10000);
    expect(g.cpu.getReg(ESI)).toBe(3);
  });

  it('calls and returns on a 16-bit stack that wraps', () => {
    const g = guest(`
      xor %sp, %sp
      call f
      hlt
      f: push %ax
      pop %bx
      ret
    `);
    g.cpu.setReg(EAX, 0x5555);
    g.cpu.setReg(ESP, 0x7fff1234);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(ESP)).toBe(0x7fff0000);
    expect(g.cpu.getReg(EBX) & 0xffff).toBe(0x5555);
    expect(g.memory.read16(0x2fffe)).toBe(g.label('f') - CODE - 1);
  });

  it('takes 32-bit operands and addresses by prefix', () => {
    const g = guest('mov $0x12345678, %eax\n movl %eax, (%edi)\n hlt\n');
    g.cpu.setReg(EDI, 0x100);
    expect(g.run()).toBe('hlt');
    expect(g.memory.read32(DATA + 0x100)).toBe(0x12345678);
  });

  it('moves strings with 16-bit registers', () => {
    const g = guest('mov $4, %cx\n mov $0x10, %si\n mov $0x20, %di\n cld\n rep movsb\n hlt\n');
    g.cpu.setReg(ESI, 0x90000);
    g.memory.write32(DATA + 0x10, 0x44332211);
    expect(g.run()).toBe('hlt');
    expect(g.memory.read32(DATA + 0x20)).toBe(0x44332211);
    expect(g.cpu.getReg(ESI)).toBe(0x90014);
  });
});
