/**
 * A saved domain (save-domain.ts) comes to life in another machine, or in the same one again: it gets new frames, and
 * its page tables, its p2m and its start_info are written through them. shared_info, ports and grant table are new
 * and empty. Nothing in the file is believed: tables, descriptors and contexts pass the same checks as a running
 * guest's. The vcpu that suspended goes on behind its hypercall, with 0 in EAX.
 */
import type { Result } from '../base/result.ts';
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { SHARED_EVTCHN_MASK } from '../xen/abi/constants.ts';
import { writeStruct } from '../xen/abi/struct.ts';
import { start_info, VCPU_CONTEXT_ARRAYS, vcpu_guest_context } from '../xen/abi/structs.ts';
import type { Domain } from '../xen/domain.ts';
import { createDomain, destroyDomain } from '../xen/domain-lifecycle.ts';
import { allocateDomainFrame, domainMemory } from '../xen/domain-memory.ts';
import { TYPE_l1, TYPE_l3 } from '../xen/frames.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { PTE_PRESENT, tableEntries } from '../xen/page-table-entries.ts';
import { pin } from '../xen/pinning.ts';
import { guestCr3 } from '../xen/roots.ts';
import { openChannels } from '../xen/toolstack/open-channels.ts';
import { symbolTable } from '../xen/toolstack/symbols.ts';
import { applyContext } from '../xen/vcpu-context.ts';
import { type DomainImage, imageShape, USE_PINNED } from './domain-image.ts';
import type { Machine } from './machine.ts';
import { DoesNotFit } from './object-state.ts';
import { decodePlain, NotPlain } from './plain-values.ts';
import { type SaveFileError, saveError, unpackSave } from './save-file.ts';

const ENTRIES = 1024;
const NO_MFN = 0xffff_ffff;

/** Between two runs. The domain runs with the next one. */
export function restoreDomain(machine: Machine, file: Uint8Array): Result<{ domid: number }, SaveFileError> {
  const sections = unpackSave(file, 'DOM ', ['DOMA', 'PAGE']);
  if (!sections.ok) return sections;
  const { hv } = machine;
  let domain: Domain | null = null;
  try {
    const image = imageShape(decodePlain(sections.value.get('DOMA')!), 'the domain');
    checkImage(image);
    const frames = image.pfns.length;
    if (frames > hv.frames.freeFrames) return noMemory(hv, frames);
    domain = createDomain(hv, configOf(image), domainMemory);
    if (!domain) return noMemory(hv, frames);
    new Restoring(hv, domain, image).fill(sections.value.get('PAGE')!);
    machine.toolstack.adopt(domain, symbolTable(image.symbols));
    return { ok: true, value: { domid: domain.id } };
  } catch (error) {
    if (!(error instanceof DoesNotFit || error instanceof NotPlain)) throw error;
    if (domain) destroyDomain(hv, domain, domainMemory);
    return saveError('bad-contents', `the file holds no domain that can run here: ${error.message}`, {
      detail: error.message,
    });
  }
}

function noMemory(hv: Hypervisor, frames: number) {
  const free = hv.frames.freeFrames;
  return saveError(
    'no-memory',
    `the domain has ${Math.ceil(frames / 256)} MiB; the machine has ${Math.floor(free / 256)} MiB left`,
    { frames, free },
  );
}

const configOf = (image: DomainImage) => ({
  name: image.name,
  abi: image.abi,
  personality: image.personality,
  privileged: false,
  vcpus: image.vcpus.length,
  maxFrames: Math.max(image.maxFrames, image.pfns.length),
  commandLine: image.commandLine,
});

function checkImage(image: DomainImage): void {
  const { pfns, uses, p2mSize, p2mPages, vcpus } = image;
  const wrong = (what: string) => {
    throw new DoesNotFit(what);
  };
  if (image.abi === 'x86_32' && image.personality !== '3.0.2') wrong('2-level tables in 4.17');
  if (vcpus.length < 1 || vcpus.length > 32 || vcpus.every((vcpu) => vcpu === null)) wrong('no vcpus');
  if (pfns.length === 0 || uses.length !== pfns.length || p2mSize > 0x10_0000) wrong('no pages');
  for (let i = 0; i < pfns.length; i++) {
    if (pfns[i]! < (i === 0 ? 0 : pfns[i - 1]! + 1) || pfns[i]! >= p2mSize) wrong(`pfn ${pfns[i]}`);
    if ((uses[i]! & ~USE_PINNED) > TYPE_l3) wrong(`pfn ${pfns[i]} in use as ${uses[i]}`);
  }
  if (p2mPages.length !== Math.ceil(p2mSize / ENTRIES)) wrong('a p2m of another size');
  for (const vcpu of vcpus)
    if (vcpu && vcpu.context.length !== vcpu_guest_context.size) wrong('a vcpu context of another size');
}

class Restoring {
  readonly hv: Hypervisor;
  readonly domain: Domain;
  readonly image: DomainImage;
  /** pfn -> new mfn, -1: a hole. */
  readonly p2m: Int32Array;

  constructor(hv: Hypervisor, domain: Domain, image: DomainImage) {
    this.hv = hv;
    this.domain = domain;
    this.image = image;
    this.p2m = new Int32Array(image.p2mSize).fill(-1);
  }

  fill(pages: Uint8Array): void {
    const { hv, domain, image, p2m } = this;
    for (const pfn of image.pfns) {
      const mfn = allocateDomainFrame(hv, domain);
      if (mfn < 0) throw new DoesNotFit('more pages than it may have');
      p2m[pfn] = mfn;
      hv.m2p.set(mfn, pfn);
    }
    this.#copy(pages);
    this.#writeTables();
    this.#writeP2m();
    openChannels(hv, domain, this.#mfn(image.storePfn), this.#mfn(image.consolePfn));
    this.#writeStartInfo();
    // As tools do: a port is heard of only once the guest has bound it again.
    const masks = domain.sharedInfoMfn * FRAME_SIZE + SHARED_EVTCHN_MASK;
    hv.memory.writeBytes(masks, new Uint8Array(128).fill(0xff));
    this.#pinTables();
    for (const [id, saved] of image.vcpus.entries()) if (saved) this.#giveContext(id, saved);
  }

  #mfn(pfn: number): number {
    const mfn = pfn < this.p2m.length ? this.p2m[pfn]! : -1;
    if (mfn < 0) throw new DoesNotFit(`pfn ${pfn}, which has no page`);
    return mfn;
  }

  #copy(pages: Uint8Array): void {
    const view = new DataView(pages.buffer, pages.byteOffset, pages.byteLength);
    const count = pages.length >= 4 ? view.getUint32(0, true) : -1;
    if (pages.length !== 4 + count * (4 + FRAME_SIZE)) throw new DoesNotFit(`pages of ${pages.length} bytes`);
    for (let i = 0; i < count; i++) {
      const from = 4 + 4 * count + FRAME_SIZE * i;
      const mfn = this.#mfn(view.getUint32(4 + 4 * i, true));
      this.hv.memory.writeBytes(mfn * FRAME_SIZE, pages.subarray(from, from + FRAME_SIZE));
    }
  }

  /** Before any of them is in use as a table. */
  #writeTables(): void {
    const { domain, hv, image } = this;
    const size = domain.entryBytes;
    for (const [i, pfn] of image.pfns.entries()) {
      const type = image.uses[i]! & ~USE_PINNED;
      if (type === 0) continue;
      const table = this.#mfn(pfn) * FRAME_SIZE;
      const entries = tableEntries(domain, type);
      for (let index = 0; index < entries; index++) {
        const at = table + index * size;
        const low = hv.memory.read32(at);
        if (low & PTE_PRESENT) hv.memory.write32(at, ((this.#mfn(low >>> 12) << 12) | (low & 0xfff)) >>> 0);
      }
    }
  }

  #writeP2m(): void {
    const { hv, image, p2m } = this;
    for (const [page, pfn] of image.p2mPages.entries()) {
      const mfn = this.#mfn(pfn);
      const first = page * ENTRIES;
      for (let i = 0; i < ENTRIES && first + i < p2m.length; i++) {
        const frame = p2m[first + i]!;
        hv.memory.write32(mfn * FRAME_SIZE + i * 4, frame < 0 ? NO_MFN : frame);
      }
    }
  }

  /** Fields from pt_base on stay: they are addresses, which do not change. */
  #writeStartInfo(): void {
    const { hv, domain, image } = this;
    const page = hv.memory.bytes(this.#mfn(image.startInfoPfn) * FRAME_SIZE, FRAME_SIZE);
    const fresh = page.slice();
    writeStruct(start_info, new DataView(fresh.buffer), {
      nr_pages: image.p2mSize,
      shared_info: domain.sharedInfoMfn * FRAME_SIZE,
      flags: 0,
      store_mfn: domain.storeMfn,
      store_evtchn: domain.storePort,
      console_mfn: domain.consoleMfn,
      console_evtchn: domain.consolePort,
    });
    hv.memory.writeBytes(this.#mfn(image.startInfoPfn) * FRAME_SIZE, fresh);
  }

  /** The leaves first: each validation then finds its tables done. */
  #pinTables(): void {
    const { domain, hv, image } = this;
    for (let type = TYPE_l1; type <= TYPE_l3; type++) {
      for (const [i, pfn] of image.pfns.entries()) {
        if (image.uses[i] !== (type | USE_PINNED)) continue;
        const errno = pin(hv, domain, this.#mfn(pfn), type);
        if (errno !== 0) throw new DoesNotFit(`the pinned table in pfn ${pfn} is refused (${errno})`);
      }
    }
  }

  #giveContext(id: number, saved: NonNullable<DomainImage['vcpus'][number]>): void {
    const { domain, hv } = this;
    const vcpu = domain.vcpus[id]!;
    const context = saved.context.slice();
    const view = new DataView(context.buffer);
    const { gdt_frames: gdt, ctrlreg } = VCPU_CONTEXT_ARRAYS;
    const gdtPages = Math.ceil(view.getUint32(vcpu_guest_context.fields.gdt_ents.offset, true) / 512);
    for (let i = 0; i < Math.min(gdtPages, gdt.count); i++) {
      const at = gdt.offset + 4 * i;
      view.setUint32(at, this.#mfn(view.getUint32(at, true)), true);
    }
    view.setUint32(ctrlreg.offset + 4 * 3, guestCr3(domain, this.#mfn(saved.rootPfn)), true);
    const errno = applyContext(hv, vcpu, context);
    if (errno !== 0) throw new DoesNotFit(`the context of vcpu ${id} is refused (${errno})`);
    vcpu.down = saved.down;
  }
}
