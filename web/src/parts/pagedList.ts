// A list that comes in pages. Of a long list there is never more than a page on screen.

import { api, withQuery } from "../api.ts";
import { h, replace, setAttribute, setText } from "../dom.ts";
import type { Page } from "../model.ts";
import { announce } from "./announce.ts";
import { empty, failed, loading } from "./states.ts";
import type { Table } from "./table.ts";

const PAGE_SIZE = 50;

export interface PagedListOptions<T> {
  /** What is listed, as in "Cannot show jobs". */
  readonly what: string;
  readonly path: string;
  readonly query: Record<string, string | undefined>;
  readonly table: Table<T>;
  readonly empty: () => HTMLElement;
  /** Whether an error is dealt with elsewhere. */
  readonly handled: (error: unknown) => boolean;
}

/** A list that comes in pages. */
export class PagedList<T> {
  readonly element: HTMLElement;
  readonly #options: PagedListOptions<T>;
  readonly #place = h("div");
  readonly #newer = this.#button("Newer", -1);
  readonly #older = this.#button("Older", 1);
  readonly #number = h("span", { class: "muted" });
  readonly #pager: HTMLElement;
  /** The cursors of the pages before the one that is shown; of the first there is none. */
  readonly #before: (string | null)[] = [];
  #cursor: string | null = null;
  #next: string | null = null;
  #items: readonly T[] = [];
  #shown = false;
  #reading: AbortController | null = null;

  constructor(options: PagedListOptions<T>) {
    this.#options = options;
    this.#pager = h("nav", { class: "pager", "aria-label": `Pages of ${options.what}`, hidden: true }, this.#newer, this.#number, this.#older);
    this.element = h("div", {}, this.#place, this.#pager);
    replace(this.#place, loading(options.what));
  }

  get items(): readonly T[] {
    return this.#items;
  }

  /** Whether it shows the newest, which change by themselves. */
  get isFirst(): boolean {
    return this.#cursor === null;
  }

  /** Reads the page that is shown once more. */
  refresh(): void {
    void this.#read(this.#cursor, false);
  }

  /** Goes to the next or the previous page, if there is one. */
  move(by: 1 | -1): void {
    if (by > 0 && this.#next !== null) {
      this.#before.push(this.#cursor);
      void this.#read(this.#next, true);
    } else if (by < 0 && this.#before.length > 0) {
      void this.#read(this.#before.pop() ?? null, true);
    }
  }

  leave(): void {
    this.#reading?.abort();
  }

  #button(text: string, by: 1 | -1): HTMLButtonElement {
    return h("button", { class: "button", type: "button", on: { click: () => this.move(by) } }, text);
  }

  async #read(cursor: string | null, moved: boolean): Promise<void> {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    const { path, query, what, table } = this.#options;
    setAttribute(this.#place, "aria-busy", "true");
    try {
      const page = await api.get<Page<T>>(withQuery(path, { ...query, limit: String(PAGE_SIZE), cursor }), reading.signal);
      this.#cursor = cursor;
      this.#next = page.nextCursor;
      this.#items = page.items;
      if (page.items.length === 0 && page.cutShort && page.nextCursor !== null) {
        replace(this.#place, empty("None so far", `Many ${what} were looked at, and none of them matches. Older ones may.`));
      } else if (page.items.length === 0 && cursor === null) {
        replace(this.#place, this.#options.empty());
      } else {
        table.show(page.items);
        if (this.#place.firstChild !== table.element) {
          replace(this.#place, table.element);
        }
      }
      this.#showPager();
      if (moved || !this.#shown) {
        announce(`${page.items.length} ${what}${this.#before.length > 0 ? `, page ${this.#before.length + 1}` : ""}`);
      }
      if (moved) {
        scrollTo({ top: 0 });
      }
      this.#shown = true;
    } catch (error) {
      if (!reading.signal.aborted && !this.#options.handled(error) && (moved || !this.#shown || cursor === null)) {
        this.#shown = false;
        replace(this.#place, failed(what, error, () => this.refresh()));
        this.#pager.hidden = true;
      }
    } finally {
      if (this.#reading === reading) {
        setAttribute(this.#place, "aria-busy", null);
      }
    }
  }

  #showPager(): void {
    const [hasNewer, hasOlder] = [this.#before.length > 0, this.#next !== null];
    this.#pager.hidden = !hasNewer && !hasOlder;
    // Disabled in a way that keeps the focus.
    setAttribute(this.#newer, "aria-disabled", hasNewer ? null : "true");
    setAttribute(this.#older, "aria-disabled", hasOlder ? null : "true");
    setText(this.#number, `Page ${this.#before.length + 1}`);
  }
}
