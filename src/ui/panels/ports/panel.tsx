/** The event channels of the selected domain: what each port is bound to, pending and mask bits, and what waits. */
import { useMemo } from 'react';
import { groupDigits } from '../../../format/time.ts';
import { useLab } from '../../../store/lab.ts';
import { Changed } from '../../widgets/changed.tsx';
import { Empty, Panel } from '../../widgets/panel.tsx';
import { Row, WholeRows } from '../../widgets/whole-rows.tsx';
import css from './panel.module.css';
import { portRows } from './rows.ts';

export function PortsPanel() {
  const view = useLab((s) => s.views.ports);
  const domid = useLab((s) => s.selection.domid);
  const baseline = useLab((s) => s.baseline);
  const moving = useLab((s) => s.views.machine?.mode === 'running');
  const since = moving ? null : (baseline?.since ?? null);
  const rows = useMemo(
    () => (view === undefined ? [] : portRows(view, since === null ? undefined : baseline?.views.ports)),
    [view, baseline, since],
  );
  return (
    <Panel
      title="Event channels"
      about={view === undefined ? undefined : `d${view.domid}`}
      actions={view !== undefined && <span className="small third">{rows.length} of 1024 bound</span>}
    >
      {view === undefined || (rows.length === 0 && view.vcpus.length === 0) ? (
        <Empty>
          {domid === null
            ? 'Ports through which a domain is told of events. They fill when a domain boots.'
            : 'This domain has no ports: it has ended, and its ports were closed.'}
        </Empty>
      ) : (
        <>
          <WholeRows label="Ports" rowCount={rows.length}>
            <Row
              className={css['port']}
              head
              cells={[
                'port',
                'bound to',
                'vcpu',
                <abbr key="p" title="pending">
                  P
                </abbr>,
                <abbr key="m" title="masked">
                  M
                </abbr>,
                <span key="sent" className={css['end']}>
                  sent
                </span>,
              ]}
            />
            {rows.map((row) => (
              <Row
                key={row.port}
                className={css['port']}
                cells={[
                  <span key="port" className="mono">
                    {row.port}
                  </span>,
                  <span key="bound" title={row.boundTo}>
                    {row.lead} <span className="second">{row.rest}</span>
                  </span>,
                  <span key="vcpu" className="mono">
                    v{row.vcpu}
                  </span>,
                  <Bit key="p" on={row.pending} changed={row.changed.pending} since={since} word="pending" />,
                  <Bit
                    key="m"
                    on={row.masked}
                    changed={row.changed.masked}
                    since={since}
                    word="masked"
                    crossed
                  />,
                  <span key="sent" className={`mono ${css['end']}`}>
                    {row.changed.sent && since !== null && row.was !== null && (
                      <del className={`was ${css['old']}`}>{groupDigits(row.was.sent)}</del>
                    )}
                    <Changed since={row.changed.sent ? since : null}>{groupDigits(row.sent)}</Changed>
                  </span>,
                ]}
              />
            ))}
          </WholeRows>
          <div className={css['upcalls']} data-testid="upcalls">
            {view.vcpus.map((vcpu) => (
              <span key={vcpu.vcpu}>
                <b className="mono">v{vcpu.vcpu}</b> upcall{' '}
                <span className="mono">
                  pending {vcpu.upcallPending}, mask {vcpu.upcallMask}, selector{' '}
                  {vcpu.pendingSel.toString(16)}
                </span>
              </span>
            ))}
            {view.note !== null && <span className="second">{view.note}</span>}
          </div>
        </>
      )}
    </Panel>
  );
}

function Bit(props: {
  on: boolean;
  changed: boolean;
  since: 'step' | 'stop' | null;
  word: string;
  crossed?: boolean;
}) {
  const marked = props.changed && props.since !== null;
  return (
    <svg
      width="16"
      height="16"
      role="img"
      aria-label={`${props.on ? '' : 'not '}${props.word}${marked ? ', changed' : ''}`}
      className={marked ? css['changedbit'] : undefined}
    >
      {props.on && !props.crossed ? (
        <rect x="2" y="2" width="12" height="12" fill="var(--ink)" />
      ) : (
        <rect
          x="2.5"
          y="2.5"
          width="11"
          height="11"
          fill="var(--paper)"
          stroke={props.on ? 'var(--ink)' : 'var(--ink-3)'}
        />
      )}
      {props.on && props.crossed && <path d="M2 14 14 2" stroke="var(--ink)" />}
    </svg>
  );
}
