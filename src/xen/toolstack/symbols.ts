/** Names for addresses, from an image's symbol table: for disassembly, stacks and explanations. */
import { type ElfFile, SHT_SYMTAB, sectionBytes, stringAt } from './elf.ts';

const SYMBOL_SIZE = 16;
const STT_FUNC = 2;
const STT_NOTYPE = 0;
const STT_OBJECT = 1;
/** A symbol without a size names at most this much. */
const REACH_WITHOUT_SIZE = 0x1_0000;

export interface SymbolRow {
  name: string;
  value: number;
  size: number;
}

export interface Symbols {
  /** symbolAt(0xc0001234) = 'start_kernel+0x34'; null when no symbol is near. */
  symbolAt(va: number): string | null;
  /** Address of a symbol, or null. */
  addressOf(name: string): number | null;
  readonly count: number;
  /** All of them, by address; of several at one address the best comes last. */
  readonly rows: readonly SymbolRow[];
}

export function readSymbols(elf: ElfFile): Symbols {
  const section = elf.sections.find((s) => s.type === SHT_SYMTAB);
  const strings = section && elf.sections[section.link];
  if (!section || !strings) return symbolTable([]);
  const table = sectionBytes(elf.bytes, section);
  const names = sectionBytes(elf.bytes, strings);
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const found: { name: string; value: number; size: number; global: boolean }[] = [];
  for (let p = 0; p + SYMBOL_SIZE <= table.length; p += SYMBOL_SIZE) {
    const info = view.getUint8(p + 12);
    const type = info & 15;
    const sectionIndex = view.getUint16(p + 14, true);
    if (
      (type !== STT_FUNC && type !== STT_NOTYPE && type !== STT_OBJECT) ||
      sectionIndex === 0 ||
      sectionIndex >= 0xff00
    )
      continue;
    const name = stringAt(names, view.getUint32(p, true));
    if (name === '' || name.startsWith('.L')) continue;
    found.push({
      name,
      value: view.getUint32(p + 4, true),
      size: view.getUint32(p + 8, true),
      global: info >>> 4 !== 0,
    });
  }
  // By address; of several names for one address the global one, then the one with a size, comes last and wins.
  found.sort((a, b) => a.value - b.value || Number(a.global) - Number(b.global) || a.size - b.size);
  return symbolTable(found.map(({ name, value, size }) => ({ name, value, size })));
}

/** @param found by address. */
export function symbolTable(found: readonly SymbolRow[]): Symbols {
  const byName = new Map(found.map((s) => [s.name, s.value]));
  return {
    rows: found,
    count: found.length,
    addressOf: (name) => byName.get(name) ?? null,
    symbolAt(va) {
      let low = 0;
      let high = found.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (found[middle]!.value <= va) low = middle + 1;
        else high = middle;
      }
      const symbol = found[low - 1];
      if (!symbol) return null;
      const offset = va - symbol.value;
      if (offset >= (symbol.size || REACH_WITHOUT_SIZE)) return null;
      return offset === 0 ? symbol.name : `${symbol.name}+0x${offset.toString(16)}`;
    },
  };
}
