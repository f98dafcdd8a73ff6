/** The demos of guests/manifest.json, and fetching their images. */
import type { Result } from '../base/result.ts';
import type { DomainRequest, Script } from '../worker/protocol.ts';

export interface DemoDomain {
  name?: string;
  image: string;
  ramdisk?: string | null;
  cmdline?: string;
  memoryMiB?: number;
  vcpus?: number;
  abi?: DomainRequest['abi'];
  xen?: DomainRequest['xen'];
  privileged?: boolean;
}
export interface Demo {
  id: string;
  title: string;
  story: string;
  watch: string[];
  domains: DemoDomain[];
  /** Simulated physical CPUs of its machine. */
  cpus?: number;
  /** Its user's part: what is typed to the first domain, and what is pressed when. */
  input?: string[];
  presses?: Script['presses'];
}

export type Gallery =
  | { state: 'loading' }
  | { state: 'ready'; demos: readonly Demo[] }
  | { state: 'failed'; reason: string };

const BASE = './guests/';

export async function fetchGallery(): Promise<Gallery> {
  try {
    const response = await fetch(`${BASE}manifest.json`);
    if (!response.ok) return { state: 'failed', reason: `the server answered ${response.status}` };
    const manifest = (await response.json()) as Demo[] | { demos: Demo[] };
    return { state: 'ready', demos: Array.isArray(manifest) ? manifest : manifest.demos };
  } catch (error) {
    return { state: 'failed', reason: error instanceof Error ? error.message : String(error) };
  }
}

export type FetchProgress = (received: number, total: number) => void;

export async function fetchImage(path: string, progress: FetchProgress): Promise<Result<Uint8Array>> {
  const failure = (message: string): Result<Uint8Array> => ({
    ok: false,
    error: { code: 'fetch-failed', message },
  });
  let response: Response;
  try {
    response = await fetch(BASE + path);
  } catch {
    return failure(`${path} could not be fetched.`);
  }
  if (!response.ok || response.body === null)
    return failure(`${path}: the server answered ${response.status}.`);
  const total = Number(response.headers.get('content-length') ?? 0);
  const parts: Uint8Array[] = [];
  let received = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.length;
    progress(received, total);
  }
  const bytes = new Uint8Array(received);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { ok: true, value: bytes };
}

/** Several domains of one demo are told apart by a number. */
export function demoDomainName(demo: Demo, index: number): string {
  const domain = demo.domains[index];
  if (domain?.name) return domain.name;
  return demo.domains.length > 1 ? `${demo.id}-${index + 1}` : demo.id;
}
