// Jobs by status, with a search.

import { api, Problem, withQuery } from "../api.ts";
import { h } from "../dom.ts";
import { duration, integer, isId, NOTHING, score, shortId } from "../format.ts";
import { STATUSES, type Job, type Page, type Snapshot } from "../model.ts";
import { badge, statusWord } from "../parts/badge.ts";
import { choices, field, form } from "../parts/filters.ts";
import { PagedList } from "../parts/pagedList.ts";
import { empty } from "../parts/states.ts";
import { Table, type Column } from "../parts/table.ts";
import { ago } from "../parts/time.ts";
import { toJob, toList } from "../route.ts";
import type { Host, View } from "../view.ts";
import { changes } from "./changes.ts";

const ALL = "";

export function jobsView(host: Host, query: URLSearchParams): View {
  const asked = {
    status: query.get("status") ?? ALL,
    q: query.get("q") ?? "",
    pool: query.get("pool") ?? "",
    submissionId: query.get("submissionId") ?? "",
    batchId: query.get("batchId") ?? "",
  };
  const search = h("input", {
    type: "search", id: "search", name: "search", class: "input", placeholder: "Job, submission or batch id",
    value: asked.submissionId || asked.batchId || asked.q, autocomplete: "off", spellcheck: "false", "aria-keyshortcuts": "/",
  });
  const go = (values: Partial<typeof asked>): void => host.go(toList("jobs", { ...asked, ...values }));
  const apply = (values: Record<string, string>): void => {
    const text = values["search"] ?? "";
    const others = { pool: values["pool"] ?? "", status: values["status"] ?? ALL };
    if (isId(text)) {
      void find(text.toLowerCase(), host, (found) => go({ ...others, q: "", submissionId: "", batchId: "", ...found }));
    } else {
      go({ ...others, q: text, submissionId: "", batchId: "" });
    }
  };
  const filters = form("Jobs", apply,
    choices("Status", "status", [{ value: ALL, label: "All" }, ...STATUSES.map((status) => ({ value: status, label: statusWord(status) }))],
      asked.status, (status) => go({ status })),
    h("div", { class: "field field-search" }, h("label", { for: "search", class: "label" }, "Search"), search),
    field("Pool", "pool", asked.pool),
    h("button", { class: "button", type: "submit" }, "Show"));
  const list = new PagedList<Job>({
    what: "jobs",
    path: "scoring",
    query: asked,
    table: new Table("Jobs, newest first", COLUMNS, (job) => job.job_id),
    empty: () => nothing(asked),
    handled: host.needsToken,
  });
  const changed = changes();
  return {
    title: "Jobs",
    element: h("div", {}, h("header", { class: "view-head" }, h("h1", { tabindex: -1 }, "Jobs")), filters, list.element),
    refresh: () => list.refresh(),
    onSnapshot: (snapshot: Snapshot) => {
      if (list.isFirst && changed(snapshot)) {
        list.refresh();
      }
    },
    search: () => {
      search.focus();
      search.select();
    },
    page: (by) => list.move(by),
    leave: () => list.leave(),
  };
}

/** An id may be a submission's, a job's or a batch's: the gateway knows. */
async function find(id: string, host: Host, narrow: (found: { submissionId?: string; batchId?: string }) => void): Promise<void> {
  const there = async (path: string): Promise<boolean> => {
    try {
      await api.get(path);
      return true;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) {
        return false;
      }
      throw error;
    }
  };
  try {
    const ofSubmission = await api.get<Page<Job>>(withQuery("scoring", { submissionId: id, limit: "1" }));
    if (ofSubmission.items.length > 0) {
      narrow({ submissionId: id });
    } else if (await there(`scoring/${id}`)) {
      host.go(toJob(id));
    } else if (await there(`scoring/batches/${id}`)) {
      narrow({ batchId: id });
    } else {
      narrow({ submissionId: id });
    }
  } catch (error) {
    host.complain(error);
  }
}

function nothing(asked: Record<string, string>): HTMLElement {
  const narrowed = Object.values(asked).some((value) => value !== "");
  return narrowed
    ? empty("No jobs match", "Nothing on record fits what is asked for.", h("a", { class: "button", href: toList("jobs", {}) }, "Show all jobs"))
    : empty("No jobs yet", "A job is made when somebody asks for a score: POST /api/scoring.");
}

/** How long a job took, or has taken so far. */
export function took(job: Pick<Job, "startedAt" | "completedAt">): string {
  if (job.startedAt === null || job.completedAt === null) {
    return NOTHING;
  }
  return duration(Date.parse(job.completedAt) - Date.parse(job.startedAt));
}

/** The link that stands for a row, by which the keyboard moves. */
export function rowLink(job: Pick<Job, "job_id">): HTMLAnchorElement {
  return h("a", { href: toJob(job.job_id), class: "mono", title: job.job_id, "data-row": job.job_id }, shortId(job.job_id));
}

const COLUMNS: Column<Job>[] = [
  { name: "Job", cell: rowLink, key: (job) => job.job_id },
  { name: "Status", cell: (job) => badge(job.status), key: (job) => job.status },
  { name: "Score", numeric: true, cell: (job) => (job.score === null ? NOTHING : score(job.score)), key: (job) => String(job.score) },
  {
    name: "Why",
    cell: (job) => (job.error === null ? null : h("span", { class: "mono small", title: job.error.message ?? "" }, job.error.code)),
    key: (job) => job.error?.code ?? "",
  },
  { name: "Attempts", numeric: true, wide: true, cell: (job) => integer(job.attempts), key: (job) => String(job.attempts) },
  { name: "Pool", cell: (job) => job.pool, key: (job) => job.pool },
  { name: "Rubric", wide: true, cell: (job) => job.rubric, key: (job) => job.rubric },
  { name: "Priority", numeric: true, wide: true, cell: (job) => integer(job.priority), key: (job) => String(job.priority) },
  { name: "Took", numeric: true, wide: true, cell: took, key: took },
  { name: "Accepted", cell: (job) => ago(job.createdAt), key: (job) => job.createdAt },
];
