/**
 * The conformance guest judges the hypervisor itself, one line for each rule: every image, as an ordinary domain and
 * as the initial one, must find nothing wrong and come to its count.
 */
import { describe, expect, it } from 'vitest';
import { audit } from '../xen/audit.ts';
import type { Personality } from '../xen/personality.ts';
import { Session } from './session.ts';
import { guestFile, MACHINE, request } from './testing/boot.ts';

const IMAGES = (['302', 'later'] as const).flatMap((form) => [
  { abi: 'x86_32', xen: '3.0.2' as Personality, form } as const,
  { abi: 'x86_32p', xen: '3.0.2' as Personality, form } as const,
  { abi: 'x86_32p', xen: '4.17' as Personality, form } as const,
]);
/** Bounds a hang; the longest run takes a third of it. */
const MAX_INSTRUCTIONS = 250_000_000;

describe.each(IMAGES)('conformance, $abi under $xen, forms $form', ({ abi, xen, form }) => {
  it.each([
    ['an ordinary domain', false],
    ['the initial domain', true],
  ])(
    'finds nothing wrong as %s',
    (_who, privileged) => {
      const session = new Session(MACHINE);
      const booted = session.boot(
        request(guestFile(`conformance-${abi}-${xen}-${form}.elf`), {
          memoryMiB: 32,
          abi,
          xen,
          privileged,
        }),
      );
      if (!booted.ok) throw new Error(booted.error.message);
      const { domid } = booted.value;
      expect(session.run({ maxInstructions: MAX_INSTRUCTIONS })).toBe('ended');
      const lines = session.text(domid).split(/\r?\n/);
      expect(lines.filter((line) => /\bWRONG\b/.test(line))).toEqual([]);
      const count = lines
        .map((line) => /^conformance: (\d+) lines, (\d+) wrong/.exec(line))
        .find((m) => m !== null);
      expect(count?.[2]).toBe('0');
      // The count is of what was printed: no line got lost.
      const judged = lines.filter((line) => / (ok|WRONG.*)$/.test(line)).length;
      expect(judged).toBeGreaterThan(400);
      expect(Number(count?.[1])).toBeGreaterThanOrEqual(judged);
      expect(session.machine.domains[0]?.end?.reason).toBe('poweroff');
      expect(audit(session.machine.hv)).toEqual([]);
    },
    120_000,
  );
});
