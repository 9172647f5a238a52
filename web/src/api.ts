// Asking the gateway.

import { token } from "./session.ts";

/** The API's root: beside the page's own folder, wherever a proxy has put both. */
const ROOT = new URL("../api/", document.baseURI);

const TIMEOUT_MS = 15_000;

/** Why there is no answer, or what the gateway's answer says is wrong. */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    /** Of the answer; 0 when there was none. */
    readonly status: number,
    /** Stable, for programs. */
    readonly code: string,
    detail: string,
    /** When to ask again, in milliseconds, if the gateway said so. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(detail);
  }
}

/** By how much the gateway's clock is ahead of ours, in milliseconds, as far as is known. */
let clockAheadMs = 0;

/** Now, by the gateway's clock, so that how long ago something was does not depend on ours. */
export function now(): Date {
  return new Date(Date.now() + clockAheadMs);
}

function noteClock(response: Response): void {
  const date = Date.parse(response.headers.get("date") ?? "");
  if (!Number.isNaN(date)) {
    // It has no fractions of a second: within one, ours is as good.
    const ahead = date + 500 - Date.now();
    clockAheadMs = Math.abs(ahead) < 1_500 ? 0 : ahead;
  }
}

function send(path: string, headers: Headers, init: RequestInit): Promise<Response> {
  const bearer = token();
  if (bearer !== null) {
    headers.set("Authorization", `Bearer ${bearer}`);
  }
  return fetch(new URL(path, ROOT), { ...init, headers, credentials: "omit", cache: "no-store" });
}

async function problemOf(response: Response): Promise<Problem> {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds * 1_000 : null;
  try {
    const body = (await response.json()) as { code?: unknown; detail?: unknown };
    if (typeof body.code === "string" && typeof body.detail === "string") {
      return new Problem(response.status, body.code, body.detail, retryAfter);
    }
  } catch {
    // Whatever answered is not the gateway, or its answer broke off.
  }
  return new Problem(response.status, "unknown", `The server answers ${response.status}.`, retryAfter);
}

/** A failure as a problem. What was called off on purpose stays what it is. */
function unanswered(error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof Problem || signal?.aborted) {
    return error;
  }
  const late = error instanceof DOMException && error.name === "TimeoutError";
  return new Problem(0, "unreachable", late ? "The gateway does not answer in time." : "The gateway cannot be reached.");
}

async function answered(asked: Promise<Response>, signal: AbortSignal | undefined): Promise<Response> {
  try {
    const response = await asked;
    noteClock(response);
    if (!response.ok) {
      throw await problemOf(response);
    }
    return response;
  } catch (error) {
    throw unanswered(error, signal);
  }
}

async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const headers = new Headers({ Accept: "application/json" });
  const init: RequestInit = { method, signal: signal ? AbortSignal.any([signal, limit]) : limit };
  if (body !== undefined) {
    headers.set("Content-Type", "application/json");
    init.body = JSON.stringify(body);
  }
  const response = await answered(send(path, headers, init), signal);
  try {
    return (await response.json()) as T;
  } catch (error) {
    throw unanswered(error, signal);
  }
}

export const api = {
  get: <T>(path: string, signal?: AbortSignal): Promise<T> => ask<T>("GET", path, undefined, signal),
  post: <T>(path: string, body?: unknown): Promise<T> => ask<T>("POST", path, body),
  delete: <T>(path: string): Promise<T> => ask<T>("DELETE", path),

  /** A stream of events. EventSource could not send the token. */
  async stream(path: string, lastId: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers = new Headers({ Accept: "text/event-stream" });
    if (lastId !== "") {
      headers.set("Last-Event-ID", lastId);
    }
    const response = await answered(send(path, headers, { signal }), signal);
    if (response.body === null) {
      throw new Problem(response.status, "unknown", "The server answers without events.");
    }
    return response.body;
  },
};

/** A path with a query, without what is empty. */
export function withQuery(path: string, query: Record<string, string | null | undefined>): string {
  const wanted = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") {
      wanted.set(name, value);
    }
  }
  const text = wanted.toString();
  return text === "" ? path : `${path}?${text}`;
}
