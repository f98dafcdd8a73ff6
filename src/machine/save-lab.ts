/**
 * A whole machine as one file (save-file.ts), and back. A machine that was saved and read again runs on exactly as
 * if nothing had been: the same instructions, the same state hash. Not in the file: what is derived (TLB, decoded
 * instructions), the trace, and free or empty frames.
 *
 *   section BOOK  all state outside RAM, as one graph (plain-values.ts): options, frames, domains, vcpus, toolstack
 *   section RAM   the frames that are neither free nor empty: how many, their numbers, their bytes
 */
import { EngineBug } from '../base/assert.ts';
import type { Result } from '../base/result.ts';
import { CPU_STATE_SIZE, RAM_BASE } from '../cpu/layout.ts';
import { FRAME_IS_TABLE, FRAME_SIZE } from '../cpu/physical-memory.ts';
import { audit } from '../xen/audit.ts';
import { COST_DOCS, type Costs } from '../xen/costs.ts';
import { Domain } from '../xen/domain.ts';
import { FRAME_VALIDATED, FRAME_XEN_HEAP } from '../xen/frames.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { isTableType } from '../xen/page-types.ts';
import { HOLE_START } from '../xen/personality.ts';
import { MOST_CPUS, park } from '../xen/physical-cpus.ts';
import type { ConsoleSink, ToolstackMemory } from '../xen/toolstack/toolstack.ts';
import { Vcpu } from '../xen/vcpu.ts';
import { InputReplay } from './input-log.ts';
import { Machine } from './machine.ts';
import { DoesNotFit, fill, giveState, isPlainObject, type PlainObject, takeState } from './object-state.ts';
import { decodePlain, encodePlain, NotPlain } from './plain-values.ts';
import { packSave, type SaveFileError, saveError, unpackSave } from './save-file.ts';
import { type Books, booksShape } from './saved-books.ts';

const FRAME_COLUMNS = ['owner', 'references', 'type', 'typeCount', 'flags', 'l2Slot'] as const;
/** Fields that are saved elsewhere: by name, or because they are made anew. */
const DOMAIN_WITHOUT = ['vcpus', 'config'];
const VCPU_WITHOUT = ['domain'];
const SCHEDULER_WITHOUT = ['queue', 'lastVcpu'];

const CPU_WITHOUT = ['current', 'lastVcpu'];

const nameOf = (vcpu: Vcpu) => ({ domid: vcpu.domain.id, vcpu: vcpu.id });

/** Of a vcpu that may have gone with its domain. */
const aliveName = (hv: Hypervisor, vcpu: Vcpu | null) =>
  vcpu !== null && hv.domains[vcpu.domain.id] === vcpu.domain ? nameOf(vcpu) : null;

/** Fields of the hypervisor that are numbers or flags. */
const scalarsOf = (hv: Hypervisor): string[] =>
  Object.keys(hv).filter((name) => ['number', 'boolean'].includes(typeof hv[name as keyof Hypervisor]));

/** Between two runs only. */
export function saveLab(machine: Machine): Uint8Array {
  const { hv } = machine;
  if (hv.running) throw new EngineBug('a machine was saved in the middle of a run');
  return packSave('LAB ', { BOOK: encodePlain(takeBooks(machine)), 'RAM ': takeRam(hv) });
}

function takeBooks(machine: Machine): Books {
  const { hv, options, toolstack } = machine;
  const processor = new Uint8Array(CPU_STATE_SIZE);
  hv.cpu.saveState(processor);
  const { lastVcpu } = hv.scheduler;
  park(hv);
  return {
    options: {
      memoryMiB: options.memoryMiB,
      seed: options.seed,
      wallClockSeconds: options.wallClockSeconds,
      costs: { ...hv.costs },
      cpus: hv.pcpus.length,
    },
    replay: options.replay?.remaining ?? null,
    inputLog: machine.inputLog.entries,
    cycle: hv.now(),
    instructions: hv.cpu.instructions,
    processor,
    current: hv.current && nameOf(hv.current),
    lastVcpu: aliveName(hv, lastVcpu),
    cpus: hv.pcpus.map((cpu) => ({
      state: takeState(cpu, CPU_WITHOUT),
      current: aliveName(hv, cpu.current),
      lastVcpu: aliveName(hv, cpu.lastVcpu),
    })),
    queue: hv.scheduler.queue.map(nameOf),
    scheduler: takeState(hv.scheduler, SCHEDULER_WITHOUT),
    hypervisor: Object.fromEntries(scalarsOf(hv).map((name) => [name, hv[name as keyof Hypervisor]])),
    devices: takeState(hv.devices),
    frames: {
      columns: Object.fromEntries(FRAME_COLUMNS.map((name) => [name, hv.frames[name]])),
      free: hv.frames.freeLists(),
    },
    domains: machine.domains.map((domain) => ({
      id: domain.id,
      config: domain.config,
      books: takeState(domain, DOMAIN_WITHOUT),
      vcpus: domain.vcpus.map((vcpu) => takeState(vcpu, VCPU_WITHOUT)),
    })),
    toolstack: toolstack.memory as Books['toolstack'],
  };
}

function takeRam(hv: Hypervisor): Uint8Array {
  const { u32, u8, frames } = hv.memory;
  const kept: number[] = [];
  for (let mfn = 0; mfn < frames; mfn++) {
    if (hv.frames.isFree(mfn)) continue;
    const from = (RAM_BASE + mfn * FRAME_SIZE) >>> 2;
    for (let i = from; i < from + FRAME_SIZE / 4; i++) {
      if (u32[i] === 0) continue;
      kept.push(mfn);
      break;
    }
  }
  const ram = new Uint8Array(4 + kept.length * (4 + FRAME_SIZE));
  const view = new DataView(ram.buffer);
  view.setUint32(0, kept.length, true);
  for (const [i, mfn] of kept.entries()) {
    view.setUint32(4 + 4 * i, mfn, true);
    const from = RAM_BASE + mfn * FRAME_SIZE;
    ram.set(u8.subarray(from, from + FRAME_SIZE), 4 + 4 * kept.length + FRAME_SIZE * i);
  }
  return ram;
}

/** A machine as it was saved. Whatever is wrong with the file, nothing but the answer comes of it. */
export function loadLab(file: Uint8Array, print: ConsoleSink): Result<Machine, SaveFileError> {
  const sections = unpackSave(file, 'LAB ', ['BOOK', 'RAM ']);
  if (!sections.ok) return sections;
  try {
    const books = booksShape()(decodePlain(sections.value.get('BOOK')!), 'the lab');
    const machine = makeMachine(books, print);
    giveRam(machine.hv, sections.value.get('RAM ')!);
    giveBooks(machine, books);
    const wrong = audit(machine.hv);
    if (wrong.length > 0) {
      return saveError('books-disagree', `the saved machine's books do not agree: ${wrong[0]}`, {
        disagreements: wrong.length,
        first: wrong[0]!,
      });
    }
    return { ok: true, value: machine };
  } catch (error) {
    // The checksums were right: the file was made by something else, or by another build with other fields.
    if (error instanceof DoesNotFit || error instanceof NotPlain || error instanceof EngineBug)
      return saveError('bad-contents', `the file holds no lab of this build: ${error.message}`, {
        detail: error.message,
      });
    throw error;
  }
}

function makeMachine({ options, replay, cpus }: Books, print: ConsoleSink): Machine {
  const { memoryMiB, seed, wallClockSeconds } = options;
  if (memoryMiB < 2 || memoryMiB > 1024) throw new DoesNotFit(`a machine of ${memoryMiB} MiB`);
  if (options.cpus < 1 || options.cpus > MOST_CPUS || cpus.length !== options.cpus)
    throw new DoesNotFit(`a machine of ${options.cpus} CPUs`);
  const names = Object.keys(COST_DOCS);
  const costs = options.costs;
  if (!isPlainObject(costs) || names.some((name) => !Number.isSafeInteger(costs[name])))
    throw new DoesNotFit('the costs are not those of this build');
  return new Machine(
    {
      memoryMiB,
      seed,
      wallClockSeconds,
      costs: costs as unknown as Costs,
      cpus: options.cpus,
      replay: replay === null ? undefined : new InputReplay({ entries: replay }),
    },
    print,
  );
}

function giveRam(hv: Hypervisor, ram: Uint8Array): void {
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  const count = ram.length >= 4 ? view.getUint32(0, true) : -1;
  if (ram.length !== 4 + count * (4 + FRAME_SIZE)) throw new DoesNotFit(`RAM of ${ram.length} bytes`);
  hv.memory.u8.fill(0, RAM_BASE);
  for (let i = 0; i < count; i++) {
    const mfn = view.getUint32(4 + 4 * i, true);
    if (mfn >= hv.memory.frames) throw new DoesNotFit(`RAM of frame ${mfn}, which does not exist`);
    const from = 4 + 4 * count + FRAME_SIZE * i;
    hv.memory.u8.set(ram.subarray(from, from + FRAME_SIZE), RAM_BASE + mfn * FRAME_SIZE);
  }
}

function giveBooks(machine: Machine, books: Books): void {
  const { hv } = machine;
  const { frames, scheduler, cpu } = hv;
  for (const name of FRAME_COLUMNS) {
    const column = (books.frames.columns as PlainObject | null)?.[name];
    fill(frames[name], column, `the frames' ${name}`);
  }
  if (!frames.setFreeLists(books.frames.free))
    throw new DoesNotFit('the free lists do not name the free frames');
  for (let mfn = 0; mfn < frames.total; mfn++) {
    const used = frames.typeCount[mfn] !== 0 && (frames.flags[mfn]! & FRAME_VALIDATED) !== 0;
    hv.memory.frameFlags[mfn] = used && isTableType(frames.type[mfn]!) ? FRAME_IS_TABLE : 0;
  }
  giveState(pick(hv, scalarsOf(hv)), books.hypervisor, 'the hypervisor');
  Object.assign(hv, books.hypervisor);
  // What a caller wanted of a run ends with it.
  hv.running = false;
  hv.instructionLimit = Number.POSITIVE_INFINITY;
  hv.breakOn = 0;
  for (const saved of books.domains) giveDomain(hv, saved);
  giveState(hv.devices, books.devices, 'the devices');

  giveState(scheduler, books.scheduler, 'the scheduler', SCHEDULER_WITHOUT);
  scheduler.queue.length = 0;
  for (const name of books.queue) scheduler.queue.push(findVcpu(hv, name));
  scheduler.lastVcpu = books.lastVcpu && findVcpu(hv, books.lastVcpu);
  hv.current = books.current && findVcpu(hv, books.current);
  for (const [id, saved] of books.cpus.entries()) {
    const pcpu = hv.pcpus[id]!;
    giveState(pcpu, saved.state, `CPU ${id}`, CPU_WITHOUT);
    pcpu.current = saved.current && findVcpu(hv, saved.current);
    pcpu.lastVcpu = saved.lastVcpu && findVcpu(hv, saved.lastVcpu);
  }
  if (hv.pcpus.some((pcpu, id) => pcpu.id !== id) || hv.turn >= hv.pcpus.length)
    throw new DoesNotFit('the turn is of a CPU that does not exist');
  machine.inputLog.entries.push(...books.inputLog);
  const served = new Set(books.toolstack.domains.map((each) => each.domid));
  if (
    books.toolstack.domains.some(({ domid }) => !hv.domains[domid]) ||
    served.size !== books.toolstack.domains.length
  )
    throw new DoesNotFit('the toolstack serves domains that do not exist');
  machine.toolstack.memory = books.toolstack as ToolstackMemory;

  if (books.processor.length !== CPU_STATE_SIZE) throw new DoesNotFit('the processor is another one');
  cpu.advanceTo(books.cycle);
  cpu.instructions = books.instructions;
  cpu.loadState(books.processor);
}

function giveDomain(hv: Hypervisor, saved: Books['domains'][number]): void {
  const { id, config, books } = saved;
  const where = `domain ${id}`;
  if (id >= 0x7fe0 || hv.domains[id] !== undefined) throw new DoesNotFit(`${where} is there twice, or none`);
  if (config.vcpus < 1 || config.vcpus > 32 || saved.vcpus.length !== config.vcpus)
    throw new DoesNotFit(`${where} has ${saved.vcpus.length} vcpus`);
  const domain = new Domain(id, config, HOLE_START[config.abi]);
  giveState(domain, books, where, DOMAIN_WITHOUT);
  if (domain.id !== id || domain.abi !== config.abi || domain.personality !== config.personality)
    throw new DoesNotFit(`${where} is not what its configuration says`);
  const shared = (mfn: number) =>
    hv.frames.owner[mfn] === id && (hv.frames.flags[mfn]! & FRAME_XEN_HEAP) !== 0;
  if (!shared(domain.sharedInfoMfn) || !domain.grantFrames.every(shared))
    throw new DoesNotFit(`${where} has no shared frames of its own`);
  if (domain.consoleMfn >= hv.frames.total || domain.storeMfn >= hv.frames.total)
    throw new DoesNotFit(`${where} has its rings in frames that do not exist`);
  for (const [index, state] of saved.vcpus.entries()) {
    const vcpu = new Vcpu(domain, index);
    giveState(vcpu, state, `${where} vcpu ${index}`, VCPU_WITHOUT);
    const infoMfn = vcpu.vcpuInfo >>> 12;
    if (infoMfn !== domain.sharedInfoMfn && !vcpu.vcpuInfoRegistered)
      throw new DoesNotFit(`${where} vcpu ${index} has its vcpu_info nowhere`);
    domain.vcpus.push(vcpu);
  }
  hv.domains[id] = domain;
}

function findVcpu(hv: Hypervisor, { domid, vcpu }: { domid: number; vcpu: number }): Vcpu {
  const found = hv.domains[domid]?.vcpus[vcpu];
  if (!found) throw new DoesNotFit(`domain ${domid} has no vcpu ${vcpu}`);
  return found;
}

const pick = (object: object, names: readonly string[]): PlainObject =>
  Object.fromEntries(names.map((name) => [name, (object as PlainObject)[name]]));
