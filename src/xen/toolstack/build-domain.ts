/**
 * The domain builder: from an image and a wish to a paused domain whose first vcpu stands at its entry point.
 * boot.md sections 1 to 4; the arithmetic is layout.ts, the bytes domain-memory.ts, the registers vcpu-context.ts.
 */
import { invariant } from '../../base/assert.ts';
import { VMASST_TYPE_pae_extended_cr3 } from '../abi/constants.ts';
import type { Domain } from '../domain.ts';
import { createDomain } from '../domain-lifecycle.ts';
import { allocateDomainFrame, domainMemory } from '../domain-memory.ts';
import { writeHypercallPage } from '../hypercalls/hypercall-page.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { rootType } from '../page-table-entries.ts';
import type { Abi, Personality } from '../personality.ts';
import { pin } from '../pinning.ts';
import { setRoot } from '../roots.ts';
import { setBootState } from '../vcpu-context.ts';
import { loadKernel, PseudoPhysical, writeP2mList, writePageTables } from './domain-memory.ts';
import { requiresDomainZero } from './features.ts';
import { chooseAbi, type GuestImage, readImage } from './image.ts';
import { type ImageResult, imageError } from './image-error.ts';
import { type DomainLayout, layOut } from './layout.ts';
import { openChannels } from './open-channels.ts';
import {
  COMMAND_LINE_BYTES,
  commandLineBytes,
  SIF_INITDOMAIN,
  SIF_PRIVILEGED,
  startInfoPage,
} from './start-info.ts';

export interface BuildRequest {
  name: string;
  image: Uint8Array;
  ramdisk?: Uint8Array | undefined;
  commandLine: string;
  memoryMiB: number;
  vcpus: number;
  abi: Abi | 'auto';
  xen: Personality | 'auto';
  privileged: boolean;
}

export interface BuiltDomain {
  domain: Domain;
  image: GuestImage;
  layout: DomainLayout;
}

/** The built domain is paused and has its event channels; xenstore nodes and daemons are the caller's. */
export function buildDomain(hv: Hypervisor, request: BuildRequest): ImageResult<BuiltDomain> {
  const image = readImage(request.image);
  if (!image.ok) return image;
  const chosen = chooseAbi(image.value, request.abi, request.xen);
  if (!chosen.ok) return chosen;
  const { abi, personality } = chosen.value;
  const wish = checkRequest(hv, request, image.value);
  if (!wish.ok) return wish;
  const frames = Math.floor(request.memoryMiB * 256);
  const layout = layOut({
    abi,
    virtBase: image.value.virtBase,
    kernelEnd: image.value.kernelEnd,
    ramdiskBytes: request.ramdisk?.length ?? 0,
    frames,
    rings: !request.privileged,
  });
  if (!layout.ok) return layout;
  if (frames > hv.frames.freeFrames) return tooBig(hv, frames);

  const domain = createDomain(
    hv,
    {
      name: request.name,
      abi,
      personality,
      privileged: request.privileged,
      vcpus: request.vcpus,
      maxFrames: frames,
      commandLine: request.commandLine,
    },
    domainMemory,
  );
  if (!domain) return tooBig(hv, frames);
  const memory = new PseudoPhysical(hv.memory, giveFrames(hv, domain, frames));
  fill(hv, domain, request, image.value, layout.value, memory);
  return { ok: true, value: { domain, image: image.value, layout: layout.value } };
}

function checkRequest(hv: Hypervisor, request: BuildRequest, image: GuestImage): ImageResult<null> {
  const { memoryMiB, vcpus } = request;
  if (!(memoryMiB >= 1 && memoryMiB <= 1024 && Number.isInteger(memoryMiB * 256))) {
    return imageError(
      'bad-memory-size',
      `${memoryMiB} MiB is no size for a domain: 1 to 1024 MiB are possible`,
      { memoryMiB },
    );
  }
  if (!(Number.isInteger(vcpus) && vcpus >= 1 && vcpus <= 32)) {
    return imageError('bad-vcpu-count', `a domain cannot have ${vcpus} virtual CPUs: 1 to 32 are possible`, {
      vcpus,
    });
  }
  const length = commandLineBytes(request.commandLine).length;
  if (length > COMMAND_LINE_BYTES) {
    return imageError(
      'command-line-too-long',
      `the command line has ${length} bytes; ${COMMAND_LINE_BYTES} fit`,
      {
        length,
        limit: COMMAND_LINE_BYTES,
      },
    );
  }
  // The toolstack acts as domain 0 until there is one: its channels would change hands under the guests.
  if (request.privileged && hv.domains.some((domain) => domain !== undefined)) {
    return imageError('domain-zero-not-first', 'the initial domain must be the first of its machine');
  }
  if (requiresDomainZero(image.features) && !request.privileged) {
    return imageError('unsupported-feature', 'the image requires dom0: it only runs as the initial domain', {
      feature: 'dom0',
    });
  }
  return { ok: true, value: null };
}

function tooBig(hv: Hypervisor, frames: number) {
  const free = hv.frames.freeFrames;
  return imageError(
    'memory-too-big',
    `the machine has ${Math.floor(free / 256)} MiB left, too little for a domain of ${Math.ceil(frames / 256)} MiB`,
    { frames, free },
  );
}

/** Frames for pfn 0, 1, 2 ... with their M2P entries. */
function giveFrames(hv: Hypervisor, domain: Domain, count: number): Uint32Array {
  const p2m = new Uint32Array(count);
  for (let pfn = 0; pfn < count; pfn++) {
    const mfn = allocateDomainFrame(hv, domain);
    invariant(mfn >= 0, 'free frames ran out although they were counted');
    p2m[pfn] = mfn;
    hv.m2p.set(mfn, pfn);
  }
  return p2m;
}

function fill(
  hv: Hypervisor,
  domain: Domain,
  request: BuildRequest,
  image: GuestImage,
  layout: DomainLayout,
  memory: PseudoPhysical,
): void {
  const { virtBase } = image;
  const { p2m } = memory;
  const va = (pfn: number) => virtBase + pfn * 4096;
  loadKernel(memory, image);
  if (request.ramdisk) memory.write(layout.ramdiskPfn * 4096, request.ramdisk);
  writeP2mList(memory, layout);
  const rootPfn = writePageTables(memory, layout, virtBase);
  if (image.hypercallPfn !== null) writeHypercallPage(hv.memory, p2m[image.hypercallPfn]!);
  if (!request.privileged) openChannels(hv, domain, p2m[layout.storePfn]!, p2m[layout.consolePfn]!);

  memory.write(
    layout.startInfoPfn * 4096,
    startInfoPage(
      domain.abi === 'x86_32p' ? 'xen-3.0-x86_32p' : 'xen-3.0-x86_32',
      {
        nr_pages: p2m.length,
        shared_info: domain.sharedInfoMfn * 4096,
        flags: request.privileged ? SIF_PRIVILEGED | SIF_INITDOMAIN : 0,
        store_mfn: domain.storeMfn,
        store_evtchn: domain.storePort,
        console_mfn: domain.consoleMfn,
        console_evtchn: domain.consolePort,
        pt_base: va(layout.tablesPfn),
        nr_pt_frames: layout.tableFrames,
        mfn_list: va(layout.p2mPfn),
        mod_start: request.ramdisk ? va(layout.ramdiskPfn) : 0,
        mod_len: request.ramdisk?.length ?? 0,
        first_p2m_pfn: 0,
        nr_p2m_frames: 0,
      },
      request.commandLine,
    ),
  );

  const rootMfn = p2m[rootPfn]!;
  const pinned = pin(hv, domain, rootMfn, rootType(domain));
  invariant(pinned === 0, `the builder's own page tables were refused (${pinned})`);
  const vcpu = domain.vcpus[0]!;
  const rooted = setRoot(hv, vcpu, rootMfn);
  invariant(rooted === 0, `the builder's own root table was refused (${rooted})`);
  setBootState(hv, vcpu, image.entry, va(layout.stackPfn + 1), va(layout.startInfoPfn));
  if (domain.personality !== '3.0.2' && image.pae === 'extended-cr3') {
    domain.vmAssist |= 1 << VMASST_TYPE_pae_extended_cr3;
  }
}
