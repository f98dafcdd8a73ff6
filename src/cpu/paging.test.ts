import { describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_USER, ACCESS_WRITE } from './cpu.ts';
import { EAX, EBX, ECX } from './layout.ts';
import { ACCESSED, DATA, DIRECTORY, DIRTY, Guest, P, RW, US } from './testing/guest.ts';

const TOUCH = 'mov 0x20000, %eax\n hlt\n';
const STORE = 'movl $7, 0x20000\n hlt\n';

describe('the page walk', () => {
  it('sets A on reads, A and D on writes, at both levels', () => {
    const read = new Guest(TOUCH).pagePaging();
    expect(read.run()).toBe('hlt');
    expect(read.memory.read32(read.pte(DATA)) & (ACCESSED | DIRTY)).toBe(ACCESSED);
    expect(read.memory.read32(DIRECTORY) & (ACCESSED | DIRTY)).toBe(ACCESSED);
    const write = new Guest(STORE).pagePaging();
    expect(write.run()).toBe('hlt');
    expect(write.memory.read32(write.pte(DATA)) & (ACCESSED | DIRTY)).toBe(ACCESSED | DIRTY);
  });

  it('sets D at the first write after a read has filled the TLB', () => {
    const g = new Guest('mov 0x20000, %eax\n movl $7, 0x20000\n hlt\n').pagePaging();
    expect(g.run()).toBe('hlt');
    expect(g.memory.read32(g.pte(DATA)) & DIRTY).toBe(DIRTY);
  });

  it.each([
    ['not present, supervisor read', TOUCH, false, 0, '#14(0)'],
    ['not present, supervisor write', STORE, false, RW, '#14(2)'],
    ['not present, user write', STORE, true, US, '#14(6)'],
    ['supervisor page, user read', TOUCH, true, P | RW, '#14(5)'],
    ['read-only page, user write', STORE, true, P | US, '#14(7)'],
    ['read-only page, supervisor write, WP=1', STORE, false, P, '#14(3)'],
  ])('tells the error code: %s', (_, source, user, bits, expected) => {
    const g = new Guest(source).pagePaging();
    if (user) g.enterUser();
    g.memory.write32(g.pte(DATA), DATA | bits);
    expect(g.run()).toBe(expected);
    expect(g.cpu.cr2).toBe(DATA);
    expect(g.cpu.eip).toBe(g.snippet.origin);
    expect(g.cpu.instructions).toBe(0);
  });

  it('lets supervisors write read-only pages when WP is 0', () => {
    const g = new Guest(STORE).pagePaging();
    g.cpu.cr0 = (g.cpu.cr0 & ~0x10000) >>> 0;
    g.memory.write32(g.pte(DATA), DATA | P);
    expect(g.run()).toBe('hlt');
    expect(g.memory.read32(DATA)).toBe(7);
    g.cpu.cr0 = (g.cpu.cr0 | 0x10000) >>> 0;
    g.cpu.eip = g.snippet.origin;
    expect(g.run()).toBe('#14(3)');
  });

  it('walks three levels in PAE mode and refuses reserved bits', () => {
    const g = new Guest(TOUCH).paePaging();
    g.memory.write32(0x25000, 1234);
    g.memory.write32(g.pte(DATA), 0x25000 | P | RW);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(1234);
    g.memory.write32(g.pte(DATA) + 4, 0x100);
    g.cpu.eip = g.snippet.origin;
    expect(g.run()).toBe('#14(9)');
  });

  it('refuses to execute NX pages, and takes the bit as reserved without NXE', () => {
    const jump = 'jmp 0x20000\n';
    const g = new Guest(jump).paePaging();
    g.memory.write8(DATA, 0xf4);
    g.memory.write32(g.pte(DATA) + 4, 0x80000000);
    expect(g.run()).toBe('#14(17)');
    expect(g.cpu.eip).toBe(DATA);
    expect(g.cpu.cr2).toBe(DATA);
    const plain = new Guest(jump).paePaging(false);
    plain.memory.write32(plain.pte(DATA) + 4, 0x80000000);
    expect(plain.run()).toBe('#14(9)');
  });

  it('reads all ones beyond RAM and loses writes there', () => {
    const g = new Guest('movl $7, 0x20000\n mov 0x20000, %eax\n hlt\n').pagePaging();
    g.memory.write32(g.pte(DATA), 0x40000000 | P | RW);
    expect(g.run()).toBe('hlt');
    expect(g.cpu.getReg(EAX)).toBe(0xffffffff);
  });
});

describe('the TLB is never seen', () => {
  it('a store into a page table acts on the next access', () => {
    const g = new Guest(`
      mov 0x20000, %eax
      movl $0x22007, 0x2080        # the entry of 0x20000
      mov 0x20000, %ebx
      movl $0, 0x2080
      mov 0x20000, %ecx
      hlt
    `).pagePaging();
    g.memory.write32(0x20000, 1);
    g.memory.write32(0x22000, 2);
    expect(g.run()).toBe('#14(0)');
    expect([g.cpu.getReg(EAX), g.cpu.getReg(EBX)]).toEqual([1, 2]);
    expect(g.cpu.getReg(ECX)).toBe(0);
  });

  it('so do a store into the directory and a physical write from outside', () => {
    const g = new Guest('mov 0x20000, %eax\n movl $0, 0x1000\n mov 0x20000, %ebx\n hlt\n').pagePaging();
    expect(g.run()).toBe('#14(0)');
    const h = new Guest(`${TOUCH}${TOUCH}`).pagePaging();
    expect(h.run()).toBe('hlt');
    h.memory.write32(h.pte(DATA), 0);
    expect(h.run()).toBe('#14(0)');
  });

  it('a page that becomes a table after it was written is watched from then on', () => {
    // 0x23000 is filled as data, then used as a table, then changed by a store.
    const g = new Guest(`
      movl $0x20007, 0x23000
      movl $0x23007, 0x1004        # 4 MiB and up by that table
      mov 0x400000, %eax
      movl $0x21007, 0x23000
      mov 0x400000, %ebx
      hlt
    `).pagePaging();
    g.memory.write32(0x20000, 11);
    g.memory.write32(0x21000, 22);
    expect(g.run()).toBe('hlt');
    expect([g.cpu.getReg(EAX), g.cpu.getReg(EBX)]).toEqual([11, 22]);
  });

  it('user and supervisor, read and write are told apart after each has filled it', () => {
    const g = new Guest(TOUCH).pagePaging();
    g.memory.write32(g.pte(DATA), DATA | P);
    expect(g.run()).toBe('hlt');
    g.enterUser();
    g.cpu.eip = g.snippet.origin;
    expect(g.run()).toBe('#14(5)');
  });

  it('translate and peekTranslate agree with the walk', () => {
    const g = new Guest(TOUCH).pagePaging();
    g.memory.write32(g.pte(DATA), 0x25000 | P | RW);
    expect(g.cpu.peekTranslate(DATA + 5)).toBe(0x25005);
    expect(g.memory.read32(g.pte(DATA)) & ACCESSED).toBe(0);
    expect(g.cpu.translate(DATA + 5, ACCESS_WRITE)).toBe(0x25005);
    expect(g.memory.read32(g.pte(DATA)) & DIRTY).toBe(DIRTY);
    expect(g.cpu.translate(DATA, ACCESS_USER | ACCESS_FETCH)).toBe(-1);
    expect(g.cpu.translateFault).toEqual({ code: 5, linear: DATA });
    expect(g.cpu.peekTranslate(0x400000)).toBe(-1);
  });
});
