/** A demo's domains in a few words. */
import type { Demo } from '../../../store/gallery.ts';

/** "PAE, 1 vcpu, 8 MiB" or "PAE, 2 domains, 16 MiB" */
export function aboutDemo(demo: Demo): string {
  const [first] = demo.domains;
  if (first === undefined) return '';
  const abi = { x86_32p: 'PAE', x86_32: '2-level', auto: 'PAE or 2-level' }[first.abi ?? 'auto'];
  const memory = demo.domains.reduce((sum, d) => sum + (d.memoryMiB ?? 32), 0);
  const vcpus = first.vcpus ?? 1;
  const size =
    demo.domains.length > 1 ? `${demo.domains.length} domains` : `${vcpus} ${vcpus === 1 ? 'vcpu' : 'vcpus'}`;
  return `${abi}, ${size}, ${memory} MiB`;
}
