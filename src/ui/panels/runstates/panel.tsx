/** Runstates over virtual time, one lane per vcpu, and the same as a table of times. */
import { type KeyboardEvent, useCallback, useEffect, useRef, useState } from 'react';
import { formatSpan, groupDigits } from '../../../format/time.ts';
import { labStore, useLab } from '../../../store/lab.ts';
import type { RunstatesView } from '../../../worker/protocol.ts';
import { DomainChip } from '../../widgets/chips.tsx';
import { Choice, Empty, Panel } from '../../widgets/panel.tsx';
import { Row, WholeRows } from '../../widgets/whole-rows.tsx';
import { drawTimeline, lanesThatFit } from './draw.ts';
import { ageOf, notKept, SPANS_NS, windowOf } from './geometry.ts';
import css from './panel.module.css';

const TABS = [
  ['lanes', 'Timeline'],
  ['table', 'Table'],
] as const;
const LEGEND = [
  ['running', 'running, ring 1'],
  ['user', 'ring 3'],
  ['runnable', 'runnable'],
  ['blocked', 'blocked'],
] as const;

export function RunstatesPanel() {
  const view = useLab((s) => s.views.runstates);
  const [tab, setTab] = useState<'lanes' | 'table'>('lanes');
  const [span, setSpan] = useState(5e7);
  const [end, setEnd] = useState<number | null>(null);
  const empty = view === undefined || view.lanes.length === 0;
  const cutOff = view?.lanes.some((lane) => notKept(lane, windowOf(view.now, span, end)) !== null);
  const about = `${formatSpan(span)} across${end === null ? ', following now' : ''}${
    cutOff ? '; of each vcpu the last 512 changes are kept' : ''
  }`;
  return (
    <Panel
      title="Runstates"
      about={empty ? undefined : about}
      actions={
        <>
          {tab === 'lanes' && !empty && (
            <span className={css['legend']} aria-hidden="true">
              {LEGEND.map(([state, words]) => (
                <span key={state}>
                  <span className="runstate" data-state={state} /> {words}
                </span>
              ))}
            </span>
          )}
          {end !== null && (
            <button type="button" className="small underlined" onClick={() => setEnd(null)}>
              Follow now
            </button>
          )}
          <Choice<'lanes' | 'table'> label="Runstates as" value={tab} options={TABS} choose={setTab} />
        </>
      }
    >
      {empty ? (
        <Empty>
          When each vcpu ran, waited for the processor, or slept. Lanes appear when a domain boots.
        </Empty>
      ) : tab === 'table' ? (
        <Times view={view} />
      ) : (
        <Timeline view={view} span={span} setSpan={setSpan} end={end} setEnd={setEnd} />
      )}
    </Panel>
  );
}

function Timeline(props: {
  view: RunstatesView;
  span: number;
  setSpan(span: number): void;
  end: number | null;
  setEnd(end: number | null): void;
}) {
  const { view, span, end, setSpan, setEnd } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [firstLane, setFirstLane] = useState(0);
  const layout = useLab((s) => s.layout);
  const cpus = useLab((s) => s.views.machine?.cpus ?? 1);
  const shown = windowOf(view.now, span, end);
  const drag = useRef<{ x: number; to: number } | null>(null);

  const draw = useCallback(() => {
    if (canvas.current === null) return;
    drawTimeline(
      canvas.current,
      { view, window: windowOf(view.now, span, end), firstLane, cpus },
      layout.projector ? 1.5 : 1,
    );
  }, [view, span, end, firstLane, layout, cpus]);
  useEffect(() => {
    const frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [draw]);
  useEffect(() => {
    if (canvas.current === null || typeof ResizeObserver === 'undefined') return;
    const observer = new ResizeObserver(draw);
    observer.observe(canvas.current);
    return () => observer.disconnect();
  }, [draw]);

  useEffect(() => {
    // The worker sends as much history as the window reaches back, with room to pan.
    const back = Math.max(span * 2, view.now - shown.from + span);
    const wanted = 2 ** Math.ceil(Math.log2(back));
    if (labStore.getState().historyNs !== wanted) labStore.setState({ historyNs: wanted });
  }, [span, view.now, shown.from]);

  const zoom = (by: number) => {
    const at = SPANS_NS.findIndex((s) => s >= span);
    setSpan(SPANS_NS[Math.min(SPANS_NS.length - 1, Math.max(0, at + by))]!);
  };
  const move = (fraction: number) => {
    const to = (end ?? shown.to) + span * fraction;
    setEnd(to >= view.now + span * 0.1 ? null : Math.max(span * 0.1, to));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const verbs = new Map<string, () => void>([
      ['w', () => zoom(-1)],
      ['s', () => zoom(1)],
      ['a', () => move(-0.2)],
      ['d', () => move(0.2)],
      ['ArrowLeft', () => move(-0.2)],
      ['ArrowRight', () => move(0.2)],
      ['ArrowUp', () => setFirstLane((lane) => Math.max(0, lane - 1))],
      ['ArrowDown', () => setFirstLane((lane) => Math.min(Math.max(0, view.lanes.length - 1), lane + 1))],
      ['Home', () => setEnd(Math.max(span, view.now - labStore.getState().historyNs + span))],
      ['End', () => setEnd(null)],
    ]);
    const verb = verbs.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (verb === undefined) return;
    verb();
    event.preventDefault();
    event.stopPropagation();
  };
  const hidden = view.lanes.length - lanesThatFit(canvas.current?.clientHeight ?? 400);

  return (
    <>
      <canvas
        ref={canvas}
        className={css['canvas']}
        role="img"
        aria-label={`Runstates of ${view.lanes.length} vcpus over ${formatSpan(span)}. W and S zoom, A and D move, End follows now. The Table has the numbers.`}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onWheel={(event) => {
          if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
            move((event.deltaX || event.deltaY) / 1000);
          } else zoom(Math.sign(event.deltaY));
        }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = { x: event.clientX, to: shown.to };
        }}
        onPointerMove={(event) => {
          if (drag.current === null) return;
          const moved = ((event.clientX - drag.current.x) / event.currentTarget.clientWidth) * span;
          if (Math.abs(event.clientX - drag.current.x) > 3) setEnd(drag.current.to - moved);
        }}
        onPointerUp={() => {
          drag.current = null;
        }}
      />
      {hidden > 0 && (
        <p className={`small third ${css['more']}`}>
          {hidden} more {hidden === 1 ? 'lane' : 'lanes'}: arrow up and down
        </p>
      )}
    </>
  );
}

function Times({ view }: { view: RunstatesView }) {
  const cpus = useLab((s) => s.views.machine?.cpus ?? 1);
  return (
    <WholeRows label="Time in each runstate, in nanoseconds" rowCount={view.lanes.length}>
      <Row
        className={css['times']}
        head
        cells={[
          'vcpu',
          'now',
          ...['running', 'runnable', 'blocked', 'offline', 'sum'].map((name) => (
            <span key={name} className={css['end']}>
              {name}, ns
            </span>
          )),
        ]}
      />
      {view.lanes.map((lane) => (
        <Row
          key={`${lane.domid}.${lane.vcpu}`}
          className={css['times']}
          cells={[
            <span key="who">
              <DomainChip domid={lane.domid} />{' '}
              <span className="mono">
                d{lane.domid} v{lane.vcpu}
              </span>
            </span>,
            cpus === 1 || lane.pcpu === null ? lane.state : `${lane.state}, CPU ${lane.pcpu}`,
            ...[...lane.times, ageOf(lane)].map((t, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the columns of a table never move
              <span key={i} className={`mono ${css['end']}`}>
                {groupDigits(t)}
              </span>
            )),
          ]}
        />
      ))}
    </WholeRows>
  );
}
