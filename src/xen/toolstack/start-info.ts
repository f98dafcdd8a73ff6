/** The start_info page: what a new domain is told about itself. boot.md section 4; the layout is abi/structs.ts. */
import { strToU8 } from 'fflate';
import { type StructValue, writeStruct } from '../abi/struct.ts';
import { START_INFO_CMD_LINE, START_INFO_MAGIC, start_info } from '../abi/structs.ts';

export const SIF_PRIVILEGED = 1;
export const SIF_INITDOMAIN = 2;
export const SIF_MOD_START_PFN = 8;

export type StartInfo = StructValue<typeof start_info>;

/** A command line longer than this would lose its end. */
export const COMMAND_LINE_BYTES = START_INFO_CMD_LINE.size - 1;
export const commandLineBytes = (text: string): Uint8Array => strToU8(text);

/** The page's bytes. */
export function startInfoPage(magic: string, info: StartInfo, commandLine: string): Uint8Array {
  const page = new Uint8Array(4096);
  writeStruct(start_info, new DataView(page.buffer), info);
  page.set(strToU8(magic).subarray(0, START_INFO_MAGIC.size - 1), START_INFO_MAGIC.offset);
  page.set(commandLineBytes(commandLine).subarray(0, COMMAND_LINE_BYTES), START_INFO_CMD_LINE.offset);
  return page;
}
