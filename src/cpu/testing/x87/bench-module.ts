/** A module that holds nothing but the x87 library, for tests of the arithmetic: state in, one call, state out. */
import { ModuleBuilder } from '../../../wasm/encoder.ts';
import { addressOf } from '../../layout.ts';
import { type Callee, flatten } from '../../meaning/x87/expression.ts';
import { defineLibrary, type Library } from '../../meaning/x87/instructions.ts';
import { setEmptyTags } from '../../meaning/x87/tags.ts';
import type { Case, F80 } from './cases.ts';

/** x87 state in a linear memory: what a case sets and what comes of it. */
export class X87State {
  readonly view: DataView;
  constructor(view: DataView) {
    this.view = view;
  }
  slot(st: number): number {
    const top = (this.view.getUint16(addressOf('fsw'), true) >> 11) & 7;
    return addressOf('fpr') + ((top + st) & 7) * 16;
  }
  put(st: number, v: F80): void {
    const at = this.slot(st);
    this.view.setUint32(at, v.lo, true);
    this.view.setUint32(at + 4, v.hi, true);
    this.view.setUint16(at + 8, v.se, true);
  }
  bytes(st: number): Uint8Array {
    return new Uint8Array(this.view.buffer, this.slot(st), 10).slice();
  }
  set(c: Case): void {
    this.view.setUint16(addressOf('fcw'), c.cw, true);
    this.view.setUint16(addressOf('fsw'), c.sw, true);
    setEmptyTags(this.view, c.tw);
    for (let i = 2; i < 8; i++) this.put(i, { lo: 0, hi: 0, se: 0 });
    this.put(0, c.st0);
    this.put(1, c.st1);
  }
}

type Run = (...args: (number | bigint)[]) => number | bigint | [bigint, number] | undefined;

export class X87Bench extends X87State {
  private readonly exports: Record<string, Run>;
  private readonly names = new Map<number, string>();

  readonly library: Library;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    super(new DataView(memory.buffer));
    const module = new ModuleBuilder();
    module.importMemory('env', 'memory', 1, 1);
    this.library = defineLibrary(module);
    const add = (callee: Callee): void => {
      const name = `f${callee.index}`;
      if (!this.names.has(callee.index)) module.export(name, callee);
      this.names.set(callee.index, name);
    };
    const walk = (value: unknown): void => {
      if (Array.isArray(value)) value.forEach(walk);
      else if (typeof value === 'object' && value !== null && 'results' in value) add(value as Callee);
      else if (typeof value === 'object' && value !== null && !('bytes' in value))
        Object.values(value).forEach(walk);
    };
    walk(this.library);
    const ready = module.func([], [0x7f]);
    ready.op(...flatten(this.library.ready.bytes));
    module.export('ready', ready);
    const instance = new WebAssembly.Instance(
      new WebAssembly.Module(module.bytes() as Uint8Array<ArrayBuffer>),
      {
        env: { memory },
      },
    );
    this.exports = instance.exports as Record<string, Run>;
  }

  run(callee: Callee, ...args: (number | bigint)[]): ReturnType<Run> {
    return this.exports[this.names.get(callee.index)!]!(...args);
  }
  isReady(): boolean {
    return this.exports['ready']!() === 1;
  }
}
