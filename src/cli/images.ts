/** What to start: a demo of the manifest with its images, or an image with the options of the command line. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Result } from '../base/result.ts';
import { type Demo, findDemo, type Manifest } from '../machine/manifest.ts';
import type { BuildRequest } from '../xen/toolstack/build-domain.ts';
import type { BootOptions } from './options.ts';

const GUESTS = new URL('../../public/guests/', import.meta.url);
const DEFAULT_MEMORY_MIB = 64;

export interface Plan {
  demo: Demo | null;
  requests: BuildRequest[];
}

export const readManifest = (): Manifest =>
  JSON.parse(readFileSync(new URL('manifest.json', GUESTS), 'utf8')) as Manifest;

/** A demo's id has neither a slash nor a dot; everything else is a file. */
export function plan(options: BootOptions): Result<Plan> {
  const found = /^[a-z0-9-]+$/.test(options.target) ? findDemo(readManifest(), options.target) : null;
  if (found?.ok) return demoPlan(found.value, options);
  const image = readFile(options.target);
  if (!image.ok) return found ?? image;
  const ramdisk = options.ramdisk === null ? null : readFile(options.ramdisk);
  if (ramdisk && !ramdisk.ok) return ramdisk;
  const request: BuildRequest = {
    name: basename(options.target).replace(/\.[a-z]+$/, ''),
    image: image.value,
    ...(ramdisk ? { ramdisk: ramdisk.value } : {}),
    commandLine: options.cmdline ?? '',
    memoryMiB: options.memoryMiB ?? DEFAULT_MEMORY_MIB,
    vcpus: options.vcpus ?? 1,
    abi: options.abi ?? 'auto',
    xen: options.xen ?? 'auto',
    privileged: options.privileged,
  };
  return { ok: true, value: { demo: null, requests: [request] } };
}

/** A demo brings its own; what the command line says goes for each of its domains. */
function demoPlan(demo: Demo, options: BootOptions): Result<Plan> {
  const requests: BuildRequest[] = [];
  for (const [index, domain] of demo.domains.entries()) {
    const image = readFile(new URL(domain.image, GUESTS));
    if (!image.ok) return image;
    const ramdiskFile = options.ramdisk ?? (domain.ramdisk ? new URL(domain.ramdisk, GUESTS) : null);
    const ramdisk = ramdiskFile === null ? null : readFile(ramdiskFile);
    if (ramdisk && !ramdisk.ok) return ramdisk;
    requests.push({
      name: demo.domains.length > 1 ? `${demo.id}-${index + 1}` : demo.id,
      image: image.value,
      ...(ramdisk ? { ramdisk: ramdisk.value } : {}),
      commandLine: options.cmdline ?? domain.cmdline,
      memoryMiB: options.memoryMiB ?? domain.memoryMiB,
      vcpus: options.vcpus ?? domain.vcpus,
      abi: options.abi ?? domain.abi,
      xen: options.xen ?? domain.xen,
      privileged: options.privileged || domain.privileged,
    });
  }
  return { ok: true, value: { demo, requests } };
}

export function readFile(file: string | URL): Result<Uint8Array> {
  try {
    return { ok: true, value: new Uint8Array(readFileSync(file)) };
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'ENOENT'
        ? 'there is no such file'
        : String(error);
    return { ok: false, error: { code: 'unreadable-file', message: `${file}: ${why}` } };
  }
}
