/** Hexadecimal as the lab writes it: lower case, no 0x, addresses grouped four and four. */

/** Padded digits: hexDigits(0x1a2, 5) = "001a2". */
export function hexDigits(value: number, digits = 8): string {
  return (value >>> 0).toString(16).padStart(digits, '0');
}

/** hexGrouped(0xc00021c7) = "c000 21c7". */
export function hexGrouped(value: number): string {
  const digits = hexDigits(value);
  return `${digits.slice(0, 4)} ${digits.slice(4)}`;
}

/** Reads an address as people type it: "c000 21c7", "0xC00021C7", "0804b1f4". Null when it is none. */
export function parseHex(text: string): number | null {
  const digits = text.replace(/[\s_]/g, '').replace(/^0x/i, '');
  if (!/^[0-9a-f]{1,8}$/i.test(digits)) return null;
  return Number.parseInt(digits, 16);
}
