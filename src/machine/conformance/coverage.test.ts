import { describe, expect, it } from 'vitest';
import { guestFile } from '../testing/boot.ts';
import { CoverageRecorder, coverage } from './coverage.ts';
import { combinationOf, IMAGES, imageName, judgedLines, runConformance } from './runs.ts';

/** One group of one image: what it covers, and what it leaves open. */
const run = {
  image: IMAGES[1]!,
  commandLine: 'only=processor-state,event-channels',
  privileged: false,
  vcpus: 1,
};
const recorder = new CoverageRecorder();
const outcome = runConformance(guestFile(`${imageName(run.image)}.elf`), run, ({ machine }) =>
  recorder.attach(machine.hv),
);
recorder.addLines(combinationOf(run.image), judgedLines(outcome.text));
const rows = coverage(recorder);
const cell = (spelled: string, combination: string) =>
  rows.find((row) => row.spelled === spelled)!.combinations.find((c) => c.combination === combination)!;

describe('coverage', () => {
  it('counts nothing that was not run', () => {
    expect(coverage(new CoverageRecorder()).some((row) => row.covered)).toBe(false);
  });
  it('counts the successes and each error of a row, in the combination that ran', () => {
    const send = cell('event_channel_op(EVTCHNOP_send)', '2-level/3.0.2');
    expect(send.succeeded).toBeGreaterThan(3);
    expect(send.errors.map(({ name, seen }) => [name, seen > 0])).toEqual([
      ['EINVAL', true],
      ['EFAULT', true],
    ]);
    expect(cell('event_channel_op(EVTCHNOP_send)', 'PAE/4.17').succeeded).toBe(0);
  });
  it('misses the call form, the errors and the combinations that did not run', () => {
    const send = cell('event_channel_op(EVTCHNOP_send)', '2-level/3.0.2');
    expect(send.missing).toEqual(['no success of 16 EVTCHNOP_send']);
    expect(cell('event_channel_op(EVTCHNOP_status)', '2-level/3.0.2').missing).toContain('ESRCH');
    expect(rows.find((row) => row.spelled === 'multicall')?.covered).toBe(false);
  });
  it('takes the lines of a shared field for its row', () => {
    const field = 'shared_info->vcpu_info[]->evtchn_upcall_mask';
    expect(cell(field, '2-level/3.0.2')).toMatchObject({ succeeded: 4, missing: [] });
    expect(cell(field, 'PAE/3.0.2').missing).toEqual(['no line']);
  });
});
