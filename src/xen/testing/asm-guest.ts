/**
 * A guest kernel in assembly on the real processor, for the rules where both sides of the trap sink meet. The snippet
 * lies at BASE, the stack ends at BASE + 0x2000, data (DATA) is zero; results are left there. `.include`d macros:
 *
 *   call NR, a, b, c, d   a hypercall; result in eax        save N   eax -> result word N
 *   done                  power off                         handlers: labels trapN, event, failsafe are registered
 *   vcpu N begins at label startN, vcpu 0 at start
 */
import { I386 } from '../../cpu/i386.ts';
import { PhysicalMemory } from '../../cpu/physical-memory.ts';
import { asm } from '../../cpu/testing/asm.ts';
import { FLAT_KERNEL_CS } from '../abi/constants.ts';
import { audit } from '../audit.ts';
import { DEFAULT_COSTS } from '../costs.ts';
import { unpauseDomain } from '../domain-lifecycle.ts';
import { createHypervisor } from '../hypervisor-core.ts';
import type { Abi, Personality } from '../personality.ts';
import { advanceIdle, machineTime } from '../physical-cpus.ts';
import { setRoot } from '../roots.ts';
import { runSlice } from '../run.ts';
import type { Vcpu } from '../vcpu.ts';
import { setBootState } from '../vcpu-context.ts';
import { BASE, flatDomain } from './flat-domain.ts';

export const DATA = BASE + 0x2000;
const RESULTS = BASE + 0x3000;
const STACK_TOP = BASE + 0x2000;
const LIMIT_NS = 50_000_000;

const MACROS = `
  .set DATA, ${DATA}
  .set RESULTS, ${RESULTS}
  .set BASE, ${BASE}
  .macro call nr, a=0, b=0, c=0, d=0
    movl $\\a, %ebx
    movl $\\b, %ecx
    movl $\\c, %edx
    movl $\\d, %esi
    movl $\\nr, %eax
    int $0x82
  .endm
  .macro save n, reg=eax
    movl %\\reg, RESULTS + 4 * \\n
  .endm
  .macro done
    call 6, 2, 0
  .endm
`;

export interface AsmRun {
  /** RESULTS as words. */
  results: number[];
  end: { reason: string; sentence: string | null } | null;
  instructions: number;
  labels: Readonly<Record<string, number>>;
  maddr(va: number): number;
}

export interface AsmOptions {
  abi?: Abi;
  personality?: Personality;
  /** Up to 4; each has a stack of 1 KiB. */
  vcpus?: number;
  /** Simulated physical CPUs. */
  cpus?: number;
  /** Cycles per slice of the host; nothing may depend on it. */
  slice?: number;
  /** Virtual ns after which a guest that does not end is left alone; 50 ms unless said. */
  limitNs?: number;
  /** Words at DATA. */
  data?: (facts: { frames: number[]; table: number; entryBytes: number }) => number[];
}

export function runAsm(source: string, options: AsmOptions = {}): AsmRun {
  const memory = new PhysicalMemory(8);
  const hv = createHypervisor(
    memory,
    { seed: 1, wallClockSeconds: 0, costs: DEFAULT_COSTS, cpus: options.cpus ?? 1 },
    {
      consoleIo() {},
      consoleRead: () => new Uint8Array(),
      serialOut: () => {},
      toolstackEvent() {},
      domainEnded() {},
    },
    (ram, sink) => new I386(ram, sink),
  );
  const abi = options.abi ?? 'x86_32p';
  const personality = options.personality ?? (abi === 'x86_32' ? '3.0.2' : '4.17');
  const { vcpus = 1 } = options;
  const { domain, frames, table, root } = flatDomain(hv, { abi, personality, privileged: false, vcpus });
  const snippet = asm(`${MACROS}${source}\n`, BASE);
  if (snippet.bytes.length > 4096) throw new Error('the snippet is longer than a page');
  const maddr = (va: number) => frames[(va - BASE) >>> 12]! * 4096 + (va & 4095);
  memory.writeBytes(maddr(BASE), snippet.bytes);
  const data = options.data?.({ frames, table, entryBytes: domain.entryBytes }) ?? [];
  for (const [i, word] of data.entries()) memory.write32(maddr(DATA) + 4 * i, word);

  for (const vcpu of domain.vcpus) {
    if (setRoot(hv, vcpu, root) !== 0) throw new Error('the tables were refused');
    const start = snippet.labels[vcpu.id === 0 ? 'start' : `start${vcpu.id}`] ?? BASE;
    setBootState(hv, vcpu, start, STACK_TOP - 1024 * vcpu.id, 0);
    register(vcpu, snippet.labels);
  }
  unpauseDomain(hv, domain);
  const limit = options.limitNs ?? LIMIT_NS;
  while (machineTime(hv) < limit) {
    const result = runSlice(hv, machineTime(hv) + (options.slice ?? limit));
    if (result.kind === 'halted') break;
    if (result.kind === 'idle') {
      if (result.nextDeadline === Number.POSITIVE_INFINITY) break;
      advanceIdle(hv, result.nextDeadline);
    }
  }
  const wrong = audit(hv);
  if (wrong.length > 0) throw new Error(`audit:\n${wrong.join('\n')}`);
  return {
    results: Array.from({ length: 16 }, (_, i) => memory.read32(maddr(RESULTS) + 4 * i)),
    end: domain.end,
    instructions: hv.cpu.instructions,
    labels: snippet.labels,
    maddr,
  };
}

/** The handlers that the snippet has. */
function register(vcpu: Vcpu, labels: AsmRun['labels']): void {
  for (const [label, address] of Object.entries(labels)) {
    const trap = /^trap(\d+)$/.exec(label);
    if (trap) {
      vcpu.trapCs[Number(trap[1])] = FLAT_KERNEL_CS;
      vcpu.trapAddress[Number(trap[1])] = address;
      vcpu.trapFlags[Number(trap[1])] = Number(trap[1]) === 0x80 ? 3 : 0;
    } else if (label === 'event') {
      vcpu.eventCallbackCs = FLAT_KERNEL_CS;
      vcpu.eventCallbackEip = address;
    } else if (label === 'failsafe') {
      vcpu.failsafeCallbackCs = FLAT_KERNEL_CS;
      vcpu.failsafeCallbackEip = address;
    }
  }
}
