// The queue page: what goes on in Assay, and what to do about what failed.

import { api, Problem } from "./api.ts";
import { h, replace } from "./dom.ts";
import { focusedRow, listen, moveRow, type Keys } from "./keyboard.ts";
import { LiveStream, type LiveState } from "./live.ts";
import type { Caller, Snapshot } from "./model.ts";
import { announce } from "./parts/announce.ts";
import { openDialog } from "./parts/dialog.ts";
import { failed, loading } from "./parts/states.ts";
import { keepTimes } from "./parts/time.ts";
import { parseRoute, type Route } from "./route.ts";
import { forgetToken, token } from "./session.ts";
import { Shell } from "./shell.ts";
import type { Host, View } from "./view.ts";
import { deadLettersView } from "./views/deadLetters.ts";
import { jobView } from "./views/job.ts";
import { jobsView } from "./views/jobs.ts";
import { poolsView } from "./views/pools.ts";
import { signIn } from "./views/signIn.ts";

/** Whoever may not see the pools is not told when something changes, so the page looks by itself. */
const LOOK_EVERY_MS = 5_000;

/** A tab that nobody looks at keeps the connection for this long. */
const HIDDEN_FOR_MS = 60_000;

const ALL_VIEWS = [
  { name: "pools", href: "#/pools", text: "Pools" },
  { name: "jobs", href: "#/jobs", text: "Jobs" },
  { name: "dead-letters", href: "#/dead-letters", text: "Dead letters" },
];

class Page {
  readonly #shell = new Shell({ help: () => this.#help(), signOut: () => this.#signOut() });
  #caller: Caller | null = null;
  #view: View | null = null;
  #snapshot: Snapshot | null = null;
  #hiddenTimer = 0;
  readonly #live = new LiveStream({
    path: "pools/events",
    staleAfterMs: 5_000,
    lostAfterMs: 30_000,
    onEvent: (event) => {
      if (event.event === "pools") {
        this.#snapshot = JSON.parse(event.data) as Snapshot;
        this.#view?.onSnapshot?.(this.#snapshot);
      }
    },
    onState: (state) => this.#onLive(state),
    onRefused: (problem) => void this.#needsToken(problem),
  });

  start(): void {
    listen(() => this.#keys());
    keepTimes();
    addEventListener("hashchange", () => this.#show(true));
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    setInterval(() => {
      if (this.#caller?.role === "learner" && !document.hidden) {
        this.#view?.refresh();
      }
    }, LOOK_EVERY_MS);
    void this.#enter();
  }

  /** Learns who one is, and shows what that one may see. */
  async #enter(): Promise<void> {
    this.#shell.showLive("connecting");
    replace(this.#shell.main, loading("the page"));
    try {
      this.#caller = await api.get<Caller>("caller");
    } catch (error) {
      if (!this.#needsToken(error)) {
        replace(this.#shell.main, h("h1", { tabindex: -1 }, "Assay"), failed("the page", error, () => void this.#enter()));
        this.#shell.showLive("stopped");
      }
      return;
    }
    this.#shell.offer(ALL_VIEWS.filter((view) => this.#mayOpen(view.name)));
    this.#shell.showCaller(this.#caller, token() !== null);
    if (this.#caller.role === "learner") {
      this.#shell.showLive("live");
    } else {
      this.#live.start();
    }
    this.#show(false);
  }

  #mayOpen(view: string): boolean {
    return this.#caller?.role !== "learner" || (view !== "pools" && view !== "dead-letters");
  }

  #show(moved: boolean): void {
    if (this.#caller === null) {
      return;
    }
    let route = parseRoute(location.hash);
    if (route.view === "pools" && !this.#mayOpen("pools")) {
      route = { view: "jobs", query: new URLSearchParams() };
    }
    const previous = this.#view?.title;
    this.#view?.leave();
    this.#view = this.#build(route, this.#host(this.#caller));
    const nav = route.view === "job" ? "jobs" : route.view;
    this.#shell.mark(nav);
    document.title = `${this.#view.title} · Assay`;
    replace(this.#shell.main, this.#view.element);
    // Another filter of the same list leaves the focus in the form; another view begins at its heading.
    if (moved && previous !== this.#view.title) {
      this.#shell.focusHeading();
    } else if (moved) {
      this.#restoreFocus();
    }
    this.#view.refresh();
    if (this.#snapshot !== null) {
      this.#view.onSnapshot?.(this.#snapshot);
    }
  }

  #restoreFocus(): void {
    const chosen = this.#shell.main.querySelector<HTMLElement>(".choices input:checked");
    const focus = this.#lastField === null ? chosen : this.#shell.main.querySelector<HTMLElement>(`#${CSS.escape(this.#lastField)}`);
    (focus ?? chosen ?? this.#shell.main.querySelector<HTMLElement>("h1"))?.focus({ preventScroll: true });
  }

  #lastField: string | null = null;

  #build(route: Route, host: Host): View {
    switch (route.view) {
      case "pools":
        return poolsView(host);
      case "jobs":
        return jobsView(host, route.query);
      case "job":
        return jobView(host, route.id);
      case "dead-letters":
        return deadLettersView(host, route.query);
      case "nowhere":
        return {
          title: "Nothing here",
          element: h("div", { class: "state" }, h("h1", { tabindex: -1 }, "Nothing here"), h("p", { class: "muted" }, "This address leads nowhere in the page."),
            h("a", { href: "#/", class: "button" }, "Back to the start")),
          refresh: () => undefined,
          leave: () => undefined,
        };
    }
  }

  #host(caller: Caller): Host {
    return {
      caller,
      go: (hash, options) => {
        this.#lastField = document.activeElement?.id || null;
        if (location.hash === hash) {
          this.#view?.refresh();
        } else if (options?.replace) {
          history.replaceState(null, "", hash);
          this.#show(true);
        } else {
          location.hash = hash;
        }
      },
      refresh: () => this.#view?.refresh(),
      complain: (error) => {
        if (!this.#needsToken(error)) {
          openDialog("That did not work", h("p", {}, error instanceof Error ? error.message : String(error)));
        }
      },
      needsToken: (error) => this.#needsToken(error),
    };
  }

  /** Asks for a token if that is what is missing. */
  #needsToken(error: unknown): boolean {
    if (!(error instanceof Problem) || error.status !== 401) {
      return false;
    }
    const reason = token() === null ? null : `The gateway did not take the token: ${error.message}`;
    this.#askForToken(reason);
    return true;
  }

  #askForToken(reason: string | null): void {
    forgetToken();
    this.#live.stop();
    this.#view?.leave();
    this.#view = null;
    this.#caller = null;
    this.#snapshot = null;
    this.#shell.showLive(null);
    this.#shell.offer([]);
    this.#shell.showCaller(null, false);
    document.title = "Sign in · Assay";
    for (const dialog of document.querySelectorAll("dialog")) {
      dialog.close();
    }
    replace(this.#shell.main, signIn(reason, () => void this.#enter()));
    this.#shell.main.querySelector<HTMLElement>("#token")?.focus();
  }

  #signOut(): void {
    this.#askForToken("You are signed out: the token is forgotten.");
  }

  #onLive(state: LiveState): void {
    this.#shell.showLive(state);
    if (state === "reconnecting") {
      announce("The connection was lost. Reconnecting.");
    } else if (state === "live" && this.#wasLost) {
      announce("Connected again");
      // Whatever happened meanwhile was not seen.
      this.#view?.refresh();
    }
    this.#wasLost = state === "reconnecting" || (this.#wasLost && state !== "live");
  }

  #wasLost = false;

  #onVisibility(): void {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) {
      this.#hiddenTimer = setTimeout(() => this.#live.stop(), HIDDEN_FOR_MS);
    } else if (this.#caller !== null && this.#caller.role !== "learner" && this.#live.state === "stopped") {
      this.#live.start();
      this.#view?.refresh();
    }
  }

  #keys(): Keys {
    const to = (hash: string) => (): void => {
      location.hash = hash;
    };
    const open = this.#caller !== null;
    return {
      ...(open && this.#mayOpen("pools") ? { "g p": { does: "Pools", run: to("#/pools") } } : {}),
      ...(open ? { "g j": { does: "Jobs", run: to("#/jobs") } } : {}),
      ...(open && this.#mayOpen("dead-letters") ? { "g d": { does: "Dead letters", run: to("#/dead-letters") } } : {}),
      j: { does: "Next row (Enter opens it)", run: () => moveRow(1) },
      k: { does: "Previous row", run: () => moveRow(-1) },
      "]": { does: "Older page", run: () => this.#view?.page?.(1) },
      "[": { does: "Newer page", run: () => this.#view?.page?.(-1) },
      "/": { does: "Search", run: () => this.#view?.search?.() },
      r: { does: "Redrive the row, or the job that is shown", run: () => this.#view?.act?.("redrive", focusedRow()) },
      c: { does: "Cancel the job that is shown", run: () => this.#view?.act?.("cancel", focusedRow()) },
      t: { does: "Light, dark, or as the system has it", run: () => this.#shell.nextTheme() },
      "?": { does: "This list", run: () => this.#help() },
    };
  }

  #help(): void {
    const rows = Object.entries(this.#keys()).map(([keys, { does }]) =>
      h("tr", {}, h("th", { scope: "row" }, ...keys.split(" ").map((key) => h("kbd", {}, key))), h("td", {}, does)));
    openDialog("Keyboard shortcuts", h("table", { class: "table table-keys" },
      h("caption", { class: "visually-hidden" }, "Keys and what they do"),
      h("thead", { class: "visually-hidden" }, h("tr", {}, h("th", { scope: "col" }, "Keys"), h("th", { scope: "col" }, "What they do"))),
      h("tbody", {}, ...rows, h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, "Esc")), h("td", {}, "Close a dialog")))));
  }
}

new Page().start();
