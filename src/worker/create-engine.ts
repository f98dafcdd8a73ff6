/** The real engine behind the lab's interface: a machine, and the views that inspect/ makes of it. */
import type { Result } from '../base/result.ts';
import { makeView } from '../inspect/view.ts';
import { Machine } from '../machine/machine.ts';
import { restoreDomain } from '../machine/restore-domain.ts';
import { saveDomain } from '../machine/save-domain.ts';
import { loadLab, saveLab } from '../machine/save-lab.ts';
import type { CreateEngine, Engine, EngineFacts, EngineQuery, EngineRun, OpenEngine } from './engine.ts';
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
  get domids(): number[] {
    return this.#machine.domains.map((domain) => domain.id);
  }
  save(): Uint8Array {
    return saveLab(this.#machine);
  }
  restore(file: Uint8Array): Result<{ domid: number }> {
    return restoreDomain(this.#machine, file);
  }
  restoreSuspended(domid: number): Result<{ domid: number }> {
    const image = saveDomain(this.#machine, domid);
    return image.ok ? this.restore(image.value) : image;
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

export const openEngine: OpenEngine = (file, print) => {
  const loaded = loadLab(file, print);
  return loaded.ok ? { ok: true, value: new MachineEngine(loaded.value) } : loaded;
};
