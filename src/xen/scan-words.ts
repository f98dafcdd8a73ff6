/**
 * Where in a table is something? Tables are mostly empty, and an audit reads all of them: so this loop, alone in the
 * hypervisor, is WebAssembly. It reads 32 bytes at a time, eight times as fast as JavaScript reads the words.
 */
import { MEMORY_PAGES_BELOW_RAM } from '../cpu/layout.ts';
import type { PhysicalMemory } from '../cpu/physical-memory.ts';
import { ModuleBuilder } from '../wasm/encoder.ts';
import {
  I32,
  I32_ADD,
  I32_GE_U,
  I64,
  I64_AND,
  I64_EQZ,
  I64_EXTEND_I32_U,
  I64_LOAD,
  I64_OR,
  I64_SHL,
} from '../wasm/opcodes.ts';

/** Bytes that are looked at together. */
export const GROUP = 32;

/**
 * The first group between two addresses of the linear memory in which a word has a bit of its mask: `even` for the
 * words at multiples of eight, `odd` for the others. @returns its address, or `end`.
 */
export type ScanWords = (at: number, end: number, even: number, odd: number) => number;

const scanners = new WeakMap<PhysicalMemory, ScanWords>();

export function scannerOf(memory: PhysicalMemory): ScanWords {
  let scan = scanners.get(memory);
  if (scan === undefined) {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(build(memory) as BufferSource), {
      env: { memory: memory.memory },
    });
    scan = instance.exports['scan'] as ScanWords;
    scanners.set(memory, scan);
  }
  return scan;
}

function build(memory: PhysicalMemory): Uint8Array {
  const m = new ModuleBuilder();
  const pages = MEMORY_PAGES_BELOW_RAM + memory.frames / 16;
  m.importMemory('env', 'memory', pages, pages);
  const f = m.func([I32, I32, I32, I32], [I32]);
  const [at, end, even, odd] = [0, 1, 2, 3];
  const mask = f.local(I64);
  f.get(odd).op(I64_EXTEND_I32_U).const64(32).op(I64_SHL);
  f.get(even).op(I64_EXTEND_I32_U).op(I64_OR).set(mask);
  const found = f.block();
  const next = f.loop();
  f.get(at).get(end).op(I32_GE_U).brIf(found);
  for (let offset = 0; offset < GROUP; offset += 8) {
    f.get(at).mem(I64_LOAD, offset);
    if (offset > 0) f.op(I64_OR);
  }
  f.get(mask).op(I64_AND).op(I64_EQZ);
  f.if();
  f.get(at).const(GROUP).op(I32_ADD).set(at).br(next);
  f.end();
  f.end().end();
  f.get(at);
  m.export('scan', f);
  return m.bytes();
}
