/**
 * The fast decoder: bytes of one physical page into records, one straight run at a time. It reads the opcode rows
 * (compiled-rows.ts) and knows prefixes, ModRM, SIB, displacement and immediate (Intel SDM vol. 2, "Instruction
 * Format"). No objects per instruction, except for rare ones.
 */
import { CS as CS_REGISTER, DS, ES, FS, GS, SCRATCH_BASE, SS } from '../layout.ts';
import { NO_ROW, ROWS, rowNumber, takesModrm } from '../opcodes/table.ts';
import type { PhysicalMemory } from '../physical-memory.ts';
import type { CodePage, CodePages } from './code-pages.ts';
import * as c from './compiled-rows.ts';
import {
  EA_ADDRESS16,
  EA_BIT16,
  EA_BIT32,
  EA_SIZE_SHIFT,
  EA_WRITE,
  EA_XLAT,
  type Interpreter,
  RAISE_CODE_SHIFT,
  V_ADDRESS16,
  V_GENERAL,
  V_MEMORY,
  V_SIZE16,
} from './dispatch.ts';
import { RareInstruction } from './rare-instruction.ts';
import { HANDLER_ADDRESS, HANDLER_CHAIN, HANDLER_GOTO, HANDLER_STRADDLE, RECORD_SIZE } from './records.ts';

/** Mode bits: part of the key of decoded pages. */
export const MODE_CODE32 = 1,
  MODE_STACK32 = 2,
  MODE_SEGMENTED = 4;

const MAX_LENGTH = 15;
/** An upper bound for what one entry decodes ahead. */
const RUN_LENGTH = 32;
/** Rare instructions are objects, which stale records keep: beyond this many everything is decoded anew. */
const MOST_RARE = 65536;
const VECTOR_UD = 6,
  VECTOR_GP = 13;
/** Bytes of a straddling instruction, side by side. */
const STRADDLE_BYTES = SCRATCH_BASE + 0x400;
const ZERO_OFFSET = 32;

export class Decoder {
  private readonly memory: PhysicalMemory;
  private readonly code: CodePages;
  private readonly interpreter: Interpreter;
  readonly rare: RareInstruction[] = [];
  private readonly isRare: Uint8Array;
  /** Jumps of the run in hand whose record may be known at its end: record, target offset. */
  private readonly jumps: number[] = [];
  /** Address in linear memory of position 0 of the page. */
  private base = 0;
  private mode = 0;
  private out = 0;
  private ended = false;

  constructor(memory: PhysicalMemory, code: CodePages, interpreter: Interpreter, isRare: Uint8Array) {
    this.memory = memory;
    this.code = code;
    this.interpreter = interpreter;
    this.isRare = isRare;
  }

  /** @returns the record of the instruction at this offset, after decoding from there on. */
  run(page: CodePage, offset: number): number {
    const { u32 } = this.memory;
    const entries = page.table >>> 2;
    this.base = this.memory.ramBase + page.mfn * 4096;
    this.mode = page.mode;
    this.out = this.code.free;
    this.jumps.length = 0;
    this.ended = false;
    const first = this.out;
    let at = offset;
    for (let count = 0; ; count++) {
      if (at >= 4096 || count === RUN_LENGTH) {
        this.emit(at >= 4096 ? HANDLER_GOTO : HANDLER_CHAIN, at, 0, 0, 0);
        break;
      }
      const known = u32[entries + at]!;
      if (known !== 0) {
        this.emit(HANDLER_CHAIN, at, 0, 0, known);
        break;
      }
      const record = this.out;
      const next = this.one(at, 4096, true);
      u32[entries + at] = record;
      if (next < 0) {
        this.out = record;
        this.emit(HANDLER_STRADDLE, at, 0, 0, 0);
        this.emit(HANDLER_GOTO, at, 0, 0, 0);
        this.code.cover(page.mfn, at, 4096);
        break;
      }
      this.code.cover(page.mfn, at, next);
      at = next;
      if (this.ended) {
        this.emit(HANDLER_GOTO, at, 0, 0, 0);
        break;
      }
    }
    for (let i = 0; i < this.jumps.length; i += 2) {
      const target = u32[entries + this.jumps[i + 1]!]!;
      if (target !== 0) u32[(this.jumps[i]! + 12) >>> 2] = target;
    }
    page.runs.push(first, this.out);
    this.code.free = this.out;
    return first;
  }

  /** One instruction that starts at `offset` of the first page and ends in the second. */
  straddle(first: CodePage, second: CodePage, offset: number): number {
    const { u8, ramBase } = this.memory;
    const head = 4096 - offset;
    u8.copyWithin(STRADDLE_BYTES, ramBase + first.mfn * 4096 + offset, ramBase + first.mfn * 4096 + 4096);
    u8.copyWithin(STRADDLE_BYTES + head, ramBase + second.mfn * 4096, ramBase + second.mfn * 4096 + 16);
    return this.lone(first, STRADDLE_BYTES - offset, offset, (next) => {
      second.runs.push(this.code.free, this.out);
      this.code.cover(first.mfn, offset, 4096);
      this.code.cover(second.mfn, 0, next - 4096);
    });
  }

  /** One instruction by itself, not entered in the page's table: for code whose limit must be checked each time. */
  single(page: CodePage, offset: number): number {
    return this.lone(page, this.memory.ramBase + page.mfn * 4096, offset, (next) => {
      this.code.cover(page.mfn, offset, Math.min(next, 4096));
    });
  }
  /** End of the instruction that straddle() or single() decoded, as offset in its page. */
  loneEnd = 0;

  private lone(page: CodePage, base: number, offset: number, done: (next: number) => void): number {
    this.base = base;
    this.mode = page.mode;
    this.out = this.code.free;
    this.jumps.length = 0;
    this.ended = false;
    const record = this.out;
    const next = this.one(offset, offset + 2 * MAX_LENGTH, false);
    this.loneEnd = next;
    this.emit(HANDLER_GOTO, next, 0, 0, 0);
    done(next);
    page.runs.push(record, this.out);
    this.code.free = this.out;
    return record;
  }

  private emit(
    handler: number,
    position: number,
    registers: number,
    displacement: number,
    immediate: number,
  ): void {
    const { u32 } = this.memory;
    const at = this.out >>> 2;
    u32[at] = handler | (position << 16);
    u32[at + 1] = registers;
    u32[at + 2] = displacement;
    u32[at + 3] = immediate;
    this.out += RECORD_SIZE;
  }
  private raise(at: number, next: number, vector: number, code: number): number {
    this.emit(this.interpreter.raise, at, 0, 0, vector | ((code + 1) << RAISE_CODE_SHIFT));
    this.ended = true;
    return next;
  }

  /**
   * Decodes the instruction at `at`. @returns the position behind it, or -1 if it reaches beyond `end`.
   * @param link may jumps inside the page be linked?
   */
  private one(at: number, end: number, link: boolean): number {
    const { u8, view } = this.memory;
    const { base } = this;
    const code32 = (this.mode & MODE_CODE32) !== 0;
    let p = base + at;
    let wide = code32;
    let address32 = code32;
    let override = -1;
    let rep = 0;
    let lock = false;
    let opcode = 0;
    prefixes: for (;;) {
      if (p - base - at >= MAX_LENGTH) return p - base > end ? -1 : this.raise(at, p - base, VECTOR_GP, 0);
      opcode = u8[p++]!;
      switch (opcode) {
        case 0x26:
          override = ES;
          break;
        case 0x2e:
          override = CS_REGISTER;
          break;
        case 0x36:
          override = SS;
          break;
        case 0x3e:
          override = DS;
          break;
        case 0x64:
          override = FS;
          break;
        case 0x65:
          override = GS;
          break;
        case 0x66:
          wide = !code32;
          break;
        case 0x67:
          address32 = !code32;
          break;
        case 0xf0:
          lock = true;
          break;
        case 0xf2:
        case 0xf3:
          rep = opcode;
          break;
        default:
          break prefixes;
      }
    }
    if (opcode === 0x0f) opcode = 0x0f00 | u8[p++]!;
    let modrm = -1;
    if (takesModrm(opcode)) modrm = u8[p++]!;
    const number = rowNumber(opcode, Math.max(modrm, 0));
    if (number === NO_ROW) {
      if (p - base > end) return -1;
      return this.raise(at, p - base, VECTOR_UD, -1);
    }
    const flags = c.flagsOf[number]!;

    // --- operands in ModRM, SIB, displacement
    let isMemory = false;
    let reg = flags & c.F_OPCODE_REG ? opcode & 7 : 0;
    let rm = 0;
    let baseRegister = ZERO_OFFSET;
    let index = ZERO_OFFSET;
    let displacement = 0;
    let stackBase = false;
    if (modrm >= 0) {
      reg = (modrm >> 3) & 7;
      rm = modrm & 7;
      if (modrm < 0xc0 && !(flags & c.F_RM_ALWAYS_REGISTER)) {
        isMemory = true;
        const mod = modrm >> 6;
        if (address32) {
          let b = rm;
          if (rm === 4) {
            const sib = u8[p++]!;
            b = sib & 7;
            const i = (sib >> 3) & 7;
            if (i !== 4) index = (i << 2) | (sib >> 6);
          }
          if (b === 5 && mod === 0) {
            displacement = view.getInt32(p, true);
            p += 4;
          } else {
            baseRegister = b << 2;
            stackBase = b === 4 || b === 5;
            if (b === 4 && flags & c.F_POP_MEMORY) displacement += wide ? 4 : 2;
          }
          if (mod === 1) displacement += (u8[p++]! << 24) >> 24;
          else if (mod === 2) {
            displacement += view.getInt32(p, true);
            p += 4;
          }
        } else {
          if (mod === 0 && rm === 6) {
            displacement = view.getInt16(p, true);
            p += 2;
          } else {
            // BX+SI BX+DI BP+SI BP+DI SI DI BP BX
            baseRegister = rm === 4 ? 24 : rm === 5 ? 28 : (rm & 3) < 2 && rm !== 6 ? 12 : rm === 7 ? 12 : 20;
            if (rm < 4) index = rm & 1 ? 28 : 24;
            stackBase = rm === 2 || rm === 3 || rm === 6;
          }
          if (mod === 1) displacement += (u8[p++]! << 24) >> 24;
          else if (mod === 2) {
            displacement += view.getInt16(p, true);
            p += 2;
          }
        }
      }
    } else if (flags & c.F_MOFFS) {
      isMemory = true;
      displacement = address32 ? view.getInt32(p, true) : view.getUint16(p, true);
      p += address32 ? 4 : 2;
    } else if (flags & c.F_XLAT) {
      isMemory = true;
      baseRegister = 12;
    }

    // --- immediate
    let immediate = 0;
    let immediate2 = 0;
    switch (c.immediateOf[number]) {
      case c.IMM_BYTE:
        immediate = u8[p++]!;
        break;
      case c.IMM_BYTE_SIGNED:
        immediate = (u8[p++]! << 24) >> 24;
        if (!wide) immediate &= 0xffff;
        break;
      case c.IMM_JUMP_BYTE:
        immediate = (u8[p++]! << 24) >> 24;
        break;
      case c.IMM_BY_SIZE:
      case c.IMM_JUMP:
        immediate = wide ? view.getInt32(p, true) : view.getUint16(p, true);
        if (!wide && c.immediateOf[number] === c.IMM_JUMP) immediate = (immediate << 16) >> 16;
        p += wide ? 4 : 2;
        break;
      case c.IMM_WORD:
        immediate = view.getUint16(p, true);
        p += 2;
        break;
      case c.IMM_ONE:
        immediate = 1;
        break;
      case c.IMM_FAR:
        immediate = wide ? view.getInt32(p, true) : view.getUint16(p, true);
        p += wide ? 4 : 2;
        immediate2 = view.getUint16(p, true);
        p += 2;
        break;
      case c.IMM_ENTER:
        immediate = view.getUint16(p, true);
        immediate2 = u8[p + 2]!;
        p += 3;
        break;
    }
    const next = p - base;
    if (next - at > MAX_LENGTH) return at + MAX_LENGTH > end ? -1 : this.raise(at, next, VECTOR_GP, 0);
    if (next > end) return -1;
    if (lock && !(flags & c.F_LOCKABLE && isMemory)) return this.raise(at, next, VECTOR_UD, -1);
    if (flags & c.F_ENDS_RUN) this.ended = true;

    const segment = override >= 0 ? override : stackBase ? SS : DS;
    if (this.isRare[number]) {
      const id = this.rare.length;
      if (id > MOST_RARE) this.code.isFull = true;
      this.rare.push(
        new RareInstruction(
          ROWS[number]!,
          number,
          next - at,
          wide ? 32 : 16,
          address32 ? 32 : 16,
          modrm,
          modrm < 0 ? opcode & 7 : reg,
          rm,
          isMemory,
          flags & c.F_STRING ? (override < 0 ? DS : override) : segment,
          immediate,
          immediate2,
          rep,
          baseRegister,
          index,
          displacement,
          code32,
        ),
      );
      this.emit(this.interpreter.rare, at, 0, 0, id);
      return next;
    }

    // --- which handler
    const segmented = (this.mode & MODE_SEGMENTED) !== 0;
    const special = override >= FS;
    let variant = wide ? 0 : V_SIZE16;
    if (!address32) variant |= V_ADDRESS16;
    const immediateKind = c.immediateOf[number]!;
    const relative = immediateKind === c.IMM_JUMP_BYTE || immediateKind === c.IMM_JUMP;
    if (segmented || (flags & c.F_STACK && !(this.mode & MODE_STACK32)) || (flags & c.F_STRING && special))
      variant |= V_GENERAL;
    if (flags & c.F_STRING) {
      const prefix = rep === 0 ? 0 : rep === 0xf2 && ROWS[number]!.rep === 'repz' ? 2 : 1;
      const from = override < 0 ? DS : override;
      this.emit(this.interpreter.outer[number * 16 + variant]!, at, prefix | (from << 8), 0, 0);
      return next;
    }
    if (relative) {
      const target = next + immediate;
      const slot = number * 16 + variant;
      const isNear = link && wide && target >= 0 && target < 4096;
      let handler = isNear ? this.interpreter.near[slot]! : this.interpreter.inline[slot]!;
      if (handler === 0) handler = this.interpreter.outer[slot]!;
      else if (isNear) this.jumps.push(this.out, target);
      this.emit(handler, at, 0, target, 0);
      return next;
    }
    const regOffset = flags & c.F_REG_BYTE ? ((reg & 3) << 2) | (reg >> 2) : reg << 2;
    const rmOffset = flags & c.F_RM_BYTE ? ((rm & 3) << 2) | (rm >> 2) : rm << 2;
    if (!isMemory || flags & c.F_NO_OPERAND) {
      if (isMemory) variant |= V_MEMORY;
      const slot = number * 16 + variant;
      this.emit(
        this.interpreter.inline[slot]! || this.interpreter.outer[slot]!,
        at,
        regOffset | (rmOffset << 8),
        displacement,
        immediate,
      );
      return next;
    }
    variant |= V_MEMORY;
    const slot = number * 16 + variant;
    const registers = regOffset | (rmOffset << 8) | (baseRegister << 16) | (index << 24);
    const stores = (flags & c.F_STORES) !== 0;
    // x87 instructions note the segment of their operand.
    if (flags & c.F_X87) immediate = segment << 2;
    const checked =
      !address32 ||
      (flags & (c.F_BIT_NUMBER | c.F_XLAT)) !== 0 ||
      ((segmented || special || (stores && override === CS_REGISTER)) && !(flags & c.F_ADDRESS_ONLY));
    if (!checked) {
      const handler =
        index === ZERO_OFFSET ? this.interpreter.inline[slot]! : this.interpreter.indexed[slot]!;
      if (handler !== 0) {
        this.emit(handler, at, registers, displacement, immediate);
        return next;
      }
      this.emit(HANDLER_ADDRESS, at, registers, displacement, 0);
    } else {
      const size = flags & c.F_ADDRESS_ONLY ? 0 : wide ? c.sizeOf32[number]! : c.sizeOf16[number]!;
      let how = segment | (size << EA_SIZE_SHIFT);
      if (stores) how |= EA_WRITE;
      if (!address32) how |= EA_ADDRESS16;
      if (flags & c.F_BIT_NUMBER) how |= wide ? EA_BIT32 : EA_BIT16;
      if (flags & c.F_XLAT) how |= EA_XLAT;
      this.emit(this.interpreter.checkedAddress, at, registers, displacement, how);
    }
    this.emit(this.interpreter.outer[slot]!, at, registers, displacement, immediate);
    return next;
  }
}
