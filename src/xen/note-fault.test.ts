import { describe, expect, it } from 'vitest';
import { fault, ScriptedMachine } from './testing/scripted-machine.ts';

/** What the machine remembers of one exception that the guest's kernel raised. */
function noted(vector: number, code: number): string | undefined {
  const machine = new ScriptedMachine();
  const guest = machine.guest([
    function* () {
      yield fault(vector, code);
    },
  ]);
  machine.run(1_000_000);
  return guest.vcpu.refusals.at(-1)?.because;
}

describe('why an exception of the kernel was raised', () => {
  it.each([
    [0, -1, 'the divisor is 0, or the quotient is too large'],
    [6, -1, 'the processor does not know this instruction'],
    [13, 0x18, 'selector 18 names no segment that can be used so'],
    [13, 0x80 * 8 + 2, 'ring 1 may not raise vector 80'],
    [13, 0, 'ring 1 may not do this, or not at this address'],
  ])('vector %i, code %i: %s', (vector, code, because) => {
    expect(noted(vector, code)).toBe(because);
  });
});
