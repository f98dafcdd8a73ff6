/**
 * FNINIT, FNCLEX, and the x87 state in memory: FNSTENV, FLDENV, FNSAVE, FRSTOR in their protected-mode formats,
 * FXSAVE, FXRSTOR. Source: Intel SDM vol. 1, "Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE";
 * vol. 2, FXSAVE.
 *
 *   32-bit format, 28 bytes; the upper halves of the words are ones:   16-bit format, 14 bytes:
 *     0 FCW   4 FSW   8 FTW   12 FIP   16 FCS, FOP   20 FDP   24 FDS     0 FCW 2 FSW 4 FTW 6 FIP 8 FCS 10 FDP 12 FDS
 *   FNSAVE and FRSTOR add ST(0) to ST(7), ten bytes each.
 */
import { addressOf, CS } from '../layout.ts';
import { FOP_FROM_CODE } from '../meaning/x87/state.ts';
import { tagWordOf } from '../meaning/x87/tags.ts';
import { RARE_NEXT, type RareFunction, type RareMachine, type RareOperands } from './rare.ts';
import { enterX87, legalControl, resetX87, X87Registers } from './x87-registers.ts';

const VECTOR_GP = 13;
const MXCSR_MASK = 0xffbf;
const XMM = addressOf('xmm');

const registersOf = (m: RareMachine): X87Registers => new X87Registers(m.cpu.memory.view);

export const fninit: RareFunction = (m) => {
  const refused = enterX87(m, false);
  if (refused !== RARE_NEXT) return refused;
  resetX87(m.cpu.memory.view);
  return RARE_NEXT;
};

export const fnclex: RareFunction = (m) => {
  const refused = enterX87(m, false);
  if (refused !== RARE_NEXT) return refused;
  m.setState('fsw', m.getState('fsw') & 0x7f00);
  return RARE_NEXT;
};

const PREFIXES: ReadonlySet<number> = new Set([
  0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
]);

/** The opcode field. Frequent instructions leave it to be read from the code that FCS:FIP names. */
export function lastOpcode(m: RareMachine): number {
  const noted = m.getState('fop');
  if ((noted & FOP_FROM_CODE) === 0) return noted;
  const start = m.cpu.getSegmentBase(CS) + m.getState('fip');
  const byteAt = (at: number): number => {
    const maddr = m.cpu.peekTranslate((start + at) >>> 0);
    return maddr < 0 ? -1 : m.cpu.memory.read8(maddr);
  };
  let at = 0;
  while (at < 14 && PREFIXES.has(byteAt(at))) at++;
  const first = byteAt(at),
    modrm = byteAt(at + 1);
  return (first & 0xf8) === 0xd8 && modrm >= 0 ? ((first & 7) << 8) | modrm : 0;
}

/** Stores words of the format's size one behind the other. */
function writeEnvironment(m: RareMachine, insn: RareOperands): number {
  const { segment, offset } = insn;
  const view = m.cpu.memory.view;
  const status = m.getState('fsw');
  const [fip, fcs, fdp, fds] = [m.getState('fip'), m.getState('fcs'), m.getState('fdp'), m.getState('fds')];
  if (insn.operandSize === 16) {
    const words = [m.getState('fcw'), status, tagWordOf(view), fip, fcs, fdp, fds];
    for (const [i, word] of words.entries()) m.write16(segment, at(insn, offset + 2 * i), word & 0xffff);
    return 14;
  }
  const ones = 0xffff0000;
  const words = [
    ones + m.getState('fcw'),
    ones + status,
    ones + tagWordOf(view),
    fip,
    (fcs & 0xffff) + lastOpcode(m) * 0x10000,
    fdp,
    ones + (fds & 0xffff),
  ];
  for (const [i, word] of words.entries()) m.write32(segment, at(insn, offset + 4 * i), word >>> 0);
  return 28;
}
/** An offset, cut to the address size. */
const at = (insn: RareOperands, offset: number): number =>
  insn.addressSize === 16 ? offset & 0xffff : offset >>> 0;

interface Environment {
  readonly words: readonly number[];
  readonly opcode: number;
}
function readEnvironment(m: RareMachine, insn: RareOperands): Environment {
  const { segment, offset } = insn;
  const words: number[] = [];
  if (insn.operandSize === 16) {
    for (let i = 0; i < 7; i++) words.push(m.read16(segment, at(insn, offset + 2 * i)));
    return { words, opcode: 0 };
  }
  for (let i = 0; i < 7; i++) words.push(m.read32(segment, at(insn, offset + 4 * i)));
  return { words, opcode: (words[4]! >>> 16) & 0x7ff };
}
function applyEnvironment(m: RareMachine, { words, opcode }: Environment): void {
  m.setState('fcw', legalControl(words[0]!));
  m.setState('fsw', words[1]! & 0xffff);
  const x = registersOf(m);
  let tags = 0;
  for (let i = 0; i < 8; i++) if (((words[2]! >> (2 * i)) & 3) === 3) tags |= 3 << (2 * i);
  x.tags = tags;
  m.setState('fip', words[3]! >>> 0);
  m.setState('fcs', words[4]! & 0xffff);
  m.setState('fop', opcode);
  m.setState('fdp', words[5]! >>> 0);
  m.setState('fds', words[6]! & 0xffff);
  x.updateSummary();
}

export const fnstenv: RareFunction = (m, insn) => {
  const refused = enterX87(m, false);
  if (refused !== RARE_NEXT) return refused;
  m.checkWrite(insn.segment, insn.offset, insn.operandSize === 16 ? 14 : 28);
  writeEnvironment(m, insn);
  const x = registersOf(m);
  x.control |= 0x3f;
  x.updateSummary();
  return RARE_NEXT;
};

export const fldenv: RareFunction = (m, insn) => {
  const refused = enterX87(m, true);
  if (refused !== RARE_NEXT) return refused;
  applyEnvironment(m, readEnvironment(m, insn));
  return RARE_NEXT;
};

export const fnsave: RareFunction = (m, insn) => {
  const refused = enterX87(m, false);
  if (refused !== RARE_NEXT) return refused;
  m.checkWrite(insn.segment, insn.offset, insn.operandSize === 16 ? 94 : 108);
  const size = writeEnvironment(m, insn);
  const x = registersOf(m);
  for (let i = 0; i < 8; i++) {
    const { sig, se } = x.get(i);
    const offset = insn.offset + size + 10 * i;
    m.write32(insn.segment, at(insn, offset), Number(sig & 0xffffffffn));
    m.write32(insn.segment, at(insn, offset + 4), Number(sig >> 32n));
    m.write16(insn.segment, at(insn, offset + 8), se);
  }
  resetX87(m.cpu.memory.view);
  return RARE_NEXT;
};

const joined = (low: number, high: number): bigint => BigInt(low) | (BigInt(high) << 32n);

export const frstor: RareFunction = (m, insn) => {
  const refused = enterX87(m, true);
  if (refused !== RARE_NEXT) return refused;
  const size = insn.operandSize === 16 ? 14 : 28;
  m.checkRead(insn.segment, insn.offset, size + 80);
  const environment = readEnvironment(m, insn);
  const registers = Array.from({ length: 8 }, (_, i) => {
    const offset = insn.offset + size + 10 * i;
    return {
      sig: joined(m.read32(insn.segment, at(insn, offset)), m.read32(insn.segment, at(insn, offset + 4))),
      se: m.read16(insn.segment, at(insn, offset + 8)),
    };
  });
  // TOP first: the registers come by their place on the stack. Filling them must not touch the tags.
  applyEnvironment(m, environment);
  fillRegisters(registersOf(m), registers);
  return RARE_NEXT;
};

function fillRegisters(x: X87Registers, values: readonly { sig: bigint; se: number }[]): void {
  const tags = x.tags;
  for (const [i, value] of values.entries()) x.put(i, value);
  x.tags = tags;
}

/** Byte offsets in the FXSAVE area. */
const FX = {
  tags: 4,
  opcode: 6,
  fip: 8,
  fcs: 12,
  fdp: 16,
  fds: 20,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
} as const;

export const fxsave: RareFunction = (m, insn) => {
  const refused = enterX87(m, false);
  if (refused !== RARE_NEXT) return refused;
  const { segment, offset } = insn;
  if ((m.cpu.getSegmentBase(segment) + offset) & 15) return m.raise(VECTOR_GP, 0);
  m.checkWrite(segment, offset, 512);
  const x = registersOf(m);
  let inUse = 0;
  for (let i = 0; i < 8; i++) if (((x.tags >> (2 * i)) & 1) === 0) inUse |= 1 << i;
  const word = (to: number, value: number): void => m.write32(segment, at(insn, offset + to), value >>> 0);
  word(0, x.control | (x.status << 16));
  word(FX.tags, inUse | (lastOpcode(m) << 16));
  word(FX.fip, m.getState('fip'));
  word(FX.fcs, m.getState('fcs') & 0xffff);
  word(FX.fdp, m.getState('fdp'));
  word(FX.fds, m.getState('fds') & 0xffff);
  word(FX.mxcsr, m.getState('mxcsr'));
  word(FX.mxcsrMask, MXCSR_MASK);
  for (let i = 0; i < 8; i++) {
    const { sig, se } = x.get(i);
    word(FX.st + 16 * i, Number(sig & 0xffffffffn));
    word(FX.st + 16 * i + 4, Number(sig >> 32n));
    word(FX.st + 16 * i + 8, se);
    word(FX.st + 16 * i + 12, 0);
  }
  for (let i = 0; i < 32; i++) word(FX.xmm + 4 * i, xmmWord(m, i));
  return RARE_NEXT;
};

export const fxrstor: RareFunction = (m, insn) => {
  const refused = enterX87(m, false);
  if (refused !== RARE_NEXT) return refused;
  const { segment, offset } = insn;
  if ((m.cpu.getSegmentBase(segment) + offset) & 15) return m.raise(VECTOR_GP, 0);
  m.checkRead(segment, offset, 512);
  const word = (from: number): number => m.read32(segment, at(insn, offset + from));
  const mxcsr = word(FX.mxcsr);
  if (mxcsr & ~MXCSR_MASK) return m.raise(VECTOR_GP, 0);
  const x = registersOf(m);
  const control = word(0),
    tagsAndOpcode = word(FX.tags);
  const registers = Array.from({ length: 8 }, (_, i) => ({
    sig: joined(word(FX.st + 16 * i), word(FX.st + 16 * i + 4)),
    se: word(FX.st + 16 * i + 8) & 0xffff,
  }));
  const pointers = [word(FX.fip), word(FX.fcs) & 0xffff, word(FX.fdp), word(FX.fds) & 0xffff] as const;
  const xmm = Array.from({ length: 32 }, (_, i) => word(FX.xmm + 4 * i));
  x.control = legalControl(control & 0xffff);
  x.status = control >>> 16;
  fillRegisters(x, registers);
  let tags = 0xffff;
  for (let i = 0; i < 8; i++) if ((tagsAndOpcode >> i) & 1) tags &= ~(3 << (2 * i));
  x.tags = tags;
  x.updateSummary();
  m.setState('fop', (tagsAndOpcode >>> 16) & 0x7ff);
  for (const [i, field] of (['fip', 'fcs', 'fdp', 'fds'] as const).entries()) m.setState(field, pointers[i]!);
  m.setState('mxcsr', mxcsr);
  for (const [i, value] of xmm.entries()) setXmmWord(m, i, value);
  return RARE_NEXT;
};

function xmmWord(m: RareMachine, index: number): number {
  return m.cpu.memory.view.getUint32(XMM + 4 * index, true);
}
function setXmmWord(m: RareMachine, index: number, value: number): void {
  m.cpu.memory.view.setUint32(XMM + 4 * index, value, true);
}
