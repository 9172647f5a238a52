// What ended without a score, and redriving it.

import { h } from "../dom.ts";
import { integer, NOTHING } from "../format.ts";
import type { DeadLetter, Snapshot } from "../model.ts";
import { outcomeBadge, statusWord } from "../parts/badge.ts";
import { choices, field, form } from "../parts/filters.ts";
import { PagedList } from "../parts/pagedList.ts";
import { empty } from "../parts/states.ts";
import { Table, type Column } from "../parts/table.ts";
import { ago } from "../parts/time.ts";
import { toJob, toList } from "../route.ts";
import type { Host, View } from "../view.ts";
import { changes } from "./changes.ts";
import { rowLink } from "./jobs.ts";
import { redriveMany, redriveOne } from "./redrive.ts";

const ALL = "all";
const OPEN = "";

export function deadLettersView(host: Host, query: URLSearchParams): View {
  const asked = {
    redriven: query.get("redriven") ?? OPEN,
    code: query.get("code") ?? "",
    pool: query.get("pool") ?? "",
    rubric: query.get("rubric") ?? "",
  };
  const mayRedrive = host.caller.role !== "learner";
  const go = (values: Partial<typeof asked>): void => host.go(toList("dead-letters", { ...asked, ...values }));
  const filters = form("Dead letters", (values) => go({ code: values["code"] ?? "", pool: values["pool"] ?? "", rubric: values["rubric"] ?? "" }),
    choices("Redriven", "redriven",
      [{ value: OPEN, label: "Open" }, { value: "true", label: "Redriven" }, { value: ALL, label: "All" }],
      asked.redriven, (redriven) => go({ redriven })),
    field("Code", "code", asked.code, { placeholder: "such as timeout" }),
    field("Pool", "pool", asked.pool),
    field("Rubric", "rubric", asked.rubric),
    h("button", { class: "button", type: "submit" }, "Show"));
  const list = new PagedList<DeadLetter>({
    what: "dead letters",
    path: "dead-letters",
    query: { ...asked, redriven: asked.redriven === OPEN ? "false" : asked.redriven === ALL ? "" : asked.redriven },
    table: new Table("Dead letters, those that ended last first", columns(host), (letter) => letter.job_id),
    empty: () => nothing(asked),
    handled: host.needsToken,
  });
  const changed = changes();
  const filter = Object.fromEntries(Object.entries({ code: asked.code, pool: asked.pool, rubric: asked.rubric }).filter(([, value]) => value !== ""));
  const many = mayRedrive && asked.redriven !== "true"
    ? h("button", { class: "button", type: "button", on: { click: () => redriveMany(filter, host) } },
      Object.keys(filter).length === 0 ? "Redrive all …" : "Redrive what matches …")
    : null;
  return {
    title: "Dead letters",
    element: h("div", {},
      h("header", { class: "view-head" }, h("h1", { tabindex: -1 }, "Dead letters"), h("p", { class: "muted" }, "Jobs that ended without a score."), many),
      filters, list.element),
    refresh: () => list.refresh(),
    onSnapshot: (snapshot: Snapshot) => {
      if (list.isFirst && changed(snapshot)) {
        list.refresh();
      }
    },
    search: () => filters.querySelector<HTMLInputElement>("#filter-code")?.focus(),
    act: (key, row) => {
      const letter = list.items.find((item) => item.job_id === row);
      if (key === "redrive" && letter && letter.redrivenAs === null && mayRedrive) {
        redriveOne(letter.job_id, host, true);
      }
    },
    page: (by) => list.move(by),
    leave: () => list.leave(),
  };
}

function nothing(asked: Record<string, string>): HTMLElement {
  const narrowed = Object.entries(asked).some(([, value]) => value !== "");
  return narrowed
    ? empty("No dead letters match", "Nothing on record fits what is asked for.", h("a", { class: "button", href: toList("dead-letters", {}) }, "Show what is open"))
    : empty("No open dead letters", "Every job that ended has a score, or was redriven.");
}

function columns(host: Host): Column<DeadLetter>[] {
  return [
    { name: "Job", cell: rowLink, key: (letter) => letter.job_id },
    { name: "Cause", cell: (letter) => (letter.cause === null ? NOTHING : outcomeBadge(letter.cause)), key: (letter) => letter.cause ?? "" },
    { name: "Code", cell: (letter) => h("span", { class: "mono small" }, letter.error?.code ?? NOTHING), key: (letter) => letter.error?.code ?? "" },
    {
      name: "Message",
      wide: true,
      fill: true,
      cell: (letter) => h("span", { title: letter.error?.message ?? "" }, letter.error?.message ?? NOTHING),
      key: (letter) => letter.error?.message ?? "",
    },
    { name: "Attempts", numeric: true, wide: true, cell: (letter) => `${integer(letter.attempts)}/${integer(letter.maxAttempts)}`, key: (letter) => String(letter.attempts) },
    { name: "Pool", cell: (letter) => letter.pool, key: (letter) => letter.pool },
    { name: "Ended", cell: (letter) => (letter.completedAt === null ? NOTHING : ago(letter.completedAt)), key: (letter) => letter.completedAt ?? "" },
    {
      name: "Redrive",
      cell: (letter) => successor(letter, host),
      key: (letter) => `${letter.redrivenAs?.job_id ?? ""} ${letter.redrivenAs?.status ?? ""}`,
    },
  ];
}

function successor(letter: DeadLetter, host: Host): HTMLElement | string {
  if (letter.redrivenAs !== null) {
    const status = letter.redrivenAs.status === null ? "gone" : statusWord(letter.redrivenAs.status);
    return h("a", { href: toJob(letter.redrivenAs.job_id) }, `Redriven: ${status}`);
  }
  if (host.caller.role === "learner") {
    return NOTHING;
  }
  return h("button", {
    class: "button button-small", type: "button", "aria-label": `Redrive ${letter.job_id}`,
    on: { click: () => redriveOne(letter.job_id, host, true) },
  }, "Redrive");
}
