import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, describe, expect, it } from 'vitest';
import { Changed } from './changed.tsx';
import { TypeChip } from './chips.tsx';
import { Hex } from './hex.tsx';
import { Row, WholeRows } from './whole-rows.tsx';

afterEach(cleanup);

describe('a number in hexadecimal', () => {
  const dim = (value: number, digits?: number) => {
    const { container } = render(
      digits === undefined ? <Hex value={value} /> : <Hex value={value} digits={digits} />,
    );
    return [...container.querySelectorAll('.third')].map((e) => e.textContent).join('|');
  };
  it('has its leading zeros in the third ink, never its last digit', () => {
    expect(dim(0x0804b1f4)).toBe('0');
    expect(dim(0x246)).toBe('0000|0');
    cleanup();
    expect(dim(0)).toBe('0000|000');
    expect(dim(0xc0000000)).toBe('');
    expect(dim(0x1a2, 5)).toBe('00');
  });
});

describe('a changed value', () => {
  it('is plain without a change', () => {
    const { container } = render(<Changed since={null}>7</Changed>);
    expect(container.innerHTML).toBe('7');
  });
  it('says what it was, also to those who do not see the line through it', () => {
    const { container } = render(
      <Changed since="step" was="6">
        7
      </Changed>,
    );
    expect(container.querySelector('.changed')?.textContent).toBe('7');
    expect(container.querySelector('del')?.textContent).toBe('was 6');
  });
});

describe('a frame type', () => {
  it('is told in words beside its glyph', () => {
    render(<TypeChip type="L2" pinned />);
    expect(screen.getByRole('img', { name: 'L2 page table, pinned' }).textContent).toBe('2');
  });
});

describe('a list of whole rows', () => {
  it('is a table to those who listen', () => {
    render(
      <WholeRows label="Ports">
        <Row className="x" head cells={['port', 'bound to']} />
        <Row className="x" cells={['1', 'virq TIMER']} />
      </WholeRows>,
    );
    expect(screen.getByRole('table', { name: 'Ports' })).toBeTruthy();
    expect(screen.getAllByRole('columnheader')).toHaveLength(2);
    expect(screen.getAllByRole('cell').map((cell) => cell.textContent)).toEqual(['1', 'virq TIMER']);
  });
});
