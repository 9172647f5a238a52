// What stands where a list or a job would: while it is awaited, when there is nothing, and when it cannot be had.

import { Problem } from "../api.ts";
import { h } from "../dom.ts";

/** Lines where rows will be. */
export function loading(what: string, lines = 6): HTMLElement {
  const bars = Array.from({ length: lines }, () => h("span", { class: "bar" }));
  return h("div", { class: "loading", role: "status" }, h("span", { class: "visually-hidden" }, `Loading ${what}`), ...bars);
}

/** Nothing to show, and why. */
export function empty(title: string, hint: string, action?: HTMLElement): HTMLElement {
  return h("div", { class: "state" }, h("p", { class: "state-title" }, title), h("p", { class: "muted" }, hint), action);
}

/** It cannot be had, and what can be done. */
export function failed(what: string, error: unknown, again: () => void): HTMLElement {
  const problem = error instanceof Problem ? error : null;
  const detail = problem?.message ?? "The page met a defect of its own; its console says more.";
  const button = h("button", { class: "button", type: "button", on: { click: again } }, "Try again");
  const code = problem && problem.status > 0 ? h("p", { class: "muted small" }, `${problem.status} ${problem.code}`) : null;
  const title = problem?.status === 403 ? `You may not see ${what}` : `Cannot show ${what}`;
  return h("div", { class: "state state-failed", role: "alert" }, h("p", { class: "state-title" }, title), h("p", {}, detail), code,
    problem?.status === 403 ? null : button);
}
