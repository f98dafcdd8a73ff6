/**
 * The failsafe callback on the real processor: a selector of the state to return to cannot be loaded. By a table that
 * has changed, by another vcpu that ran meanwhile, by the frame of the iret hypercall. cpu-and-events.md 2.2.
 */
import { describe, expect, it } from 'vitest';
import { type AsmOptions, type AsmRun, runAsm } from './testing/asm-guest.ts';
import { BASE } from './testing/flat-domain.ts';

const FLAVOURS: readonly (AsmOptions & { name: string })[] = [
  { name: '2-level 3.0.2', abi: 'x86_32' },
  { name: 'PAE 3.0.2', abi: 'x86_32p', personality: '3.0.2' },
  { name: 'PAE 4.17', abi: 'x86_32p' },
];

/** A data segment at selectors 8 to b in page 6; `failsafe` copies its frame to RESULTS + 16 and returns. */
const PARTS = `
  .set GDT, BASE + 0x6000
  .set CALLED, RESULTS
  .macro new_table
    movl $0x0000ffff, GDT + 8; movl $0x00cff200, GDT + 12
    movl DATA, %ecx               # page 6 is for reading only
    movl $GDT, %ebx; xorl %edx, %edx; movl $2, %esi; movl $14, %eax
    int $0x82
    call 2, DATA + 4, 16
  .endm
  .macro drop_descriptor
    movl DATA + 8, %ebx; movl DATA + 12, %ecx; xorl %edx, %edx; xorl %esi, %esi; movl $10, %eax
    int $0x82
  .endm
  .macro handler
    failsafe:
      cld
      pushl %eax; pushl %esi; pushl %edi; pushl %ecx
      movl %ds, %eax; pushl %eax
      movl %es, %eax; pushl %eax
      movl $0xe021, %eax; movl %eax, %ds; movl %eax, %es
      incl CALLED
      popl RESULTS + 8
      popl RESULTS + 4
      leal 16(%esp), %esi
      movl $RESULTS + 16, %edi
      movl $9, %ecx
      rep movsl
      movl %fs, %eax; movl %eax, RESULTS + 12
      popl %ecx; popl %edi; popl %esi; popl %eax
      addl $16, %esp
      pushl %eax
      movl $23, %eax
      int $0x82
  .endm
`;

function run(source: string, options: AsmOptions, handler = 'handler'): AsmRun {
  const done = runAsm(`${PARTS}${source}\n  ${handler}`, {
    limitNs: 200_000_000,
    ...options,
    data: ({ frames }) => {
      const maddr = frames[6]! * 4096 + 8;
      return [((frames[6]! << 12) | 0x65) >>> 0, frames[6]!, maddr, 0];
    },
  });
  expect(done.end).toMatchObject({ reason: 'poweroff' });
  return done;
}
const hex = (words: number[]) => words.map((word) => (word & 0xffff).toString(16));
const modern = ({ name }: { name: string }) => name === 'PAE 4.17';

describe.each(FLAVOURS)('$name', (options) => {
  it('a descriptor in use goes: at once in 3.0.2, never by itself in 4.17', () => {
    const { results } = run(
      `start: new_table
         movl $9, %eax; movl %eax, %fs
         movl $0xb, %eax; movl %eax, %gs
         drop_descriptor
       back: done`,
      options,
    );
    expect(results[0]).toBe(modern(options) ? 0 : 1);
    if (modern(options)) return;
    // DS ES FS GS at entry are null; in the frame they are what they were, DS lowest.
    expect(hex(results.slice(1, 4))).toEqual(['0', '0', '0']);
    expect(hex(results.slice(4, 8))).toEqual(['e021', 'e021', '9', 'b']);
  });

  it.each([1, 2])('and when another vcpu has run on the CPU meanwhile, in all of them; %i CPUs', (cpus) => {
    const { results } = run(
      `start: new_table
         movl $9, %eax; movl %eax, %fs
         drop_descriptor
         movl $200, %edi
       1: call 29, 0
         decl %edi
         jnz 1b
         done
       start1: call 29, 0
         jmp start1
       start2: call 29, 0
         jmp start2
       start3: call 29, 0
         jmp start3`,
      { ...options, vcpus: 4, cpus },
    );
    expect(results[0]).toBe(1);
    // 4.17 leaves null only what it could not load.
    const data = modern(options) ? 'e021' : '0';
    expect(hex(results.slice(1, 4))).toEqual([data, data, '0']);
    expect(hex(results.slice(4, 7))).toEqual(['e021', 'e021', '9']);
    expect(results[9]! & 0xffff).toBe(0xe019);
  });

  it('in ring 3 as well: the frame is on the kernel’s stack, with the user’s', () => {
    const { results } = run(
      `start: new_table
         call 3, 0xe021, BASE + 0x1a00
         movl $1000, %edi
         pushl $0xe033; pushl $BASE + 0x4f00; pushl $0x202; pushl $0xe02b; pushl $user; iret
       user: movl $0xe033, %ecx; movl %ecx, %ds; movl %ecx, %es
         movl $0xb, %eax; movl %eax, %fs
         movl $1, DATA + 32
       spin: incl DATA + 36
         cmpl $0, CALLED
         je spin
         int $0x81
       trap13: done
       start1: cmpl $1, DATA + 32
         je 1f
         call 29, 0
         jmp start1
       1: drop_descriptor
         movl $2, DATA + 32
       2: call 29, 0
         jmp 2b`,
      { ...options, vcpus: 2 },
    );
    expect(results[0]).toBe(1);
    expect(hex(results.slice(4, 7))).toEqual(['e033', 'e033', 'b']);
    expect(results[9]! & 0xffff).toBe(0xe02b);
    expect(results[11]).toBe(BASE + 0x4f00);
    expect(results[12]).toBe(0xe033);
  });

  it('a CS that the iret hypercall cannot load: failsafe in 3.0.2, the guest’s #GP in 4.17', () => {
    const { results, labels } = run(
      `start: movl %esp, %ebp
         pushl $0x202; pushl $0x51; pushl $gone
         pushl %eax
         movl $23, %eax
         int $0x82
       gone: hlt
       trap13: popl %eax; save 1
         movl (%esp), %eax; save 2
         movl 4(%esp), %eax; save 3
         done`,
      options,
      `failsafe: movl $0xe021, %eax; movl %eax, %ds
         incl CALLED
         movl 16(%esp), %eax; save 2
         movl 20(%esp), %eax; save 3
         done`,
    );
    expect(results[0]).toBe(modern(options) ? 0 : 1);
    if (modern(options)) expect(results[1]).toBe(0x50);
    expect([results[2], results[3]! & 0xffff]).toEqual([labels['gone'], 0x51]);
  });
});
