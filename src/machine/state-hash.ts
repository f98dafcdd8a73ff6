/**
 * One number for the whole state of a machine: RAM, registers of every vcpu, the hypervisor's books, the toolstack's
 * memory. Caches (TLB, decoded instructions) and counters of the host's making are left out. Two runs of the same
 * images, configuration and input log must agree on it at any moment.
 */
import { CPU_STATE_SIZE, FIELDS, type FieldName, RAM_BASE } from '../cpu/layout.ts';
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import type { Domain } from '../xen/domain.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { park } from '../xen/physical-cpus.ts';
import { storeEntries } from '../xen/toolstack/xenstore.ts';
import type { Vcpu } from '../xen/vcpu.ts';
import type { Machine } from './machine.ts';

/** Fields of the CPU block that are not architectural state: how far a slice is, how flags are kept meanwhile. */
const NOT_STATE: ReadonlySet<string> = new Set([
  'flagResult',
  'flagSource',
  'flagKind',
  'faultCode',
  'faultVector',
  'countdown',
  'retired',
  'sliceEnd',
]);
const STATE_FIELDS = (Object.keys(FIELDS) as FieldName[]).filter((name) => !NOT_STATE.has(name));
const FIELD_BYTES: Record<string, number> = { u8: 1, u16: 2, i32: 4, u32: 4, f64: 8, u64: 8 };

/** 2 x 32 bits, mixed multiplicatively: enough to tell runs apart, not a cryptographic digest. */
class Hasher {
  #a = 0x811c_9dc5 | 0;
  #b = 0x1234_5678 | 0;
  readonly #number = new DataView(new ArrayBuffer(8));
  /** Objects already seen: a second visit counts as a reference. */
  readonly #seen = new Map<object, number>();

  word(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x0100_0193);
    this.#b = Math.imul((this.#b << 5) ^ (this.#b >>> 27) ^ word, 0x85eb_ca6b);
    this.#a ^= this.#a >>> 15;
  }

  bytes(bytes: Uint8Array): void {
    this.word(bytes.length);
    let i = 0;
    if ((bytes.byteOffset & 3) === 0) {
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
      for (let w = 0; w < words.length; w++) this.word(words[w]!);
      i = words.length * 4;
    }
    for (; i < bytes.length; i++) this.word(bytes[i]!);
  }

  number(value: number): void {
    this.#number.setFloat64(0, value);
    this.word(this.#number.getInt32(0));
    this.word(this.#number.getInt32(4));
  }

  text(text: string): void {
    this.word(text.length);
    for (let i = 0; i < text.length; i++) this.word(text.charCodeAt(i));
  }

  /** Plain state: numbers, texts, arrays, typed arrays and objects of these, however nested. */
  value(value: unknown): void {
    switch (typeof value) {
      case 'number':
        this.number(value);
        break;
      case 'string':
        this.text(value);
        break;
      case 'boolean':
        this.word(value ? 1 : 2);
        break;
      case 'object':
        if (value === null) this.word(3);
        else this.#object(value);
        break;
      default:
        this.word(4);
    }
  }

  #object(object: object): void {
    const before = this.#seen.get(object);
    if (before !== undefined) {
      this.word(before);
      return;
    }
    this.#seen.set(object, this.#seen.size);
    if (ArrayBuffer.isView(object)) {
      this.bytes(new Uint8Array(object.buffer, object.byteOffset, object.byteLength));
    } else if (Array.isArray(object) || object instanceof Set) {
      for (const element of object) this.value(element);
    } else if (object instanceof Map) {
      for (const [key, element] of object) {
        this.value(key);
        this.value(element);
      }
    } else {
      for (const key of Object.keys(object)) {
        this.text(key);
        this.value((object as Record<string, unknown>)[key]);
      }
    }
  }

  get digest(): string {
    return [this.#a, this.#b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
  }
}

/** 16 hexadecimal digits. */
export function stateHash(machine: Machine): string {
  const { hv, toolstack } = machine;
  const hasher = new Hasher();
  // Free frames are zeroed when they are handed out: what lies in them does not matter.
  for (let mfn = 0; mfn < hv.memory.frames; mfn++) {
    if (!hv.frames.isFree(mfn))
      hasher.bytes(hv.memory.u8.subarray(RAM_BASE + mfn * FRAME_SIZE, RAM_BASE + (mfn + 1) * FRAME_SIZE));
  }
  hasher.number(hv.now());
  if (hv.pcpus.length > 1) hashCpus(hasher, hv);
  hasher.number(hv.cpu.instructions);
  hasher.number(hv.randomState);
  const { queue, ...scheduler } = hv.scheduler;
  hasher.value(scheduler);
  for (const vcpu of hv.current ? [hv.current, ...queue] : queue) hasher.value([vcpu.domain.id, vcpu.id]);
  const { frames } = hv;
  for (const column of [
    frames.owner,
    frames.references,
    frames.type,
    frames.typeCount,
    frames.flags,
    frames.l2Slot,
  ]) {
    hasher.value(column);
  }
  hasher.value(hv.devices);
  for (const domain of hv.domains) {
    hasher.word(domain ? domain.id : 0xffff);
    if (domain) hashDomain(hasher, machine, domain);
  }
  for (const [path, value, permissions] of storeEntries(toolstack.store.root)) {
    hasher.text(path);
    hasher.bytes(value);
    hasher.text(permissions);
  }
  for (const remembered of toolstack.remembered()) hasher.value(remembered);
  return hasher.digest;
}

/** The CPUs that wait for their turn. */
function hashCpus(hasher: Hasher, hv: Hypervisor): void {
  park(hv);
  hasher.value([hv.turn, hv.windowEnd]);
  for (const { current, lastVcpu, ...state } of hv.pcpus) {
    hasher.value(state);
    for (const vcpu of [current, lastVcpu]) hasher.value(vcpu && [vcpu.domain.id, vcpu.id]);
  }
}

function hashDomain(hasher: Hasher, machine: Machine, domain: Domain): void {
  const { vcpus, config, ...books } = domain;
  hasher.value(config);
  hasher.value(books);
  for (const vcpu of vcpus) hashVcpu(hasher, machine, vcpu);
}

const current = new Uint8Array(CPU_STATE_SIZE); // scratch

function hashVcpu(hasher: Hasher, machine: Machine, vcpu: Vcpu): void {
  const { hv } = machine;
  const { domain: _domain, saved, ...books } = vcpu;
  hasher.value(books);
  const onProcessor = hv.current === vcpu;
  if (onProcessor) hv.cpu.saveState(current);
  const state = onProcessor ? current : saved;
  for (const name of STATE_FIELDS) {
    const { offset, type, count } = FIELDS[name];
    for (let i = 0; i < FIELD_BYTES[type]! * count; i++) hasher.word(state[offset + i]!);
  }
}
