/** A decoded instruction for the rare functions (rare/rare.ts): what decoding fixed, and what each execution sets. */
import type { Row } from '../opcodes/row.ts';
import type { RareOperands } from '../rare/rare.ts';

export class RareInstruction implements RareOperands {
  readonly row: Row;
  readonly rowNumber: number;
  readonly length: number;
  readonly operandSize: number;
  readonly addressSize: number;
  readonly modrm: number;
  readonly reg: number;
  readonly rm: number;
  readonly isMemory: boolean;
  readonly segment: number;
  readonly immediate: number;
  readonly immediate2: number;
  readonly rep: number;
  /** Byte offsets in gpr[], the index with its scale; see records.ts. */
  readonly base: number;
  readonly index: number;
  readonly displacement: number;
  readonly code32: boolean;
  eip = 0;
  nextEip = 0;
  offset = 0;

  constructor(
    row: Row,
    rowNumber: number,
    length: number,
    operandSize: number,
    addressSize: number,
    modrm: number,
    reg: number,
    rm: number,
    isMemory: boolean,
    segment: number,
    immediate: number,
    immediate2: number,
    rep: number,
    base: number,
    index: number,
    displacement: number,
    code32: boolean,
  ) {
    this.row = row;
    this.rowNumber = rowNumber;
    this.length = length;
    this.operandSize = operandSize;
    this.addressSize = addressSize;
    this.modrm = modrm;
    this.reg = reg;
    this.rm = rm;
    this.isMemory = isMemory;
    this.segment = segment;
    this.immediate = immediate;
    this.immediate2 = immediate2;
    this.rep = rep;
    this.base = base;
    this.index = index;
    this.displacement = displacement;
    this.code32 = code32;
  }
}
