import { describe, expect, it } from 'vitest';
import {
  checkDataLoad,
  checkDirectTransfer,
  checkReturnTransfer,
  checkStackLoad,
  descriptorBase,
  descriptorLimit,
  isTooPrivileged,
  offsetAllowed,
  refusalCode,
  refusalVector,
} from './descriptors.ts';

const PRESENT = 0x8000;
const S = 0x1000;
const dplBits = (dpl: number): number => dpl << 13;
const segment = (type: number, dpl = 3): number => PRESENT | S | dplBits(dpl) | (type << 8);
const system = (type: number, dpl = 3): number => PRESENT | dplBits(dpl) | (type << 8);

const told = (r: number): string => {
  if (r === 0) return 'ok';
  const name = { 10: '#TS', 11: '#NP', 12: '#SS', 13: '#GP' }[refusalVector(r)];
  return `${name}(${refusalCode(r).toString(16)})`;
};

describe('the descriptor words', () => {
  it('assemble base and limit from their scattered bits', () => {
    expect(descriptorBase(0x5678_1234, 0x12cf_9a34).toString(16)).toBe('12345678');
    expect(descriptorLimit(0x0000_1234, 0x000f_9200)).toBe(0xf1234);
    expect(descriptorLimit(0x0000_1234, 0x008f_9200)).toBe(0xf1234fff);
    expect(descriptorLimit(0x0000_ffff, 0x00cf_9200)).toBe(0xffffffff);
  });
});

describe('every descriptor type in every segment register, ring 3, selector 0x4b', () => {
  // Types 0-7 data, 8-15 code; bit 1 writable or readable, bit 2 expand-down or conforming.
  const data = [...Array(8).keys()];
  const executeOnly = [8, 9, 12, 13];
  const readable = [10, 11, 14, 15];
  const writable = [2, 3, 6, 7];

  it('DS, ES, FS, GS take all data and readable code', () => {
    for (const type of [...data, ...readable]) expect(told(checkDataLoad(0x4b, segment(type), 3))).toBe('ok');
    for (const type of executeOnly) expect(told(checkDataLoad(0x4b, segment(type), 3))).toBe('#GP(48)');
  });
  it('SS takes writable data only', () => {
    for (let type = 0; type < 16; type++)
      expect(told(checkStackLoad(0x4b, segment(type), 3))).toBe(writable.includes(type) ? 'ok' : '#GP(48)');
  });
  it('CS takes code only', () => {
    for (let type = 0; type < 16; type++) {
      const expected = type >= 8 ? 'ok' : '#GP(48)';
      expect(told(checkDirectTransfer(0x4b, segment(type), 3))).toBe(expected);
      expect(told(checkReturnTransfer(0x4b, segment(type), 3))).toBe(expected);
    }
  });
  it('no register takes a system descriptor', () => {
    for (let type = 0; type < 16; type++) {
      expect(told(checkDataLoad(0x4b, system(type), 3))).toBe('#GP(48)');
      expect(told(checkStackLoad(0x4b, system(type), 3))).toBe('#GP(48)');
      expect(told(checkDirectTransfer(0x4b, system(type), 3))).toBe('#GP(48)');
      expect(told(checkReturnTransfer(0x4b, system(type), 3))).toBe('#GP(48)');
    }
  });
  it('a segment that is not present is #NP, in SS #SS, and only after the other checks', () => {
    expect(told(checkDataLoad(0x4b, segment(2) & ~PRESENT, 3))).toBe('#NP(48)');
    expect(told(checkStackLoad(0x4b, segment(2) & ~PRESENT, 3))).toBe('#SS(48)');
    expect(told(checkDirectTransfer(0x4b, segment(10) & ~PRESENT, 3))).toBe('#NP(48)');
    expect(told(checkReturnTransfer(0x4b, segment(10) & ~PRESENT, 3))).toBe('#NP(48)');
    expect(told(checkDataLoad(0x4b, segment(8) & ~PRESENT, 3))).toBe('#GP(48)');
    expect(told(checkStackLoad(0x4b, segment(0) & ~PRESENT, 3))).toBe('#GP(48)');
  });
});

describe('privilege levels: every CPL, RPL and DPL', () => {
  const levels = [0, 1, 2, 3];
  const each = (check: (cpl: number, rpl: number, dpl: number) => void): void => {
    for (const cpl of levels) for (const rpl of levels) for (const dpl of levels) check(cpl, rpl, dpl);
  };
  const label = (cpl: number, rpl: number, dpl: number): string => `CPL ${cpl} RPL ${rpl} DPL ${dpl}`;

  it('data segments need DPL >= max(CPL, RPL); conforming readable code has no rule', () => {
    each((cpl, rpl, dpl) => {
      const selector = 0x48 | rpl;
      expect(told(checkDataLoad(selector, segment(2, dpl), cpl)), label(cpl, rpl, dpl)).toBe(
        dpl >= cpl && dpl >= rpl ? 'ok' : '#GP(48)',
      );
      expect(told(checkDataLoad(selector, segment(10, dpl), cpl)), label(cpl, rpl, dpl)).toBe(
        dpl >= cpl && dpl >= rpl ? 'ok' : '#GP(48)',
      );
      expect(told(checkDataLoad(selector, segment(14, dpl), cpl))).toBe('ok');
    });
  });
  it('stack segments need RPL = DPL = CPL', () => {
    each((cpl, rpl, dpl) => {
      expect(told(checkStackLoad(0x48 | rpl, segment(2, dpl), cpl)), label(cpl, rpl, dpl)).toBe(
        rpl === cpl && dpl === cpl ? 'ok' : '#GP(48)',
      );
    });
  });
  it('a direct far transfer needs DPL = CPL and RPL <= CPL, or conforming code with DPL <= CPL', () => {
    each((cpl, rpl, dpl) => {
      expect(told(checkDirectTransfer(0x48 | rpl, segment(10, dpl), cpl)), label(cpl, rpl, dpl)).toBe(
        dpl === cpl && rpl <= cpl ? 'ok' : '#GP(48)',
      );
      expect(told(checkDirectTransfer(0x48 | rpl, segment(14, dpl), cpl)), label(cpl, rpl, dpl)).toBe(
        dpl <= cpl ? 'ok' : '#GP(48)',
      );
    });
  });
  it('a return goes to RPL >= CPL, with DPL = RPL, or DPL <= RPL for conforming code', () => {
    each((cpl, rpl, dpl) => {
      expect(told(checkReturnTransfer(0x48 | rpl, segment(10, dpl), cpl)), label(cpl, rpl, dpl)).toBe(
        rpl >= cpl && dpl === rpl ? 'ok' : '#GP(48)',
      );
      expect(told(checkReturnTransfer(0x48 | rpl, segment(14, dpl), cpl)), label(cpl, rpl, dpl)).toBe(
        rpl >= cpl && dpl <= rpl ? 'ok' : '#GP(48)',
      );
    });
  });
  it('a return outwards nulls data registers whose DPL is inside the new level, except conforming code', () => {
    for (const cpl of levels)
      for (const dpl of levels) {
        expect(isTooPrivileged(segment(2, dpl), cpl)).toBe(dpl < cpl);
        expect(isTooPrivileged(segment(10, dpl), cpl)).toBe(dpl < cpl);
        expect(isTooPrivileged(segment(14, dpl), cpl)).toBe(false);
        expect(isTooPrivileged(0, cpl)).toBe(false);
      }
  });
});

describe('segment limits', () => {
  const BIG = 1 << 22;
  it('an ordinary segment ends at its limit, whatever the size of the access', () => {
    expect(offsetAllowed(segment(2), 0xfff, 0xffc, 4)).toBe(true);
    expect(offsetAllowed(segment(2), 0xfff, 0xffd, 4)).toBe(false);
    expect(offsetAllowed(segment(10), 0xfff, 0xfff, 1)).toBe(true);
    expect(offsetAllowed(segment(14), 0xfff, 0x1000, 1)).toBe(false);
    expect(offsetAllowed(segment(2), 0xffffffff, 0xffffffff, 1)).toBe(true);
    expect(offsetAllowed(segment(2), 0xffffffff, 0xfffffffe, 4)).toBe(false);
  });
  it('an expand-down segment begins above its limit and ends at 64 KiB, or at 4 GiB when B is set', () => {
    expect(offsetAllowed(segment(6), 0xfff, 0xfff, 1)).toBe(false);
    expect(offsetAllowed(segment(6), 0xfff, 0x1000, 4)).toBe(true);
    expect(offsetAllowed(segment(6), 0xfff, 0xffff, 1)).toBe(true);
    expect(offsetAllowed(segment(6), 0xfff, 0xffff, 2)).toBe(false);
    expect(offsetAllowed(segment(6) | BIG, 0xfff, 0xffff, 2)).toBe(true);
    expect(offsetAllowed(segment(6) | BIG, 0xfff, 0xfffffffd, 4)).toBe(false);
  });
});
