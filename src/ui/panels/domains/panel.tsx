/** The domains of the machine: name, memory, state, and what each vcpu is doing. */

import { actions, useLab } from '../../../store/lab.ts';
import type { DomainSummary, VcpuSummary } from '../../../worker/protocol.ts';
import { DomainChip } from '../../widgets/chips.tsx';
import { CommandButton } from '../../widgets/command-button.tsx';
import css from './panel.module.css';
import { RingFigure } from './ring-figure.tsx';
import { aboutDomain, machineWords, runstateWords, stateWords } from './words.ts';

const NONE: readonly DomainSummary[] = [];

export function DomainRail() {
  const domains = useLab((s) => s.views.domains?.domains ?? NONE);
  const machine = useLab((s) => s.views.machine);
  const selected = useLab((s) => s.selection);
  const hasInitialDomain = domains.some((d) => d.domid === 0);
  return (
    <aside className={css['rail']} aria-label="Domains" data-stop tabIndex={-1}>
      <div className={css['head']}>
        <h2 className="bold">Domains</h2>
        <span className="spacer" />
        {machine !== undefined && <span className="small third">{machineWords(machine)}</span>}
      </div>
      <ul className={css['list']}>
        {!hasInitialDomain && (
          <li className={css['domain']} data-toolstack>
            <div className={css['name']}>
              <DomainChip domid={0} /> toolstack <span className="mono third">d0</span>
            </div>
            <div className="small second">console, store; no vcpu</div>
          </li>
        )}
        {domains.map((domain) => (
          <DomainItem key={domain.domid} domain={domain} current={domain.domid === selected.domid} />
        ))}
      </ul>
      {domains.length === 0 && (
        <p className={css['none']}>
          No guest yet. Boot one from the{' '}
          <button onClick={() => actions.show('gallery')} type="button" className="underlined">
            gallery
          </button>
          , or drop a kernel of your own anywhere on this page.
        </p>
      )}
      <RingFigure />
      <div className={css['files']}>
        <CommandButton id="open">Open…</CommandButton>
        <CommandButton id="save">Save</CommandButton>
        <CommandButton id="palette">Commands</CommandButton>
      </div>
    </aside>
  );
}

function DomainItem({ domain, current }: { domain: DomainSummary; current: boolean }) {
  const ended = domain.state === 'crashed' || domain.state === 'shutdown' || domain.state === 'dying';
  return (
    <li
      className={`${css['domain']} ${domain.state === 'crashed' ? 'refused' : ''}`}
      data-current={current}
      data-state={domain.state}
    >
      <button
        type="button"
        className={css['name']}
        aria-pressed={current}
        onClick={() => actions.select(domain.domid)}
      >
        <DomainChip domid={domain.domid} patterned />
        <span className="cut">{domain.name}</span>
        <span className="mono third">d{domain.domid}</span>
      </button>
      <div className={`small second ${css['about']}`}>{aboutDomain(domain)}</div>
      {ended ? (
        <div className={css['ending']}>
          <span className="small cut" title={domain.ending ?? undefined}>
            {stateWords(domain)}
          </span>
          <span className="spacer" />
          {domain.ending?.startsWith('suspended') && (
            <button
              type="button"
              className="small underlined"
              title="It goes on as a new domain of this machine, on other frames"
              onClick={() => void actions.restore(domain.domid)}
            >
              Resume
              <span className="unseen">
                {' '}
                d{domain.domid} {domain.name}
              </span>
            </button>
          )}
          <button
            type="button"
            className="small underlined"
            onClick={() => void actions.destroy(domain.domid)}
          >
            Remove
            <span className="unseen">
              {' '}
              d{domain.domid} {domain.name}
            </span>
          </button>
        </div>
      ) : (
        domain.vcpus.map((vcpu) => <Vcpu key={vcpu.vcpu} vcpu={vcpu} />)
      )}
      {domain.privileged && !ended && (
        <div className={css['buttons']}>
          <CommandButton id="press-button" className="small underlined">
            Lab button
          </CommandButton>
          <CommandButton id="press-nmi" className="small underlined">
            NMI
          </CommandButton>
        </div>
      )}
    </li>
  );
}

function Vcpu({ vcpu }: { vcpu: VcpuSummary }) {
  const cpus = useLab((s) => s.views.machine?.cpus ?? 1);
  return (
    <div className={css['vcpu']} title={vcpu.note}>
      <span className="mono">v{vcpu.vcpu}</span>
      <span
        className="runstate"
        data-state={vcpu.runstate === 'running' && vcpu.ring === 3 ? 'user' : vcpu.runstate}
        aria-hidden="true"
      />
      <span className="cut">{runstateWords(vcpu, cpus)}</span>
    </div>
  );
}
