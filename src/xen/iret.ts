/** The iret hypercall (23): return from a frame, restoring the event mask from its IF. cpu-and-events.md 6.2. */
import { CS, EAX, ESP, SS } from '../cpu/layout.ts';
import {
  EFLAGS_FIXED,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_VM,
  VMASST_TYPE_architectural_iopl,
} from './abi/constants.ts';
import { crashDomain } from './domain-lifecycle.ts';
import type { Hypervisor } from './hypervisor.ts';
import { currentContext, deliverBadReturn, deliverTrap, type InterruptedContext } from './traps.ts';
import type { Vcpu } from './vcpu.ts';
import { setUpcallMask } from './vcpu-info.ts';

const FRAME_BYTES = 40;
const target: InterruptedContext = { eip: 0, cs: 0, eflags: 0, esp: 0, ss: 0 }; // scratch

/** Returns to the frame at ESP: EAX EIP CS EFLAGS, and ESP SS for rings 2 and 3. */
export function iret(hv: Hypervisor, vcpu: Vcpu): void {
  const cpu = hv.cpu;
  const domain = vcpu.domain;
  const esp = cpu.getReg(ESP);
  const at = (cpu.getSegmentBase(SS) + esp) >>> 0;
  const frame = at + FRAME_BYTES <= domain.holeStart ? hv.guest.read(domain, at, 16) : null;
  if (frame === null) {
    crashDomain(hv, vcpu, {
      operation: 'iret',
      rule: 'iret-frame',
      va: at,
      because: 'the frame to return from is not readable',
      legal: 'EAX, EIP, CS and EFLAGS must stand at ESP',
    });
    return;
  }
  const eax = frame.getUint32(0, true);
  const popped = frame.getUint32(12, true);
  target.eip = frame.getUint32(4, true);
  target.cs = frame.getUint32(8, true) & 0xffff;
  target.eflags = ((popped & ~EFLAGS_IOPL) | EFLAGS_IF | EFLAGS_FIXED) >>> 0;
  if (popped & EFLAGS_VM) {
    // There is no virtual-8086 mode here, as in 4.17.
    deliverTrap(hv, vcpu, 13, 0, currentContext(hv));
    return;
  }
  const ring = target.cs & 3;
  if (ring === 0) {
    crashDomain(hv, vcpu, {
      operation: 'iret',
      rule: 'iret-to-ring-0',
      va: at,
      because: `the frame returns to selector ${target.cs.toString(16)}, which asks for ring 0`,
      legal: 'a guest may return to rings 1 to 3',
    });
    return;
  }
  if (ring === 1) {
    target.esp = (esp + 16) >>> 0;
    target.ss = cpu.getSelector(SS);
  } else {
    const outer = hv.guest.read(domain, at + 16, 8);
    if (outer === null) {
      crashDomain(hv, vcpu, {
        operation: 'iret',
        rule: 'iret-frame',
        va: at + 16,
        because: 'ESP and SS of the frame to return from are not readable',
      });
      return;
    }
    target.esp = outer.getUint32(0, true);
    target.ss = outer.getUint32(4, true) & 0xffff;
  }
  if (domain.vmAssist & (1 << VMASST_TYPE_architectural_iopl)) vcpu.iopl = (popped & EFLAGS_IOPL) >> 12;
  cpu.setReg(EAX, eax);
  vcpu.nmiMasked = false;
  setUpcallMask(hv, vcpu, popped & EFLAGS_IF ? 0 : 1);
  cpu.cpl = 0;
  let fault = cpu.loadSegment(CS, target.cs);
  cpu.cpl = ring;
  if (fault === 0) fault = cpu.loadSegment(SS, target.ss);
  if (fault !== 0) {
    deliverBadReturn(hv, vcpu, target, fault);
    return;
  }
  cpu.eip = target.eip;
  cpu.setReg(ESP, target.esp);
  cpu.eflags = target.eflags;
}
