/**
 * Kernels that nobody here wrote, where this machine has them: in the folder that RINGSIDE_GUESTS names, or where
 * Debian's packages put them (grub-xen-host; gnumach-image-1.8-xen-486:i386). Tests skip, by name, what is absent.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface RealGuest {
  /** Debian's package. */
  package: string;
  /** null: not on this machine. */
  image: Uint8Array | null;
}

function find(name: RegExp, folders: readonly string[]): Uint8Array | null {
  const named = process.env['RINGSIDE_GUESTS'];
  for (const folder of named ? [named, ...folders] : folders) {
    const file = existsSync(folder) ? readdirSync(folder).find((entry) => name.test(entry)) : undefined;
    if (file) return new Uint8Array(readFileSync(join(folder, file)));
  }
  return null;
}

export const grub: RealGuest = {
  package: 'grub-xen-host',
  image: find(/^grub-i386-xen\.bin$/, ['/usr/lib/grub-xen']),
};
export const gnumach: RealGuest = {
  package: 'gnumach-image-1.8-xen-486:i386',
  image: find(/^gnumach.*xen.*\.gz$/, ['/boot']),
};

/** 'GRUB for Xen', or 'GRUB for Xen [absent: install grub-xen-host]'. */
export const titled = (title: string, guest: RealGuest): string =>
  guest.image ? title : `${title} [absent: install Debian's ${guest.package}]`;
