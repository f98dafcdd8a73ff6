/** Draws the runstate timeline on a canvas: states told apart by height and hatch as well as by colour. */
import { formatSeconds } from '../../../format/time.ts';
import { domainHue, domainLetter } from '../../../store/selection.ts';
import type { RunstateInterval, RunstatesView } from '../../../worker/protocol.ts';
import { notKept, type TimeWindow, tickStep, ticks, visibleIntervals } from './geometry.ts';

/** Room for a lane's name; with several CPUs also for the one that it is on. */
const LEFT_ONE = 76;
const LEFT_SEVERAL = 104;
const TOP = 24;
const MONO = '12px "IBM Plex Mono", monospace';
const MONO_BOLD = '600 12px "IBM Plex Mono", monospace';

export interface Drawing {
  view: RunstatesView;
  window: TimeWindow;
  /** First lane that is shown. */
  firstLane: number;
  /** Physical CPUs of the machine. */
  cpus: number;
}

export function laneHeight(height: number, lanes: number): number {
  return Math.max(20, Math.min(34, Math.floor((height - TOP - 4) / Math.max(1, lanes))));
}

export const lanesThatFit = (height: number): number => Math.max(1, Math.floor((height - TOP - 4) / 20));

export function drawTimeline(canvas: HTMLCanvasElement, drawing: Drawing, scale: number): void {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (width === 0 || height === 0) return;
  const pixels = Math.max(1, devicePixelRatio) * scale;
  const [w, h] = [Math.round(width * pixels), Math.round(height * pixels)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const g = canvas.getContext('2d');
  if (g === null) return;
  g.setTransform(pixels, 0, 0, pixels, 0, 0);
  g.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const { view, window: shown } = drawing;
  const right = width - 16;
  const left = drawing.cpus > 1 ? LEFT_SEVERAL : LEFT_ONE;
  const x = (t: number): number => left + ((t - shown.from) / (shown.to - shown.from)) * (right - left);
  const nowX = x(view.now);
  g.textBaseline = 'middle';

  drawAxis(g, shown, x, height, nowX, left, right, colour);

  const lanes = view.lanes.slice(drawing.firstLane, drawing.firstLane + lanesThatFit(height));
  const rowHeight = laneHeight(height, lanes.length);
  const bar = Math.min(18, rowHeight - 8);
  lanes.forEach((lane, i) => {
    const base = TOP + (i + 1) * rowHeight - 3;
    const hue = domainHue(lane.domid);
    g.fillStyle = colour(`--d${hue}`);
    g.fillRect(16, base - bar / 2 - 8, 16, 16);
    g.fillStyle = colour(`--d${hue}-text`);
    g.font = MONO_BOLD;
    g.textAlign = 'center';
    g.fillText(domainLetter(lane.domid), 24, base - bar / 2 + 0.5);
    g.font = MONO;
    g.textAlign = 'left';
    g.fillStyle = colour('--ink');
    g.fillText(`v${lane.vcpu}`, 40, base - bar / 2 + 0.5);
    if (drawing.cpus > 1 && lane.pcpu !== null) {
      g.fillStyle = colour('--ink-2');
      g.fillText(`cpu${lane.pcpu}`, 62, base - bar / 2 + 0.5);
    }
    g.save();
    g.beginPath();
    g.rect(left, 0, right - left, height);
    g.clip();
    const gap = notKept(lane, shown);
    if (gap !== null) drawNotKept(g, x(gap.from), x(gap.to), base, bar, colour);
    g.fillStyle = colour('--rule');
    g.fillRect(left, base, Math.max(0, Math.min(right, nowX) - left), 1);
    for (const interval of visibleIntervals(lane, shown, view.now)) {
      drawInterval(g, interval, x(interval.from), x(interval.to), base, bar, colour);
    }
    g.restore();
  });

  if (nowX >= left && nowX <= right) {
    g.fillStyle = colour('--now');
    g.fillRect(Math.round(nowX) - 0.75, TOP - 6, 1.5, height - TOP + 4);
    const label = `now ${formatSeconds(view.now)}`;
    g.font = MONO_BOLD;
    const labelWidth = g.measureText(label).width + 8;
    const labelLeft = nowX + labelWidth > right ? nowX - labelWidth : nowX - 0.75;
    g.fillRect(labelLeft, 1, labelWidth, 17);
    g.fillStyle = colour('--paper');
    g.textAlign = 'left';
    g.fillText(label, labelLeft + 4, 10);
  }
}

function drawAxis(
  g: CanvasRenderingContext2D,
  shown: TimeWindow,
  x: (t: number) => number,
  height: number,
  nowX: number,
  left: number,
  right: number,
  colour: (name: string) => string,
): void {
  const span = shown.to - shown.from;
  const step = tickStep(span, Math.max(2, Math.floor((right - left) / 130)));
  const [unit, size] =
    step >= 1e9 ? ['s', 1e9] : step >= 1e6 ? ['ms', 1e6] : step >= 1e3 ? ['µs', 1e3] : ['ns', 1];
  g.font = MONO;
  g.textAlign = 'center';
  for (const t of ticks(shown, step)) {
    const at = Math.round(x(t)) + 0.5;
    if (at < left) continue;
    g.fillStyle = colour('--rule');
    g.fillRect(at - 0.5, TOP - 4, 1, height - TOP + 2);
    const label = `${Math.round(t / (size as number))
      .toLocaleString('en')
      .replaceAll(',', ' ')}`;
    const half = g.measureText(label).width / 2;
    if (at - half < left - 20 || at + half > right) continue;
    if (nowX > at - half - 190 && nowX < at + half + 190) {
      const labelWidth = g.measureText('now 0.000 000 000').width + 8;
      const taken = nowX + labelWidth > right ? nowX - labelWidth : nowX;
      if (at + half > taken - 4 && at - half < taken + labelWidth + 4) continue;
    }
    g.fillStyle = colour('--ink-3');
    g.fillText(label, at, 10);
  }
  g.textAlign = 'left';
  g.fillStyle = colour('--ink-3');
  g.fillText(unit as string, 16, 10);
}

/** Wide apart and pale, so that it is taken for none of the runstates. */
function drawNotKept(
  g: CanvasRenderingContext2D,
  from: number,
  to: number,
  base: number,
  bar: number,
  colour: (name: string) => string,
): void {
  const top = base - bar;
  g.save();
  g.beginPath();
  g.rect(from, top, to - from, bar);
  g.clip();
  g.strokeStyle = colour('--rule');
  g.lineWidth = 1;
  g.beginPath();
  for (let q = Math.floor((from - bar) / 8) * 8; q < to + bar; q += 8) {
    g.moveTo(q, top);
    g.lineTo(q + bar, base);
  }
  g.stroke();
  g.restore();
  const label = 'not kept';
  const labelWidth = g.measureText(label).width + 12;
  if (to - from < labelWidth || bar < 12) return;
  const left = Math.max(from, to - labelWidth - 8);
  g.fillStyle = colour('--paper');
  g.fillRect(left, top, labelWidth, bar);
  g.fillStyle = colour('--ink-3');
  g.fillText(label, left + 6, top + bar / 2 + 1);
}

function drawInterval(
  g: CanvasRenderingContext2D,
  interval: RunstateInterval,
  from: number,
  to: number,
  base: number,
  bar: number,
  colour: (name: string) => string,
): void {
  const width = Math.max(1, to - from);
  switch (interval.state) {
    case 'running':
      g.fillStyle = colour(interval.ring === 3 ? '--running-user' : '--running');
      g.fillRect(from, base - bar, width, bar);
      if (interval.ring === 3) {
        g.fillStyle = colour('--running');
        g.fillRect(from, base - bar, width, 2.5);
      }
      return;
    case 'blocked':
      g.fillStyle = colour('--blocked');
      g.fillRect(from, base - 3, width, 3);
      return;
    case 'runnable': {
      const half = Math.round(bar / 2);
      g.fillStyle = colour('--runnable');
      if (width < 5) {
        g.fillRect(from, base - half, width, half);
        return;
      }
      g.save();
      g.beginPath();
      g.rect(from, base - half, width, half);
      g.clip();
      g.strokeStyle = colour('--runnable');
      g.lineWidth = 1.5;
      g.beginPath();
      // Anchored to the page, so that the hatch does not crawl while time moves.
      for (let q = Math.floor((from - half) / 5) * 5; q < from + width + half; q += 5) {
        g.moveTo(q, base);
        g.lineTo(q + half, base - half);
      }
      g.stroke();
      g.restore();
      g.lineWidth = 1;
      g.strokeStyle = colour('--runnable');
      g.strokeRect(from + 0.5, base - half + 0.5, width - 1, half - 1);
      return;
    }
    case 'offline':
      return;
  }
}
