/**
 * GRUB for Xen, unmodified, as Debian ships it: to its prompt, and what it answers. golden/ holds what it printed on
 * a real Xen 4.17.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { audit } from '../xen/audit.ts';
import { bootOne, plain } from './testing/boot.ts';
import { grub, titled } from './testing/real-guests.ts';

const golden = readFileSync(new URL('./testing/golden/grub-i386-xen.console', import.meta.url), 'latin1');
const MOST = 3_000_000_000;

/** What GRUB printed after a command, up to the next prompt. */
function answers(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of plain(text).split('grub> ').slice(1)) {
    const end = part.indexOf('\n');
    if (end >= 0) found.set(part.slice(0, end), part.slice(end + 1));
  }
  return found;
}

/** Everything at once, when GRUB is at its prompt: it takes the lines one after the other. */
const typed = (commands: readonly string[]): string[] => [commands.map((command) => `${command}\r`).join('')];

/** Types the commands at the prompt and powers off. */
function ask(commands: readonly string[], memoryMiB = 64) {
  const session = bootOne(
    grub.image!,
    [...commands, 'halt'].map((command) => `${command}\r`),
    { memoryMiB },
  );
  expect(session.run({ maxInstructions: MOST })).toBe('ended');
  expect(session.machine.domains[0]!.end).toMatchObject({ reason: 'poweroff', sentence: null });
  expect(audit(session.machine.hv)).toEqual([]);
  return answers(session.text(1));
}

/** How fast it read, and what time it was, are not GRUB's doing. */
const comparable = (text: string): string =>
  plain(text)
    .replace(/[\d.]+(K|M)?iB\/s/g, 'SPEED')
    .replace(/^(DAY|HOUR|MINUTE|MONTH|SECOND|WEEKDAY|YEAR)=.*$/gm, '$1=NOW');

describe.skipIf(grub.image === null)(titled('GRUB for Xen', grub), () => {
  it('prints on the way to its prompt, and for echo, ls, lsmod and set, what it printed on real Xen', () => {
    const session = bootOne(grub.image!, typed(['echo hello from pvgrub', 'ls', 'lsmod', 'set', 'halt']));
    expect(session.run({ maxInstructions: MOST })).toBe('ended');
    const [ours, halted] = comparable(session.text(1)).split(/(?<=grub> )(?=halt)/);
    expect(halted).toContain('halt');
    expect(ours!.trimEnd()).toBe(comparable(golden).trimEnd());
  });

  it('answers help, and echo with the value of a variable', () => {
    const said = ask(['help', 'set greeting=paravirtual', 'echo "<$greeting>"', 'echo $grub_platform']);
    expect(said.get('help')).toContain('lsmmap');
    expect(said.get('echo "<$greeting>"')).toBe('<paravirtual>\n');
    expect(said.get('echo $grub_platform')).toBe('xen\n');
  });

  it.each([48, 112])("finds all of the domain's %i MiB in lsmmap", (memoryMiB) => {
    const ranges = ask(['lsmmap'], memoryMiB)
      .get('lsmmap')!
      .matchAll(/base_addr = (0x[0-9a-f]+), length = (0x[0-9a-f]+)/g);
    let total = 0;
    for (const [, base, length] of ranges) {
      expect(Number(base)).toBe(total);
      total += Number(length);
    }
    expect(total).toBe(memoryMiB * 1024 * 1024);
  });
});
