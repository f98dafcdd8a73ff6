/** What the guests asked of the hypervisor and what it did, newest first; or how often, per call. */
import { type KeyboardEvent, useMemo } from 'react';
import { formatSeconds, groupDigits } from '../../../format/time.ts';
import { actions, labStore, useLab } from '../../../store/lab.ts';
import type { HypercallsView, TraceRow, TraceView } from '../../../worker/protocol.ts';
import { DomainChip } from '../../widgets/chips.tsx';
import { Choice, Empty, Panel } from '../../widgets/panel.tsx';
import { Row, Unseen, WholeRows } from '../../widgets/whole-rows.tsx';
import css from './panel.module.css';
import { countRows, detailText, offsetText, splitCall } from './rows.ts';

const TABS = [
  ['trace', 'Trace'],
  ['counts', 'Counts'],
] as const;
const WHOSE = [
  ['all', 'All'],
  ['one', 'Selected'],
] as const;

export function HypercallsPanel() {
  const tab = useLab((s) => s.hypercallTab);
  const all = useLab((s) => s.traceAll);
  const trace = useLab((s) => s.views.trace);
  const call = useLab((s) => s.traceCall);
  const called = useLab((s) => s.views.called);
  const counts = useLab((s) => s.views.hypercalls);
  return (
    <Panel
      title="Hypercalls"
      about={trace !== undefined && tab === 'trace' ? aboutTrace(trace) : undefined}
      actions={
        <>
          {tab === 'trace' && (
            <Choice
              label="Whose events"
              value={all ? 'all' : 'one'}
              options={WHOSE}
              choose={(whose) => labStore.setState({ traceAll: whose === 'all' })}
            />
          )}
          <span className={css['divider']} />
          <Choice
            label="Trace or counts"
            value={tab}
            options={TABS}
            choose={(hypercallTab) => labStore.setState({ hypercallTab })}
          />
        </>
      }
    >
      {tab === 'trace' && call !== null && (
        <p className={css['filter']}>
          <span className="cut">
            Only <b>{call.name}</b>
          </span>
          <button type="button" className="underlined" onClick={() => actions.traceCall(null)}>
            Show all
          </button>
        </p>
      )}
      {tab === 'trace' ? (
        <>
          <Trace view={call === null ? trace : called} filtered={call !== null} />
          <Detail />
        </>
      ) : (
        <Counts view={counts} />
      )}
    </Panel>
  );
}

const rowId = (row: TraceRow): string => `event-${row.sequence}`;

/** The chosen event, whole: what a row has no room for. */
function Detail() {
  const row = useLab((s) => s.traceRow);
  if (row === null) return null;
  return (
    <section className={`${css['detail']} ${row.refused ? 'refused' : ''}`} aria-label="The chosen event">
      <p className={css['detailhead']}>
        <span className="cut">
          <span className="mono">{formatSeconds(row.at)}</span> s, d{row.domid} v{row.vcpu}, {row.kind}{' '}
          <span className="third">no. {groupDigits(row.sequence)}</span>
        </span>
        <button
          type="button"
          className="underlined"
          onClick={() =>
            void navigator.clipboard?.writeText(detailText(row)).then(() => actions.say('Copied.'))
          }
        >
          Copy
        </button>
        <button
          type="button"
          className="underlined"
          aria-label="Close the event"
          onClick={() => labStore.setState({ traceRow: null })}
        >
          Close
        </button>
      </p>
      <p data-testid="event-text">
        {row.text}
        {row.result !== '' && <b> → {row.result}</b>}
      </p>
      {row.because !== null && (
        <p>
          <b>Refused.</b> {row.because}
        </p>
      )}
    </section>
  );
}

/** "71 events" */
function aboutTrace(trace: TraceView): string {
  return `${groupDigits(trace.total)} ${trace.total === 1 ? 'event' : 'events'}`;
}

function Trace({ view, filtered }: { view: TraceView | undefined; filtered: boolean }) {
  const paused = useLab((s) => s.views.machine?.mode !== 'running');
  const chosen = useLab((s) => s.traceRow);
  const rows = useMemo(() => (view === undefined ? [] : [...view.rows].reverse()), [view]);
  if (rows.length === 0) {
    return filtered ? (
      <Empty>No call of this kind is among the last 16 384 events.</Empty>
    ) : (
      <Empty>Every hypercall, fault, upcall and switch, as it happens. Nothing has happened yet.</Empty>
    );
  }
  const newest = rows[0]!;
  const at = rows.findIndex((row) => row.sequence === chosen?.sequence);
  const choose = (row: TraceRow | undefined) => {
    if (row === undefined) return;
    labStore.setState({ traceRow: row });
    document.getElementById(rowId(row))?.scrollIntoView({ block: 'nearest' });
  };
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = new Map([
      ['ArrowDown', rows[at + 1]],
      ['ArrowUp', rows[Math.max(0, at - 1)]],
      ['Home', newest],
      ['End', rows.at(-1)],
    ]);
    if (event.key === 'Escape') labStore.setState({ traceRow: null });
    else if (to.has(event.key)) choose(to.get(event.key));
    else return;
    event.preventDefault();
  };
  return (
    <WholeRows label="Trace, newest first" chosen={at < 0 ? null : rowId(rows[at]!)} onKeyDown={onKeyDown}>
      <Row className={css['trace']} head cells={['time', <Unseen key="who">who</Unseen>, 'what', 'result']} />
      {rows.map((row) => (
        <div key={row.sequence} role="rowgroup">
          <Row
            className={css['trace']}
            id={rowId(row)}
            chosen={row.sequence === chosen?.sequence}
            onClick={() => choose(row)}
            mark={`${row.refused ? 'refused' : ''} ${paused && !filtered && row === newest ? 'now' : ''} ${row.sequence === chosen?.sequence ? 'picked' : ''}`}
            title={`d${row.domid} v${row.vcpu} ${row.text}`}
            cells={[
              <span key="at" className="mono third">
                {offsetText(row.at - newest.at)}
              </span>,
              <DomainChip key="who" domid={row.domid} label={`d${row.domid} v${row.vcpu}`} />,
              <What key="what" kind={row.kind} text={row.text} />,
              <span key="result" className="mono">
                {row.result}
              </span>,
            ]}
          />
          {row.because !== null && (
            <div className={`${css['because']} refused`} role="row">
              <span role="cell">
                <b>Refused.</b> {row.because}
              </span>
            </div>
          )}
        </div>
      ))}
    </WholeRows>
  );
}

/** The name in ink, its arguments in the second. */
function What({ kind, text }: { kind: string; text: string }) {
  const { name, rest } = splitCall(text);
  return (
    <span className="small">
      {kind !== 'hypercall' && !text.startsWith(kind) && <span className={css['kind']}>{kind} </span>}
      {name}
      <span className="second">{rest}</span>
    </span>
  );
}

function Counts({ view }: { view: HypercallsView | undefined }) {
  const rows = useMemo(() => (view === undefined ? [] : countRows(view)), [view]);
  if (rows.length === 0) {
    return <Empty>How often each hypercall was made and how often refused. None has been made yet.</Empty>;
  }
  return (
    <WholeRows label="Hypercalls by count" rowCount={rows.length}>
      <Row
        className={css['count']}
        head
        cells={[
          'call',
          'VMI',
          <span key="r" className={css['end']}>
            refused
          </span>,
          <span key="c" className={css['end']}>
            calls
          </span>,
        ]}
      />
      {rows.map((row) => (
        <Row
          key={`${row.number}.${row.sub ?? ''}`}
          className={css['count']}
          mark={row.refused > 0 ? 'refused' : ''}
          title={row.doc}
          cells={[
            <span key="name" className="small">
              {row.name} <span className="second">{row.sub ?? ''}</span>
            </span>,
            <span key="vmi" className="small third">
              {row.vmi ?? ''}
            </span>,
            <span key="refused" className={`mono ${css['end']}`}>
              {row.refused === 0 ? '' : groupDigits(row.refused)}
            </span>,
            <span key="calls" className={`mono ${css['end']}`}>
              {groupDigits(row.calls)}
            </span>,
          ]}
        />
      ))}
    </WholeRows>
  );
}
