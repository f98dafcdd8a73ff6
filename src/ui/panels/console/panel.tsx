/** The console of the selected domain: a terminal to read, type, search and copy. */
import { useEffect, useRef, useState } from 'react';
import { consoleKey, hasRing } from '../../../store/consoles.ts';
import { actions, labStore, useLab } from '../../../store/lab.ts';
import { consoles } from '../../../store/lab-store.ts';
import type { DomainSummary } from '../../../worker/protocol.ts';
import { CommandButton } from '../../widgets/command-button.tsx';
import { Empty, Panel } from '../../widgets/panel.tsx';
import css from './panel.module.css';
import { partOf } from './part.ts';
import { ConsoleTerminal, USUAL_COLUMNS } from './terminal.ts';

const FONT_PX = 13;
const NONE: readonly DomainSummary[] = [];

export function ConsolePanel() {
  const domains = useLab((s) => s.views.domains?.domains ?? NONE);
  const selected = useLab((s) => s.selection.domid);
  const generation = useLab((s) => s.generation);
  const former = useLab((s) => s.former);
  const shownFormer = useLab((s) => s.shownFormer);
  const terminal = useRef<ConsoleTerminal | null>(null);

  const domain = domains.find((d) => d.domid === selected);
  const key = shownFormer ?? (selected === null ? null : consoleKey(generation, selected));
  const name =
    former.find((f) => f.key === shownFormer)?.name ?? (domain ? `d${domain.domid} ${domain.name}` : '');
  return (
    <Panel
      title="Console"
      className={css['panel']}
      actions={key === null ? undefined : <Tools terminal={terminal} name={name} />}
      about={
        <span className={css['tabs']}>
          {domains.map((d) => (
            <button
              key={d.domid}
              type="button"
              aria-pressed={shownFormer === null && d.domid === selected}
              onClick={() => actions.select(d.domid)}
            >
              d{d.domid}
              {d.domid === selected && shownFormer === null ? ` ${d.name}` : ''}
            </button>
          ))}
          {former.length > 0 && (
            <select
              aria-label="Consoles of former machines"
              title="What domains of former machines printed"
              data-shown={shownFormer !== null}
              value={shownFormer ?? ''}
              onChange={(event) =>
                labStore.setState({ shownFormer: event.target.value === '' ? null : event.target.value })
              }
            >
              <option value="">former</option>
              {former.toReversed().map((f) => (
                <option key={f.key} value={f.key}>
                  {f.name}
                </option>
              ))}
            </select>
          )}
        </span>
      }
    >
      {key === null ? (
        <Empty>
          A console shows what a guest prints and takes what you type. It opens with the first domain.
        </Empty>
      ) : (
        <Screen
          key={key}
          consoleName={key}
          label={`Console of ${name}`}
          typed={(bytes) => {
            if (shownFormer === null && selected !== null) actions.input(selected, bytes);
          }}
          terminal={terminal}
        />
      )}
      {key !== null && <Streams consoleName={key} />}
      {shownFormer === null && <Part />}
      {shownFormer === null && domain !== undefined && domain.ending !== null && (
        <p className={css['ended']} data-testid="console-ended">
          <b>
            d{domain.domid} {domain.state === 'crashed' ? 'crashed' : 'has ended'}.
          </b>{' '}
          {domain.state === 'crashed' ? 'Why is told above.' : `It ${domain.ending}.`}
        </p>
      )}
    </Panel>
  );
}

/** Which of the two streams is which, once there are two. */
function Streams({ consoleName }: { consoleName: string }) {
  const shown = useLab((s) => s.emergencyConsoles.includes(consoleName));
  if (!shown) return null;
  return (
    <p
      className={css['streams']}
      data-testid="streams"
      title="Two streams of one guest. console_io is the hypervisor's own console: it works from the first instruction on, and 3.0.2 lets every domain print there. The console ring is a page shared with the toolstack, which the kernel sets up later. The lab begins a new line where the stream changes."
    >
      <span className={css['faint']}>Pale: the emergency console (console_io).</span> Plain: the console ring.
    </p>
  );
}

/** What the demo asks of its user, and the lab's offer to do it. */
function Part() {
  const started = useLab((s) => s.started);
  const selected = useLab((s) => s.selection.domid);
  const playing = useLab((s) => s.views.machine?.playing ?? false);
  const lives = useLab((s) =>
    (s.views.domains?.domains ?? NONE).some((d) => d.ending === null && s.started?.domids.includes(d.domid)),
  );
  const part = started === null ? null : partOf(started.demo);
  if (part === null || !lives || selected === null || !started?.domids.includes(selected)) return null;
  if (started.played && !playing) return null;
  return (
    <p className={css['part']} data-testid="part">
      <span className="cut" title={part}>
        {playing ? <b>The lab does it:</b> : <b>Your part:</b>} {part}
      </span>
      {!playing && (
        <button
          type="button"
          className="underlined"
          title="The lab types and presses it, each at its time"
          onClick={() => void actions.play()}
        >
          Play it
        </button>
      )}
    </p>
  );
}

function Screen(props: {
  consoleName: string;
  label: string;
  typed: (bytes: Uint8Array) => void;
  terminal: { current: ConsoleTerminal | null };
}) {
  const host = useRef<HTMLDivElement>(null);
  const layout = useLab((s) => s.layout);
  const typed = useRef(props.typed);
  typed.current = props.typed;
  // A terminal that is too narrow for its guest is made anew, and shows the text from its first byte on.
  const [leastColumns, setLeastColumns] = useState(1);
  const fontSize = layout.projector ? FONT_PX * 1.5 : FONT_PX;

  // biome-ignore lint/correctness/useExhaustiveDependencies: one terminal per console; look and label follow below
  useEffect(() => {
    const terminal = new ConsoleTerminal(host.current!, {
      fontSize,
      label: props.label,
      leastColumns,
      dimsEmergency: hasRing(props.consoleName),
      typed: (bytes) => typed.current(bytes),
      placesCursor: () => setLeastColumns(USUAL_COLUMNS),
    });
    props.terminal.current = terminal;
    consoles.attach(props.consoleName, terminal);
    return () => {
      consoles.detach(props.consoleName);
      props.terminal.current = null;
      terminal.dispose();
    };
  }, [props.consoleName, leastColumns]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme is read from the page, which layout decides
  useEffect(() => {
    props.terminal.current?.paint(host.current!, fontSize);
  }, [layout, fontSize]);

  return (
    <div className={css['screen']}>
      <div ref={host} className={css['host']} data-console={props.consoleName} />
    </div>
  );
}

function Tools({ terminal, name }: { terminal: { current: ConsoleTerminal | null }; name: string }) {
  const wide = useLab((s) => s.wideConsole);
  const [sought, setSought] = useState('');
  const [found, setFound] = useState<{ index: number; count: number } | null>(null);
  const search = (text: string, direction: 'next' | 'previous') => {
    terminal.current?.onFound(setFound);
    terminal.current?.find(text, direction);
    if (text === '') setFound(null);
  };
  return (
    <span className={css['tools']}>
      {found !== null && sought !== '' && (
        <span className="small third" role="status">
          {found.count === 0 ? 'not found' : `${found.index + 1} of ${found.count}`}
        </span>
      )}
      <input
        type="search"
        data-console-search
        aria-label={`Search the console of ${name}`}
        placeholder="search"
        value={sought}
        onChange={(event) => {
          setSought(event.target.value);
          search(event.target.value, 'next');
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') search(sought, event.shiftKey ? 'previous' : 'next');
          if (event.key === 'Escape') {
            setSought('');
            search('', 'next');
            terminal.current?.focus();
          }
        }}
      />
      <CommandButton id="wide-console" className="small">
        {wide ? 'Narrow' : 'Wide'}
      </CommandButton>
      <button
        type="button"
        className="small"
        title="Copy the selected text, or all of it (Ctrl Shift C)"
        onClick={() => {
          const text = terminal.current?.text() ?? '';
          void navigator.clipboard?.writeText(text).then(() => actions.say('Copied.'));
        }}
      >
        Copy
      </button>
    </span>
  );
}
