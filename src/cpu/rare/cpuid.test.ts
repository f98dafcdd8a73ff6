import { describe, expect, it } from 'vitest';
import { cpuid, cpuidText, FEATURES_1_EDX, hasFeature } from './cpuid.ts';

const ascii = (...words: number[]): string =>
  words.map((w) => String.fromCharCode(w & 255, (w >>> 8) & 255, (w >>> 16) & 255, w >>> 24)).join('');

describe('CPUID', () => {
  it('leaf 0 spells the vendor in EBX, EDX, ECX', () => {
    const { ebx, ecx, edx } = cpuid(0);
    expect(ascii(ebx, edx, ecx)).toBe('GenuineIntel');
  });
  it('leaf 1 is family 6 model 8 and offers what design.md lists, by bit', () => {
    const { eax, edx } = cpuid(1);
    expect((eax >>> 8) & 15).toBe(6);
    expect((eax >>> 4) & 15).toBe(8);
    const bits = FEATURES_1_EDX.filter((f) => f.present).map((f) => f.name);
    for (const name of ['FPU', 'TSC', 'MSR', 'PAE', 'CX8', 'CMOV', 'FXSR']) expect(bits).toContain(name);
    for (const name of ['PSE', 'PGE', 'SEP', 'APIC', 'VME', 'MTRR']) expect(bits).not.toContain(name);
    // FPU 0, TSC 4, MSR 5, PAE 6, CX8 8, CMOV 15, FXSR 24: the SDM's bit numbers.
    expect(edx & 0x01008171).toBe(0x01008171);
    expect(edx & ((1 << 3) | (1 << 9) | (1 << 11) | (1 << 13))).toBe(0);
  });
  it('offers SSE2 only with SSE, and SSE only with MMX and FXSR', () => {
    if (hasFeature('SSE2')) expect(hasFeature('SSE')).toBe(true);
    if (hasFeature('SSE')) expect(hasFeature('MMX') && hasFeature('FXSR')).toBe(true);
  });
  it('leaf 0x80000001 offers NX', () => {
    expect(cpuid(0x80000001).edx).toBe(1 << 20);
  });
  it('a leaf beyond the highest answers like the highest basic leaf', () => {
    expect(cpuid(3)).toEqual(cpuid(2));
    expect(cpuid(0x40000000)).toEqual(cpuid(cpuid(0).eax));
    expect(cpuid(0x80000005)).toEqual(cpuid(2));
  });
  it('the brand string is printable and ends in zeros', () => {
    const words = [0x80000002, 0x80000003, 0x80000004].flatMap((leaf) => {
      const { eax, ebx, ecx, edx } = cpuid(leaf);
      return [eax, ebx, ecx, edx];
    });
    expect(ascii(...words)).toMatch(/^[ -~]+\0+$/);
  });
  it('prints one line for each leaf and each feature', () => {
    const text = cpuidText();
    expect(text).toContain('00000000  eax 00000002  ebx 756e6547  ecx 6c65746e  edx 49656e69');
    expect(text).toMatch(/yes PAE/);
    expect(text).toMatch(/no {2}PSE/);
  });
});
