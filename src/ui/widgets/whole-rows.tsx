import {
  type KeyboardEventHandler,
  type ReactNode,
  type Ref,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import css from './whole-rows.module.css';

const ROW = 20;

/** A scrolling list whose height is a whole number of rows: a row that does not fit is hidden whole, never cut. */
export function WholeRows(props: {
  label: string;
  columns?: number;
  children: ReactNode;
  scrollRef?: Ref<HTMLDivElement>;
  rowCount?: number;
  /** Rows can be chosen with the arrow keys: id of the one that is. */
  chosen?: string | null;
  onKeyDown?: KeyboardEventHandler<HTMLDivElement>;
}) {
  const outer = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const [height, setHeight] = useState<number | null>(null);
  useImperativeHandle(props.scrollRef, () => inner.current!, []);
  useLayoutEffect(() => {
    const element = outer.current;
    if (element === null || typeof ResizeObserver === 'undefined') return;
    const observer = new ResizeObserver(() => setHeight(Math.floor(element.clientHeight / ROW) * ROW));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const role =
    props.chosen === undefined
      ? { role: 'table', 'aria-label': props.label, 'aria-rowcount': props.rowCount }
      : {
          role: 'grid',
          'aria-label': props.label,
          'aria-rowcount': props.rowCount,
          'aria-activedescendant': props.chosen ?? undefined,
          onKeyDown: props.onKeyDown,
        };
  return (
    <div className={css['outer']} ref={outer}>
      <div
        className={css['inner']}
        ref={inner}
        style={height === null ? undefined : { height }}
        {...role}
        tabIndex={0}
      >
        {props.children}
      </div>
    </div>
  );
}

/** A row of a table: cells in the columns of its class. */
export function Row(props: {
  className: string | undefined;
  cells: readonly ReactNode[];
  head?: boolean;
  mark?: string;
  title?: string | undefined;
  id?: string;
  chosen?: boolean;
  onClick?: () => void;
}) {
  const role = props.head ? 'columnheader' : 'cell';
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: rows that can be chosen are, by the keys of their table
    <div
      className={`row ${props.head ? 'head' : ''} ${props.className ?? ''} ${props.mark ?? ''}`}
      role="row"
      title={props.title}
      id={props.id}
      aria-selected={props.chosen}
      onClick={props.onClick}
    >
      {props.cells.map((cell, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the columns of a table never move
        <span key={i} role={role}>
          {cell}
        </span>
      ))}
    </div>
  );
}

/** For those who listen; others see what it means. */
export function Unseen({ children }: { children: ReactNode }) {
  return <span className="unseen">{children}</span>;
}
