/** A labelled field for a whole number from 1 to a most, which says its rule when it is broken. */
import { useId } from 'react';
import css from './dialogs.module.css';

/** @returns null if the text is none from 1 to `most`. */
export function wholeNumber(text: string, most: number): number | null {
  const value = Number(text);
  return Number.isInteger(value) && value >= 1 && value <= most ? value : null;
}

export function WholeNumber(props: {
  label: string;
  text: string;
  most: number;
  onText: (text: string) => void;
}) {
  const rule = useId();
  const wrong = wholeNumber(props.text, props.most) === null;
  return (
    <>
      <label>
        <span>{props.label}</span>
        <input
          className="mono"
          inputMode="numeric"
          value={props.text}
          aria-invalid={wrong}
          aria-describedby={rule}
          onChange={(event) => props.onText(event.target.value)}
        />
      </label>
      <p id={rule} className={`small ${css['rule']} ${wrong ? '' : 'unseen'}`}>
        A whole number from 1 to {props.most}.
      </p>
    </>
  );
}
