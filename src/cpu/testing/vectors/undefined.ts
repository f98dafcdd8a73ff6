/**
 * Which EFLAGS bits a comparison with hardware must ignore: those that the SDM leaves undefined for the operands at
 * hand. A row's `undefinedFlags` say so for any operands; shifts depend on the count.
 */
import type { Instruction } from '../../decode-instruction.ts';

const FLAG_BITS: Readonly<Record<string, number>> = { c: 1, p: 4, a: 0x10, z: 0x40, s: 0x80, o: 0x800 };
const CF = 1,
  AF = 0x10,
  OF = 0x800;

/** EFLAGS bits of flag letters; only the six arithmetic flags. */
export function bitsOf(letters: string): number {
  let bits = 0;
  for (const letter of letters) bits |= FLAG_BITS[letter] ?? 0;
  return bits;
}

/** Mask of undefined EFLAGS bits; `ecx` before the instruction. */
export function undefinedFlagBits(instruction: Instruction, ecx: number): number {
  const { row, operands } = instruction;
  const shift = /^(rol|ror|rcl|rcr|shl|shr|sar|shld|shrd) /.exec(row.id);
  if (shift === null) return bitsOf(row.undefinedFlags ?? '');
  const last = operands.at(-1);
  const count = (last?.kind === 'immediate' ? last.value : ecx) & 31;
  const first = operands[0];
  const size = first?.kind === 'register' || first?.kind === 'memory' ? first.size : 32;
  const rotates = /^r/.test(row.id);
  if (count === 0) return 0;
  let mask = rotates ? 0 : AF;
  if (count !== 1) mask |= OF;
  // The last bit shifted out is undefined once the operand has been shifted out completely.
  if (/^sh[lr] /.test(row.id) && count >= size) mask |= CF;
  return mask;
}
