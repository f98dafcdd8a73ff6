import { describe, expect, it } from 'vitest';
import { adviceFor, fileSize, nameOfFile } from './files.ts';

describe('dropped files', () => {
  it.each([
    ['grub-i386-xen.bin', 'grub-i386-xen'],
    ['gnumach-1.8-xen-486.gz', 'gnumach-1.8-xen-486'],
    ['my kernel.elf', 'my-kernel'],
    ['.elf', 'kernel'],
  ])('%s makes a domain called %s', (file, name) => {
    expect(nameOfFile(file)).toBe(name);
  });
  it('have sizes in the unit that suits them', () => {
    expect([fileSize(12), fileSize(2048), fileSize(3_400_000)]).toEqual(['12 B', '2 KiB', '3.2 MiB']);
  });
});

describe('advice', () => {
  it('is given for what can be helped, and only then', () => {
    expect(adviceFor('not-elf')).toMatch(/ELF file/);
    expect(adviceFor('elf-64-bit')).toMatch(/32-bit machine/);
    expect(adviceFor('ramdisk-too-big')).toMatch(/ramdisk/);
    expect(adviceFor('something-else')).toBeNull();
  });
});
