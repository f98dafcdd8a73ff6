import { type ReactNode, type Ref, useImperativeHandle, useLayoutEffect, useRef, useState } from 'react';
import css from './whole-rows.module.css';

const ROW = 20;

/** A scrolling list whose height is a whole number of rows: a row that does not fit is hidden whole, never cut. */
export function WholeRows(props: {
  label: string;
  columns?: number;
  children: ReactNode;
  scrollRef?: Ref<HTMLDivElement>;
  rowCount?: number;
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
  return (
    <div className={css['outer']} ref={outer}>
      <div
        className={css['inner']}
        ref={inner}
        style={height === null ? undefined : { height }}
        role="table"
        aria-label={props.label}
        aria-rowcount={props.rowCount}
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
}) {
  const role = props.head ? 'columnheader' : 'cell';
  return (
    <div
      className={`row ${props.head ? 'head' : ''} ${props.className ?? ''} ${props.mark ?? ''}`}
      role="row"
      title={props.title}
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
