/** Reading dropped files, and what to advise when an image is refused. */

/** A domain's name out of a file's: nameOfFile("grub-i386-xen.bin") = "grub-i386-xen". */
export function nameOfFile(file: string): string {
  const name = file.replace(/\.(gz|elf|bin|img|xz)$/gi, '').replace(/[^\w.-]/g, '-');
  return name.slice(0, 32) || 'kernel';
}

/** fileSize(3_400_000) = "3.2 MiB" */
export function fileSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(0)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

export async function readFile(
  file: File,
  progress: (received: number, total: number) => void,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  let at = 0;
  const reader = file.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.set(value, at);
    at += value.length;
    progress(at, file.size);
  }
  return bytes.subarray(0, at);
}

/** The engine states facts; the advice is the page's. By the words of the code, so that kin share advice. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /not-?elf|not-an-elf|bad-magic/,
    'Drop the kernel itself (an ELF file, packed or not, or a bzImage), not a disk image, an archive or a source file.',
  ],
  [/64/, 'The lab is a 32-bit machine. Take the i386 build of this kernel.'],
  [
    /abi|pae|notes|xen-guest|not-xen/,
    'The kernel must be built for 32-bit Xen PV. Check the Paging choice below, or leave it to the image.',
  ],
  [/truncat/, 'The file ends early: download or copy it again.'],
  [/ramdisk/, 'Give the domain more memory, or take a smaller ramdisk.'],
  [
    /memory|too-small|frames/,
    'Change the memory of the domain, or reset the machine to free what earlier domains hold.',
  ],
  [/segment|overlap|huge/, 'The image is damaged or not meant for this machine: build or download it again.'],
  [/gzip|compress|inflate/, 'Unpack the file yourself and drop the ELF image inside it.'],
  [/vcpu/, 'Ask for one vcpu.'],
];

export function adviceFor(code: string): string | null {
  return ADVICE.find(([words]) => words.test(code))?.[1] ?? null;
}
