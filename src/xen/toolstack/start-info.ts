/** The start_info page: what a new domain is told about itself. public/xen.h, boot.md section 4. */
import { strToU8 } from 'fflate';
import { struct, u32, writeStruct } from '../abi/struct.ts';

export const SIF_PRIVILEGED = 1;
export const SIF_INITDOMAIN = 2;
export const SIF_MOD_START_PFN = 8;

const MAGIC_SIZE = 32;
const COMMAND_LINE_AT = 80;
/** With its terminating NUL. */
export const COMMAND_LINE_SIZE = 1024;

/** Behind the 32 bytes of magic; the command line follows at 80. */
export const START_INFO = struct('start_info', 1112, {
  nr_pages: u32(32, 'dec'),
  shared_info: u32(36, 'maddr'),
  flags: u32(40, 'hex'),
  store_mfn: u32(44, 'mfn'),
  store_evtchn: u32(48, 'port'),
  console_mfn: u32(52, 'mfn'),
  console_evtchn: u32(56, 'port'),
  pt_base: u32(60, 'va'),
  nr_pt_frames: u32(64, 'dec'),
  mfn_list: u32(68, 'va'),
  mod_start: u32(72, 'va'),
  mod_len: u32(76, 'dec'),
  first_p2m_pfn: u32(1104),
  nr_p2m_frames: u32(1108),
});

export type StartInfo = { [K in keyof typeof START_INFO.fields]: number };

/** The page's bytes. @param commandLine shorter than COMMAND_LINE_SIZE. */
export function startInfoPage(magic: string, info: StartInfo, commandLine: string): Uint8Array {
  const page = new Uint8Array(4096);
  writeStruct(START_INFO, new DataView(page.buffer), info);
  for (let i = 0; i < Math.min(magic.length, MAGIC_SIZE - 1); i++) page[i] = magic.charCodeAt(i);
  page.set(strToU8(commandLine).subarray(0, COMMAND_LINE_SIZE - 1), COMMAND_LINE_AT);
  return page;
}
