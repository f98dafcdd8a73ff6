import { describe, expect, it } from 'vitest';
import { ModuleBuilder } from './encoder.ts';
import * as w from './opcodes.ts';
import { F64, I32, I64 } from './opcodes.ts';

function instantiate(m: ModuleBuilder, imports: Record<string, Record<string, unknown>> = {}) {
  const bytes = m.bytes();
  expect(WebAssembly.validate(bytes as BufferSource)).toBe(true);
  return new WebAssembly.Instance(
    new WebAssembly.Module(bytes as BufferSource),
    imports as WebAssembly.Imports,
  ).exports as Record<string, (...args: never[]) => unknown> as Record<string, (...a: unknown[]) => unknown>;
}

describe('the WebAssembly writer', () => {
  it('encodes constants at the borders of every LEB128 length', () => {
    const values = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8193, 0x7fffffff, -0x80000000];
    const m = new ModuleBuilder();
    values.forEach((value, i) => {
      m.export(`c${i}`, m.func([], [I32]).const(value));
      m.export(`l${i}`, m.func([], [I64]).const64(BigInt(value) << 20n));
    });
    const e = instantiate(m);
    values.forEach((value, i) => {
      expect(e[`c${i}`]!()).toBe(value);
      expect(e[`l${i}`]!()).toBe(BigInt(value) << 20n);
    });
  });

  it('branches by table and out of loops', () => {
    const m = new ModuleBuilder();
    const f = m.func([I32], [I32]);
    const two = f.block();
    const one = f.block();
    const zero = f.block();
    f.get(0).brTable([zero, one], two).end().const(10).return().end().const(11).return().end().const(12);
    const sum = m.func([I32], [I32]);
    const total = sum.local(I32);
    const done = sum.block();
    const again = sum.loop();
    sum.get(0).op(w.I32_EQZ).brIf(done).get(total).get(0).op(w.I32_ADD).set(total);
    sum.get(0).const(1).op(w.I32_SUB).set(0).br(again).end().end().get(total);
    m.export('pick', f);
    m.export('sum', sum);
    const e = instantiate(m);
    expect([0, 1, 2, 99].map((n) => e['pick']!(n))).toEqual([10, 11, 12, 12]);
    expect(e['sum']!(100)).toBe(5050);
  });

  it('calls imports, later functions and table entries, with holes in the table', () => {
    const m = new ModuleBuilder();
    const twice = m.importFunction('env', 'twice', [I32], [I32]);
    const type = m.type([I32], [I32]);
    const main = m.func([I32, I32], [I32]);
    const plus = m.func([I32], [I32]).get(0).const(1).op(w.I32_ADD);
    main.get(1).get(0).callIndirect(type).call(twice);
    m.table([plus, undefined, m.func([I32], [I32]).get(0).const(3).op(w.I32_MUL)]);
    m.export('main', main);
    const e = instantiate(m, { env: { twice: (n: number) => n * 2 } });
    expect(e['main']!(0, 20)).toBe(42);
    expect(e['main']!(2, 7)).toBe(42);
    expect(() => e['main']!(1, 7)).toThrow();
  });

  it('reads and writes memory, globals and 64-bit values', () => {
    const m = new ModuleBuilder();
    m.importMemory('env', 'memory', 1, 1);
    const g = m.globalI32(-5);
    m.export(
      'swap',
      m
        .func([I32], [I64])
        .get(0)
        .get(0)
        .mem(w.I64_LOAD)
        .const64(8)
        .op(w.I64_ROTL)
        .mem(w.I64_STORE, 8)
        .get(0)
        .mem(w.I64_LOAD, 8),
    );
    m.export('count', m.func([], [I32]).getGlobal(g).const(1).op(w.I32_ADD).setGlobal(g).getGlobal(g));
    m.export('half', m.func([F64], [F64]).get(0).constF64(0.5).op(w.F64_MUL));
    m.export(
      'move',
      m
        .func([], [])
        .const(100)
        .const(0)
        .const(8)
        .op(w.MEMORY_COPY)
        .const(108)
        .const(7)
        .const(4)
        .op(w.MEMORY_FILL),
    );
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const view = new DataView(memory.buffer);
    view.setBigUint64(0, 0x0102030405060708n, true);
    const e = instantiate(m, { env: { memory } });
    expect(e['swap']!(0)).toBe(0x0203040506070801n);
    expect(e['count']!()).toBe(-4);
    expect(e['half']!(3)).toBe(1.5);
    e['move']!();
    expect(view.getBigUint64(100, true)).toBe(0x0102030405060708n);
    expect(view.getUint32(108, true)).toBe(0x07070707);
  });
});
