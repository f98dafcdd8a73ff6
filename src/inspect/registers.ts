/** Registers, the code around eip and the top of the stack of one vcpu. */

import { disassemble } from '../cpu/disassemble.ts';
import { CS, ESP, SS } from '../cpu/layout.ts';
import type { DisassemblyLine, RegistersView } from '../worker/protocol.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import type { Vcpu } from '../xen/vcpu.ts';
import { upcallMask, upcallPending } from '../xen/vcpu-info.ts';
import { findVcpu, type VcpuState, vcpuState } from './vcpu-state.ts';
import { peek, peekBytes } from './walk.ts';

/** Name of an address in a domain's image, with offset ("guest_main+0x1c"), or undefined. */
export type SymbolLookup = (domid: number, va: number) => string | undefined;

const SEGMENT_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const CODE_LINES = 14;
const STACK_WORDS = 12;
/** So many zeros in a row are no code: the processor would read them as add [eax], al, over and over. */
const LEAST_PADDING = 8;

/** 'ring 1 code, 4 GiB' from the hidden part of a segment register. */
function segmentText(access: number, base: number, limit: number): string {
  if (access === 0) return 'null';
  const kind = access & 0x800 ? 'code' : access & 0x400 ? 'data, grows down' : 'data';
  const ring = (access >>> 13) & 3;
  const flat = base === 0 && limit >= 0xf000_0000 ? ', flat' : '';
  const bits = access & 0x40_0000 ? '' : ', 16-bit';
  return `ring ${ring} ${kind}${flat}${bits}`;
}

function hexBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += (text ? ' ' : '') + byte.toString(16).padStart(2, '0');
  return text;
}

/** How many zeros there are from `at` on. */
function zerosAt(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end < bytes.length && bytes[end] === 0) end++;
  return end - at;
}

function code(hv: Hypervisor, vcpu: Vcpu, state: VcpuState, symbolAt: SymbolLookup): DisassemblyLine[] {
  const lines: DisassemblyLine[] = [];
  const bits = state.u32('segAccess', CS) & 0x40_0000 ? 32 : 16;
  const start = (state.u32('segBase', CS) + state.u32('eip')) >>> 0;
  const bytes = peekBytes(hv, vcpu.domain, vcpu.rootMfn, start, CODE_LINES * 15);
  const symbol = (va: number) => symbolAt(vcpu.domain.id, va);
  for (let at = 0; lines.length < CODE_LINES && at < bytes.length; ) {
    const va = (start + at) >>> 0;
    const zeros = at === 0 ? 0 : zerosAt(bytes, at);
    if (zeros >= LEAST_PADDING) {
      lines.push({
        va,
        bytes: `00 × ${zeros}`,
        text: at + zeros < bytes.length ? 'padding' : 'zeros from here on',
        symbol: null,
        current: false,
        padding: true,
      });
      at += zeros;
      continue;
    }
    const line = disassemble(bytes.subarray(at), va, { bits, symbolAt: symbol });
    const length = Math.max(1, line.length);
    lines.push({
      va,
      bytes: hexBytes(bytes.subarray(at, at + length)),
      text: line.text,
      symbol: symbol(va) ?? null,
      current: at === 0,
      padding: false,
    });
    at += length;
  }
  return lines;
}

function stack(hv: Hypervisor, vcpu: Vcpu, state: VcpuState, symbolAt: SymbolLookup): RegistersView['stack'] {
  const words: RegistersView['stack'] = [];
  const top = (state.u32('segBase', SS) + state.u32('gpr', ESP)) >>> 0;
  for (let i = 0; i < STACK_WORDS; i++) {
    const va = (top + i * 4) >>> 0;
    const maddr = va > 0xffff_fffc ? -1 : peek(hv, vcpu.domain, vcpu.rootMfn, va);
    const whole = maddr >= 0 && (va & 4095) <= 4092;
    const value = whole ? hv.memory.read32(maddr) : null;
    words.push({ va, value, symbol: value === null ? null : (symbolAt(vcpu.domain.id, value) ?? null) });
  }
  return words;
}

/** The x87 stack as text, ST0 first: "1.5", "empty". */
function fpuStack(state: VcpuState): string[] {
  const top = (state.u16('fsw') >>> 11) & 7;
  const tags = state.u16('ftw');
  const list: string[] = [];
  for (let i = 0; i < 8; i++) {
    const physical = (top + i) & 7;
    if (((tags >>> (physical * 2)) & 3) === 3) {
      list.push('empty');
      continue;
    }
    const { low, high, signExponent } = state.fpr(physical);
    const exponent = signExponent & 0x7fff;
    const sign = signExponent & 0x8000 ? -1 : 1;
    const significand = high * 2 ** 32 + low;
    if (exponent === 0x7fff) list.push(significand === 2 ** 63 ? (sign < 0 ? '-inf' : '+inf') : 'NaN');
    else list.push(`${sign * significand * 2 ** (exponent - 16383 - 63)}`);
  }
  return list;
}

export function registersView(
  hv: Hypervisor,
  domid: number,
  vcpuId: number,
  symbolAt: SymbolLookup,
): RegistersView | null {
  const vcpu = findVcpu(hv, domid, vcpuId);
  if (vcpu === undefined) return null;
  const state = vcpuState(hv, vcpu);
  const present = vcpu.initialised && vcpu.rootMfn !== 0;
  return {
    view: 'registers',
    domid,
    vcpu: vcpuId,
    present,
    gpr: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => state.u32('gpr', i)),
    eip: state.u32('eip'),
    eflags: state.u32('eflags'),
    segments: SEGMENT_NAMES.map((name, i) => {
      const base = state.u32('segBase', i);
      const limit = state.u32('segLimit', i);
      return {
        name,
        selector: state.u32('segSelector', i),
        base,
        limit,
        text: segmentText(state.u32('segAccess', i), base, limit),
      };
    }),
    cr0: state.u32('cr0'),
    cr2: state.u32('cr2'),
    cr3: state.u32('cr3'),
    cr4: state.u32('cr4'),
    cpl: state.u32('cpl'),
    upcallMask: vcpu.vcpuInfo ? upcallMask(hv, vcpu) : 0,
    upcallPending: vcpu.vcpuInfo ? upcallPending(hv, vcpu) : 0,
    fpu: fpuStack(state),
    disassembly: present ? code(hv, vcpu, state, symbolAt) : [],
    stack: present ? stack(hv, vcpu, state, symbolAt) : [],
  };
}
