/**
 * Call gates: what a guest sees of one is the same whether the processor carries it out (3.0.2) or the hypervisor
 * (4.17). SDM vol. 3A, Call Gates; cpu-and-events.md section 5.
 */
import { describe, expect, it } from 'vitest';
import { type AsmOptions, type AsmRun, runAsm } from './testing/asm-guest.ts';
import { BASE } from './testing/flat-domain.ts';

const FLAVOURS: readonly (AsmOptions & { name: string })[] = [
  { name: '2-level 3.0.2', abi: 'x86_32' },
  { name: 'PAE 3.0.2', abi: 'x86_32p', personality: '3.0.2' },
  { name: 'PAE 4.17', abi: 'x86_32p' },
];

/** A GDT in page 6, gates to the label `entry` in it; then the snippet goes on at `begin`. */
const SETUP = `
  .set GDT, BASE + 0x6000
  .macro gate index, target, high
    movl $entry, %eax
    movl %eax, %edx
    andl $0xffff, %eax
    orl $(\\target << 16), %eax
    andl $0xffff0000, %edx
    orl $\\high, %edx
    movl %eax, GDT + 8 * \\index
    movl %edx, GDT + 8 * \\index + 4
  .endm
  .macro descriptor index, low, high
    movl $\\low, GDT + 8 * \\index
    movl $\\high, GDT + 8 * \\index + 4
  .endm
  .macro user_mode
    pushl $0xe033; pushl $BASE + 0x4f00; pushl $0x202; pushl $0xe02b; pushl $1f; iret
    1: movl $0xe033, %ecx; movl %ecx, %ds
  .endm
  .macro leave_user
    int $0x81
  .endm
  start:
    gate 1, 0xe019, 0xec02        # 08: for all rings, two parameters
    gate 2, 0xe019, 0xac00        # 10: for ring 1
    gate 3, 0x31, 0xec00          # 18: to data
    gate 4, 0x39, 0xec00          # 20: to code that is not present
    gate 5, 0x41, 0xec00          # 28: behind the end of its code
    descriptor 6, 0x0000ffff, 0x00c0b200
    descriptor 7, 0x0000ffff, 0x00c03a00
    descriptor 8, 0x000000ff, 0x0040ba00
    gate 9, 0xe019, 0x6c00        # 48: not present
    descriptor 10, 0x0000ffff, 0x00cfbe00
    gate 11, 0x51, 0xec00         # 58: to conforming code
    gate 12, 0xe019, 0xec00       # 60: for all rings, no parameters
    movl DATA, %ecx               # page 6 is for reading only
    movl $GDT, %ebx; xorl %edx, %edx; movl $2, %esi; movl $14, %eax
    int $0x82
    call 2, DATA + 4, 16
    save 15
    call 3, 0xe021, BASE + 0x1800
    jmp begin
`;

function run(source: string, options: AsmOptions): AsmRun {
  const done = runAsm(`${SETUP}${source}`, {
    ...options,
    data: ({ frames }) => [((frames[6]! << 12) | 0x65) >>> 0, frames[6]!, 0, 0x6b],
  });
  expect(done.end).toMatchObject({ reason: 'poweroff' });
  return done;
}
const KERNEL_STACK = BASE + 0x1800;
const USER_STACK = BASE + 0x4f00;

/** Notes vector and error code and goes on behind the instruction, of 7 bytes. */
const REFUSALS = `
  trap10: movl $10, %ebx; jmp note
  trap11: movl $11, %ebx; jmp note
  trap12: movl $12, %ebx; jmp note
  trap13: movl $13, %ebx
  note: popl %eax
    cmpl $0x40a, %eax             # int $0x81
    je finish
    shll $16, %ebx; orl %ebx, %eax
    movl RESULTS + 56, %edx
    movl %eax, RESULTS(, %edx, 4)
    incl RESULTS + 56
    addl $7, (%esp)
    iret
  finish: done
`;
const hex = (words: number[], count: number) => words.slice(0, count).map((word) => word.toString(16));

describe.each(FLAVOURS)('call gates, $name', (options) => {
  it('from ring 3: the kernel’s stack, the parameters on it, and LRET goes back', () => {
    const { results, labels } = run(
      `begin: user_mode
         pushl $0x1111; pushl $0x2222
         lcall $0x0b, $0
       back: movl %esp, %eax; save 8
         movl %cs, %eax; save 9
         leave_user
       entry: movl %esp, %eax; save 0
         movl (%esp), %eax; save 1
         movl 4(%esp), %eax; save 2
         movl 8(%esp), %eax; save 3
         movl 12(%esp), %eax; save 4
         movl 16(%esp), %eax; save 5
         movl 20(%esp), %eax; save 6
         movl %cs, %eax; save 7
         lret $8
       trap13: done`,
      options,
    );
    expect(results.slice(0, 10)).toEqual([
      KERNEL_STACK - 24,
      labels['back'],
      0xe02b,
      0x2222,
      0x1111,
      USER_STACK - 8,
      0xe033,
      0xe019,
      USER_STACK,
      0xe02b,
    ]);
  });

  it('named by a pointer in memory, whose offset plays no part', () => {
    const { results, labels } = run(
      `begin: user_mode
         movl $DATA, %ebx
         lcall *8(%ebx)
       back: leave_user
       entry: movl (%esp), %eax; save 0
         movl 12(%esp), %eax; save 1
         lret
       trap13: done`,
      { ...options },
    );
    // DATA + 8: offset 0, selector 6b, which has no descriptor: the refusal leaves RESULTS alone.
    expect(results.slice(0, 2)).toEqual([0, 0]);
    const again = run(
      `begin: user_mode
         movl $DATA, %ebx
         movl $0x63, 12(%ebx)
         lcall *8(%ebx)
       back: leave_user
       entry: movl (%esp), %eax; save 0
         movl 12(%esp), %eax; save 1
         lret
       trap13: done`,
      options,
    );
    expect(again.results.slice(0, 2)).toEqual([again.labels['back'], 0xe033]);
    expect(labels['back']).toBeDefined();
  });

  it('from ring 1: the same stack, return address only; a jump leaves nothing', () => {
    const { results, labels } = run(
      `begin: movl %esp, %edi
         lcall $0x10, $0
       back: movl %esp, %eax; subl %edi, %eax; save 3
         movl $1, %ebp
         ljmp $0x10, $0
       entry: testl %ebp, %ebp
         jnz jumped
         movl %esp, %eax; subl %edi, %eax; save 0
         movl (%esp), %eax; save 1
         movl 4(%esp), %eax; save 2
         lret
       jumped: movl %esp, %eax; subl %edi, %eax; save 4
         movl %cs, %eax; save 5
         done`,
      options,
    );
    expect(results.slice(0, 6)).toEqual([-8 >>> 0, labels['back'], 0xe019, 0, 0, 0xe019]);
  });

  it('to conforming code: the ring stays', () => {
    const { results } = run(
      `begin: user_mode
         lcall $0x58, $0
         leave_user
       entry: movl %cs, %eax; save 0
         movl %esp, %eax; save 1
         movl 4(%esp), %eax; save 2
         lret
       trap13: done`,
      options,
    );
    expect(results.slice(0, 3)).toEqual([0x53, USER_STACK - 8, 0xe02b]);
  });

  it('are refused with the fault that names what is wrong', () => {
    const { results } = run(
      `begin: user_mode
         lcall $0x10, $0
         lcall $0x18, $0
         lcall $0x20, $0
         lcall $0x28, $0
         lcall $0x48, $0
         lcall $0x68, $0
         ljmp $0x60, $0
         lcall $0x7f8, $0
         leave_user
       entry: hlt
       ${REFUSALS}`,
      options,
    );
    expect(hex(results, 8)).toEqual([
      'd0010', // for ring 1
      'd0030', // to data
      'b0038', // to code that is not present
      'd0000', // behind the end
      'b0048', // not present itself
      'd0068', // no gate
      'de018', // a jump does not change the ring
      'd07f8', // an empty descriptor
    ]);
  });

  it('are stepped over like any instruction: #DB at the entry', () => {
    const { results, labels } = run(
      `begin: user_mode
         pushfl; orl $0x100, (%esp)
         movl $DATA, %ebx
         popfl
         lcall $0x60, $0
         leave_user
       trap1: movl (%esp), %eax; save 0
         incl RESULTS + 4
         andl $~0x100, 8(%esp)
         iret
       entry: lret
       trap13: done`,
      options,
    );
    expect(results.slice(0, 2)).toEqual([labels['entry'], 1]);
  });

  it('cannot be used when the kernel’s stack has no room in memory', () => {
    const done = runAsm(
      `${SETUP}begin: call 3, 0xe021, BASE + 0x20010
         user_mode
         lcall $0x60, $0
       entry: hlt
       trap13: hlt
       trap14: hlt`,
      { ...options, data: ({ frames }) => [((frames[6]! << 12) | 0x65) >>> 0, frames[6]!] },
    );
    expect(done.end).toMatchObject({ reason: 'crash' });
  });
});

describe('the hypervisor’s own checks of a gate, 4.17', () => {
  const options: AsmOptions = { abi: 'x86_32p' };

  it('parameters that cannot be read are a page fault of the caller', () => {
    const { results } = run(
      `begin: user_mode
         movl $BASE + 0x10000 - 4, %esp
         lcall $0x08, $0
       entry: hlt
       trap14: popl %eax; save 0
         movl 4(%esp), %eax; save 1
         movl 12(%esp), %eax; save 2
         done`,
      options,
    );
    expect(hex(results, 3)).toEqual(['4', '1e02b', 'c000fffc']);
  });

  it('a gate that another instruction names stays a general protection fault', () => {
    const { results } = run(
      `begin: user_mode
         movl $0x60, %eax
         .byte 0x3e, 0x3e, 0x3e, 0x3e, 0x3e; movl %eax, %es
         leave_user
       entry: hlt
       ${REFUSALS}`,
      options,
    );
    expect(hex(results, 1)).toEqual(['d0060']);
  });
});
