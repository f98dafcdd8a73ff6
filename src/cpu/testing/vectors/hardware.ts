/**
 * Cases onto this machine's processor and outcomes back, through harness.c. Needs an x86 processor, Linux with
 * modify_ldt, and gcc -m32 with its static library.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeInstruction } from '../../decode-instruction.ts';
import { DONE, FLAG_MASK, type MemoryByte, type Outcome, pack } from './format.ts';
import {
  type CaseSpec,
  ENVIRONMENTS,
  memoryImage,
  registersOf,
  SEQUENCE,
  SLOTS,
  STEP,
  slotAddress,
  TO_INT3,
  X87,
  x87Of,
} from './state.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const CASE_SIZE = 228;
const DIFF_MAX = 160;
const OUTCOME_SIZE = 68 + DIFF_MAX * 8 + 108;
const BATCH = 20 * SLOTS;

function encodeCases(cases: readonly CaseSpec[], first: number): Uint8Array {
  const bytes = new Uint8Array(cases.length * CASE_SIZE);
  const view = new DataView(bytes.buffer);
  for (const [at, spec] of cases.entries()) {
    const index = first + at;
    const base = at * CASE_SIZE;
    const { gpr, eip, eflags } = registersOf(spec, index);
    for (let reg = 0; reg < 8; reg++) view.setUint32(base + reg * 4, gpr[reg] ?? 0, true);
    // With FRSTOR in front, hardware starts at the slot itself.
    view.setUint32(base + 32, spec.mode === X87 ? eip - 6 : eip, true);
    view.setUint32(base + 36, eflags, true);
    const selectors = ENVIRONMENTS[spec.environment]?.selectors ?? [];
    for (let segment = 0; segment < 6; segment++)
      view.setUint16(base + 40 + segment * 2, selectors[segment] ?? 0, true);
    const memoryPokes = spec.pokes.filter(({ address }) => address >= 8);
    bytes.set([spec.mode, spec.code.length, memoryPokes.length, 0], base + 52);
    view.setUint32(base + 56, slotAddress(index), true);
    bytes.set(spec.code, base + 60);
    for (const [number, { address, bytes: content }] of memoryPokes.entries()) {
      const place = base + 88 + number * 16;
      view.setUint32(place, address, true);
      bytes[place + 4] = content.length;
      bytes.set(content, place + 5);
    }
    if (spec.mode === X87) bytes.set(x87Of(spec), base + 120);
  }
  return bytes;
}

/** MOV SS and POP SS hold back the single-step trap for one instruction, which is a NOP here. */
function holdsBackTraps(spec: CaseSpec): boolean {
  const decoded = decodeInstruction(spec.code, 0, ENVIRONMENTS[spec.environment]?.bits ?? 32);
  if (!decoded.ok) return false;
  const { row, modrm } = decoded.instruction;
  return row.id === 'pop SS' || (row.id === 'mov Sw,Ew' && ((modrm >> 3) & 7) === 2);
}

function decodeOutcome(bytes: Uint8Array, at: number, spec: CaseSpec): Outcome | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at * OUTCOME_SIZE, OUTCOME_SIZE);
  const gpr = new Uint32Array(8);
  for (let reg = 0; reg < 8; reg++) gpr[reg] = view.getUint32(reg * 4, true);
  const trap = view.getUint32(52, true);
  const done = spec.mode === STEP ? trap === 1 : trap === 3;
  const behind = !done
    ? 0
    : spec.mode === TO_INT3 || spec.mode === SEQUENCE
      ? 1
      : spec.mode === X87
        ? 7
        : holdsBackTraps(spec)
          ? 1
          : 0;
  const count = view.getUint32(64, true);
  if (count > DIFF_MAX) return undefined;
  const memory: MemoryByte[] = [];
  for (let entry = 0; entry < count; entry++) {
    memory.push({
      address: view.getUint32(68 + entry * 8, true),
      value: view.getUint32(72 + entry * 8, true),
    });
  }
  return {
    vector: done ? DONE : trap,
    errorCode: view.getUint32(56, true),
    cr2: view.getUint32(60, true),
    gpr,
    eip: view.getUint32(32, true) - behind,
    eflags: view.getUint32(36, true) & FLAG_MASK,
    selectors: Array.from({ length: 6 }, (_, segment) => view.getUint16(40 + segment * 2, true)),
    memory,
    x87:
      done && spec.mode === X87
        ? bytes.slice((at + 1) * OUTCOME_SIZE - 108, (at + 1) * OUTCOME_SIZE)
        : undefined,
  };
}

/** Long REP copies change more bytes than are worth storing: they get a small count instead. */
function shorten(spec: CaseSpec): CaseSpec {
  if (spec.small & 2) throw new Error(`${Buffer.from(spec.code).toString('hex')} changes too many bytes`);
  return { ...spec, small: spec.small | 2 };
}

/** @param run which of the two programs, which differ in where their own memory lies */
function runOnHardware(folder: string, cases: CaseSpec[], run: 0 | 1): Outcome[] {
  const outcomes: Outcome[] = [];
  for (let first = 0; first < cases.length; ) {
    const batch = cases.slice(first, first + BATCH);
    writeFileSync(join(folder, 'cases'), encodeCases(batch, first));
    const files = ['image', 'cases', 'outcomes'].map((name) => join(folder, name));
    execFileSync(join(folder, `harness${run}`), [...files, run === 0 ? '0' : '96']);
    const bytes = new Uint8Array(readFileSync(join(folder, 'outcomes')));
    if (bytes.length !== batch.length * OUTCOME_SIZE) throw new Error('the harness wrote too little');
    let again = false;
    const decoded: Outcome[] = [];
    for (const [at, spec] of batch.entries()) {
      const outcome = decodeOutcome(bytes, at, spec);
      if (outcome === undefined) {
        cases[first + at] = shorten(spec);
        again = true;
      } else decoded.push(outcome);
    }
    if (again) continue;
    outcomes.push(...decoded);
    first += BATCH;
  }
  return outcomes;
}

function sameOutcome(spec: CaseSpec, one: Outcome | undefined, other: Outcome | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return Buffer.compare(pack([spec], [one]), pack([spec], [other])) === 0;
}

/**
 * Runs every case in two programs. One that sees a difference has met the harness's own memory with a random address;
 * a NOP takes its place.
 */
function settle(folder: string, cases: CaseSpec[]): Outcome[] {
  for (let round = 0; round < 4; round++) {
    const once = runOnHardware(folder, cases, 0);
    const twice = runOnHardware(folder, cases, 1);
    const differing = cases.flatMap((spec, index) =>
      sameOutcome(spec, once[index], twice[index]) ? [] : [index],
    );
    if (differing.length === 0) return once;
    for (const index of differing) {
      const spec = cases[index];
      if (spec === undefined) continue;
      process.stdout.write(`not used: ${Buffer.from(spec.code).toString('hex')}\n`);
      cases[index] = { ...spec, code: Uint8Array.of(0x90), mode: STEP, pokes: [] };
    }
    if (differing.length > 100) break;
  }
  throw new Error('the processor contradicts itself');
}

function build(folder: string): void {
  for (const [run, text] of ['0x08048000', '0x0a000000'].entries()) {
    const flags = ['-m32', '-O1', '-static', '-no-pie', '-fno-stack-protector', `-Wl,-Ttext-segment=${text}`];
    execFileSync('gcc', [...flags, '-o', join(folder, `harness${run}`), join(HERE, 'harness.c')], {
      stdio: 'inherit',
    });
  }
  writeFileSync(join(folder, 'image'), memoryImage());
}

/** Runs each list of cases; cases that a run must not keep are replaced in place. */
export function onHardware(use: (run: (cases: CaseSpec[]) => Outcome[]) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'vectors-'));
  try {
    build(folder);
    use((cases) => settle(folder, cases));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
