/**
 * The I/O ports of a bare machine: a map from port to device. A port nobody claims floats: reads give all ones,
 * writes vanish.
 */
export interface PortDevice {
  read(port: number, size: number): number;
  write(port: number, size: number, value: number): void;
}

export class Ports {
  private readonly devices = new Map<number, PortDevice>();

  /** Claims `count` consecutive ports. */
  add(first: number, count: number, device: PortDevice): void {
    for (let port = first; port < first + count; port++) this.devices.set(port, device);
  }
  read(port: number, size: number): number {
    const device = this.devices.get(port);
    const ones = size === 4 ? 0xffffffff : 2 ** (8 * size) - 1;
    return device ? (device.read(port, size) & ones) >>> 0 : ones;
  }
  write(port: number, size: number, value: number): void {
    this.devices.get(port)?.write(port, size, value);
  }
}
