/**
 * What happens to guests besides their calls: privileged instructions, which the hypervisor carries out for them (port
 * accesses to the devices among them), touches of memory, which fill the TLB, and input from outside the machine.
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../cpu/cpu.ts';
import { EAX, EBX, ECX, EDI, EDX, ESI } from '../../cpu/layout.ts';
import { notifyGuest } from '../evtchn.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { pressNmiButton } from '../nmi.ts';
import { guestCr3 } from '../roots.ts';
import { BASE, type FuzzGuest } from './guest.ts';
import type { Random } from './random.ts';
import type { Context } from './values.ts';
import * as values from './values.ts';

const VECTOR_GP = 13;
const UART = 0x3f8;
const RTC = 0x70;
const BUTTON = 0x2a0;
const KEYS = new Uint8Array(24).fill(0x61);

/** Instructions that fault in ring 1, by opcode; all registers are filled. */
const INSTRUCTIONS: readonly Uint8Array[] = [
  [0xec], // in al, dx
  [0xec],
  [0xed], // in eax, dx
  [0x66, 0xed], // in ax, dx
  [0xee], // out dx, al
  [0xee],
  [0xee],
  [0xef], // out dx, eax
  [0xe4, RTC + 1], // in al, 71
  [0xe6, RTC], // out 70, al
  [0x6c], // insb
  [0xf3, 0x6d], // rep insd
  [0x6e], // outsb
  [0xf3, 0x6e], // rep outsb
  [0xfa], // cli
  [0xfb], // sti
  [0x0f, 0x06], // clts
  [0x0f, 0x09], // wbinvd
  [0x0f, 0x20, 0xd8], // mov eax, cr3
  [0x0f, 0x22, 0xd8], // mov cr3, eax
  [0x0f, 0x22, 0xc0], // mov cr0, eax
  [0x0f, 0x22, 0xe0], // mov cr4, eax
  [0x0f, 0x23, 0xf8], // mov dr7, eax
  [0x0f, 0x23, 0xc0], // mov dr0, eax
  [0x0f, 0x21, 0xf0], // mov eax, dr6
  [0x0f, 0x30], // wrmsr
  [0x0f, 0x32], // rdmsr
].map((bytes) => Uint8Array.from(bytes));

/** A privileged instruction, as the processor reports it: by #GP(0). @returns what was done, in words. */
export function privilegedInstruction(context: Context): string {
  const { hv, random, guest, vcpu } = context;
  const { cpu } = hv;
  const code = random.pick(INSTRUCTIONS);
  // The right to ports, as PHYSDEVOP_SET_IOPL gives it.
  if (random.chance(70)) vcpu.iopl = 1;
  guest.store(BASE, code);
  cpu.eip = BASE;
  const port = random.pick([UART, UART, RTC, BUTTON]) + random.below(8);
  cpu.setReg(EDX, random.chance(95) ? port : random.next() & 0xffff);
  cpu.setReg(EAX, random.chance(30) ? guestCr3(guest.domain, guest.root) : values.boundary(context));
  cpu.setReg(ECX, random.chance(50) ? random.below(4) : values.boundary(context));
  cpu.setReg(EBX, random.next());
  cpu.setReg(ESI, values.va(context));
  cpu.setReg(EDI, values.va(context));
  cpu.sink.exception(VECTOR_GP, 0);
  return `privileged instruction ${code.join(' ')}`;
}

/** Reads or writes that change nothing but A and D, and what the TLB holds. */
export function touch({ hv, random, guest }: Context): void {
  const { cpu } = hv;
  for (let n = random.below(3); n >= 0; n--) {
    const va = guest.windowPage(random);
    const access = random.chance(60) ? ACCESS_WRITE : ACCESS_READ;
    cpu.translate(va, random.chance(30) ? access | ACCESS_USER : access);
  }
}

/** Typing, buttons, a daemon's notification. Only between two runs of the processor. */
export function outsideInput(hv: Hypervisor, random: Random, guests: readonly FuzzGuest[]): void {
  const guest = random.pick(guests);
  const initial = hv.domains[0];
  switch (random.below(4)) {
    case 0:
      hv.devices.uart.type(hv, KEYS.subarray(0, 1 + random.below(KEYS.length)));
      return;
    case 1:
      hv.devices.button.press(hv);
      return;
    case 2:
      if (initial !== undefined && initial.end === null) pressNmiButton(hv, initial);
      return;
    default:
      notifyGuest(hv, guest.domain, 1 + random.below(2));
  }
}
