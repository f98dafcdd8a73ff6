import type { ReactNode } from 'react';

/** A value that changed: since the last step reversed, since the last stop underlined; what it was, struck through. */
export function Changed(props: { since: 'step' | 'stop' | null; was?: ReactNode; children: ReactNode }) {
  if (props.since === null) return <>{props.children}</>;
  return (
    <>
      <span className={props.since === 'step' ? 'changed' : 'changed-since-stop'}>{props.children}</span>
      {props.was !== undefined && (
        <del className="was">
          <span className="unseen">was </span>
          {props.was}
        </del>
      )}
    </>
  );
}
