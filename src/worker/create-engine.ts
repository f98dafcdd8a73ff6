/** The real engine behind the lab's interface: a machine, and the views that inspect/ makes of it. */
import { makeView } from '../inspect/view.ts';
import { Machine } from '../machine/machine.ts';
import type { CreateEngine, Engine, EngineFacts, EngineQuery, EngineRun } from './engine.ts';
import type { PressKind, StepKind, View } from './protocol.ts';

class MachineEngine implements Engine {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  get now(): number {
    return this.#machine.now;
  }
  get instructions(): number {
    return this.#machine.instructions;
  }
  get domainCount(): number {
    return this.#machine.domains.length;
  }
  get ended(): boolean {
    return this.#machine.ended;
  }

  addDomain(request: Parameters<Engine['addDomain']>[0]): ReturnType<Engine['addDomain']> {
    return this.#machine.addDomain(request);
  }
  destroyDomain(domid: number): void {
    this.#machine.destroyDomain(domid);
  }
  input(domid: number, bytes: Uint8Array): void {
    this.#machine.input(domid, bytes);
  }
  press(press: PressKind, domid: number): void {
    this.#machine.press(press, domid);
  }
  run(untilNs: number): EngineRun {
    return this.#machine.run(untilNs);
  }

  step(kind: StepKind, untilNs: number): EngineRun {
    return this.#machine.step(kind, untilNs);
  }

  facts(): EngineFacts {
    const { hv, domains, options } = this.#machine;
    const waiting = domains.filter((domain) => domain.end === null).map((domain) => `d${domain.id}`);
    return {
      memoryMiB: options.memoryMiB,
      freeFrames: hv.frames.freeFrames,
      waiting: waiting.length === 0 ? null : `waiting for an event of ${waiting.join(', ')}`,
    };
  }

  view(query: EngineQuery): View | null {
    return makeView(this.#machine, query);
  }
}

export const createEngine: CreateEngine = (settings, print) =>
  new MachineEngine(new Machine(settings, print));
