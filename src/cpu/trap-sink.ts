/**
 * The small door through which the CPU leaves the guest: the CPU does not know who is ring 0. Xen implements it, and
 * so does a plain IDT-delivering sink ("bare hardware").
 *
 * All calls happen between instructions, outside the generated loop, except those marked (inside), which a rare
 * instruction may make while the loop is on the stack; those must not switch vcpus or page tables.
 * A sink changes the architectural state (registers, eip, cs) through CpuState and returns; execution goes on from
 * there. It may call cpu.requestExit() to make run() return first.
 */
export interface TrapSink {
  /**
   * A fault or trap. For a fault eip is at the instruction and nothing of it has happened (REP: the completed
   * iterations have); for a trap (#DB after a step, #BP, #OF) eip is behind it. cr2 is set for vector 14.
   * @param errorCode -1 when the vector has none.
   */
  exception(vector: number, errorCode: number): void;

  /** `int n` (any n, int3 and into included as their own exceptions). eip is still at the instruction. */
  softwareInterrupt(vector: number, instructionLength: number): void;

  /**
   * MOV SS or POP SS touched watched data, and the next instruction left through one of the two doors above: the #DB
   * that the shadow held back is due where the sink has put eip, the first instruction of whoever handles it.
   * @param hits bits of DR6, which the processor has not set.
   */
  heldBreakpoints?(hits: number): void;

  /**
   * (inside) Machine address of the 8-byte descriptor that `selector` names, for a load, LAR, LSL, VERR, gates.
   * DESCRIPTOR_OUTSIDE_TABLE when the index is beyond the table (#GP(selector) or the quiet failure of LAR);
   * DESCRIPTOR_FAULT when reading it page-faulted: state.faultVector, faultCode and cr2 are then set.
   */
  descriptorAddress(selector: number): number;

  /**
   * (inside) Stack for a transfer to a more privileged ring through a call gate or interrupt gate (TSS ssN:espN).
   * ss DESCRIPTOR_OUTSIDE_TABLE: the TSS does not reach so far (#TS(TR)); DESCRIPTOR_FAULT as above.
   */
  kernelStack(ring: number): { ss: number; esp: number };

  /** (inside) IN, OUT that passed the processor's own check (IOPL or TSS bitmap). size is 1, 2 or 4. */
  portRead(port: number, size: number): number;
  portWrite(port: number, size: number, value: number): void;
  /** (inside) Is this access allowed although CPL > IOPL (TSS I/O bitmap)? */
  portAllowed(port: number, size: number): boolean;

  /** (inside) IF became 1 (STI, POPF, IRET): a sink with an interrupt waiting asks the CPU to leave the loop. */
  interruptsEnabled?(): void;

  /** HLT at ring 0; eip is behind it. */
  halted(): void;
}

export const DESCRIPTOR_OUTSIDE_TABLE = -1;
export const DESCRIPTOR_FAULT = -2;
