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

/** Demos whose every domain is of 2006 apart from the others, each in the order of the manifest. */
export function byAge(demos: readonly Demo[]): { present: Demo[]; past: Demo[] } {
  const isPast = (demo: Demo) => demo.domains.length > 0 && demo.domains.every((d) => d.abi === 'x86_32');
  return { present: demos.filter((demo) => !isPast(demo)), past: demos.filter(isPast) };
}
