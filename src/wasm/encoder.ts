/**
 * A WebAssembly writer: functions are written instruction by instruction, the module builder numbers types and
 * functions and joins the sections. It knows no x86. Source: WebAssembly Core Specification, "Binary Format".
 *
 *   const m = new ModuleBuilder();
 *   m.importMemory('env', 'memory', pages);
 *   const log = m.importFunction('env', 'log', [I32], []);       // imports first
 *   const f = m.func([I32, I32], [I32]);                         // parameters are locals 0 and 1
 *   const t = f.local(I32);
 *   f.get(0).get(1).op(I32_ADD).tee(t).call(log).get(t);         // the final end is added
 *   m.export('sum', f);
 *   new WebAssembly.Module(m.bytes());
 *
 * Functions may call functions that are declared (m.func) but written later.
 */
import { EngineBug } from '../base/assert.ts';
import type { ValueType } from './opcodes.ts';
import * as w from './opcodes.ts';

/** A growing run of bytes. */
class Bytes {
  buffer = new Uint8Array(256);
  length = 0;

  private room(more: number): void {
    if (this.length + more <= this.buffer.length) return;
    const next = new Uint8Array(Math.max(this.buffer.length * 2, this.length + more));
    next.set(this.buffer.subarray(0, this.length));
    this.buffer = next;
  }
  byte(value: number): void {
    if (this.length === this.buffer.length) this.room(1);
    this.buffer[this.length++] = value;
  }
  /** LEB128, unsigned. */
  unsigned(value: number): void {
    value >>>= 0;
    while (value >= 0x80) {
      this.byte((value & 0x7f) | 0x80);
      value >>>= 7;
    }
    this.byte(value);
  }
  /** LEB128 of a signed 32-bit number. */
  signed(value: number): void {
    value |= 0;
    for (;;) {
      const low = value & 0x7f;
      value >>= 7;
      if ((value === 0 && !(low & 0x40)) || (value === -1 && low & 0x40)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }
  signed64(value: bigint): void {
    value = BigInt.asIntN(64, value);
    for (;;) {
      const low = Number(value & 0x7fn);
      value >>= 7n;
      if ((value === 0n && !(low & 0x40)) || (value === -1n && low & 0x40)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }
  append(other: Bytes): void {
    this.room(other.length);
    this.buffer.set(other.buffer.subarray(0, other.length), this.length);
    this.length += other.length;
  }
  text(value: string): void {
    this.unsigned(value.length);
    for (let i = 0; i < value.length; i++) this.byte(value.charCodeAt(i));
  }
}

/** Where a branch can go: the nesting depth at which its block was opened. */
export type Label = number & { readonly label?: never };

/** Something that can be called: its index in the module. */
export interface Callable {
  readonly index: number;
}

const float = new DataView(new ArrayBuffer(8));

export class FunctionBuilder implements Callable {
  readonly index: number;
  readonly type: number;
  private readonly code = new Bytes();
  private readonly params: number;
  private readonly locals: ValueType[] = [];
  private depth = 0;

  constructor(index: number, type: number, params: number) {
    this.index = index;
    this.type = type;
    this.params = params;
  }

  /** A new local variable, zero at entry. */
  local(type: ValueType): number {
    this.locals.push(type);
    return this.params + this.locals.length - 1;
  }
  get size(): number {
    return this.code.length;
  }

  // --- plain instructions; each returns the builder, so that a sequence reads in a line
  /** Instructions without immediate operands. */
  op(...opcodes: number[]): this {
    for (const opcode of opcodes) {
      if (opcode > 0xff) {
        this.code.byte(0xfc);
        this.code.byte(opcode & 0xff);
        if (opcode === w.MEMORY_COPY) this.code.byte(0);
        if (opcode === w.MEMORY_COPY || opcode === w.MEMORY_FILL) this.code.byte(0);
      } else this.code.byte(opcode);
    }
    return this;
  }
  const(value: number): this {
    this.code.byte(w.I32_CONST);
    this.code.signed(value);
    return this;
  }
  const64(value: bigint | number): this {
    this.code.byte(w.I64_CONST);
    this.code.signed64(BigInt(value));
    return this;
  }
  constF64(value: number): this {
    this.code.byte(w.F64_CONST);
    float.setFloat64(0, value, true);
    for (let i = 0; i < 8; i++) this.code.byte(float.getUint8(i));
    return this;
  }
  get(local: number): this {
    this.code.byte(w.LOCAL_GET);
    this.code.unsigned(local);
    return this;
  }
  set(local: number): this {
    this.code.byte(w.LOCAL_SET);
    this.code.unsigned(local);
    return this;
  }
  tee(local: number): this {
    this.code.byte(w.LOCAL_TEE);
    this.code.unsigned(local);
    return this;
  }
  getGlobal(index: number): this {
    this.code.byte(w.GLOBAL_GET);
    this.code.unsigned(index);
    return this;
  }
  setGlobal(index: number): this {
    this.code.byte(w.GLOBAL_SET);
    this.code.unsigned(index);
    return this;
  }
  /** A load or store opcode; address (and value) on the stack. No alignment is promised. */
  mem(opcode: number, offset = 0): this {
    this.code.byte(opcode);
    this.code.byte(0);
    this.code.unsigned(offset);
    return this;
  }
  call(target: Callable): this {
    this.code.byte(w.CALL);
    this.code.unsigned(target.index);
    return this;
  }
  /** Table index on top of the arguments. @param type from ModuleBuilder.type */
  callIndirect(type: number): this {
    this.code.byte(w.CALL_INDIRECT);
    this.code.unsigned(type);
    this.code.byte(0);
    return this;
  }
  return(): this {
    return this.op(w.RETURN);
  }

  // --- control flow. Labels are what block(), loop(), if() return; end() closes the innermost.
  block(type: number = w.VOID): Label {
    return this.open(w.BLOCK, type);
  }
  loop(type: number = w.VOID): Label {
    return this.open(w.LOOP, type);
  }
  /** Condition on the stack. */
  if(type: number = w.VOID): Label {
    return this.open(w.IF, type);
  }
  else(): this {
    return this.op(w.ELSE);
  }
  end(): this {
    if (this.depth === 0) throw new EngineBug('wasm: end without a block');
    this.depth--;
    return this.op(w.END);
  }
  br(label: Label): this {
    this.code.byte(w.BR);
    this.code.unsigned(this.depth - label);
    return this;
  }
  brIf(label: Label): this {
    this.code.byte(w.BR_IF);
    this.code.unsigned(this.depth - label);
    return this;
  }
  brTable(labels: readonly Label[], otherwise: Label): this {
    this.code.byte(w.BR_TABLE);
    this.code.unsigned(labels.length);
    for (const label of labels) this.code.unsigned(this.depth - label);
    this.code.unsigned(this.depth - otherwise);
    return this;
  }
  private open(opcode: number, type: number): Label {
    this.code.byte(opcode);
    this.code.byte(type);
    return ++this.depth;
  }

  /** Body with its size, for the code section. */
  writeTo(out: Bytes): void {
    if (this.depth !== 0) throw new EngineBug('wasm: a block was left open');
    const head = new Bytes();
    const groups: { type: ValueType; count: number }[] = [];
    for (const type of this.locals) {
      const last = groups[groups.length - 1];
      if (last?.type === type) last.count++;
      else groups.push({ type, count: 1 });
    }
    head.unsigned(groups.length);
    for (const group of groups) {
      head.unsigned(group.count);
      head.byte(group.type);
    }
    out.unsigned(head.length + this.code.length + 1);
    out.append(head);
    out.append(this.code);
    out.byte(w.END);
  }
}

export class ModuleBuilder {
  private readonly types: string[] = [];
  private readonly typeBytes = new Bytes();
  private readonly imports = new Bytes();
  private importCount = 0;
  private importedFunctions = 0;
  private readonly functions: FunctionBuilder[] = [];
  private readonly exports = new Bytes();
  private exportCount = 0;
  private readonly globals = new Bytes();
  private globalCount = 0;
  private elements: (Callable | undefined)[] = [];

  /** Index of a function type, for callIndirect. */
  type(params: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${params.join()}>${results.join()}`;
    const known = this.types.indexOf(key);
    if (known >= 0) return known;
    this.types.push(key);
    this.typeBytes.byte(0x60);
    this.typeBytes.unsigned(params.length);
    for (const p of params) this.typeBytes.byte(p);
    this.typeBytes.unsigned(results.length);
    for (const r of results) this.typeBytes.byte(r);
    return this.types.length - 1;
  }
  importMemory(module: string, name: string, minimum: number, maximum: number): void {
    this.import(module, name, 2);
    this.imports.byte(1);
    this.imports.unsigned(minimum);
    this.imports.unsigned(maximum);
  }
  importFunction(
    module: string,
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[],
  ): Callable {
    if (this.functions.length > 0) throw new EngineBug('wasm: imports come before functions');
    this.import(module, name, 0);
    this.imports.unsigned(this.type(params, results));
    return { index: this.importedFunctions++ };
  }
  private import(module: string, name: string, kind: number): void {
    this.importCount++;
    this.imports.text(module);
    this.imports.text(name);
    this.imports.byte(kind);
  }
  /** Declares a function; write its body into the result, now or later. */
  func(params: readonly ValueType[], results: readonly ValueType[]): FunctionBuilder {
    const type = this.type(params, results);
    const f = new FunctionBuilder(this.importedFunctions + this.functions.length, type, params.length);
    this.functions.push(f);
    return f;
  }
  /** A mutable 32-bit global. */
  globalI32(initial = 0): number {
    this.globals.byte(w.I32);
    this.globals.byte(1);
    this.globals.byte(w.I32_CONST);
    this.globals.signed(initial);
    this.globals.byte(w.END);
    return this.globalCount++;
  }
  /** The one table: what callIndirect's index selects. Holes trap. */
  table(elements: readonly (Callable | undefined)[]): void {
    this.elements = [...elements];
  }
  export(name: string, f: Callable): void {
    this.exportCount++;
    this.exports.text(name);
    this.exports.byte(0);
    this.exports.unsigned(f.index);
  }

  bytes(): Uint8Array {
    const out = new Bytes();
    for (const b of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) out.byte(b);
    const section = (id: number, count: number, body: Bytes): void => {
      if (count === 0) return;
      const head = new Bytes();
      head.unsigned(count);
      out.byte(id);
      out.unsigned(head.length + body.length);
      out.append(head);
      out.append(body);
    };
    section(1, this.types.length, this.typeBytes);
    section(2, this.importCount, this.imports);
    const functionTypes = new Bytes();
    for (const f of this.functions) functionTypes.unsigned(f.type);
    section(3, this.functions.length, functionTypes);
    if (this.elements.length > 0) {
      const table = new Bytes();
      table.byte(0x70);
      table.byte(0);
      table.unsigned(this.elements.length);
      section(4, 1, table);
    }
    section(6, this.globalCount, this.globals);
    section(7, this.exportCount, this.exports);
    const elements = new Bytes();
    let runs = 0;
    for (let at = 0; at < this.elements.length; ) {
      let end = at;
      while (end < this.elements.length && this.elements[end]) end++;
      if (end > at) {
        runs++;
        elements.byte(0);
        elements.byte(w.I32_CONST);
        elements.signed(at);
        elements.byte(w.END);
        elements.unsigned(end - at);
        for (let i = at; i < end; i++) elements.unsigned(this.elements[i]!.index);
      }
      at = end + 1;
    }
    section(9, runs, elements);
    const code = new Bytes();
    for (const f of this.functions) f.writeTo(code);
    section(10, this.functions.length, code);
    return out.buffer.slice(0, out.length);
  }
}
