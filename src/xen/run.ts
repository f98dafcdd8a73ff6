/**
 * The hypervisor's side of the run loop. The machine calls runSlice() again and again with the virtual cycle up to
 * which the host has time; everything that happens in between is a function of counts alone, so the run is the same
 * however it is cut into slices.
 *
 *   runSlice(hv, untilCycle): SliceResult
 *     kind 'ran'     untilCycle was reached, or hv.stopRequested was set (requestStop, breakOn): call again
 *     kind 'idle'    nobody is runnable; nothing will happen before nextDeadline (Infinity: before outside input).
 *                    The machine moves the clock (hv.cpu.advanceTo(min(nextDeadline, time of its next input))) and
 *                    calls again.
 *     kind 'halted'  no domain is left that could ever run
 *
 * Outside input (typing, toolstack work) is given between calls, at a logged cycle.
 */
export interface SliceResult {
  kind: 'ran' | 'idle' | 'halted';
  /** Absolute virtual cycle (= ns) of the next timer; Infinity when none is armed. */
  nextDeadline: number;
}
