import { readFileSync } from 'node:fs';
import { GUESTS } from './pages/lab-page.ts';
import { expect, test } from './pages/test.ts';

const HELLO = `${GUESTS}hello-x86_32p.elf`;
const bytes = (name: string, buffer: Buffer) => ({ name, mimeType: 'application/octet-stream', buffer });

/** A changed copy of a good image. */
function hello(change: (image: Buffer) => Buffer | undefined): Buffer {
  const image = Buffer.from(readFileSync(HELLO));
  return change(image) ?? image;
}

const CASES: readonly { title: string; buffer: () => Buffer; says: RegExp; memoryMiB?: number }[] = [
  { title: 'an empty file', buffer: () => Buffer.alloc(0), says: /empty/i },
  { title: 'a text file', buffer: () => Buffer.from('#!/bin/sh\necho no kernel\n'), says: /not an ELF/i },
  {
    title: 'a 64-bit image',
    buffer: () =>
      hello((image) => {
        image[4] = 2;
        return undefined;
      }),
    says: /64.bit/i,
  },
  {
    title: 'a truncated image',
    buffer: () => hello((image) => image.subarray(0, 5000)),
    says: /ends|truncated|beyond/i,
  },
  {
    title: 'an image for another machine',
    buffer: () =>
      hello((image) => {
        image.writeUInt16LE(40, 18);
        return undefined;
      }),
    says: /machine|i386|processor/i,
  },
  {
    title: 'a good image without memory for it',
    buffer: () => hello(() => undefined),
    memoryMiB: 1000,
    says: /memory|frames|MiB/i,
  },
];

test.describe('bad input', () => {
  for (const { title, buffer, says, memoryMiB } of CASES) {
    test(`${title} is refused in a clear sentence, and the lab goes on`, async ({ lab }) => {
      await lab.bootFile({ file: bytes('broken.elf', buffer()), ...(memoryMiB ? { memoryMiB } : {}) });
      const error = lab.page.getByTestId('boot-error');
      await expect(error).toContainText('broken was not booted');
      await expect(error).toContainText(says);

      await lab.fillOpenDialog({ file: HELLO, memoryMiB: 8 });
      await lab.openDialog.getByRole('button', { name: 'Boot' }).click();
      await lab.printed('Goodbye.');
    });
  }

  test('a crashed domain tells why, in one sentence, where it cannot be missed', async ({ lab }) => {
    // A kernel without a trap table that jumps to an address that is not mapped.
    const image = hello((elf) => {
      const entry = elf.readUInt32LE(24);
      const headers = elf.readUInt32LE(28);
      for (let i = 0; i < elf.readUInt16LE(44); i++) {
        const at = headers + i * elf.readUInt16LE(42);
        const [offset, va, size] = [
          elf.readUInt32LE(at + 4),
          elf.readUInt32LE(at + 8),
          elf.readUInt32LE(at + 16),
        ];
        if (elf.readUInt32LE(at) === 1 && entry >= va && entry < va + size) {
          // mov eax, 0x10; jmp eax
          elf.set([0xb8, 0x10, 0, 0, 0, 0xff, 0xe0], offset + entry - va);
        }
      }
      return undefined;
    });
    await lab.bootFile({ file: bytes('lost.elf', image) });
    const crash = lab.page.getByTestId('crash');
    await expect(crash).toContainText('lost crashed.');
    await expect(crash).toContainText(/00000010|0x10/);
    await expect(lab.domain('lost')).toContainText('crashed');

    await lab.boot('hello');
    await lab.printed('Goodbye.');
  });
});
