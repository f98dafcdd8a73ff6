/**
 * One simulated machine: RAM, processor, hypervisor and the built-in toolstack, and the loop that runs them. It knows
 * no clock of the host: the caller says up to which virtual cycle to run and how fast that is (the worker paces by
 * the wall clock, the command line does not).
 *
 * A run is a function of configuration, images, and the input log; into how many run() calls it is cut makes no
 * difference.
 */
import { invariant } from '../base/assert.ts';
import type { Result } from '../base/result.ts';
import { createCpu } from '../cpu/i386.ts';
import { PhysicalMemory } from '../cpu/physical-memory.ts';
import { type Costs, DEFAULT_COSTS } from '../xen/costs.ts';
import type { Domain } from '../xen/domain.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { createHypervisor } from '../xen/hypervisor-core.ts';
import { machineTime } from '../xen/physical-cpus.ts';
import type { BuildRequest } from '../xen/toolstack/build-domain.ts';
import type { ImageError } from '../xen/toolstack/image-error.ts';
import { type ConsoleSink, Toolstack } from '../xen/toolstack/toolstack.ts';
import { InputLog, type InputReplay } from './input-log.ts';
import { type Press, pressOn } from './press.ts';
import { type RunResult, runUntil, type StepKind, stepOnce } from './run-loop.ts';

export interface MachineOptions {
  /** Machine RAM in MiB, 16 to 1024. */
  memoryMiB: number;
  seed: number;
  /** UTC seconds at system time 0. */
  wallClockSeconds: number;
  costs?: Costs | undefined;
  /** Simulated physical CPUs, 1 to 4; 1 by default. */
  cpus?: number | undefined;
  /** A log to run again: its entries reach the guests at their cycles. */
  replay?: InputReplay | undefined;
}

export class Machine {
  readonly options: MachineOptions;
  readonly hv: Hypervisor;
  readonly toolstack: Toolstack;
  readonly inputLog = new InputLog();
  /** When input that waits is given; Infinity: none does. */
  heldUntil = Number.POSITIVE_INFINITY;
  readonly #held: (() => void)[] = [];
  #insideWindow = false;

  /** @param print receives what domains print, in the middle of a run. */
  constructor(options: MachineOptions, print: ConsoleSink) {
    this.options = options;
    this.toolstack = new Toolstack(print);
    this.hv = createHypervisor(
      new PhysicalMemory(options.memoryMiB),
      {
        seed: options.seed,
        wallClockSeconds: options.wallClockSeconds,
        costs: options.costs ?? DEFAULT_COSTS,
        cpus: options.cpus ?? 1,
      },
      this.toolstack.hooks,
      createCpu,
    );
    this.toolstack.attach(this.hv);
  }

  /** Virtual ns since the machine started. */
  get now(): number {
    return machineTime(this.hv);
  }
  get instructions(): number {
    return this.hv.cpu.instructions;
  }
  get domains(): Domain[] {
    return this.hv.domains.filter((domain) => domain !== undefined);
  }
  /** Has every domain ended? */
  get ended(): boolean {
    return this.domains.every((domain) => domain.end !== null);
  }

  /** Builds a domain; it runs with the next run(). */
  addDomain(request: BuildRequest): Result<{ domid: number }, ImageError> {
    const started = this.toolstack.start(request);
    return started.ok ? { ok: true, value: { domid: started.value.id } } : started;
  }

  destroyDomain(domid: number): void {
    this.toolstack.destroy(domid);
  }

  /** Typed into a domain's console, between two runs. */
  input(domid: number, bytes: Uint8Array): void {
    this.#fromOutside(() => {
      this.inputLog.type(this.now, this.instructions, domid, bytes);
      this.toolstack.input(domid, bytes);
    });
  }

  /** Pressed on the machine, between two runs. @param domid who is meant, for the debug key. */
  press(press: Press, domid: number): void {
    this.#fromOutside(() => {
      this.inputLog.press(this.now, this.instructions, domid, press);
      pressOn(this.hv, press, domid);
    });
  }

  /** Runs until the virtual cycle is reached; idle time passes at once. */
  run(untilCycle: number): RunResult {
    invariant(Number.isFinite(untilCycle), 'a run needs an end');
    this.#insideWindow = false;
    // The clock counts whole cycles; a paced host asks for fractions.
    return this.#note(runUntil(this, Math.floor(untilCycle)));
  }

  /**
   * To the end of one instruction, to after the next hypercall, or to after the next event or exception that is
   * delivered to a guest: 'stopped'. At most to `untilCycle`, otherwise as run().
   */
  step(kind: StepKind, untilCycle: number): RunResult {
    this.#insideWindow = false;
    return this.#note(stepOnce(this, kind, untilCycle));
  }

  /**
   * With several CPUs the machine's time does not name the moment of a stop inside a window, and a log entry could not
   * be given there again: what comes from outside then waits for the end of the window.
   */
  #fromOutside(give: () => void): void {
    if (!this.#insideWindow) {
      give();
      return;
    }
    this.#held.push(give);
    this.heldUntil = this.hv.windowEnd;
  }
  /** The run loop has reached heldUntil. */
  giveHeld(): void {
    const held = this.#held.splice(0);
    this.heldUntil = Number.POSITIVE_INFINITY;
    for (const give of held) give();
  }
  #note(result: RunResult): RunResult {
    this.#insideWindow = result.kind === 'stopped' && this.hv.pcpus.length > 1;
    return result;
  }

  /** Name of an address in a domain's image. */
  symbolAt(domid: number, va: number): string | undefined {
    return this.toolstack.symbolsOf(domid)?.symbolAt(va) ?? undefined;
  }
}
