import { describe, expect, it } from 'vitest';
import { type AsmOptions, runAsm } from './testing/asm-guest.ts';
import { BASE } from './testing/flat-domain.ts';

// The rules where the processor and the hypervisor meet, with real instructions.

const FLAVOURS: readonly (AsmOptions & { name: string })[] = [
  { name: '2-level 3.0.2', abi: 'x86_32' },
  { name: 'PAE 3.0.2', abi: 'x86_32p', personality: '3.0.2' },
  { name: 'PAE 4.17', abi: 'x86_32p' },
];

function results(source: string, options: AsmOptions, count: number): string[] {
  const run = runAsm(source, options);
  expect(run.end).toMatchObject({ reason: 'poweroff' });
  return run.results.slice(0, count).map((word) => word.toString(16));
}

describe.each(FLAVOURS)('on the processor, $name', (options) => {
  const old = options.personality !== '4.17' && options.name !== 'PAE 4.17';

  it('a hypercall returns behind int $0x82 with all registers but EAX kept', () => {
    expect(
      results(
        `start: movl $0x11, %edi; movl $0x22, %ebp
         call 3, 0xe021, BASE + 0x1f00
         save 0; save 1, ebx; save 2, edi; save 3, ebp
         done`,
        options,
        4,
      ),
    ).toEqual(['0', 'e021', '11', '22']);
  });

  it('int3 is delivered behind the instruction, a fault at it', () => {
    const run = runAsm(
      `start: int3
         after: cli
         done
         trap3: popl %eax; save 0; pushl %eax; iret
         trap13: popl %eax; save 1; popl %eax; save 2; addl $1, %eax; pushl %eax; iret`,
      options,
    );
    expect(run.end).toMatchObject({ reason: 'poweroff' });
    expect(run.results.slice(0, 3)).toEqual([run.labels['after'], 0, run.labels['after']]);
  });

  it('user code enters the kernel by int $0x80 on the stack of stack_switch and goes back by IRET', () => {
    const [cs, ss, userCs, stack] = results(
      `start: call 3, 0xe021, BASE + 0x1800
         pushl $0xe033; pushl $BASE + 0x4f00; pushl $0x202; pushl $0xe02b; pushl $user; iret
       user: movl %cs, %eax
         int $0x80
         int $0x81
       trap128: movl $0xe021, %ecx; movl %ecx, %ds
         movl 4(%esp), %ebx; save 0, ebx
         movl 16(%esp), %ebx; save 1, ebx
         save 2
         movl %esp, %eax; save 3
         iret
       trap13: done`,
      options,
      4,
    );
    expect([Number.parseInt(cs!, 16) & 0xffff, ss, userCs]).toEqual([0xe02b, 'e033', 'e02b']);
    expect(stack).toBe((BASE + 0x1800 - 20).toString(16));
  });

  it('an event interrupts at once, with the mask set meanwhile; the iret hypercall unmasks', () => {
    // DATA: bind_ipi { vcpu 0, port }, send { port 1 }.
    expect(
      results(
        `start: call 32, 7, DATA
         call 32, 4, DATA + 8
         save 0
         movl $0x77, %eax
         save 4
         done
         event: incl RESULTS + 4
         movl 4(%esp), %ecx; save 2, ecx
         pushl %eax
         movl $23, %eax
         int $0x82`,
        {
          ...options,
          data: () => [0, 0, 1],
        },
        5,
      ),
    ).toEqual(['0', '0', '0', '0', '77']);
  });

  it('#NM comes once after fpu_taskswitch(1), then the FPU works', () => {
    expect(
      results(
        `start: call 5, 1
         fld1
         fistpl RESULTS
         done
         trap7: incl RESULTS + 4; iret`,
        options,
        2,
      ),
    ).toEqual(['1', '1']);
  });

  it("a #DB that MOV SS holds back over int $0x80 is the guest's where the gate is its own, else Xen's, who ignores it", () => {
    // The watched word is DATA; set_debugreg is 8, get_debugreg 9.
    const watched = (entry: string) =>
      runAsm(
        `start: call 3, 0xe021, BASE + 0x1800
           movl $DATA, %ecx; movl $0, %ebx; movl $8, %eax; int $0x82
           call 8, 7, 0xf0001
           pushl $0xe033; pushl $BASE + 0x4f00; pushl $0x202; pushl $0xe02b; pushl $user; iret
         user: movl $0xe033, %eax; movl %eax, %ds
           movw DATA, %ss
           ${entry}
         trap128: inner: incl RESULTS
           call 9, 6
           andl $15, %eax
           save 3
           done
         trap13: incl RESULTS + 16
           call 9, 6
           andl $15, %eax
           save 3
           done
         trap1: movl (%esp), %eax; save 1
           incl RESULTS + 8
           iret`,
        { ...options, data: () => [0xe033] },
      );
    const direct = watched('int $0x80');
    expect(direct.end).toMatchObject({ reason: 'poweroff' });
    expect(direct.results.slice(0, 3)).toEqual(old ? [1, direct.labels['inner'], 1] : [1, 0, 0]);
    expect(direct.results[3]).toBe(old ? 1 : 0);
    const through = watched('int $0x81');
    expect(through.end).toMatchObject({ reason: 'poweroff' });
    expect(through.results.slice(1, 5)).toEqual([0, 0, 0, 1]);
    const behind = watched('behind: nop; after: int $0x81');
    expect(behind.results.slice(1, 5)).toEqual([behind.labels['after'], 1, 1, 1]);
  });

  it('a page fault leaves its address in vcpu_info and can be repaired and tried again', () => {
    // DATA: the entry that maps page 5 at page 40.
    expect(
      results(
        `start: movl BASE + 0x28004, %eax
         save 0
         done
         trap14: popl %eax; save 1
         movl DATA, %ecx
         movl $BASE + 0x28000, %ebx; xorl %edx, %edx; movl $2, %esi; movl $14, %eax
         int $0x82
         save 2
         iret`,
        { ...options, data: ({ frames }) => [((frames[5]! << 12) | 0x67) >>> 0] },
        3,
      ),
    ).toEqual(['0', '0', '0']);
  });

  it('a store into an L1 table faults, and is carried out under the assist', () => {
    // Page 9 becomes a read-only view of the table; its entry 10 is then cleared.
    const run = runAsm(
      `start: movl DATA, %ecx
         movl $BASE + 0x9000, %ebx; xorl %edx, %edx; movl $2, %esi; movl $14, %eax
         int $0x82
         save 0
         movl DATA + 4, %edi
         store1: movl $0, (%edi)
         call 21, 0, 2
         save 1
         store2: movl $0, (%edi)
         movl (%edi), %eax; save 2
         done
       trap14: popl %eax; save 3; movl (%esp), %eax; save 4; incl RESULTS + 20; addl $6, (%esp); iret`,
      {
        ...options,
        data: ({ table, entryBytes }) => [((table << 12) | 0x65) >>> 0, BASE + 0x9000 + 10 * entryBytes],
      },
    );
    expect(run.end).toMatchObject({ reason: 'poweroff' });
    expect(run.results.slice(0, 6)).toEqual([0, 0, 0, 3, run.labels['store1'], 1]);
  });

  it('bits 52 to 62 of a PAE entry are the guest’s own in 4.17, whose tables are long mode’s; 3.0.2 refuses them', () => {
    if (options.abi === 'x86_32') return;
    expect(
      results(
        `start: movl DATA, %ecx
         movl $BASE + 0x28000, %ebx; movl $0x7ff00000, %edx; movl $2, %esi; movl $14, %eax
         int $0x82
         save 0
         movl $0x4711, BASE + 0x5004
         movl BASE + 0x28004, %eax
         save 1
         movl $0xc0000080, %ecx
         rdmsr
         save 3
         done
         trap14: popl %eax; save 2
         done`,
        { ...options, data: ({ frames }) => [((frames[5]! << 12) | 0x67) >>> 0] },
        4,
      ),
    ).toEqual(old ? ['ffffffea', '0', '0', '0'] : ['0', '4711', '0', '800']);
  });

  it('the run is the same to the cycle however it is sliced', () => {
    const source = `start: movl $3000, %edi
       1: call 17, 0, 0
         decl %edi
         jnz 1b
         done`;
    const whole = runAsm(source, options);
    for (const slice of [1, 97, 5000]) {
      const cut = runAsm(source, { ...options, slice });
      expect([cut.instructions, cut.end]).toEqual([whole.instructions, whole.end]);
    }
  });

  it(`forced CPUID ${old ? 'shows no hypervisor leaf' : 'shows the hypervisor leaf'}`, () => {
    const [signature] = results(
      `start: movl $0x40000000, %eax
         .byte 0x0f, 0x0b, 0x78, 0x65, 0x6e
         cpuid
         save 0, ebx
         done`,
      options,
      1,
    );
    expect(signature === '566e6558').toBe(!old);
  });
});
