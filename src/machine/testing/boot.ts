/** Sessions for tests: one domain, typed lines, what was printed as plain text. */
import { readFileSync } from 'node:fs';
import type { BuildRequest } from '../../xen/toolstack/build-domain.ts';
import { toBytes } from '../../xen/toolstack/xenstore-wire.ts';
import { InputScript } from '../input-script.ts';
import type { MachineOptions } from '../machine.ts';
import { Session } from '../session.ts';

export const MACHINE: MachineOptions = { memoryMiB: 256, seed: 1, wallClockSeconds: 1_767_225_600 };

export const guestFile = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../../public/guests/${name}`, import.meta.url)));

export const request = (image: Uint8Array, more: Partial<BuildRequest> = {}): BuildRequest => ({
  name: 'test',
  image,
  commandLine: '',
  memoryMiB: 64,
  vcpus: 1,
  abi: 'auto',
  xen: 'auto',
  privileged: false,
  ...more,
});

/** Boots one domain; `lines` are typed to it as a user would. */
export function bootOne(
  image: Uint8Array,
  lines: readonly string[] = [],
  more: Partial<BuildRequest> = {},
): Session {
  const session = new Session(MACHINE);
  const booted = session.boot(request(image, more));
  if (!booted.ok) throw new Error(booted.error.message);
  if (lines.length > 0) session.script = new InputScript(booted.value.domid, lines.map(toBytes));
  return session;
}

/** A console's text without cursor movements, colours and carriage returns. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
  return text.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '');
}
