import { describe, expect, it } from 'vitest';
import { createLabStore, type LabState } from './lab-store.ts';
import { hashOf, linkOf, parseHash } from './link.ts';

const first = () => createLabStore({ theme: 'light', projector: false }).getState();

describe('the address of a view', () => {
  it('is bare while the gallery is as it opens', () => {
    expect(hashOf(linkOf(first()))).toBe('');
    expect(hashOf({ ...linkOf(first()), screen: 'lab' })).toBe('#lab');
  });

  it.each([
    '#lab?demo=smp&at=1.2&walk=c0000000',
    '#lab?demo=pingpong&at=2.0&open=3,3.0&processor=stack&hypercalls=counts&whose=one&wide&projector',
    '#lab?at=1.0&call=32.4',
    '#lab?at=1.0&call=23',
    '#lab?at=1.0&open=',
    '#reference?demo=hello&at=1.0',
    '#gallery?projector',
  ])('says what it was read from: %s', (hash) => {
    expect(hashOf(parseHash(hash))).toBe(hash);
  });

  it.each([
    '#',
    '#?',
    '#nonsense',
    '#lab?at=1',
    '#lab?at=x.y&walk=zzz&open=<b>&call=many&processor=7',
    '#lab?walk=123456789',
    '#%E0%A4%A',
    '#lab?demo=../../etc/passwd',
    '#lab?demo=%00',
  ])('is taken calmly when nobody could have meant it: %s', (hash) => {
    const link = parseHash(hash);
    expect(link.demo).toBeNull();
    expect(link.walk).toBeNull();
    expect(link.at).toBeNull();
    expect(['', '#lab', '#lab?open=']).toContain(hashOf(link));
  });

  it('has the demo that was started and what is selected', () => {
    const demo = { id: 'hello', title: '', story: '', watch: [], domains: [] };
    const state: LabState = {
      ...first(),
      screen: 'lab',
      started: { demo, domids: [1], played: false },
      selection: { domid: 1, vcpu: 0 },
    };
    expect(hashOf(linkOf(state))).toBe('#lab?demo=hello&at=1.0');
  });
});
