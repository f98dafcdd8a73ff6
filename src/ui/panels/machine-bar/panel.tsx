/** The machine bar: where we are, what the machine does and why, how it is driven, and its clocks. */
import { formatSeconds, groupDigits } from '../../../format/time.ts';
import { speedLabel } from '../../../store/commands.ts';
import { actions, useLab } from '../../../store/lab.ts';
import { SPEEDS } from '../../../store/speeds.ts';
import { CommandButton } from '../../widgets/command-button.tsx';
import { Logo } from '../../widgets/logo.tsx';
import { describeMode, formatRate } from './mode.ts';
import css from './panel.module.css';

const SCREENS = [
  ['lab', '1', 'Lab'],
  ['gallery', '2', 'Gallery'],
  ['reference', '3', 'Reference'],
] as const;

export function MachineBar() {
  const screen = useLab((s) => s.screen);
  return (
    <header className={css['bar']} data-screen={screen}>
      <div className={css['logo']}>
        <Logo />
        <h1>Ringside</h1>
      </div>
      <nav aria-label="Screens" className={css['nav']}>
        {SCREENS.map(([id, key, name]) => (
          <button
            key={id}
            type="button"
            aria-current={screen === id ? 'page' : undefined}
            aria-keyshortcuts={key}
            onClick={() => actions.show(id)}
          >
            <kbd>{key}</kbd> {name}
          </button>
        ))}
      </nav>
      <Mode />
      <Controls />
      <Clocks />
      <div className={css['toggles']}>
        <CommandButton id="theme" label="Light or dark (T)">
          <svg width="16" height="16" aria-hidden="true">
            <circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
            <path d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" />
          </svg>
        </CommandButton>
        <CommandButton id="projector" label="Projector (P)">
          <svg width="18" height="16" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
            <path d="M1 2.5h16M2.5 2.5v8h13v-8M9 10.5V15" />
          </svg>
        </CommandButton>
        <CommandButton id="keys" label="The keys (?)">
          <span className="mono bold" aria-hidden="true">
            ?
          </span>
        </CommandButton>
      </div>
    </header>
  );
}

function Mode() {
  const machine = useLab((s) => s.views.machine);
  const connection = useLab((s) => s.connection);
  const domains = useLab((s) => ((s.views.machine?.cpus ?? 1) > 1 ? s.views.domains?.domains : undefined));
  const mode = describeMode(machine, connection, domains);
  return (
    <div className={css['mode']}>
      <svg width="12" height="14" aria-hidden="true">
        {mode.moving ? (
          <path d="M1 0 11 7 1 14z" fill="currentColor" />
        ) : (
          <path d="M1 0h3.5v14H1zM7.5 0H11v14H7.5z" fill="currentColor" />
        )}
      </svg>
      <div>
        <div className="bold cut" data-testid="mode">
          {mode.title}
        </div>
        <div className="small second cut" title={mode.detail}>
          {mode.detail}
        </div>
      </div>
    </div>
  );
}

function Controls() {
  const mode = useLab((s) => s.views.machine?.mode);
  const speed = useLab((s) => s.speed);
  const moving = mode === 'running' || mode === 'idle';
  return (
    <div className={css['controls']} role="toolbar" aria-label="Machine">
      <CommandButton id="step-instruction" showKey>
        Instruction
      </CommandButton>
      <CommandButton id="step-hypercall" showKey>
        Hypercall
      </CommandButton>
      <CommandButton id="step-event" showKey>
        Event
      </CommandButton>
      <CommandButton id="run" className="primary" showKey>
        {moving ? 'Pause' : 'Run'}
      </CommandButton>
      <select
        aria-label="Speed: virtual time against real time"
        title="Speed: virtual time against real time (+ and −)"
        value={speed}
        onChange={(event) => void actions.setSpeed(Number(event.target.value))}
      >
        {SPEEDS.map((s) => (
          <option key={s} value={s}>
            {speedLabel(s)}
          </option>
        ))}
      </select>
      <CommandButton id="reset">Reset</CommandButton>
    </div>
  );
}

function Clocks() {
  const machine = useLab((s) => s.views.machine);
  return (
    <div className={css['clocks']}>
      <div>
        <b className={css['virtual']} data-testid="virtual-time">
          {formatSeconds(machine?.virtualNs ?? 0)}
        </b>
        <span>virtual seconds</span>
      </div>
      <div className={css['wide']}>
        <b data-testid="instructions">{groupDigits(machine?.instructions ?? 0)}</b>
        <span>instructions</span>
      </div>
      <div className={css['wide']}>
        <b>{machine === undefined || machine.mips === 0 ? '–' : formatRate(machine.mips)}</b>
        <span>real MIPS</span>
      </div>
    </div>
  );
}
