import { expect, it } from 'vitest';
import { formatAtt } from './att-syntax.ts';
import { decodeInstruction } from './decode-instruction.ts';

/** Expected text: what GNU objdump prints for the same bytes. */
it.each([
  ['0118', 'add %ebx, (%eax)'],
  ['83c010', 'add $0x10, %eax'],
  ['830010', 'addl $0x10, (%eax)'],
  ['66830010', 'addw $0x10, (%eax)'],
  ['8b448bfc', 'mov -4(%ebx,%ecx,4), %eax'],
  ['648b1500000000', 'mov %fs:0, %edx'],
  ['ff2485004010c0', 'jmpl *-0x3fefc000(,%eax,4)'],
  ['0fb600', 'movzbl (%eax), %eax'],
  ['f3a5', 'rep movsl (%esi), (%edi)'],
  ['d320', 'shll %cl, (%eax)'],
  ['99', 'cltd'],
  ['9a44332211665500'.slice(0, 14), 'lcall $0x5566, $0x11223344'],
  ['dce1', 'fsub %st, %st(1)'],
  ['dd00', 'fldl (%eax)'],
  ['d9c9', 'fxch %st(1)'],
  ['f00fb10b', 'lock cmpxchg %ecx, (%ebx)'],
  ['cd82', 'int $0x82'],
])('%s is %s', (hex, text) => {
  const decoded = decodeInstruction(new Uint8Array(Buffer.from(hex, 'hex')), 0x1000, 32);
  expect(decoded.ok && formatAtt(decoded.instruction, { bits: 32 })).toBe(text);
});
