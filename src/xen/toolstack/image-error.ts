/**
 * What is wrong with an image that a user gave us. Expected failures travel as values; each surface (screen, command
 * line) adds its own advice to the facts.
 */
import type { Result, UserError } from '../../base/result.ts';

export type ImageErrorCode =
  // the container
  | 'empty-file'
  | 'bad-gzip'
  | 'bad-compression'
  | 'unsupported-compression'
  | 'bzimage-too-old'
  // the ELF file
  | 'not-an-elf'
  | 'elf-64-bit'
  | 'elf-big-endian'
  | 'wrong-machine'
  | 'not-executable'
  | 'truncated'
  | 'bad-header'
  | 'no-loadable-segment'
  | 'overlapping-segments'
  | 'huge-segment'
  // what it asks for
  | 'not-a-xen-guest'
  | 'bad-guest-string'
  | 'bad-note'
  | 'wrong-xen-version'
  | 'wrong-loader'
  | 'unknown-required-feature'
  | 'unsupported-feature'
  | 'entry-outside'
  | 'bad-virtual-base'
  | 'hypercall-page-outside'
  | 'wrong-abi'
  | 'wrong-xen'
  // what it gets
  | 'memory-too-small'
  | 'memory-too-big'
  | 'ramdisk-too-big'
  | 'command-line-too-long'
  | 'bad-memory-size'
  | 'bad-vcpu-count'
  | 'domain-zero-not-first';

export interface ImageError extends UserError {
  code: ImageErrorCode;
  /** The numbers behind the message: offsets, sizes, what was found and what was expected. */
  facts: Readonly<Record<string, number | string>>;
}

export type ImageResult<T> = Result<T, ImageError>;

export function imageError(
  code: ImageErrorCode,
  message: string,
  facts: Readonly<Record<string, number | string>> = {},
): { ok: false; error: ImageError } {
  return { ok: false, error: { code, message, facts } };
}

export const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;
