/** The lab itself: domains, the instant, and its panels in cells that can be resized. */
import { Panel as Cell, Group, Separator } from 'react-resizable-panels';
import { useLab } from '../store/lab.ts';
import css from './lab-screen.module.css';
import { ConsolePanel } from './panels/console/panel.tsx';
import { DomainRail } from './panels/domains/panel.tsx';
import { HypercallsPanel } from './panels/hypercalls/panel.tsx';
import { Instant } from './panels/instant/panel.tsx';
import { PageTablesPanel } from './panels/page-tables/panel.tsx';
import { PortsPanel } from './panels/ports/panel.tsx';
import { ProcessorPanel } from './panels/processor/panel.tsx';
import { RunstatesPanel } from './panels/runstates/panel.tsx';

export function LabScreen() {
  const projector = useLab((s) => s.layout.projector);
  return (
    <main className={css['lab']}>
      <DomainRail />
      <div className={css['work']}>
        <Instant />
        <div className={css['cells']}>{projector ? <ProjectorCells /> : <DeskCells />}</div>
      </div>
    </main>
  );
}

function DeskCells() {
  const wideConsole = useLab((s) => s.wideConsole);
  return (
    <Group orientation="vertical" id="desk">
      <Cell id="panes" minSize="40">
        <Group orientation="horizontal" id="columns" key={wideConsole ? 'wide' : 'three'}>
          {wideConsole ? (
            <Cell id="wide" defaultSize="71" minSize={400}>
              <ConsolePanel />
            </Cell>
          ) : (
            <>
              <Cell id="left" defaultSize="35" minSize={260}>
                <Group orientation="vertical" id="left-rows">
                  <Cell id="console" defaultSize="44" minSize={96}>
                    <ConsolePanel />
                  </Cell>
                  <Bar label="Console and processor" />
                  <Cell id="processor" minSize={140}>
                    <ProcessorPanel />
                  </Cell>
                </Group>
              </Cell>
              <Bar label="Console and page tables" />
              <Cell id="middle" defaultSize="36" minSize={400}>
                <PageTablesPanel />
              </Cell>
            </>
          )}
          <Bar label="Page tables and event channels" />
          <Cell id="right" minSize={280}>
            <Group orientation="vertical" id="right-rows">
              <Cell id="ports" defaultSize="42" minSize={120}>
                <PortsPanel />
              </Cell>
              <Bar label="Event channels and hypercalls" />
              <Cell id="hypercalls" minSize={120}>
                <HypercallsPanel />
              </Cell>
            </Group>
          </Cell>
        </Group>
      </Cell>
      <Bar label="Panels and runstates" />
      <Cell
        id="runstates"
        defaultSize={172}
        minSize={96}
        maxSize="45"
        groupResizeBehavior="preserve-pixel-size"
      >
        <RunstatesPanel />
      </Cell>
    </Group>
  );
}

/** Few and large: the console, the page tables, the runstates. */
function ProjectorCells() {
  return (
    <Group orientation="vertical" id="projector">
      <Cell id="projector-panes">
        <Group orientation="horizontal" id="projector-columns">
          <Cell id="projector-console" defaultSize="44" minSize={200}>
            <ConsolePanel />
          </Cell>
          <Bar label="Console and page tables" />
          <Cell id="projector-tables" minSize={400}>
            <PageTablesPanel />
          </Cell>
        </Group>
      </Cell>
      <Bar label="Panels and runstates" />
      <Cell id="projector-runstates" defaultSize={136} minSize={96} groupResizeBehavior="preserve-pixel-size">
        <RunstatesPanel />
      </Cell>
    </Group>
  );
}

function Bar({ label }: { label: string }) {
  return <Separator className={css['bar']} aria-label={`Divides ${label.toLowerCase()}`} />;
}
