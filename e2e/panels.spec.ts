/** Each live panel against what the guest prints about itself, in two runs with different values. */
import { GUESTS, type LabPage } from './pages/lab-page.ts';
import { expect, test } from './pages/test.ts';

const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');

test.describe('registers show what the guest holds', () => {
  for (const seed of [0x1234_5678, 0x0bad_f00d]) {
    test(`with seed ${hex(seed)}`, async ({ lab }) => {
      await lab.bootFile({ file: `${GUESTS}hello-x86_32p.elf`, commandLine: `hold=0x${hex(seed)}` });
      const text = await lab.printed(/ebp [0-9a-f]{8}/);
      // Long enough after the last word for the guest to be in its loop.
      await expect.poll(() => lab.register('ebp')).toBe(hex(seed + 0x6666));
      await lab.pause();
      const printed = new Map(
        [...text.matchAll(/\b(e[a-ds][xipi]|ebp) ([0-9a-f]{8})/g)].map((m) => [m[1]!, m[2]!]),
      );
      expect(printed.size).toBe(7);
      expect(printed.get('eax')).toBe(hex(seed));
      for (const [name, value] of printed) expect(await lab.register(name), name).toBe(value);
      await expect(lab.page.getByTestId('processor-state')).toContainText('ring 1');
    });
  }
});

test.describe('page tables show what the guest finds by walking them itself', () => {
  for (const image of ['pagetables-x86_32p.elf', 'pagetables-x86_32.elf']) {
    test(image, async ({ lab }) => {
      await lab.bootFile({ file: `${GUESTS}${image}`, commandLine: 'wait' });
      const text = await lab.printed('stays in use until a key comes');
      await lab.pause();
      const [walk] = [
        ...text.matchAll(/walk of ([0-9a-f]{8}) from root mfn ([0-9a-f]{5})\n((?: {2}L\d.*\n)+)/g),
      ].slice(-1);
      expect(walk, 'the guest printed a walk').toBeDefined();
      const [, va, root, lines] = walk!;
      expect(await lab.pageTableRoot()).toBe(root);

      await lab.walk(va!);
      const rows = await lab.walkRows();
      const printed = [
        ...lines!.matchAll(
          /(L\d) of mfn ([0-9a-f]{5}), entry ([0-9a-f]{3}): ([0-9a-f]{8})([0-9a-f]{8}) -> mfn ([0-9a-f]{5})/g,
        ),
      ];
      expect(rows).toHaveLength(printed.length);
      printed.forEach(([, , table, slot, , low], i) => {
        expect(rows[i]).toContain(table);
        expect(rows[i]).toContain(`slot ${slot!.slice(i === 0 && printed.length === 3 ? 2 : 0)}`);
        expect(rows[i]).toContain(`${low!.slice(0, 4)} ${low!.slice(4)}`);
      });
      const leaf = printed.at(-1)!;
      await expect(lab.page.getByTestId('walk-verdict')).toContainText(`${leaf[6]!}${va!.slice(5)}`);
    });
  }
});

test.describe('ports show what the guest learns from EVTCHNOP_status', () => {
  for (const rounds of [50, 75]) {
    test(`after ${rounds} rounds of ping and pong`, async ({ lab }) => {
      // Slowly at first: ping gives up when nobody plays pong for too long.
      await lab.showLab();
      await lab.setSpeed('1/10 000');
      await lab.bootFile({
        file: `${GUESTS}pingpong-x86_32p.elf`,
        commandLine: `role=ping rounds=${rounds} wait`,
      });
      await expect(lab.openDialog).toBeHidden();
      await lab.bootFile({
        file: `${GUESTS}pingpong-x86_32p.elf`,
        commandLine: `role=pong rounds=${rounds} wait`,
      });
      await expect(lab.openDialog).toBeHidden();
      await lab.setSpeed('real time');
      await checkEnd(lab, 'd1', rounds);
      await checkEnd(lab, 'd2', rounds);
    });
  }

  async function checkEnd(lab: LabPage, domain: string, rounds: number): Promise<void> {
    await lab.selectDomain(domain);
    const text = await lab.printed('blocked until a key comes');
    const status = [...text.matchAll(/port (\d+) is interdomain, its other end is port (\d+) of d(\d+)/g)].at(
      -1,
    )!;
    const row = lab.port(Number(status[1]));
    await expect(row).toContainText(`d${status[3]}:${status[2]} interdomain`);
    // Each round sends once in each direction; binding made one more pending, in ping alone.
    const sent = Number(((await row.getByRole('cell').last().textContent()) ?? '').replace(/\s/g, ''));
    expect(sent).toBeGreaterThanOrEqual(rounds);
    expect(sent).toBeLessThanOrEqual(rounds + 1);
    const vcpu = lab.page.getByTestId('upcalls');
    await expect(vcpu).toContainText('mask 0');
  }
});

test.describe('runstates show the times that the guest gets from VCPUOP_get_runstate_info', () => {
  for (const [count, period] of [
    [4, 30],
    [7, 20],
  ] as const) {
    test(`after ${count} sleeps of ${period} ms`, async ({ lab }) => {
      await lab.bootFile({
        file: `${GUESTS}ticks-x86_32p.elf`,
        commandLine: `count=${count} period=${period} wait`,
      });
      const text = await lab.printed('blocked until a key comes');
      await expect(lab.domain('ticks')).toContainText('blocked');
      await lab.pause();
      const printed = Object.fromEntries(
        [...text.matchAll(/^(running|runnable|blocked|offline)\s+(\d+) us$/gm)].map((m) => [
          m[1]!,
          Number(m[2]),
        ]),
      );
      const { state, times } = await lab.runstateTimes(1);
      expect(state).toBe('blocked');
      const [running, runnable, blocked, offline, sum] = times;
      expect(printed['blocked']! / 1000).toBeGreaterThan(count * period - 1);
      // The guest asked a moment before it blocked for good: since then it ran for less than a millisecond or two.
      expect(running! / 1000 - printed['running']!).toBeGreaterThanOrEqual(0);
      expect(running! / 1000 - printed['running']!).toBeLessThan(3000);
      expect(Math.abs(runnable! / 1000 - printed['runnable']!)).toBeLessThan(500);
      expect(Math.floor(offline! / 1000)).toBe(printed['offline']);
      expect(blocked! / 1000).toBeGreaterThanOrEqual(printed['blocked']!);
      expect(sum).toBe(running! + runnable! + blocked! + offline!);
    });
  }
});
