import { describe, expect, it } from 'vitest';
import { type Decoded, decodeInstruction, type Instruction } from './decode-instruction.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const decode = (hex: string, bits: 16 | 32 = 32): Decoded => decodeInstruction(bytes(hex), 0x1000, bits);

function decoded(hex: string, bits: 16 | 32 = 32): Instruction {
  const result = decode(hex, bits);
  if (!result.ok) throw new Error(`${hex} is ${result.failure}`);
  return result.instruction;
}

describe('decodeInstruction', () => {
  it('names row, length, sizes and operands of a store', () => {
    const instruction = decoded('c7441d04efbeadde');
    expect(instruction).toMatchObject({
      length: 8,
      operandSize: 32,
      addressSize: 32,
      lock: false,
      repeat: 0,
    });
    expect(instruction.row.id).toBe('mov Ev,Iz');
    expect(instruction.operands).toEqual([
      {
        kind: 'memory',
        size: 32,
        segment: 2,
        addressSize: 32,
        base: 5,
        index: 3,
        scale: 1,
        displacement: 4,
        noDisplacement: false,
      },
      { kind: 'immediate', size: 32, value: 0xdeadbeef },
    ]);
  });

  it('takes the last of several segment overrides and of F2 and F3', () => {
    expect(decoded('262e64f2f38b00')).toMatchObject({ segmentOverride: 4, repeat: 0xf3 });
  });

  it('flips both sizes with 66 and 67, from the size of the segment', () => {
    expect(decoded('66678b07')).toMatchObject({ operandSize: 16, addressSize: 16 });
    expect(decoded('66678b07', 16)).toMatchObject({ operandSize: 32, addressSize: 32 });
  });

  it('sign-extends a byte to the operand size', () => {
    expect(decoded('83c0ff').operands[1]).toEqual({ kind: 'immediate', size: 32, value: 0xffff_ffff });
    expect(decoded('6683c0ff').operands[1]).toEqual({ kind: 'immediate', size: 16, value: 0xffff });
  });

  it('counts a jump from its end and cuts the target to 16 bits with operand size 16', () => {
    expect(decoded('ebfe').operands[0]).toEqual({ kind: 'target', value: 0x1000 });
    expect(decoded('66e9f0ef').operands[0]).toEqual({ kind: 'target', value: 0xfff4 & 0xffff });
  });

  it('reads a far pointer offset first', () => {
    expect(decoded('ea785634122300').operands[0]).toEqual({
      kind: 'far',
      offset: 0x12345678,
      selector: 0x23,
      size: 32,
    });
  });

  it('allows LOCK before a read-modify-write of memory only', () => {
    expect(decoded('f0830001').lock).toBe(true);
    expect(decode('f083c001')).toMatchObject({ ok: false, failure: 'bad-lock' });
    expect(decode('f08b00')).toMatchObject({ ok: false, failure: 'bad-lock' });
  });

  it('tells undefined, cut off and too long apart', () => {
    expect(decode('0f05')).toEqual({ ok: false, failure: 'undefined', length: 2 });
    expect(decode('b80102')).toEqual({ ok: false, failure: 'truncated', length: 3 });
    expect(decode(`${'66'.repeat(15)}90`)).toEqual({ ok: false, failure: 'too-long', length: 15 });
    expect(decoded(`${'66'.repeat(14)}90`).length).toBe(15);
  });
});
