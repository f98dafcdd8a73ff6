/** The timeline's arithmetic: what part of time is shown, where its ticks are, which intervals fall in it. Pure. */
import type { RunstateInterval, RunstateLane } from '../../../worker/protocol.ts';

export interface TimeWindow {
  from: number;
  to: number;
}

export const SPANS_NS = [
  1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9,
] as const;

/** The window of a span that ends at `end`, or that keeps now at nine tenths when it follows. */
export function windowOf(now: number, spanNs: number, end: number | null): TimeWindow {
  if (end !== null) return { from: end - spanNs, to: end };
  const to = Math.max(now + spanNs * 0.1, spanNs);
  return { from: to - spanNs, to };
}

/** A step for ticks of 1, 2 or 5 times a power of ten, with at most `most` of them in the span. */
export function tickStep(spanNs: number, most: number): number {
  let step = 1;
  for (;;) {
    for (const factor of [1, 2, 5]) if (spanNs / (step * factor) <= most) return step * factor;
    step *= 10;
  }
}

export function ticks(window: TimeWindow, step: number): number[] {
  const list: number[] = [];
  for (let t = Math.ceil(Math.max(0, window.from) / step) * step; t <= window.to; t += step) list.push(t);
  return list;
}

/** The intervals of a lane that touch the window, cut to it; the present state reaches up to now. */
export function visibleIntervals(lane: RunstateLane, window: TimeWindow, now: number): RunstateInterval[] {
  const last = lane.history.at(-1);
  const open: RunstateInterval = {
    from: last?.to ?? lane.createdAt,
    to: now,
    state: lane.state,
    ring: last?.ring ?? 1,
  };
  const visible: RunstateInterval[] = [];
  for (const interval of open.to > open.from ? [...lane.history, open] : lane.history) {
    if (interval.to < window.from || interval.from > window.to) continue;
    visible.push({
      ...interval,
      from: Math.max(interval.from, window.from),
      to: Math.min(interval.to, window.to),
    });
  }
  return visible;
}

/** The part of the window that lies before what is kept of a lane, or null. */
export function notKept(lane: RunstateLane, window: TimeWindow): TimeWindow | null {
  const from = Math.max(lane.createdAt, window.from);
  const to = Math.min(lane.keptFrom, window.to);
  return to > from ? { from, to } : null;
}

/** What a lane's times add up to: its age. */
export const ageOf = (lane: RunstateLane): number => lane.times.reduce((sum, t) => sum + t, 0);
