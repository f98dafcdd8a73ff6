import type { ReactNode } from 'react';
import css from './panel.module.css';

/** A cell of the lab: head and body, divided from the others by hairlines. F6 moves from one to the next. */
export function Panel(props: {
  title: string;
  about?: ReactNode;
  actions?: ReactNode;
  className?: string | undefined;
  children: ReactNode;
}) {
  return (
    <section
      className={`${css['panel']} ${props.className ?? ''}`}
      aria-label={props.title}
      data-stop
      tabIndex={-1}
    >
      <div className={css['head']}>
        <h2 className="bold">{props.title}</h2>
        {props.about !== undefined && <span className="small second cut">{props.about}</span>}
        <span className="spacer" />
        {props.actions}
      </div>
      {props.children}
    </section>
  );
}

/** Why a panel is empty and what would fill it. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className={css['empty']}>{children}</p>;
}

/** One of a few, in a panel's head. */
export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  choose(value: T): void;
}) {
  return (
    <span className={css['choice']} role="group" aria-label={props.label}>
      {props.options.map(([value, words]) => (
        <button
          key={value}
          type="button"
          aria-pressed={props.value === value}
          onClick={() => props.choose(value)}
        >
          {words}
        </button>
      ))}
    </span>
  );
}
