/** The walk of one address, as the processor does it: bits, tables, verdict. */
import { useEffect, useMemo, useState } from 'react';
import { hexDigits, hexGrouped, parseHex } from '../../../format/hex.ts';
import { actions, useLab } from '../../../store/lab.ts';
import type { PageTablesView, WalkStep } from '../../../worker/protocol.ts';
import { TypeChip } from '../../widgets/chips.tsx';
import { Hex } from '../../widgets/hex.tsx';
import css from './panel.module.css';
import { addressFields, entryDigits } from './rows.ts';

export function WalkPanel({ view }: { view: PageTablesView }) {
  const registers = useLab((s) => s.views.registers);
  const walk = view.walk;
  const presets: readonly (readonly [string, number])[] =
    registers?.present === true
      ? [
          ['eip', registers.eip],
          ['esp', registers.gpr[4]! >>> 0],
          ['cr2', registers.cr2],
        ]
      : [];
  return (
    <section className={css['walk']} aria-label="Walk">
      <div className={css['walkhead']}>
        <h3 className="bold">Walk</h3>
        <AddressField va={walk?.va ?? null} />
        <span className="spacer" />
        {presets.map(([name, va]) => (
          <button
            key={name}
            type="button"
            className="mono second"
            title={`Walk ${name}, ${hexGrouped(va)}`}
            onClick={() => actions.walk(va)}
          >
            {name}
          </button>
        ))}
      </div>
      {walk === null ? (
        <p className={`small second ${css['hint']}`}>
          Type an address, pick a register, or press the address of an entry above: its walk through the
          tables appears here.
        </p>
      ) : (
        <>
          <Bits va={walk.va} abi={view.abi} />
          <Ladder steps={walk.steps} root={view.rootMfn} />
          <p className={css['verdict']} data-testid="walk-verdict">
            {walk.verdict}{' '}
            {walk.maddr !== null && (
              <>
                Machine address <b className="mono bold">{hexDigits(walk.maddr)}</b>.
              </>
            )}
          </p>
        </>
      )}
    </section>
  );
}

function AddressField({ va }: { va: number | null }) {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState(false);
  useEffect(() => {
    if (va !== null) setText(hexGrouped(va));
  }, [va]);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const address = parseHex(text);
        setWrong(address === null);
        if (address !== null) actions.walk(address);
      }}
    >
      <input
        className={`mono ${css['field']}`}
        data-walk-address
        aria-label="Address to walk, hexadecimal"
        aria-invalid={wrong}
        placeholder="address"
        spellCheck={false}
        autoComplete="off"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {wrong && (
        <span className="small" role="alert">
          {' '}
          not a hexadecimal address
        </span>
      )}
    </form>
  );
}

function Bits({ va, abi }: { va: number; abi: PageTablesView['abi'] }) {
  const fields = useMemo(() => addressFields(va, abi), [va, abi]);
  const columns = fields.map((field) => `minmax(36px, ${field.bits.length}fr)`).join(' 8px ');
  return (
    <div className={css['bits']} style={{ gridTemplateColumns: columns }}>
      {fields.map((field, i) => (
        <div key={field.name} style={{ gridColumn: i * 2 + 1 }}>
          <div className={css['cells']} aria-hidden="true">
            {field.bits.map((bit, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a bit is its place
              <i key={at} className={bit === '1' ? 'bold' : 'third'}>
                {bit}
              </i>
            ))}
          </div>
          <span className="small second">
            {field.name} <span className="mono bold">{field.value}</span>
          </span>
        </div>
      ))}
    </div>
  );
}

function Ladder({ steps, root }: { steps: readonly WalkStep[]; root: number }) {
  return (
    <table className={css['ladder']}>
      <tbody>
        {steps.map((step, i) => (
          <tr key={step.level}>
            <th scope="row" className="third">
              {i === 0 ? 'cr3' : `L${step.level + 1} entry`}
            </th>
            <td>
              <TypeChip type={`L${step.level}`} /> <Hex value={i === 0 ? root : step.tableMfn} digits={5} />
            </td>
            <td className="mono third">
              slot {hexDigits(step.index, step.level === 3 ? 1 : 3)}, at {hexGrouped(step.entryMaddr)}
            </td>
            <td className="mono">
              {step.present ? entryDigits(step.low, step.high) : <span className="third">absent</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
