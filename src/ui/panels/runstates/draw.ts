/** Draws the runstate timeline on a canvas: states told apart by height and hatch as well as by colour. */
import { formatSeconds } from '../../../format/time.ts';
import { domainHue, domainLetter } from '../../../store/selection.ts';
import type { RunstateInterval, RunstatesView } from '../../../worker/protocol.ts';
import { type TimeWindow, tickStep, ticks, visibleIntervals } from './geometry.ts';

const LEFT = 76;
const TOP = 24;
const MONO = '12px "IBM Plex Mono", monospace';
const MONO_BOLD = '600 12px "IBM Plex Mono", monospace';

export interface Drawing {
  view: RunstatesView;
  window: TimeWindow;
  /** First lane that is shown. */
  firstLane: number;
}

/** CSS pixels to time, for the mouse. */
export function timeAt(x: number, width: number, window: TimeWindow): number {
  return window.from + ((x - LEFT) / (width - LEFT - 16)) * (window.to - window.from);
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
  const x = (t: number): number => LEFT + ((t - shown.from) / (shown.to - shown.from)) * (right - LEFT);
  const nowX = x(view.now);
  g.textBaseline = 'middle';

  drawAxis(g, shown, x, height, nowX, right, colour);

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
    g.save();
    g.beginPath();
    g.rect(LEFT, 0, right - LEFT, height);
    g.clip();
    g.fillStyle = colour('--rule');
    g.fillRect(LEFT, base, Math.max(0, Math.min(right, nowX) - LEFT), 1);
    for (const interval of visibleIntervals(lane, shown, view.now)) {
      drawInterval(g, interval, x(interval.from), x(interval.to), base, bar, colour);
    }
    g.restore();
  });

  if (nowX >= LEFT && nowX <= right) {
    g.fillStyle = colour('--now');
    g.fillRect(Math.round(nowX) - 0.75, TOP - 6, 1.5, height - TOP + 4);
    const label = `now ${formatSeconds(view.now)}`;
    g.font = MONO_BOLD;
    const labelWidth = g.measureText(label).width + 8;
    const left = nowX + labelWidth > right ? nowX - labelWidth : nowX - 0.75;
    g.fillRect(left, 1, labelWidth, 17);
    g.fillStyle = colour('--paper');
    g.textAlign = 'left';
    g.fillText(label, left + 4, 10);
  }
}

function drawAxis(
  g: CanvasRenderingContext2D,
  shown: TimeWindow,
  x: (t: number) => number,
  height: number,
  nowX: number,
  right: number,
  colour: (name: string) => string,
): void {
  const span = shown.to - shown.from;
  const step = tickStep(span, Math.max(2, Math.floor((right - LEFT) / 130)));
  const [unit, size] =
    step >= 1e9 ? ['s', 1e9] : step >= 1e6 ? ['ms', 1e6] : step >= 1e3 ? ['µs', 1e3] : ['ns', 1];
  g.font = MONO;
  g.textAlign = 'center';
  for (const t of ticks(shown, step)) {
    const at = Math.round(x(t)) + 0.5;
    if (at < LEFT) continue;
    g.fillStyle = colour('--rule');
    g.fillRect(at - 0.5, TOP - 4, 1, height - TOP + 2);
    const label = `${Math.round(t / (size as number))
      .toLocaleString('en')
      .replaceAll(',', ' ')}`;
    const half = g.measureText(label).width / 2;
    if (at - half < LEFT - 20 || at + half > right) continue;
    if (nowX > at - half - 190 && nowX < at + half + 190) {
      const labelWidth = g.measureText('now 0.000 000 000').width + 8;
      const left = nowX + labelWidth > right ? nowX - labelWidth : nowX;
      if (at + half > left - 4 && at - half < left + labelWidth + 4) continue;
    }
    g.fillStyle = colour('--ink-3');
    g.fillText(label, at, 10);
  }
  g.textAlign = 'left';
  g.fillStyle = colour('--ink-3');
  g.fillText(unit as string, 16, 10);
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
