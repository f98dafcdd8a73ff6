/** The real engine behind the lab's interface: a machine, and the views that inspect/ makes of it. */
import type { Result } from '../base/result.ts';
import { makeView } from '../inspect/view.ts';
import { Machine } from '../machine/machine.ts';
import { restoreDomain } from '../machine/restore-domain.ts';
import { saveDomain } from '../machine/save-domain.ts';
import { loadLab, saveLab } from '../machine/save-lab.ts';
import { toText } from '../xen/toolstack/xenstore-wire.ts';
import { DemoScript } from './demo-script.ts';
import type {
  CreateEngine,
  Engine,
  EngineFacts,
  EngineQuery,
  EngineRun,
  OpenEngine,
  Print,
} from './engine.ts';
import type { PressKind, Script, StepKind, View } from './protocol.ts';

class MachineEngine implements Engine {
  readonly #machine: Machine;
  #script: DemoScript | null = null;

  /** @param make the machine, given what hears its domains. */
  constructor(make: (print: Print) => Machine, print: Print) {
    this.#machine = make((domid, bytes, emergency) => {
      this.#script?.printed(this.#machine.now, domid, toText(bytes));
      print(domid, bytes, emergency);
    });
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
  play(script: Script): void {
    this.#script = new DemoScript(script, this.#machine);
  }
  run(untilNs: number): EngineRun {
    if (this.#script?.isOver(this.#machine)) this.#script = null;
    return this.#script === null ? this.#machine.run(untilNs) : this.#script.run(this.#machine, untilNs);
  }

  step(kind: StepKind, untilNs: number): EngineRun {
    return this.#machine.step(kind, untilNs);
  }

  facts(): EngineFacts {
    const { hv, domains, options } = this.#machine;
    const waiting = domains.filter((domain) => domain.end === null).map((domain) => `d${domain.id}`);
    return {
      memoryMiB: options.memoryMiB,
      cpus: hv.pcpus.length,
      cpusOffLine: hv.pcpus.filter((cpu) => !cpu.online).map((cpu) => cpu.id),
      freeFrames: hv.frames.freeFrames,
      playing: this.#script !== null && !this.#script.isOver(this.#machine),
      waiting: waiting.length === 0 ? null : `waiting for an event of ${waiting.join(', ')}`,
    };
  }

  view(query: EngineQuery): View | null {
    return makeView(this.#machine, query);
  }
}

export const createEngine: CreateEngine = (settings, print) =>
  new MachineEngine((hear) => new Machine(settings, hear), print);

export const openEngine: OpenEngine = (file, print) => {
  // Nothing is printed before the machine runs.
  let sink: Print = () => {};
  const loaded = loadLab(file, (...printed) => sink(...printed));
  if (!loaded.ok) return loaded;
  const engine = new MachineEngine((hear) => {
    sink = hear;
    return loaded.value;
  }, print);
  return { ok: true, value: engine };
};
