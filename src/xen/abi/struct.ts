/**
 * ABI structs, described once: name, i386 offset, type. Readers and writers derive from the description, and so do
 * the trace's field-by-field text and the reference pages. Offsets are those that gcc -m32 computes; u64 is 4-byte
 * aligned on i386.
 */
export type ScalarType = 'u8' | 'u16' | 's16' | 'u32' | 's32' | 'u64';

export interface FieldSpec {
  readonly type: ScalarType;
  readonly offset: number;
  /** 'in' is read from the guest, 'out' is written back, 'inout' both. */
  readonly direction: 'in' | 'out' | 'inout';
  /** How to print it: 'hex', 'dec', 'mfn', 'va', 'port', 'domid', 'ns' ... */
  readonly as?: string;
}

const scalar =
  (type: ScalarType) =>
  (offset: number, as?: string): FieldSpec => ({ type, offset, direction: 'in', ...(as ? { as } : {}) });

export const u8 = scalar('u8');
export const u16 = scalar('u16');
export const s16 = scalar('s16');
export const u32 = scalar('u32');
export const s32 = scalar('s32');
/** Read as a JavaScript number (exact to 2^53): times and machine addresses. Page-table entries are read by words. */
export const u64 = scalar('u64');
export const out = (field: FieldSpec): FieldSpec => ({ ...field, direction: 'out' });
export const inout = (field: FieldSpec): FieldSpec => ({ ...field, direction: 'inout' });

export interface StructType<F extends Record<string, FieldSpec> = Record<string, FieldSpec>> {
  readonly name: string;
  readonly size: number;
  readonly fields: F;
}
export type StructValue<S> = S extends StructType<infer F> ? { [K in keyof F]: number } : never;

export function struct<F extends Record<string, FieldSpec>>(
  name: string,
  size: number,
  fields: F,
): StructType<F> {
  return { name, size, fields };
}

export function readField(view: DataView, at: number, field: FieldSpec): number {
  const p = at + field.offset;
  switch (field.type) {
    case 'u8':
      return view.getUint8(p);
    case 'u16':
      return view.getUint16(p, true);
    case 's16':
      return view.getInt16(p, true);
    case 'u32':
      return view.getUint32(p, true);
    case 's32':
      return view.getInt32(p, true);
    case 'u64':
      return view.getUint32(p, true) + view.getUint32(p + 4, true) * 0x1_0000_0000;
  }
}

export function writeField(view: DataView, at: number, field: FieldSpec, value: number): void {
  const p = at + field.offset;
  switch (field.type) {
    case 'u8':
      view.setUint8(p, value);
      break;
    case 'u16':
      view.setUint16(p, value, true);
      break;
    case 's16':
      view.setInt16(p, value, true);
      break;
    case 'u32':
      view.setUint32(p, value, true);
      break;
    case 's32':
      view.setInt32(p, value, true);
      break;
    case 'u64':
      view.setUint32(p, value % 0x1_0000_0000, true);
      view.setUint32(p + 4, Math.floor(value / 0x1_0000_0000), true);
  }
}

export function readStruct<F extends Record<string, FieldSpec>>(
  type: StructType<F>,
  view: DataView,
  at = 0,
): { [K in keyof F]: number } {
  const value = {} as { [K in keyof F]: number };
  for (const key in type.fields) value[key] = readField(view, at, type.fields[key]!);
  return value;
}

/** Writes the fields named in `value`; the others keep their bytes. */
export function writeStruct<F extends Record<string, FieldSpec>>(
  type: StructType<F>,
  view: DataView,
  value: Partial<{ [K in keyof F]: number }>,
  at = 0,
): void {
  for (const key in value) writeField(view, at, type.fields[key]!, value[key]!);
}
