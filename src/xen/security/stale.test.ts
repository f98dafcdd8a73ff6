/**
 * Stale translations, with a real guest on the real processor: right after a mapping or a type has changed, without
 * any flush by the guest, the old way to the frame must be gone. And the hypervisor's range, tried by code.
 */
import { describe, expect, it } from 'vitest';
import { DATA, runAsm } from '../testing/asm-guest.ts';
import { BASE } from '../testing/flat-domain.ts';

const VICTIM = BASE + 0xa000;
const COMBINATIONS = [
  ['x86_32', '3.0.2'],
  ['x86_32p', '3.0.2'],
  ['x86_32p', '4.17'],
] as const;

/** Counts page faults in result word 7 and skips the two-byte instruction. */
const COUNTING_HANDLER = `
  trap14:
    incl RESULTS + 28
    addl $4, %esp
    addl $2, (%esp)
    iret
  `;

describe.each(COMBINATIONS)('%s %s: old translations', (abi, personality) => {
  it('do not let a page be written that was mapped read-only a moment ago', () => {
    const { results } = runAsm(
      `
      start:
        movl $${VICTIM}, %edi
        movl $0x11, %eax
        movl %eax, (%edi)
        movl $${VICTIM}, %ebx
        movl DATA, %ecx
        movl DATA + 4, %edx
        xorl %esi, %esi
        movl $14, %eax
        int $0x82
        save 0
        movl $0x22, %eax
        movl %eax, (%edi)
        movl (%edi), %eax
        save 1
        done
      ${COUNTING_HANDLER}
      `,
      {
        abi,
        personality,
        data: ({ frames }) => [((frames[10]! << 12) | 0x65) >>> 0, 0],
      },
    );
    expect(results.slice(0, 2)).toEqual([0, 0x11]);
    expect(results[7]).toBe(1);
  });

  it('do not lead to a frame that has become a page table', () => {
    const { results } = runAsm(
      `
      start:
        movl $${VICTIM}, %edi
        xorl %eax, %eax
        movl %eax, (%edi)
        # not mapped any more, then pinned as an L1 table: no flush in between
        movl $${VICTIM}, %ebx
        xorl %ecx, %ecx
        xorl %edx, %edx
        xorl %esi, %esi
        movl $14, %eax
        int $0x82
        save 0
        call 26, DATA, 1, 0, 0x7ff0
        save 1
        movl $0x33, %eax
        movl %eax, (%edi)
        movl (%edi), %eax
        save 2
        # unpinned and mapped again it is an ordinary page with what the table held
        movl $4, DATA
        call 26, DATA, 1, 0, 0x7ff0
        save 3
        movl $${VICTIM}, %ebx
        movl DATA + 16, %ecx
        xorl %edx, %edx
        xorl %esi, %esi
        movl $14, %eax
        int $0x82
        save 4
        movl (%edi), %eax
        save 5
        done
      ${COUNTING_HANDLER}
      `,
      {
        abi,
        personality,
        data: ({ frames }) => [0, frames[10]!, 0, 0, ((frames[10]! << 12) | 0x67) >>> 0],
      },
    );
    expect(results.slice(0, 2)).toEqual([0, 0]);
    expect(results.slice(3, 6)).toEqual([0, 0, 0]);
    expect(results[7]).toBe(2);
  });

  it('do not survive a change of the table above, nor a change by machine address', () => {
    const { results } = runAsm(
      `
      start:
        movl $${VICTIM}, %edi
        movl $0x44, %eax
        movl %eax, (%edi)
        # mmu_update of the L1 entry: another page in its place
        call 1, DATA, 1, 0, 0x7ff0
        save 0
        movl (%edi), %eax
        save 1
        movl $0x55, %eax
        movl %eax, (%edi)
        movl ${VICTIM + 0x1000}, %eax
        save 2
        done
      ${COUNTING_HANDLER}
      `,
      {
        abi,
        personality,
        data: ({ frames, table, entryBytes }) => [
          table * 4096 + 10 * entryBytes,
          0,
          ((frames[11]! << 12) | 0x67) >>> 0,
          0,
        ],
      },
    );
    expect(results.slice(0, 3)).toEqual([0, 0, 0x55]);
    expect(results[7]).toBe(0);
  });

  it('let a frame that was given back be seen by nobody', () => {
    const { results } = runAsm(
      `
      start:
        movl $${VICTIM}, %edi
        movl $0x66, %eax
        movl %eax, (%edi)
        # given back while it is mapped: it stays until the mapping goes
        call 12, 1, DATA
        save 0
        movl (%edi), %eax
        save 1
        movl $${VICTIM}, %ebx
        xorl %ecx, %ecx
        xorl %edx, %edx
        xorl %esi, %esi
        movl $14, %eax
        int $0x82
        save 2
        movl $0, %eax
        movl (%edi), %eax
        save 3
        movl %eax, (%edi)
        # again: the frame is not its own any more
        call 12, 1, DATA
        save 4
        done
      ${COUNTING_HANDLER}
      `,
      {
        abi,
        personality,
        data: ({ frames }) => [DATA + 32, 1, 0, 0, 0x7ff0, 0, 0, 0, frames[10]!],
      },
    );
    expect(results.slice(0, 5)).toEqual([1, 0x66, 0, 0, 0]);
    expect(results[7]).toBe(2);
  });

  it('or segments give no way into the hypervisor’s range', () => {
    const hole = abi === 'x86_32' ? 0xfc00_0000 : 0xf580_0000;
    const { results, end } = runAsm(
      `
      start:
        movl $${hole}, %edi
        movl (%edi), %eax
        save 0
        movl $1, %eax
        movl %eax, (%edi)
        movl $${(hole + 0x0400_0000) >>> 0}, %edi
        movl %eax, (%edi)
        movl $0xfffffff0, %edi
        movl %eax, (%edi)
        done
      trap13:
        incl RESULTS + 24
        addl $4, %esp
        addl $2, (%esp)
        iret
      ${COUNTING_HANDLER}
      `,
      { abi, personality },
    );
    expect(end?.reason).toBe('poweroff');
    // Reading the M2P is fine; each of the three stores faulted.
    expect(results[6]! + results[7]!).toBe(3);
  });

  it('of hypercall arguments do not reach it either', () => {
    const hole = abi === 'x86_32' ? 0xfc00_0000 : 0xf580_0000;
    const { results } = runAsm(
      `
      start:
        call 17, 1, ${hole}
        save 0
        call 17, 1, ${hole - 8}
        save 1
        call 17, 1, 0xfffffff8
        save 2
        call 24, 4, 0, ${hole}
        save 3
        call 1, ${hole}, 1, 0, 0x7ff0
        save 4
        call 13, ${hole}, 1
        save 5
        done
      `,
      { abi, personality },
    );
    expect(results.slice(0, 6).map((word) => word | 0)).toEqual([-14, -14, -14, -14, -14, -14]);
  });
});
