/**
 * FBLD and FBSTP: 18 decimal digits, two in a byte, the sign in bit 7 of the tenth byte.
 * Source: Intel SDM vol. 1, "Packed BCD Integers"; vol. 2, FBLD, FBSTP.
 */
import { C1, EXP_MAX, IE, PE, RC_DOWN, RC_MASK, RC_UP, SF, SIGN } from '../meaning/x87/state.ts';
import { RARE_NEXT, type RareFunction } from './rare.ts';
import { enterX87, type F80, noteX87, X87Registers } from './x87-registers.ts';

/** Stored for what has no 18 digits. */
const DECIMAL_INDEFINITE = 0xffff_c000_0000_0000_0000n;

/** @param value ten bytes */
export function decimalToRegister(value: bigint): F80 {
  let integer = 0n;
  for (let shift = 68n; shift >= 0n; shift -= 4n) integer = integer * 10n + ((value >> shift) & 15n);
  const sign = (value >> 79n) & 1n ? SIGN : 0;
  if (integer === 0n) return { sig: 0n, se: sign };
  const bits = integer.toString(2).length;
  return { sig: integer << BigInt(64 - bits), se: sign | (0x3fff + bits - 1) };
}

/** Ten bytes, and the exceptions that rounding gave. */
export function registerToDecimal({ sig, se }: F80, control: number): { value: bigint; flags: number } {
  const exponent = se & EXP_MAX;
  const negative = (se & SIGN) !== 0;
  const places = BigInt(0x403e - exponent);
  const unsupported = exponent !== 0 && sig >> 63n === 0n;
  if (unsupported || places <= 0n) return { value: DECIMAL_INDEFINITE, flags: IE };
  let integer = sig >> places;
  const rest = sig - (integer << places);
  const half = 1n << (places - 1n);
  const rounding = control & RC_MASK;
  const up =
    rounding === 0
      ? rest > half || (rest === half && (integer & 1n) === 1n)
      : rest !== 0n && ((rounding === RC_UP && !negative) || (rounding === RC_DOWN && negative));
  if (up) integer += 1n;
  if (integer >= 10n ** 18n) return { value: DECIMAL_INDEFINITE, flags: IE };
  let value = negative ? 1n << 79n : 0n;
  for (let shift = 0n; integer !== 0n; shift += 4n) {
    value |= (integer % 10n) << shift;
    integer /= 10n;
  }
  return { value, flags: (rest !== 0n ? PE : 0) | (up ? C1 : 0) };
}

/** FBLD's work on the register stack. */
export function pushDecimal(x: X87Registers, value: bigint): void {
  x.push({ ...decimalToRegister(value), flags: 0 });
}

/** FBSTP in two steps: what would be stored, then what follows from it. */
export function prepareDecimal(x: X87Registers): { value: bigint; flags: number } {
  return x.isEmpty(0)
    ? { value: DECIMAL_INDEFINITE, flags: IE | SF }
    : registerToDecimal(x.get(0), x.control);
}

export const fbld: RareFunction = (m, insn) => {
  const refused = enterX87(m, true);
  if (refused !== RARE_NEXT) return refused;
  const { segment, offset } = insn;
  m.checkRead(segment, offset, 10);
  const low = BigInt(m.read32(segment, offset));
  const high = BigInt(m.read32(segment, offset + 4));
  const value = low | (high << 32n) | (BigInt(m.read16(segment, offset + 8)) << 64n);
  noteX87(m, insn);
  pushDecimal(new X87Registers(m.cpu.memory.view), value);
  return RARE_NEXT;
};

export const fbstp: RareFunction = (m, insn) => {
  const refused = enterX87(m, true);
  if (refused !== RARE_NEXT) return refused;
  const { segment, offset } = insn;
  m.checkWrite(segment, offset, 10);
  noteX87(m, insn);
  const x = new X87Registers(m.cpu.memory.view);
  const { value, flags } = prepareDecimal(x);
  if (!x.settle(flags)) return RARE_NEXT;
  m.write32(segment, offset, Number(value & 0xffffffffn));
  m.write32(segment, offset + 4, Number((value >> 32n) & 0xffffffffn));
  m.write16(segment, offset + 8, Number(value >> 64n));
  x.pop();
  return RARE_NEXT;
};
