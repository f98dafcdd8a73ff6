/**
 * The list of demos, public/guests/manifest.json: what each is about, which domains it starts, and what it must
 * print to have worked. Its form is manifest.schema.json; the gallery, the command line and the tests read it.
 */
import type { Result, UserError } from '../base/result.ts';
import type { TimedPress } from './input-log.ts';

export interface DemoDomain {
  /** File beside the manifest. */
  image: string;
  ramdisk?: string;
  cmdline: string;
  memoryMiB: number;
  vcpus: number;
  abi: 'auto' | 'x86_32' | 'x86_32p';
  xen: 'auto' | '3.0.2' | '4.17';
  privileged: boolean;
}

export type DemoExit =
  | 'poweroff'
  | 'reboot'
  | 'suspend'
  | 'crash'
  | 'watchdog'
  | 'soft_reset'
  | 'other'
  | 'running';

export interface Demo {
  id: string;
  title: string;
  story: string;
  /** What to look at, one sentence each. */
  watch: string[];
  /** Started in this order; names default to the demo's id. */
  domains: DemoDomain[];
  /** Simulated physical CPUs of the machine; 1 unless said. */
  cpus?: number;
  /** Typed to the first domain, one after the other, each when it has been silent for a while. */
  input: string[];
  /** Pressed by whoever runs the demo without a user: what its story asks the user for. */
  presses?: TimedPress[];
  /** 'restore': a domain that suspends itself goes on in a fresh machine; the story ends there. */
  then?: 'restore';
  expect: {
    /** Texts that must be printed, by any of the domains. */
    console: string[];
    /** How every domain ends; 'running': it never does, the texts alone count. */
    exit: DemoExit;
    maxInstructions: number;
  };
}

export interface Manifest {
  demos: Demo[];
}

/** The demo of this id, or what there is instead. */
export function findDemo(manifest: Manifest, id: string): Result<Demo, UserError> {
  const demo = manifest.demos.find((d) => d.id === id);
  if (demo) return { ok: true, value: demo };
  const known = manifest.demos.map((d) => d.id).join(', ');
  return {
    ok: false,
    error: { code: 'no-such-demo', message: `there is no demo '${id}'; there are ${known}` },
  };
}

/** Texts of `expected` that the console did not show. */
export function missingTexts(expected: readonly string[], consoleText: string): string[] {
  return expected.filter((text) => !consoleText.includes(text));
}
