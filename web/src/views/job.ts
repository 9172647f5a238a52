// One job: how it stands, what was said about it, and how it came to that.

import { api, Problem } from "../api.ts";
import { h, replace, type Child } from "../dom.ts";
import { duration, integer, NOTHING, score, words } from "../format.ts";
import type { Attempt, Course, JobDetail, Snapshot, Ticket } from "../model.ts";
import { announce } from "../parts/announce.ts";
import { badge, outcomeBadge, statusWord } from "../parts/badge.ts";
import { confirm } from "../parts/dialog.ts";
import { failed, loading } from "../parts/states.ts";
import { ago } from "../parts/time.ts";
import { toJob, toList } from "../route.ts";
import type { Host, View } from "../view.ts";
import { changes } from "./changes.ts";
import { criteria } from "./criteria.ts";
import { redriveOne } from "./redrive.ts";
import { timeline } from "./timeline.ts";
import { took } from "./jobs.ts";

export function jobView(host: Host, id: string): View {
  const place = h("div", {}, loading("the job", 8));
  const heading = h("h1", { tabindex: -1 }, "Job ", h("span", { class: "mono" }, id));
  const element = h("div", {}, h("header", { class: "view-head" }, heading), place);
  const changed = changes();
  const shown: { job: JobDetail | null; text: string } = { job: null, text: "" };
  let reading: AbortController | null = null;

  const read = async (): Promise<void> => {
    reading?.abort();
    const own = new AbortController();
    reading = own;
    const path = `scoring/${encodeURIComponent(id)}`;
    try {
      const [job, course] = await Promise.all([
        api.get<JobDetail>(path, own.signal),
        api.get<Course>(`${path}/attempts`, own.signal),
      ]);
      const text = JSON.stringify([job, course]);
      if (text !== shown.text) {
        if (shown.job !== null && shown.job.status !== job.status) {
          announce(`The job is now ${statusWord(job.status).toLowerCase()}`);
        }
        shown.job = job;
        shown.text = text;
        const focused = document.activeElement?.getAttribute("data-act");
        replace(place, ...content(job, course, host));
        place.querySelector<HTMLElement>(`[data-act="${focused ?? ""}"]`)?.focus();
      }
    } catch (error) {
      if (!own.signal.aborted && !host.needsToken(error)) {
        shown.text = "";
        const unknown = error instanceof Problem && (error.status === 404 || error.code === "invalid_id");
        replace(place, unknown ? missing() : failed("the job", error, () => void read()));
      }
    }
  };
  return {
    title: "Job",
    element,
    refresh: () => void read(),
    onSnapshot: (snapshot: Snapshot) => {
      if (shown.job?.completedAt === null && changed(snapshot)) {
        void read();
      }
    },
    act: (key) => {
      if (shown.job !== null) {
        act(key, shown.job, host);
      }
    },
    leave: () => reading?.abort(),
  };
}

function missing(): HTMLElement {
  return h("div", { class: "state", role: "status" }, h("p", { class: "state-title" }, "There is no such job"),
    h("p", { class: "muted" }, "It may belong to somebody else, or its history was deleted."),
    h("a", { class: "button", href: toList("jobs", {}) }, "All jobs"));
}

function act(key: "redrive" | "cancel", job: JobDetail, host: Host): void {
  if (key === "redrive" && job.status === "ERROR" && host.caller.role !== "learner") {
    redriveOne(job.job_id, host);
  } else if (key === "cancel" && job.completedAt === null) {
    cancel(job, host);
  }
}

function cancel(job: JobDetail, host: Host): void {
  confirm({
    title: "Cancel this job?",
    text: "It ends without a score. An attempt that is running is stopped. Scoring the submission again takes a new job.",
    act: "Cancel the job",
    danger: true,
    run: async () => {
      await api.delete(`scoring/${job.job_id}`);
      announce("The job was cancelled");
      host.refresh();
    },
  });
}

function again(job: JobDetail, host: Host): void {
  confirm({
    title: "Score the submission again?",
    text: "A new job is made with the same choices and the rubric's newest version. This one stays as it is.",
    act: "Score again",
    run: async () => {
      const ticket = await api.post<Ticket>(`scoring/${job.job_id}/retry`);
      host.go(toJob(ticket.job_id));
    },
  });
}

function content(job: JobDetail, course: Course, host: Host): Child[] {
  const button = (name: string, text: string, kind: string, run: () => void): HTMLElement =>
    h("button", { class: `button ${kind}`, type: "button", "data-act": name, on: { click: run } }, text);
  const ended = job.completedAt !== null;
  const mayRedrive = job.status === "ERROR" && host.caller.role !== "learner";
  return [
    h("div", { class: "job-head card" },
      h("div", { class: "job-state" }, badge(job.status),
        job.score === null ? null : h("p", { class: "job-score" }, h("strong", {}, score(job.score)), h("span", { class: "muted" }, " of 100"))),
      h("div", { class: "actions" },
        mayRedrive ? button("redrive", "Redrive", "button-primary", () => redriveOne(job.job_id, host)) : null,
        ended ? button("again", "Score again", "", () => again(job, host)) : button("cancel", "Cancel", "button-danger", () => cancel(job, host)))),
    job.error === null ? null : section("why", ended ? "Why it has no score" : "Why its last attempt failed", [
      h("p", {}, h("code", { class: "code" }, job.error.code)),
      h("pre", { class: "text" }, job.error.message ?? "Nothing else is known."),
    ]),
    job.feedback === null || job.error !== null ? null : section("feedback", "Feedback", [h("pre", { class: "text" }, job.feedback)]),
    criteria(job.result),
    h("div", { class: "columns" },
      section("timeline", "Timeline", [timeline(job, course)]),
      section("facts", "Facts", [facts(job, course)])),
    section("attempts", "Attempts", [attempts(course.attempts)]),
  ];
}

function section(id: string, title: string, children: Child[]): HTMLElement {
  return h("section", { class: "card", "aria-labelledby": `section-${id}` },
    h("header", { class: "card-head" }, h("h2", { id: `section-${id}` }, title)), ...children);
}

function facts(job: JobDetail, course: Course): HTMLElement {
  const link = (href: string, text: string): HTMLElement => h("a", { href, class: "mono" }, text);
  const rows: [string, Child][] = [
    ["Submission", link(toList("jobs", { submissionId: job.submissionId }), job.submissionId)],
    ["Batch", course.batchId === null ? null : link(toList("jobs", { batchId: course.batchId }), course.batchId)],
    ["Tenant", course.tenant],
    ["Pool", h("a", { href: toList("jobs", { pool: job.pool }) }, job.pool)],
    ["Priority", integer(job.priority)],
    ["Rubric", h("span", {}, `${job.rubric} `, h("span", { class: "muted mono small" }, job.rubricVersion))],
    ["Attempts", `${integer(job.attempts)} of ${integer(course.maxAttempts)}`],
    ["Time limit", duration(course.timeoutSeconds * 1_000)],
    ["Scorer", course.scorer === null ? null : h("span", { class: "mono" }, course.scorer)],
    ["Not before", course.notBefore === null ? null : ago(course.notBefore)],
    ["Held back", course.suspended ? "yes, by a person" : null],
    ["Took", job.startedAt === null ? null : took(job)],
    ["Trace", course.traceId === null ? null : h("span", { class: "mono" }, course.traceId)],
  ];
  return h("dl", { class: "facts" }, ...rows.filter(([, value]) => value !== null).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function attempts(all: readonly Attempt[]): HTMLElement {
  if (all.length === 0) {
    return h("p", { class: "muted pad" }, "None has ended yet.");
  }
  const head = ["Attempt", "Outcome", "Scorer", "Began", "Took", "Message"].map((name) => h("th", { scope: "col" }, name));
  const rows = all.map((attempt) => h("tr", {},
    h("th", { scope: "row" }, integer(attempt.attempt)),
    h("td", {}, outcomeBadge(attempt.outcome)),
    h("td", { class: "mono" }, attempt.scorer),
    h("td", {}, ago(attempt.startedAt)),
    h("td", {}, duration(Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt))),
    h("td", { class: "message" }, attempt.errorCode === null ? null : h("span", { class: "mono small" }, `${words(attempt.errorCode)}: `), attempt.message ?? NOTHING)));
  return h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Table of attempts" },
    h("table", { class: "table" }, h("caption", { class: "visually-hidden" }, "Attempts that have ended"), h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
}
