// What happened to a job, in the order in which it did.

import { h } from "../dom.ts";
import { absolute, clock, duration, words } from "../format.ts";
import type { Course, JobDetail } from "../model.ts";
import { toJob } from "../route.ts";

export interface Moment {
  readonly at: string;
  readonly what: string;
  readonly kind: "plain" | "running" | "done" | "error";
  readonly detail?: string;
  readonly job?: string;
}

const ACTIONS: Record<string, string> = { cancel: "Cancelled", redrive: "Redriven", regrade: "Scored again" };

/** The moments that are on record, the first one first. */
export function moments(job: JobDetail, course: Course): Moment[] {
  const all: Moment[] = [{ at: job.createdAt, what: "Accepted", kind: "plain" }];
  for (const attempt of course.attempts) {
    const number = `Attempt ${attempt.attempt}`;
    const good = attempt.outcome === "done";
    all.push({ at: attempt.startedAt, what: `${number} began`, kind: "running", detail: attempt.scorer });
    all.push({ at: attempt.endedAt, what: `${number}: ${words(attempt.outcome)}`, kind: good ? "done" : attempt.outcome === "released" ? "plain" : "error",
      ...(attempt.message === null ? {} : { detail: attempt.message }) });
  }
  if (job.status === "RUNNING" && job.startedAt !== null) {
    all.push({ at: job.startedAt, what: `Attempt ${job.attempts} began`, kind: "running", ...(course.scorer === null ? {} : { detail: course.scorer }) });
  }
  for (const action of course.actions) {
    all.push({ at: action.at, what: `${ACTIONS[action.action] ?? action.action} by ${action.by}`, kind: action.action === "cancel" ? "error" : "plain",
      ...(action.reason === null ? {} : { detail: action.reason }), ...(action.newJobId === null ? {} : { job: action.newJobId }) });
  }
  if (job.completedAt !== null) {
    all.push({ at: job.completedAt, what: job.status === "DONE" ? "Done" : "Ended without a score", kind: job.status === "DONE" ? "done" : "error" });
  }
  // What happened at the same moment stays in the order of above, which is the order of causes.
  return all.map((moment, order) => ({ moment, order }))
    .sort((a, b) => Date.parse(a.moment.at) - Date.parse(b.moment.at) || a.order - b.order)
    .map(({ moment }) => moment);
}

/** The moments as a list. */
export function timeline(job: JobDetail, course: Course): HTMLElement {
  const begin = Date.parse(job.createdAt);
  return h("ol", { class: "timeline" }, ...moments(job, course).map((moment) => {
    const date = new Date(moment.at);
    const later = date.getTime() - begin;
    return h("li", { class: `moment moment-${moment.kind}` },
      h("time", { datetime: moment.at, title: absolute(date), class: "moment-time muted" }, clock(date), h("span", { class: "small" }, later > 0 ? ` +${duration(later)}` : "")),
      h("span", { class: "moment-what" }, moment.what, moment.job === undefined ? null : " as ",
        moment.job === undefined ? null : h("a", { href: toJob(moment.job), class: "mono" }, moment.job)),
      moment.detail === undefined ? null : h("span", { class: "moment-detail muted" }, moment.detail));
  }));
}
