/**
 * Short sequences for the hardware: up to eight instructions that hand flags and registers on to each other, with
 * memory operands and forward jumps among them. They test what single instructions cannot: how the engine keeps
 * flags between instructions, and that a block of code is the sum of its parts.
 */
import { decodeInstruction, type Instruction } from '../../decode-instruction.ts';
import type { Row } from '../../opcodes/row.ts';
import { hasModrm, ROWS } from '../../opcodes/table.ts';
import { seededRandom } from '../random.ts';
import { type CaseSpec, CODE_16, ENVIRONMENTS, FLAT, SEQUENCE, SEQUENCE_BYTES, seedOf } from './state.ts';
import { bitsOf, undefinedFlagBits } from './undefined.ts';

const COUNT = 30_000;
const EBX = 3,
  ESP = 4,
  ESI = 6,
  EDI = 7;
const POINTERS = (1 << EBX) | (1 << ESI) | (1 << EDI);

const CHOSEN =
  /^(add|or|adc|sbb|and|sub|xor|cmp|test|inc|dec|neg|not|movzx|movsx|shl|shr|sar|rol|ror|rcl|rcr|i?mul|bt[src]?|sh[lr]d|set\w+|cmov\w+|xchg|xadd|cmpxchg|lea|push|pop) (?!.*CL)(?!.*S$)[EGZea1AI]|^mov [EGZ]\w,[EGIZ]|^(cbw|cwd|lahf|sahf|clc|stc|cmc|salc|daa|das|pushf)$|^j\w+ Jb$/;

const PLAIN = ROWS.filter(
  (row) => CHOSEN.test(row.id) && !row.id.startsWith('jcxz') && !row.id.startsWith('jmp'),
);

type Random = () => number;

/** The bytes of one instruction; a jump's displacement is filled in later. */
function encode(row: Row, bits: 16 | 32, random: Random): number[] {
  const narrow = random() % 4 === 0;
  const bytes = narrow ? [0x66] : [];
  const operandSize = (bits === 16) !== narrow ? 16 : 32;
  const opcode = row.opcode + (row.span === undefined ? 0 : random() % row.span);
  if (opcode > 0xff) bytes.push(0x0f);
  bytes.push(opcode & 0xff);
  if (hasModrm(row)) {
    const reg = row.reg ?? random() & 7;
    const memory = row.mod === 'mem' || random() % 4 === 0;
    if (memory && bits === 32)
      bytes.push(0x40 | (reg << 3) | ([EBX, ESI, EDI][random() % 3] ?? EBX), random() & 0x3f);
    else if (memory) bytes.push(0x40 | (reg << 3) | ([4, 5, 7][random() % 3] ?? 4), random() & 0x3f);
    else bytes.push(0xc0 | (reg << 3) | (random() & 7));
  }
  for (const form of row.operands) {
    if (form === 'Ib' || form === 'Ibs' || form === 'Jb') bytes.push(random() & 0xff);
    else if (form === 'Iz') for (let left = operandSize / 8; left > 0; left--) bytes.push(random() & 0xff);
  }
  return bytes;
}

/** Double shifts by more than the operand size have no defined result. */
function isUndefined({ row, operands, operandSize }: Instruction): boolean {
  const last = operands.at(-1);
  return /^sh[lr]d/.test(row.id) && last?.kind === 'immediate' && (last.value & 31) > operandSize;
}

/** Does it change ESP other than by pushing and popping? The stack is to stay a stack. */
function breaksStack({ row, operands }: Instruction): boolean {
  const first = operands[0];
  if (/^(push|pop|pushf)/.test(row.mnemonic))
    return row.mnemonic === 'pop' && first?.kind === 'register' && first.index === ESP;
  const changes = (at: number): boolean => {
    const operand = operands[at];
    return operand?.kind === 'register' && operand.index === ESP && operand.size !== 8;
  };
  return changes(0) || (/^x(chg|add)$/.test(row.mnemonic) && changes(1));
}

export interface UndefinedFlags {
  /** Behind the last instruction. */
  readonly atEnd: number;
  /** Anywhere. */
  readonly ever: number;
}

/** Follows which EFLAGS bits are undefined after each instruction; undefined if an instruction reads one of them. */
export function undefinedAfter(code: Uint8Array, bits: 16 | 32): UndefinedFlags | undefined {
  let undefinedBits = 0;
  let ever = 0;
  let isSkippable = false;
  for (let at = 0; at < code.length; ) {
    const decoded = decodeInstruction(code.subarray(at), 0, bits);
    if (!decoded.ok) return undefined;
    const { instruction } = decoded;
    const { row } = instruction;
    if (bitsOf(row.readsFlags ?? '') & undefinedBits) return undefined;
    const undefinedNow = undefinedFlagBits(instruction, 0);
    const shifted = instruction.operands.at(-1);
    // A rotate or shift by 0 writes no flags.
    const writesAll = !(
      /^[rs][ochr]/.test(row.id) &&
      shifted?.kind === 'immediate' &&
      (shifted.value & 31) === 0
    );
    if (!isSkippable && writesAll) undefinedBits &= ~bitsOf(row.writesFlags ?? '');
    undefinedBits |= undefinedNow;
    ever |= undefinedNow;
    isSkippable = row.operands[0] === 'Jb';
    at += instruction.length;
  }
  return { atEnd: undefinedBits, ever };
}

function makeSequence(bits: 16 | 32, random: Random): Uint8Array | undefined {
  const parts: number[][] = [];
  let length = 0;
  for (let tries = 3 + (random() % 20); tries > 0; tries--) {
    const row = PLAIN[random() % PLAIN.length];
    if (row === undefined) continue;
    const bytes = encode(row, bits, random);
    const decoded = decodeInstruction(new Uint8Array(bytes), 0, bits);
    if (!decoded.ok || decoded.instruction.length !== bytes.length) continue;
    if (breaksStack(decoded.instruction) || isUndefined(decoded.instruction)) continue;
    if (length + bytes.length > SEQUENCE_BYTES) break;
    parts.push(bytes);
    length += bytes.length;
  }
  const isJump = (bytes: readonly number[] | undefined): boolean => {
    const opcode = bytes?.[bytes[0] === 0x66 ? 1 : 0] ?? 0;
    return opcode >= 0x70 && opcode <= 0x7f;
  };
  // Jumps skip the instruction behind them; with an operand size of 16 they would leave flat code.
  for (const [index, bytes] of parts.entries()) {
    if (!isJump(bytes)) continue;
    if (bytes[0] === 0x66) return undefined;
    bytes[bytes.length - 1] = parts[index + 1]?.length ?? 0;
  }
  const code = Uint8Array.from(parts.flat());
  return parts.length >= 2 && undefinedAfter(code, bits) !== undefined ? code : undefined;
}

export function generateSequences(salt = 0): CaseSpec[] {
  const random = seededRandom(0x5e90_e4ce ^ Math.imul(salt, 0x9e37_79b1));
  const cases: CaseSpec[] = [];
  while (cases.length < COUNT) {
    const environment = cases.length % 4 === 3 ? CODE_16 : FLAT;
    const code = makeSequence(ENVIRONMENTS[environment]?.bits ?? 32, random);
    if (code === undefined) continue;
    cases.push({
      seed: seedOf(cases.length, salt),
      environment,
      mode: SEQUENCE,
      pointers: POINTERS,
      small: 0,
      pointersToFloats: false,
      code,
      pokes: [],
    });
  }
  return cases;
}
