/** The processor as the selected vcpu sees it: registers, the code around eip, the stack, the segments. */
import { useLayoutEffect, useMemo, useRef } from 'react';
import { labStore, useLab } from '../../../store/lab.ts';
import type { RegistersView } from '../../../worker/protocol.ts';
import { Changed } from '../../widgets/changed.tsx';
import { Hex } from '../../widgets/hex.tsx';
import { Choice, Empty, Panel } from '../../widgets/panel.tsx';
import { Row, Unseen, WholeRows } from '../../widgets/whole-rows.tsx';
import css from './panel.module.css';
import { flagNames, registerCells, symbolHeads } from './rows.ts';

const TABS = [
  ['code', 'Code'],
  ['stack', 'Stack'],
  ['segments', 'Segments'],
] as const;

export function ProcessorPanel() {
  const view = useLab((s) => s.views.registers);
  const tab = useLab((s) => s.processorTab);
  const domid = useLab((s) => s.selection.domid);
  return (
    <Panel
      title="Processor"
      about={view === undefined ? undefined : `d${view.domid} v${view.vcpu}`}
      actions={
        <Choice
          label="Shown below the registers"
          value={tab}
          options={TABS}
          choose={(processorTab) => labStore.setState({ processorTab })}
        />
      }
    >
      {view === undefined || !view.present ? (
        <Empty>
          {domid === null
            ? 'Registers, code and stack of a vcpu. They fill when a domain boots.'
            : 'This vcpu has no registers to show: it was never brought up.'}
        </Empty>
      ) : (
        <>
          <Registers view={view} />
          {tab === 'code' && <Code view={view} />}
          {tab === 'stack' && <Stack view={view} />}
          {tab === 'segments' && <Segments view={view} />}
        </>
      )}
    </Panel>
  );
}

function Registers({ view }: { view: RegistersView }) {
  const baseline = useLab((s) => s.baseline);
  const moving = useLab((s) => s.views.machine?.mode === 'running');
  const since = moving ? null : (baseline?.since ?? null);
  const cells = useMemo(() => registerCells(view, baseline?.views.registers), [view, baseline]);
  const changes = cells.filter((cell) => cell.was !== null);
  return (
    <>
      <dl className={css['registers']} data-testid="registers">
        {cells.map(({ name, value, was }) => (
          <div key={name} data-register={name}>
            <dt className="mono third">{name}</dt>
            <dd
              title={was !== null && since !== null ? `was ${was.toString(16).padStart(8, '0')}` : undefined}
            >
              <Changed since={was === null ? null : since}>
                <Hex value={value} />
              </Changed>
            </dd>
          </div>
        ))}
      </dl>
      <p className={`small second cut ${css['state']}`} data-testid="processor-state">
        ring {view.cpl}, flags {flagNames(view.eflags) || 'none'}; upcall mask {view.upcallMask}, pending{' '}
        {view.upcallPending}
      </p>
      <p className={`small third cut ${css['state']}`} data-testid="register-changes">
        {since !== null && changes.length > 0 && (
          <>
            was{' '}
            {changes.map(({ name, was }) => (
              <span key={name} className={css['old']}>
                <span className="mono">{name}</span>{' '}
                <del className="was">
                  <Hex value={was!} />
                </del>
              </span>
            ))}
          </>
        )}
      </p>
    </>
  );
}

function Code({ view }: { view: RegistersView }) {
  const scroller = useRef<HTMLDivElement>(null);
  const heads = useMemo(() => symbolHeads(view.disassembly), [view.disassembly]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: follows eip
  useLayoutEffect(() => {
    const list = scroller.current;
    const row = list?.querySelector<HTMLElement>('.row.now');
    if (list === null || !row) return;
    const top = row.offsetTop - list.offsetTop;
    if (top < list.scrollTop || top + 40 > list.scrollTop + list.clientHeight) {
      list.scrollTop = Math.floor((top - list.clientHeight / 2) / 20) * 20;
    }
  }, [view.eip, view.disassembly]);
  if (view.disassembly.length === 0) {
    return <Empty>eip leads to no page that is mapped, so there is no code to show.</Empty>;
  }
  return (
    <div className={css['list']}>
      <WholeRows label="Code around eip" scrollRef={scroller}>
        {view.disassembly.map((line) => (
          <div key={line.va} role="rowgroup">
            {heads.has(line.va) && (
              <div className={`row ${css['symbol']}`} role="row">
                <span role="cell" className="small bold">
                  {heads.get(line.va)}
                </span>
              </div>
            )}
            <Row
              className={css['code']}
              mark={line.current ? 'now' : ''}
              cells={[
                line.current ? (
                  <>
                    <svg width="9" height="10" aria-hidden="true" className={css['here']}>
                      <path d="M0 0 9 5 0 10z" fill="currentColor" />
                    </svg>
                    <span className="unseen">eip</span>
                  </>
                ) : (
                  ''
                ),
                <Hex key="va" value={line.va} />,
                <span key="bytes" className="mono third">
                  {line.bytes}
                </span>,
                <span key="text" className="mono">
                  {line.text}
                </span>,
              ]}
            />
          </div>
        ))}
      </WholeRows>
    </div>
  );
}

function Stack({ view }: { view: RegistersView }) {
  return (
    <div className={css['list']}>
      <WholeRows label="Stack from esp up">
        <Row className={css['stack']} head cells={['address', 'value', 'leads to']} />
        {view.stack.map((word) => (
          <Row
            key={word.va}
            className={css['stack']}
            cells={[
              <Hex key="va" value={word.va} />,
              word.value === null ? (
                <span key="value" className="third">
                  not mapped
                </span>
              ) : (
                <Hex key="value" value={word.value} />
              ),
              <span key="symbol" className="small second">
                {word.symbol ?? ''}
              </span>,
            ]}
          />
        ))}
      </WholeRows>
    </div>
  );
}

function Segments({ view }: { view: RegistersView }) {
  return (
    <div className={css['list']}>
      <WholeRows label="Segment registers and the x87 stack">
        <Row
          className={css['segment']}
          head
          cells={[<Unseen key="name">register</Unseen>, 'sel', 'base', 'limit', 'kind']}
        />
        {view.segments.map((segment) => (
          <Row
            key={segment.name}
            className={css['segment']}
            title={segment.text}
            cells={[
              <span key="name" className="mono">
                {segment.name}
              </span>,
              <Hex key="sel" value={segment.selector} digits={4} />,
              <Hex key="base" value={segment.base} />,
              <Hex key="limit" value={segment.limit} />,
              <span key="text" className="small second">
                {segment.text}
              </span>,
            ]}
          />
        ))}
        {view.fpu.map((text, i) => (
          <Row
            // biome-ignore lint/suspicious/noArrayIndexKey: a register is its place on the stack
            key={i}
            className={css['fpu']}
            cells={[
              <span className="mono" key="text">
                {text}
              </span>,
            ]}
          />
        ))}
      </WholeRows>
    </div>
  );
}
