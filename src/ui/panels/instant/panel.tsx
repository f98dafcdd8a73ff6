/** The line under the machine bar: the selected instant in words; a domain that died, with why, goes before it. */
import { labStore, useLab } from '../../../store/lab.ts';
import type { DomainSummary } from '../../../worker/protocol.ts';
import { DomainChip } from '../../widgets/chips.tsx';
import css from './panel.module.css';
import { sentenceOf } from './sentence.ts';

const NONE: readonly DomainSummary[] = [];

export function Instant() {
  const machine = useLab((s) => s.views.machine);
  const newest = useLab((s) => s.views.trace?.rows.at(-1));
  const domains = useLab((s) => s.views.domains?.domains ?? NONE);
  const selected = useLab((s) => s.selection.domid);
  const notice = useLab((s) => s.notice);
  const sentence = sentenceOf(machine, newest, domains);
  const crashed = domains.find((d) => d.domid === selected && d.state === 'crashed');
  return (
    <>
      {notice !== null && (
        <div className={css['notice']} role="alert">
          <p>{notice}</p>
          <button type="button" className="underlined" onClick={() => labStore.setState({ notice: null })}>
            Dismiss
          </button>
        </div>
      )}
      {machine?.failure != null && (
        <div className={css['notice']} role="alert">
          <p>
            <b>The lab itself made an error and the run has stopped.</b> {machine.failure}. What the machine
            held can still be looked at; Reset starts a new one.
          </p>
        </div>
      )}
      {crashed !== undefined && <Crash domain={crashed} />}
      <p className={css['instant']} data-projector-caption>
        <b className={css['now']}>now</b>
        {sentence.who !== null && (
          <span className={css['who']}>
            <DomainChip domid={sentence.who.domid} /> {sentence.who.text}
          </span>
        )}
        <span className="cut">{sentence.text}</span>
        {sentence.refused !== null && (
          <span className={`cut ${css['refused']}`} title={sentence.refused}>
            <b>Refused:</b> {sentence.refused}
          </span>
        )}
      </p>
    </>
  );
}

function Crash({ domain }: { domain: DomainSummary }) {
  return (
    <section
      className={`${css['crash']} refused`}
      aria-label={`Why d${domain.domid} died`}
      data-testid="crash"
    >
      <p>
        <DomainChip domid={domain.domid} />{' '}
        <b>
          d{domain.domid} {domain.name} crashed.
        </b>{' '}
        {domain.ending}
      </p>
      {domain.refusals.length > 0 && (
        <details open={domain.refusals.length <= 3}>
          <summary className="small second">
            {domain.refusals.length === 1
              ? 'What it was refused'
              : `The last ${domain.refusals.length} things it was refused`}
          </summary>
          <ol>
            {domain.refusals.map((refusal, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a finished list in order of time
              <li key={i} className="small">
                {refusal}
              </li>
            ))}
          </ol>
        </details>
      )}
    </section>
  );
}
