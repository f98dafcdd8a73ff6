/**
 * A CMOS real-time clock (Motorola MC146818A data sheet) at ports 70 (index) and 71 (data), IRQ 8: time of day out of
 * the hypervisor's wall clock, a periodic interrupt, and battery-backed bytes.
 */
import type { Hypervisor } from '../hypervisor.ts';
import type { InterruptLines } from './interrupt-lines.ts';

export const RTC_INDEX_PORT = 0x70;
export const RTC_DATA_PORT = 0x71;
export const RTC_IRQ = 8;

const REG_HOURS = 4;
const REG_A = 0x0a;
const REG_B = 0x0b;
const REG_C = 0x0c;
const REG_D = 0x0d;
const REG_CENTURY = 0x32;
const B_24_HOURS = 0x02;
const B_BINARY = 0x04;
const B_PERIODIC = 0x40;
const C_INTERRUPT = 0x80;
const C_PERIODIC = 0x40;
const D_VALID = 0x80;
/** Of the hours, when they go to 12. */
const AFTERNOON = 0x80;
const A_UPDATING = 0x80;
const NS = 1e9;

/** Days since 1970-01-01 to year, month (1-12), day (1-31). Proleptic Gregorian. */
export function civilDate(days: number): { year: number; month: number; day: number } {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  };
}

export class Rtc {
  readonly #lines: InterruptLines;
  readonly ram = new Uint8Array(128);
  index = 0;
  /** Absolute virtual ns of the next periodic interrupt; Infinity: off. */
  deadline = Number.POSITIVE_INFINITY;

  constructor(lines: InterruptLines) {
    this.#lines = lines;
    this.ram[REG_A] = 0x26; // 32,768 Hz time base, 1,024 Hz rate
    this.ram[REG_B] = B_24_HOURS;
  }

  read(hv: Hypervisor, port: number): number {
    if (port === RTC_INDEX_PORT) return this.index;
    const register = this.index;
    if (register === REG_C) {
      const flags = this.ram[REG_C]!;
      this.ram[REG_C] = 0;
      this.#lines.deassert(RTC_IRQ);
      return flags;
    }
    if (register === REG_D) return D_VALID;
    const time = this.#timeRegister(hv, register);
    if (time < 0) return this.ram[register]!;
    const mode = this.ram[REG_B]!;
    const code = (value: number) => (mode & B_BINARY ? value : toBcd(value));
    if (register !== REG_HOURS || mode & B_24_HOURS) return code(time);
    return code(time % 12 || 12) | (time >= 12 ? AFTERNOON : 0);
  }

  write(hv: Hypervisor, port: number, value: number): void {
    if (port === RTC_INDEX_PORT) {
      this.index = value & 0x7f;
      return;
    }
    const register = this.index;
    if (register === REG_C || register === REG_D || this.#timeRegister(hv, register) >= 0) return;
    this.ram[register] = register === REG_A ? value & ~A_UPDATING : value;
    if (register === REG_A || register === REG_B) this.#arm(hv);
  }

  /** The periodic timer is due. */
  fire(hv: Hypervisor): void {
    const period = this.#period();
    this.deadline += (Math.floor((hv.now() - this.deadline) / period) + 1) * period;
    const was = this.ram[REG_C]!;
    this.ram[REG_C] = was | C_PERIODIC | C_INTERRUPT;
    // Until register C is read the line stays where it is: no second edge.
    if (!(was & C_INTERRUPT)) this.#lines.assert(hv, RTC_IRQ);
  }

  /** ns between periodic interrupts; rates 1 and 2 are those of 8 and 9. */
  #period(): number {
    const rate = this.ram[REG_A]! & 15;
    if (rate === 0) return Number.POSITIVE_INFINITY;
    const shift = rate <= 2 ? rate + 6 : rate - 1;
    return Math.round((NS * 2 ** shift) / 32_768);
  }

  #arm(hv: Hypervisor): void {
    this.deadline = this.ram[REG_B]! & B_PERIODIC ? hv.now() + this.#period() : Number.POSITIVE_INFINITY;
    if (hv.running) hv.cpu.requestExit();
  }

  /** A register that shows the time, in binary; -1 for the others. Writing them does not change the clock. */
  #timeRegister(hv: Hypervisor, register: number): number {
    const seconds = hv.wallClockSeconds + Math.floor(hv.now() / NS);
    const days = Math.floor(seconds / 86_400);
    const ofDay = seconds - days * 86_400;
    switch (register) {
      case 0:
        return ofDay % 60;
      case 2:
        return Math.floor(ofDay / 60) % 60;
      case REG_HOURS:
        return Math.floor(ofDay / 3600);
      case 6:
        return ((days + 4) % 7) + 1; // 1970-01-01 was a Thursday; Sunday is 1
      case 7:
        return civilDate(days).day;
      case 8:
        return civilDate(days).month;
      case 9:
        return civilDate(days).year % 100;
      case REG_CENTURY:
        return Math.floor(civilDate(days).year / 100);
      default:
        return -1;
    }
  }
}

/** toBcd(59) = 0x59 */
function toBcd(value: number): number {
  return (Math.floor(value / 10) << 4) | (value % 10);
}
