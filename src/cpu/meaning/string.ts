/**
 * MOVS STOS LODS SCAS CMPS. Intel SDM vol. 2, "REP/REPE/REPZ/REPNE/REPNZ". Each iteration counts one instruction and
 * is an event boundary. A forward REP MOVS or STOS in flat code moves whole page parts at a time.
 */
import * as w from '../../wasm/opcodes.ts';
import { addressOf, EAX, ECX, EDI, ESI } from '../layout.ts';
import { carryFlags, resultFlags, subCarries } from './arithmetic-flags.ts';
import type { EmitterTable, Site, Width } from './site.ts';

/** What a string emitter needs beyond a plain site; only out-of-line code has it. */
export interface StringSite extends Site {
  /** Pushes the linear address of [eSI] / ES:[eDI], checked against the segment in general code. */
  sourceAddress(bytes: number): void;
  destinationAddress(bytes: number, write: boolean): void;
  /** Pops an address, pushes a value / pops address and value. Faults end the instruction. */
  loadAt(bits: Width): void;
  storeAt(bits: Width): void;
  /** Pushes 0, or 1 for F3 and 2 for F2. */
  repPrefix(): void;
  /** Pushes how many instructions the stint may still retire; pops the new number. */
  left(): void;
  setLeft(): void;
  /** Ends the stint in the middle of the instruction. */
  repeatLater(): void;
  /** Pushes the place in linear memory of a page part that can be used directly, minus the address; 0: none. */
  direct(address: number, write: boolean): void;
  /** Ends the instruction: control goes on behind it. */
  finish(): void;
}

interface Shape {
  readonly bits: Width;
  readonly source: boolean;
  readonly destination: boolean;
  readonly compares: boolean;
}

/** Adds a local to a register of the address size. */
function advance(site: StringSite, register: number, by: number): void {
  site.getFixed(register, 32);
  site.f.get(by).op(w.I32_ADD);
  site.setFixed(register, site.addressSize);
}

/** One REP step over the rest of the page, if everything is directly reachable. */
function bulk(site: StringSite, bits: Width, copies: boolean, done: number): void {
  const f = site.f;
  const bytes = bits / 8;
  const shift = bits === 8 ? 0 : bits === 16 ? 1 : 2;
  const [n, to, from, value, total] = [0, 1, 2, 3, 4].map((i) => site.scratch(w.I32, 10 + i)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const other = site.scratch(w.I32, 15);
  const minimum = (): void => {
    f.set(other).get(n).get(other).get(n).get(other).op(w.I32_LT_U, w.SELECT).set(n);
  };
  const room = (register: number): void => {
    f.const(4096);
    site.getFixed(register, 32);
    f.const(4095).op(w.I32_AND, w.I32_SUB).const(shift).op(w.I32_SHR_U);
    minimum();
  };
  const skip = f.block();
  const again = f.loop();
  site.getFixed(ECX, 32);
  f.set(n);
  site.left();
  minimum();
  room(EDI);
  if (copies) room(ESI);
  f.get(n).const(4).op(w.I32_LT_U).brIf(skip);
  site.getFixed(EDI, 32);
  f.set(to);
  site.direct(to, true);
  f.tee(other).op(w.I32_EQZ).brIf(skip).get(to).get(other).op(w.I32_ADD).set(to);
  f.get(n).const(shift).op(w.I32_SHL).set(total);
  if (copies) {
    site.getFixed(ESI, 32);
    f.set(from);
    site.direct(from, false);
    f.tee(other).op(w.I32_EQZ).brIf(skip).get(from).get(other).op(w.I32_ADD).set(from);
    // A destination inside the bytes still to be read repeats them: not a block move.
    f.get(to).get(from).op(w.I32_SUB).get(total).op(w.I32_LT_U).brIf(skip);
    f.get(to).get(from).get(total).op(w.MEMORY_COPY);
    advance(site, ESI, total);
  } else {
    site.getFixed(EAX, bits);
    f.set(value);
    if (bits !== 8) {
      f.get(value)
        .const(255)
        .op(w.I32_AND)
        .const(bits === 16 ? 0x0101 : 0x01010101)
        .op(w.I32_MUL)
        .get(value)
        .op(w.I32_NE);
      f.if();
      const end = from;
      f.get(to).get(total).op(w.I32_ADD).set(end);
      const each = f.loop();
      f.get(to)
        .get(value)
        .mem(bits === 16 ? w.I32_STORE16 : w.I32_STORE);
      f.get(to).const(bytes).op(w.I32_ADD).tee(to).get(end).op(w.I32_LT_U).brIf(each).end();
      f.else();
      f.get(to).get(value).get(total).op(w.MEMORY_FILL);
      f.end();
    } else f.get(to).get(value).get(total).op(w.MEMORY_FILL);
  }
  advance(site, EDI, total);
  site.getFixed(ECX, 32);
  f.get(n).op(w.I32_SUB).tee(other);
  site.setFixed(ECX, 32);
  f.get(other).op(w.I32_EQZ);
  f.if();
  // The last iteration is counted by whoever counts the instruction.
  site.left();
  f.get(n).op(w.I32_SUB).const(1).op(w.I32_ADD);
  site.setLeft();
  f.br(done);
  f.end();
  site.left();
  f.get(n).op(w.I32_SUB).tee(other);
  site.setLeft();
  f.get(other).op(w.I32_EQZ);
  f.if();
  site.repeatLater();
  f.end();
  f.br(again).end().end();
}

function emit(site: StringSite, shape: Shape, body: (delta: number) => void): void {
  const f = site.f;
  const [delta, rep, count] = [site.scratch(w.I32, 20), site.scratch(w.I32, 21), site.scratch(w.I32, 22)];
  f.const(shape.bits / 8);
  f.const(-shape.bits / 8);
  f.const(0).mem(w.I32_LOAD, addressOf('eflags')).const(0x400).op(w.I32_AND, w.I32_EQZ, w.SELECT).set(delta);
  site.repPrefix();
  f.set(rep);
  const done = f.block();
  f.get(rep);
  f.if();
  site.getFixed(ECX, site.addressSize);
  f.op(w.I32_EQZ).brIf(done);
  f.end();
  const again = f.loop();
  if (!shape.compares && shape.destination && !site.isGeneral) {
    f.get(rep).op(w.I32_EQZ, w.I32_EQZ).get(delta).const(0).op(w.I32_GT_S, w.I32_AND);
    f.if();
    bulk(site, shape.bits, shape.source, done);
    f.end();
  }
  body(delta);
  if (shape.source) advance(site, ESI, delta);
  if (shape.destination) advance(site, EDI, delta);
  f.get(rep).op(w.I32_EQZ).brIf(done);
  site.getFixed(ECX, site.addressSize);
  f.const(1).op(w.I32_SUB).tee(count);
  site.setFixed(ECX, site.addressSize);
  f.get(count).op(w.I32_EQZ).brIf(done);
  if (shape.compares) {
    // REPE goes on while equal, REPNE while not.
    f.get(site.flagZero).op(w.I32_EQZ).get(rep).const(1).op(w.I32_EQ, w.I32_NE).brIf(done);
  }
  site.left();
  f.const(1).op(w.I32_SUB).tee(count);
  site.setLeft();
  f.get(count).brIf(again);
  site.repeatLater();
  f.end().end();
}

function compareFlags(site: Site, bits: Width, a: number, b: number): void {
  const r = site.scratch(w.I32, 2);
  site.f.get(a).get(b).op(w.I32_SUB).set(r);
  resultFlags(site, bits, r);
  subCarries(site, a, b, r);
  carryFlags(site, bits);
}

function family(
  bits: (site: Site) => Width,
): Record<'movs' | 'stos' | 'lods' | 'scas' | 'cmps', (site: Site) => void> {
  const two = (site: Site): [number, number] => [site.scratch(w.I32, 0), site.scratch(w.I32, 1)];
  const shape = (site: Site, source: boolean, destination: boolean, compares = false): Shape => ({
    bits: bits(site),
    source,
    destination,
    compares,
  });
  return {
    movs: (plain) => {
      const site = plain as StringSite;
      const s = shape(site, true, true);
      emit(site, s, () => {
        const [value] = two(site);
        site.sourceAddress(s.bits / 8);
        site.loadAt(s.bits);
        site.f.set(value);
        site.destinationAddress(s.bits / 8, true);
        site.f.get(value);
        site.storeAt(s.bits);
      });
    },
    stos: (plain) => {
      const site = plain as StringSite;
      const s = shape(site, false, true);
      emit(site, s, () => {
        site.destinationAddress(s.bits / 8, true);
        site.getFixed(EAX, s.bits);
        site.storeAt(s.bits);
      });
    },
    lods: (plain) => {
      const site = plain as StringSite;
      const s = shape(site, true, false);
      emit(site, s, () => {
        site.sourceAddress(s.bits / 8);
        site.loadAt(s.bits);
        site.setFixed(EAX, s.bits);
      });
    },
    scas: (plain) => {
      const site = plain as StringSite;
      const s = shape(site, false, true, true);
      emit(site, s, () => {
        const [a, b] = two(site);
        site.destinationAddress(s.bits / 8, false);
        site.loadAt(s.bits);
        site.f.set(b);
        site.getFixed(EAX, s.bits);
        site.f.set(a);
        compareFlags(site, s.bits, a, b);
      });
    },
    cmps: (plain) => {
      const site = plain as StringSite;
      const s = shape(site, true, true, true);
      emit(site, s, () => {
        const [a, b] = two(site);
        site.sourceAddress(s.bits / 8);
        site.loadAt(s.bits);
        site.f.set(a);
        site.destinationAddress(s.bits / 8, false);
        site.loadAt(s.bits);
        site.f.set(b);
        compareFlags(site, s.bits, a, b);
      });
    },
  };
}

const byte = family(() => 8);
const wide = family((site) => site.operandSize);

export const string: EmitterTable = {
  'movs Yb,Xb': byte.movs,
  'movs Yv,Xv': wide.movs,
  'stos Yb,AL': byte.stos,
  'stos Yv,eAX': wide.stos,
  'lods AL,Xb': byte.lods,
  'lods eAX,Xv': wide.lods,
  'scas AL,Yb': byte.scas,
  'scas eAX,Yv': wide.scas,
  'cmps Xb,Yb': byte.cmps,
  'cmps Xv,Yv': wide.cmps,
};
