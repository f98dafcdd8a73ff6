import { hexDigits } from '../../format/hex.ts';

/** A number in hexadecimal: leading zeros in the third ink, eight digits grouped four and four. */
export function Hex({ value, digits = 8 }: { value: number; digits?: number }) {
  const text = hexDigits(value, digits);
  const zeros = Math.min(/^0*/.exec(text)![0].length, text.length - 1);
  const part = (from: number, to: number) => {
    const split = Math.min(Math.max(zeros, from), to);
    return (
      <>
        {split > from && <span className="third">{text.slice(from, split)}</span>}
        {text.slice(split, to)}
      </>
    );
  };
  if (digits !== 8) return <span className="mono">{part(0, text.length)}</span>;
  return (
    <span className="mono">
      {part(0, 4)}
      <span className="group-gap">{part(4, 8)}</span>
    </span>
  );
}
