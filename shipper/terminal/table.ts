import { printable, widthOf } from "./printable.ts";

/** A column and how it is aligned. */
export interface Column {
  readonly title: string;
  /** Numbers are read by their last digit. */
  readonly right?: boolean;
}

/** Rows under their titles, two spaces between columns, no lines. Cells are escaped; the last column is not padded. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, column) =>
    cells.reduce((width, row) => Math.max(width, widthOf(row[column] ?? "")), 0),
  );
  return cells.map((row) => `${lineOf(row, columns, widths)}\n`).join("");
}

function lineOf(row: readonly string[], columns: readonly Column[], widths: readonly number[]): string {
  return columns
    .map(({ right }, column) => {
      const cell = row[column] ?? "";
      const gap = " ".repeat(widths[column]! - widthOf(cell));
      return right ? gap + cell : cell + gap;
    })
    .join("  ")
    .trimEnd();
}

/** Names and what they are, one a line, aligned. Values are escaped. */
export function facts(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(0, ...rows.map(([name]) => widthOf(name)));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`.trimEnd().concat("\n")).join("");
}
