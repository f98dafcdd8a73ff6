/**
 * The reference: every interface with its arguments, what it does, its VMI counterpart, and how often this run used it.
 * A row leads to the lab, with the trace of that call only.
 */
import { type KeyboardEvent, useMemo, useState } from 'react';
import { groupDigits } from '../../../format/time.ts';
import { actions, useLab } from '../../../store/lab.ts';
import type { HypercallRowView } from '../../../worker/protocol.ts';
import css from './panel.module.css';
import { interfaceName, type ReferenceGroup, referenceGroups } from './rows.ts';

const NONE: readonly HypercallRowView[] = [];

export function ReferenceScreen() {
  const rows = useLab((s) => s.views.hypercalls?.rows ?? NONE);
  const [search, setSearch] = useState('');
  const groups = useMemo(() => referenceGroups(rows, search), [rows, search]);
  const shown = groups.reduce((sum, group) => sum + group.rows.length, 0);
  const used = rows.filter((row) => row.calls > 0).length;
  return (
    <main className={css['reference']} aria-label="Reference" onKeyDown={moveBetweenRows}>
      <header className={css['head']} data-stop tabIndex={-1}>
        <h2 className={css['title']}>Reference</h2>
        <span className="second">
          {rows.length} interfaces, {used} used in this run. A row leads to its calls in the trace.
        </span>
        <span className="spacer" />
        {search !== '' && (
          <span className="small second" role="status">
            {shown} found
          </span>
        )}
        <input
          type="search"
          placeholder="search"
          aria-label="Search the reference"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </header>
      <div className={css['scroll']} role="table" aria-label="Interfaces" aria-rowcount={shown}>
        <div className={`${css['row']} ${css['columns']}`} role="row">
          <span role="columnheader">interface</span>
          <span role="columnheader">arguments</span>
          <span role="columnheader">what it does</span>
          <span role="columnheader">VMI counterpart</span>
          <span role="columnheader" className="right">
            refused
          </span>
          <span role="columnheader" className="right">
            calls
          </span>
        </div>
        {groups.map((group) => (
          <Group key={group.title} group={group} />
        ))}
        {rows.length > 0 && shown === 0 && (
          <p className={css['none']}>Nothing has all these words: {search}</p>
        )}
        {rows.length === 0 && <p className={css['none']}>The engine is starting.</p>}
      </div>
    </main>
  );
}

function Group({ group }: { group: ReferenceGroup }) {
  return (
    <div role="rowgroup" aria-label={group.title}>
      <h3 className={css['group']}>{group.title}</h3>
      {group.rows.map((row) => (
        <Interface key={`${row.number}.${row.subNumber}.${row.name}`} row={row} />
      ))}
    </div>
  );
}

function Interface({ row }: { row: HypercallRowView }) {
  const { number } = row;
  const name = interfaceName(row);
  const show = () =>
    number !== null && actions.traceCall({ number, sub: row.subNumber, name: row.sub ?? row.name });
  return (
    // The whole row for the mouse, its button for the keyboard.
    // biome-ignore lint/a11y/useKeyWithClickEvents: the button within does the same
    <div
      className={`${css['row']} ${number === null ? '' : css['leads']} ${row.refused > 0 ? 'refused' : ''}`}
      data-absent={row.notOffered === null ? undefined : ''}
      role="row"
      onClick={show}
    >
      <span role="cell">
        {number === null ? (
          <span>{name}</span>
        ) : (
          <button type="button" data-row title={`The calls of ${name} in the trace`}>
            <span className={row.sub === null ? '' : 'third'}>{row.name}</span> {row.sub}
          </button>
        )}
      </span>
      <span role="cell" className="second">
        {row.args}
      </span>
      <span role="cell">
        {row.notOffered !== null && (
          <>
            <b>Not offered</b>: {row.notOffered}.{' '}
          </>
        )}
        {row.doc}
      </span>
      <span role="cell" className="second">
        {row.vmi ?? ''}
      </span>
      <span role="cell" className="mono right">
        {row.refused === 0 ? '' : groupDigits(row.refused)}
      </span>
      <span role="cell" className="mono right">
        {number === null ? '' : groupDigits(row.calls)}
      </span>
    </div>
  );
}

/** Arrows go from row to row, also out of the search field. */
function moveBetweenRows(event: KeyboardEvent<HTMLElement>): void {
  const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  if (by === 0) return;
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-row]')];
  const to = rows[rows.indexOf(event.target as HTMLElement) + by];
  if (to === undefined) return;
  event.preventDefault();
  to.focus();
}
