// Redriving: a new job for what ended without a score.

import { api } from "../api.ts";
import { h, replace, setText } from "../dom.ts";
import { integer, words } from "../format.ts";
import type { Redriven, Ticket } from "../model.ts";
import { announce } from "../parts/announce.ts";
import { confirm, openDialog } from "../parts/dialog.ts";
import { toJob } from "../route.ts";
import type { Host } from "../view.ts";

/** Asks, redrives one dead letter, and shows the new job. */
export function redriveOne(id: string, host: Host, stay = false): void {
  confirm({
    title: "Redrive this job?",
    text: "A new job is made for its submission, with the same choices and the rubric's newest version. Doing so again is harmless.",
    act: "Redrive",
    run: async () => {
      const ticket = await api.post<Ticket>(`dead-letters/${id}/redrive`);
      announce("Redriven");
      if (stay) {
        host.refresh();
      } else {
        host.go(toJob(ticket.job_id));
      }
    },
  });
}

export type Filter = Record<string, string>;

/** Asks how many match, and redrives them. */
export function redriveMany(filter: Filter, host: Host): void {
  const request = (dryRun: boolean, perSecond?: number): Promise<Redriven> => {
    const meant = Object.keys(filter).length === 0 ? { all: true } : { filter };
    return api.post<Redriven>("dead-letters/redrive", { ...meant, dryRun, ...(perSecond === undefined ? {} : { perSecond }) });
  };
  const summary = h("div", { role: "status" }, h("p", { class: "muted" }, "Counting what matches …"));
  const rate = h("input", { id: "per-second", class: "input input-short", type: "number", min: "0.01", max: "100000", step: "any", inputmode: "decimal", placeholder: "no limit" });
  const go = h("button", { class: "button button-primary", type: "submit", disabled: true }, "Redrive");
  const error = h("div", { class: "dialog-error", role: "alert" });
  const close = h("button", { class: "button", type: "button", on: { click: () => dialog.close() } }, "Keep as it is");
  const form = h("form", {
    class: "dialog-form",
    novalidate: true,
    on: {
      submit: (event) => {
        event.preventDefault();
        const perSecond = rate.value.trim() === "" ? undefined : Number(rate.value);
        if (perSecond !== undefined && !(perSecond >= 0.01 && perSecond <= 100_000)) {
          replace(error, "A rate is between 0.01 and 100,000 a second.");
          rate.focus();
          return;
        }
        go.disabled = true;
        replace(error);
        request(false, perSecond).then(
          (done) => {
            replace(summary, ...outcome(done));
            setText(close, "Close");
            go.remove();
            announce(`${integer(done.redriven)} redriven`);
            close.focus();
            host.refresh();
          },
          (problem: unknown) => {
            go.disabled = false;
            replace(error, problem instanceof Error ? problem.message : String(problem));
          },
        );
      },
    },
  },
  summary,
  h("div", { class: "field" }, h("label", { for: "per-second", class: "label" }, "New jobs that become due each second"), rate),
  error,
  h("div", { class: "dialog-actions" }, close, go));
  const what = Object.entries(filter).map(([name, value]) => `${name} ${value}`).join(", ");
  const dialog = openDialog(what === "" ? "Redrive all dead letters" : "Redrive what matches", what === "" ? "" : h("p", { class: "muted" }, what), form);
  request(true).then(
    (found) => {
      replace(summary, ...forecast(found));
      go.disabled = found.redriven === 0;
      setText(go, found.redriven === 0 ? "Nothing to redrive" : `Redrive ${integer(found.redriven)}`);
    },
    (problem: unknown) => replace(error, problem instanceof Error ? problem.message : String(problem)),
  );
}

function forecast(found: Redriven): HTMLElement[] {
  return [h("p", {}, h("strong", {}, integer(found.redriven)), ` of ${integer(found.matched)} that match${found.complete ? "" : " so far"} would be redriven.`), ...skips(found)];
}

function outcome(done: Redriven): HTMLElement[] {
  const rest = done.complete ? "" : " There are more: the same again goes on where this ended.";
  return [h("p", {}, h("strong", {}, integer(done.redriven)), ` redriven.${rest}`), ...skips(done)];
}

function skips(answer: Redriven): HTMLElement[] {
  const reasons = Object.entries(answer.skipped);
  return reasons.length === 0 ? [] : [h("p", { class: "muted" }, `Left as they are: ${reasons.map(([reason, count]) => `${integer(count)} ${words(reason)}`).join(", ")}.`)];
}
