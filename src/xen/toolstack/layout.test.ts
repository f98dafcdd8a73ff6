import { describe, expect, it } from 'vitest';
import { type LayoutRequest, layOut } from './layout.ts';

const MIB = 1 << 20;
const request = (more: Partial<LayoutRequest>): LayoutRequest => ({
  abi: 'x86_32',
  virtBase: 0xc000_0000,
  kernelEnd: 0xc002_0000,
  ramdiskBytes: 0,
  frames: 16 * 256,
  rings: true,
  ...more,
});
const lay = (more: Partial<LayoutRequest>) => {
  const result = layOut(request(more));
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
};
const codeOf = (more: Partial<LayoutRequest>) => {
  const result = layOut(request(more));
  return result.ok ? 'ok' : result.error.code;
};

describe('the initial layout', () => {
  it('puts the items one behind the other, in the order that guests expect', () => {
    expect(lay({ ramdiskBytes: 5000 })).toEqual({
      kernelPages: 32,
      ramdiskPfn: 32,
      ramdiskPages: 2,
      p2mPfn: 34,
      p2mPages: 4,
      startInfoPfn: 38,
      storePfn: 39,
      consolePfn: 40,
      tablesPfn: 41,
      tables: { l3: 0, l2Slots: [0], firstL1: 768, l1: 1 },
      tableFrames: 2,
      stackPfn: 43,
      mappedPages: 1024,
    });
  });
  it('ends at the next 4 MiB, or one more when less than 512 KiB would be left behind the stack', () => {
    // 32 KiB of other pages: the stack ends exactly 512 KiB before the boundary, then one page later.
    const fits = 0xc000_0000 + 4 * MIB - 512 * 1024 - (4 + 3 + 2 + 1) * 4096;
    expect(lay({ kernelEnd: fits }).mappedPages).toBe(1024);
    expect(lay({ kernelEnd: fits + 1 })).toMatchObject({ mappedPages: 2048, tableFrames: 3 });
  });
  it('counts one L1 per 4 MiB and the root (2-level)', () => {
    expect(lay({ kernelEnd: 0xc000_0000 + 9 * MIB }).tableFrames).toBe(1 + 3);
  });
  it('counts L3, one L2 per touched GiB, and one L1 per 2 MiB (PAE)', () => {
    expect(lay({ abi: 'x86_32p' })).toMatchObject({
      tableFrames: 1 + 1 + 2,
      tables: { l2Slots: [3], firstL1: 1536, l1: 2 },
    });
  });
  it('adds an L2 for slot 3 below 0xC0000000, and none for untouched slots 1 and 2 (the count of 2007)', () => {
    expect(lay({ abi: 'x86_32p', virtBase: 0, kernelEnd: 0x2_0000 })).toMatchObject({
      tableFrames: 1 + 2 + 2,
      tables: { l2Slots: [0, 3], firstL1: 0 },
    });
  });
  it('has no rings for the initial domain', () => {
    expect(lay({ rings: false })).toMatchObject({
      storePfn: -1,
      consolePfn: -1,
      startInfoPfn: 36,
      tablesPfn: 37,
    });
  });
  it('refuses a domain whose start does not fit its memory', () => {
    expect(codeOf({ frames: 1024 })).toBe('ok');
    expect(codeOf({ frames: 1023 })).toBe('memory-too-small');
    expect(codeOf({ ramdiskBytes: 20 * MIB })).toBe('ramdisk-too-big');
    expect(codeOf({ ramdiskBytes: 20 * MIB, frames: 512 })).toBe('memory-too-small');
  });
  it("refuses one that would reach into the hypervisor's hole", () => {
    expect(codeOf({ virtBase: 0xfbc0_0000, kernelEnd: 0xfbc0_1000 })).toBe('ok');
    expect(codeOf({ virtBase: 0xfc00_0000, kernelEnd: 0xfc00_1000 })).toBe('bad-virtual-base');
    expect(codeOf({ abi: 'x86_32p', virtBase: 0xf540_0000, kernelEnd: 0xf578_0000 })).toBe(
      'bad-virtual-base',
    );
  });
});
