import { existsSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { findDemo, type Manifest, missingTexts } from './manifest.ts';

const guests = new URL('../../public/guests/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('manifest.json', guests), 'utf8')) as Manifest;
const schema = JSON.parse(readFileSync(new URL('./manifest.schema.json', import.meta.url), 'utf8'));

describe('the manifest of demos', () => {
  it('has the form of its schema', () => {
    const validate = new Ajv({ allErrors: true }).compile(schema);
    validate(manifest);
    expect(validate.errors).toBeNull();
  });
  it('names each demo once', () => {
    const ids = manifest.demos.map((demo) => demo.id);
    expect(new Set(ids).size).toBe(ids.length);
  });
  it('names images that are there', () => {
    const files = manifest.demos.flatMap((demo) =>
      demo.domains.flatMap((d) => [d.image, ...(d.ramdisk ? [d.ramdisk] : [])]),
    );
    expect(files.filter((file) => !existsSync(new URL(file, guests)))).toEqual([]);
  });
  it('is searched by id; a wrong id is told with the right ones', () => {
    const first = manifest.demos[0]!;
    expect(findDemo(manifest, first.id)).toEqual({ ok: true, value: first });
    expect(findDemo(manifest, 'nothing')).toMatchObject({ ok: false, error: { code: 'no-such-demo' } });
  });
  it('expects texts, of which the missing ones are told', () => {
    expect(missingTexts(['a', 'b', 'c'], 'xbx a')).toEqual(['c']);
  });
});
