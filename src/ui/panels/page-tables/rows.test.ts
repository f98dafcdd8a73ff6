import { describe, expect, it } from 'vitest';
import type { PageTableRow, PageTablesView } from '../../../worker/protocol.ts';
import { addressFields, changedEntries, countsText, depthOf, entryDigits, slotText } from './rows.ts';

const row = (change: Partial<PageTableRow>): PageTableRow => ({
  path: '20.4b',
  level: 1,
  index: 0x4b,
  va: 0x0804b000,
  low: 0x0341a067,
  high: 0,
  flags: 'PWUAD',
  mfn: 0x341a,
  pfn: 0xb07,
  type: 'writable',
  owner: 'd1',
  pinned: false,
  children: null,
  span: 1,
  ...change,
});
const view = (rows: PageTableRow[]): PageTablesView => ({
  view: 'pageTables',
  domid: 1,
  vcpu: 0,
  abi: 'x86_32',
  rootMfn: 0x23f1,
  from: 0,
  rows,
  totalRows: rows.length,
  counts: { l3: 0, l2: 1, l1: 1, leaves: rows.length },
  walk: null,
});

describe('an address cut into its fields', () => {
  const cut = (va: number, abi: 'x86_32' | 'x86_32p') =>
    addressFields(va, abi).map((f) => `${f.name} ${f.value} (${f.bits.length})`);
  it('is 10, 10 and 12 bits in two levels', () => {
    expect(cut(0x0804b1f4, 'x86_32')).toEqual(['L2 slot 020 (10)', 'L1 slot 04b (10)', 'offset 1f4 (12)']);
  });
  it('is 2, 9, 9 and 12 bits with PAE', () => {
    expect(cut(0xc00021c7, 'x86_32p')).toEqual([
      'L3 3 (2)',
      'L2 slot 000 (9)',
      'L1 slot 002 (9)',
      'offset 1c7 (12)',
    ]);
  });
  it('puts the bits together to the address again', () => {
    const bits = addressFields(0xdeadbeef, 'x86_32p').flatMap((f) => f.bits);
    expect(Number.parseInt(bits.join(''), 2)).toBe(0xdeadbeef);
  });
});

describe('page-table rows', () => {
  it('write slots in three digits, an L3 slot in one, a folded run with its length', () => {
    expect(slotText(row({}))).toBe('04b');
    expect(slotText(row({ level: 3, index: 3, path: '3' }))).toBe('3');
    expect(slotText(row({ index: 0x3f0, span: 16 }))).toBe('3f0 +f');
  });
  it('are indented by their path', () => {
    expect(depthOf(row({ path: '3.1ff.10' }))).toBe(2);
  });
  it('write the upper half of an entry only where it is not zero', () => {
    expect(entryDigits(0x0341a067, 0)).toBe('0341 a067');
    expect(entryDigits(0x0341a067, 0x80000000)).toBe('80000000·0341 a067');
  });
  it('tell entries that changed under the same root', () => {
    const changed = changedEntries(view([row({})]), view([row({ low: 0x01d90225 })]));
    expect([...changed]).toEqual([['20.4b', '01d9 0225']]);
    expect(changedEntries(view([row({})]), { ...view([row({ low: 1 })]), rootMfn: 1 }).size).toBe(0);
  });
  it('count the tables', () => {
    expect(countsText({ l3: 0, l2: 1, l1: 17, leaves: 1 })).toBe('1 L2, 17 L1, 1 page');
    expect(countsText({ l3: 1, l2: 4, l1: 9, leaves: 4096 })).toBe('1 L3, 4 L2, 9 L1, 4096 pages');
  });
});
