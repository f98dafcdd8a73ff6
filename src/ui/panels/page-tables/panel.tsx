/** The current page tables as a tree, and the walk of one address through them. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'react';
import { hexDigits } from '../../../format/hex.ts';
import { actions, useLab } from '../../../store/lab.ts';
import type { PageTableRow, PageTablesView } from '../../../worker/protocol.ts';
import { Changed } from '../../widgets/changed.tsx';
import { TypeChip } from '../../widgets/chips.tsx';
import { Hex } from '../../widgets/hex.tsx';
import { Empty, Panel } from '../../widgets/panel.tsx';
import { Row, Unseen, WholeRows } from '../../widgets/whole-rows.tsx';
import css from './panel.module.css';
import { changedEntries, countsText, depthOf, entryDigits, slotText } from './rows.ts';
import { WalkPanel } from './walk.tsx';

const ROW = 20;
const OVERSCAN = 8;

export function PageTablesPanel() {
  const view = useLab((s) => s.views.pageTables);
  const domid = useLab((s) => s.selection.domid);
  return (
    <Panel
      title="Page tables"
      className={css['panel']}
      about={
        view === undefined ? undefined : (
          <>
            d{view.domid} v{view.vcpu}, root{' '}
            <span data-testid="page-table-root">
              <Hex value={view.rootMfn} digits={5} />
            </span>
            , {view.abi === 'x86_32p' ? 'PAE' : '2-level'}
          </>
        )
      }
      actions={
        view !== undefined && (
          <span className="small third" data-testid="page-table-counts">
            {countsText(view.counts)}
          </span>
        )
      }
    >
      {view === undefined ? (
        <Empty>
          {domid === null
            ? 'The page tables that the processor uses right now, followed by themselves. They fill when a domain boots.'
            : 'This vcpu has no page tables: its domain has ended and its frames are free, or it never ran.'}
        </Empty>
      ) : (
        <>
          <Tree view={view} />
          <WalkPanel view={view} />
        </>
      )}
    </Panel>
  );
}

function Tree({ view }: { view: PageTablesView }) {
  const baseline = useLab((s) => s.baseline);
  const moving = useLab((s) => s.views.machine?.mode === 'running');
  const opened = useLab((s) => s.window.opened);
  const scroller = useRef<HTMLDivElement>(null);
  const changed = useMemo(
    () => changedEntries(view, moving ? undefined : baseline?.views.pageTables),
    [view, baseline, moving],
  );
  const virtual = useVirtualizer({
    count: view.totalRows,
    getScrollElement: () => scroller.current,
    // An entry that changed takes a second row for what it was.
    estimateSize: (index) => {
      const row = view.rows[index - view.from];
      return row !== undefined && changed.has(row.path) ? 2 * ROW : ROW;
    },
    overscan: OVERSCAN,
    scrollPaddingStart: ROW,
    initialRect: { width: 400, height: 400 },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: sizes follow from what changed
  useLayoutEffect(() => virtual.measure(), [changed]);
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    // Asked for in steps of 16 rows, so that scrolling does not subscribe anew at every pixel.
    const from = Math.max(0, (first & ~15) - 16);
    actions.showRows(from, Math.max(64, ((last - from + 16) | 15) + 17));
  }, [first, last]);

  return (
    <WholeRows label="Page-table entries" scrollRef={scroller} rowCount={view.totalRows}>
      <Row
        className={css['entry']}
        head
        cells={['slot', 'address', 'entry', 'flags', 'frame', 'pfn', <Unseen key="type">type</Unseen>]}
      />
      <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {items.map((item) => {
          const row = view.rows[item.index - view.from];
          return (
            <div
              key={item.key}
              role="presentation"
              className={css['place']}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              {row === undefined ? (
                <Row
                  className={css['entry']}
                  cells={[
                    <span key="slot" className="third">
                      …
                    </span>,
                    '',
                    '',
                    '',
                    '',
                    '',
                    '',
                  ]}
                />
              ) : (
                <Entry row={row} opened={opened.includes(row.path)} was={changed.get(row.path)} />
              )}
            </div>
          );
        })}
      </div>
    </WholeRows>
  );
}

function frameWords(row: PageTableRow): string | undefined {
  if (row.owner === '') return undefined;
  const pfn = row.pfn === null ? '' : `, pfn ${hexDigits(row.pfn, 5)}`;
  return `mfn ${hexDigits(row.mfn, 5)}, owned by ${row.owner}${pfn}`;
}

function Entry({ row, opened, was }: { row: PageTableRow; opened: boolean; was: string | undefined }) {
  const since = useLab((s) => s.baseline?.since ?? null);
  const present = row.flags.startsWith('P');
  const folds = row.children !== null && row.children > 0;
  const indent = { paddingLeft: depthOf(row) * 8 };
  const entry = (
    <Row
      className={css['entry']}
      title={frameWords(row)}
      cells={[
        folds ? (
          <button
            key="slot"
            type="button"
            className={`mono bold ${css['fold']}`}
            style={indent}
            aria-expanded={opened}
            aria-label={`${opened ? 'Close' : 'Open'} L${row.level} slot ${slotText(row)}, ${row.children} present`}
            onClick={() => actions.toggleEntry(row.path)}
          >
            <svg width="8" height="8" aria-hidden="true">
              <path d={opened ? 'M0 1.5h8L4 7z' : 'M1.5 0v8L7 4z'} fill="currentColor" />
            </svg>
            {slotText(row)}
          </button>
        ) : (
          <span key="slot" className={`mono ${css['leaf']}`} style={indent}>
            {slotText(row)}
          </span>
        ),
        <button
          key="va"
          type="button"
          title="Walk this address"
          className={css['address']}
          onClick={() => actions.walk(row.va)}
        >
          <Hex value={row.va} />
        </button>,
        <span key="entry" className="mono">
          <Changed since={was === undefined ? null : since}>{entryDigits(row.low, row.high)}</Changed>
        </span>,
        <span key="flags" className={`mono ${present ? '' : 'third'}`}>
          {present ? row.flags : 'absent'}
        </span>,
        present ? <Hex key="mfn" value={row.mfn} digits={5} /> : '',
        row.pfn === null || !present ? (
          ''
        ) : (
          <span key="pfn" className="third">
            <span className="mono">{hexDigits(row.pfn, 5)}</span>
          </span>
        ),
        present ? <TypeChip key="type" type={row.type} pinned={row.pinned} /> : '',
      ]}
    />
  );
  if (was === undefined) return entry;
  return (
    <>
      {entry}
      <Row
        className={css['entry']}
        cells={[
          '',
          <span key="word" className="small third right">
            was
          </span>,
          <del key="was" className="mono was">
            {was}
          </del>,
        ]}
      />
    </>
  );
}
