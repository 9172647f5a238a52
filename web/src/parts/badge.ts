// A status, told by its word and its shape as well as by its colour.

import { h, s } from "../dom.ts";
import type { Status } from "../model.ts";
import { words } from "../format.ts";

const SHAPES: Record<string, string> = {
  QUEUED: "M6 2v4l2.5 1.5M6 11A5 5 0 1 0 6 1a5 5 0 0 0 0 10Z",
  RUNNING: "M4 2.5v7l5.5-3.5Z",
  DONE: "m2 6.5 2.8 2.8L10 3.5",
  ERROR: "m3 3 6 6M9 3 3 9",
};

/** The badge of a status. */
export function badge(status: Status): HTMLElement {
  const shape = s("path", { d: SHAPES[status] ?? "" });
  const icon = s("svg", { viewBox: "0 0 12 12", "aria-hidden": "true", class: "badge-icon" }, shape);
  return h("span", { class: `badge badge-${status.toLowerCase()}` }, icon, statusWord(status));
}

/** A status as people read it. */
export function statusWord(status: Status): string {
  return { QUEUED: "Queued", RUNNING: "Running", DONE: "Done", ERROR: "Error" }[status] ?? status;
}

/** How an attempt ended, or why a job is a dead letter. */
export function outcomeBadge(outcome: string): HTMLElement {
  const kind = outcome === "done" ? "done" : outcome === "released" ? "queued" : outcome === "cancelled" ? "muted" : "error";
  return h("span", { class: `badge badge-${kind}` }, words(outcome));
}
