/**
 * Who may touch an I/O port: the guest's own right (virtual IOPL, its I/O bitmap), without which the access is
 * #GP(0); and the administrator's (simulated devices given to the domain), without which reads give all ones and
 * writes vanish. cpu-and-events.md 7.1.
 */
import { VMASST_TYPE_architectural_iopl } from './abi/constants.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Vcpu } from './vcpu.ts';

/** May code of ring `cpl` use instructions that need I/O privilege (CLI, STI, IN, OUT without bitmap)? */
export function ioplAllows(vcpu: Vcpu, cpl: number): boolean {
  if (vcpu.domain.vmAssist & (1 << VMASST_TYPE_architectural_iopl)) return cpl === 1 || vcpu.iopl === 3;
  return vcpu.iopl >= (cpl === 1 ? 1 : 3);
}

export function guestMayUsePort(
  hv: Hypervisor,
  vcpu: Vcpu,
  cpl: number,
  port: number,
  size: number,
): boolean {
  if (ioplAllows(vcpu, cpl)) return true;
  const limit = vcpu.ioBitmapPorts;
  const covered = vcpu.domain.personality === '4.17' ? port + size <= limit : limit > port + size;
  if (vcpu.ioBitmap === 0 || !covered) return false;
  const bits = hv.guest.readU16(vcpu.domain, vcpu.ioBitmap + (port >>> 3));
  if (bits < 0) return false;
  const wanted = (1 << size) - 1;
  return ((bits >>> (port & 7)) & wanted) === 0;
}

export function readPort(hv: Hypervisor, vcpu: Vcpu, port: number, size: number): number {
  if (vcpu.domain.privileged) return hv.devices.read(hv, port, size);
  return size === 4 ? 0xffff_ffff : (1 << (8 * size)) - 1;
}

export function writePort(hv: Hypervisor, vcpu: Vcpu, port: number, size: number, value: number): void {
  if (vcpu.domain.privileged) hv.devices.write(hv, port, size, value);
}
