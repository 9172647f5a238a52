// Keys. A key means something only while nobody types and no dialog is open.

export interface Keys {
  /** One key, or two with a blank between, the second within a moment after the first. */
  readonly [keys: string]: { readonly does: string; readonly run: () => void };
}

const SEQUENCE_MS = 1_200;

/** What the dialog of keys lists, in this order. */
export function listen(keysNow: () => Keys): void {
  let first = "";
  let firstAt = 0;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTaken(event.target)) {
      return;
    }
    const keys = keysNow();
    const sequence = performance.now() - firstAt < SEQUENCE_MS ? `${first} ${event.key}` : "";
    const key = keys[sequence] ?? keys[event.key];
    first = event.key;
    firstAt = performance.now();
    if (key) {
      event.preventDefault();
      first = "";
      key.run();
    }
  });
}

function isTaken(target: EventTarget | null): boolean {
  if (document.querySelector("dialog[open]") !== null) {
    return true;
  }
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null;
}

/** Moves the focus from row to row of the list that is shown. */
export function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.findIndex((row) => row === document.activeElement || row.closest("tr")?.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
  const row = rows[Math.max(0, Math.min(rows.length - 1, next))];
  row?.focus();
  row?.scrollIntoView({ block: "nearest" });
}

/** The row that has the focus, by the id that it carries. */
export function focusedRow(): string | null {
  const row = document.activeElement?.closest("tr")?.querySelector<HTMLElement>("[data-row]");
  return row?.dataset["row"] ?? null;
}
