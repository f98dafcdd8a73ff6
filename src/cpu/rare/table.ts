/** Which rows are carried out by plain functions. */
import type { RareTable } from './rare.ts';

export const rareInstructions: RareTable = {};
