/**
 * Non-maskable interrupts between vcpus: VCPUOP_send_nmi, one handler per vcpu, one NMI at a time until the iret
 * hypercall. cpu-and-events.md 2.1; public/vcpu.h.
 */
import { describe, expect, it } from 'vitest';
import { ENOENT } from './abi/errno.ts';
import { runAsm } from './testing/asm-guest.ts';
import { BASE } from './testing/flat-domain.ts';

/** vcpu 1 says how far it is in READY, its handler counts in COUNT and stays while HOLD is set. */
const SOURCE = `
  .set READY, RESULTS + 40
  .set COUNT, RESULTS + 44
  .set HOLD, RESULTS + 48
  .set INSIDE, RESULTS + 52
  .macro await at, value
    7: cmpl $\\value, \\at
    je 8f
    call 29, 0
    jmp 7b
    8:
  .endm
  start:
    await READY, 1
    call 24, 11, 1
    save 0
    await COUNT, 1
    call 24, 11, 1
    await COUNT, 2
    await READY, 2
    1: call 24, 4, 1, DATA + 64    # until it is blocked
    cmpl $2, DATA + 64
    je 2f
    call 29, 0
    jmp 1b
    2: call 24, 11, 1
    await COUNT, 3
    await READY, 3
    movl $1, HOLD
    call 24, 11, 1
    await INSIDE, 1
    call 24, 11, 1
    call 24, 11, 1
    call 29, 0
    movl COUNT, %eax; save 1
    movl $0, HOLD
    await COUNT, 5
    movl $20, %edi
    3: call 29, 0
    decl %edi
    jnz 3b
    movl COUNT, %eax; save 2
    call 24, 11, 7
    save 3
    done
  start1:
    movl $nmi, DATA
    call 28, 0, DATA
    save 4
    movl $1, READY
    1: pause
    cmpl $2, COUNT
    jne 1b
    movl $2, READY
    call 29, 1
    save 5
    movl $3, READY
    2: pause
    jmp 2b
  nmi:
    pushl %eax
    movl %esp, %eax; save 6
    incl COUNT
    cmpl $0, HOLD
    je 2f
    movl $1, INSIDE
    1: pause
    cmpl $0, HOLD
    jne 1b
    2: movl $23, %eax
    int $0x82
`;

describe.each([1, 2, 4])('VCPUOP_send_nmi to another vcpu, %i CPUs', (cpus) => {
  // With one CPU who spins does so for a whole slice.
  const options = { vcpus: 2, cpus, limitNs: 500_000_000 };
  const run = (slice?: number) => runAsm(SOURCE, slice ? { ...options, slice } : options);
  const { results, end } = run();

  it('interrupts it where it runs, on its own stack, and nobody else', () => {
    expect(end).toMatchObject({ reason: 'poweroff' });
    expect([results[0], results[4]]).toEqual([0, 0]);
    const stack = results[6]!;
    expect(stack).toBeGreaterThan(BASE + 0x1800);
    expect(stack).toBeLessThan(BASE + 0x1c00);
  });
  it('wakes it when it is blocked', () => {
    expect(results[5]).toBe(0);
  });
  it('waits while it is in its handler, and several are one', () => {
    expect(results[1]).toBe(4);
    expect(results[2]).toBe(5);
  });
  it('is ENOENT for a vcpu that does not exist', () => {
    expect(results[3]! | 0).toBe(ENOENT);
  });
  it('is the same run however the host cuts it', () => {
    const cut = run(7777);
    expect([cut.instructions, cut.results]).toEqual([run().instructions, results]);
  });
});
