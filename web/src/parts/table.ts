// A table whose rows stay the same elements while what they show changes, so that the focus stays where it is.

import { h, replace, type Child } from "../dom.ts";

export interface Column<T> {
  readonly name: string;
  /** Numbers stand at the right. */
  readonly numeric?: boolean;
  /** What a narrow screen does without. */
  readonly wide?: boolean;
  /** Takes the room that the others leave, and is cut off there. */
  readonly fill?: boolean;
  readonly cell: (item: T) => Child | Child[];
  /** What the cell depends on: while it is the same, the cell is left alone. */
  readonly key?: (item: T) => string;
}

/** A table of items that have ids. */
export class Table<T> {
  readonly element: HTMLElement;
  readonly #body = h("tbody");
  readonly #rows = new Map<string, { row: HTMLTableRowElement; cells: HTMLTableCellElement[]; keys: string[] }>();

  constructor(
    caption: string,
    private readonly columns: readonly Column<T>[],
    private readonly id: (item: T) => string,
  ) {
    const heads = columns.map((column) => h("th", { scope: "col", class: classOf(column) }, column.name));
    const table = h("table", { class: "table" }, h("caption", { class: "visually-hidden" }, caption),
      h("thead", {}, h("tr", {}, ...heads)), this.#body);
    // Whoever uses the keyboard can scroll it on a narrow screen.
    this.element = h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": caption }, table);
  }

  /** Shows these items, in their order. */
  show(items: readonly T[]): void {
    const ids = new Set(items.map(this.id));
    for (const [id, { row }] of this.#rows) {
      if (!ids.has(id)) {
        row.remove();
        this.#rows.delete(id);
      }
    }
    let before: ChildNode | null = this.#body.firstChild;
    for (const item of items) {
      const row = this.#row(item);
      if (row === before) {
        before = row.nextSibling;
      } else {
        this.#body.insertBefore(row, before);
      }
    }
  }

  #row(item: T): HTMLTableRowElement {
    const id = this.id(item);
    let known = this.#rows.get(id);
    if (!known) {
      const cells = this.columns.map((column, at) =>
        at === 0 ? (h("th", { scope: "row", class: classOf(column) }) as HTMLTableCellElement) : h("td", { class: classOf(column), "data-label": column.name }));
      known = { row: h("tr", {}, ...cells), cells, keys: [] };
      this.#rows.set(id, known);
    }
    for (const [at, column] of this.columns.entries()) {
      const key = column.key?.(item) ?? null;
      if (key === null || known.keys[at] !== key) {
        known.keys[at] = key ?? "";
        const cell = column.cell(item);
        replace(known.cells[at] as Element, ...(Array.isArray(cell) ? cell : [cell]));
      }
    }
    return known.row;
  }
}

function classOf<T>(column: Column<T>): string | null {
  const names = [column.numeric ? "numeric" : "", column.wide ? "wide" : "", column.fill ? "fill" : ""].filter((name) => name !== "");
  return names.length > 0 ? names.join(" ") : null;
}
