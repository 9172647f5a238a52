// What stands around every view: where one can go, whether what one sees is live, and who one is.

import { h, replace, s, setAttribute, setText } from "./dom.ts";
import type { LiveState } from "./live.ts";
import type { Caller } from "./model.ts";
import { announcer } from "./parts/announce.ts";
import { chooseTheme, chosenTheme, THEMES } from "./theme.ts";

const STATES: Record<LiveState, { word: string; title: string }> = {
  connecting: { word: "Connecting", title: "Asking the gateway for what goes on" },
  live: { word: "Live", title: "Changes are shown as they happen" },
  reconnecting: { word: "Reconnecting", title: "The connection was lost: numbers may be out of date" },
  stale: { word: "Stale", title: "Connected, but nothing has been heard for a while" },
  stopped: { word: "Paused", title: "Changes are not shown by themselves" },
};

export interface ShellActions {
  readonly help: () => void;
  readonly signOut: () => void;
}

/** What stands around every view. */
export class Shell {
  readonly main = h("main", { id: "main", class: "main" });
  readonly #nav = h("nav", { "aria-label": "Views", class: "nav" });
  readonly #state = h("span", { class: "live", "data-state": "connecting" });
  readonly #stateWord = h("span", {});
  readonly #caller = h("div", { class: "caller" });
  readonly #theme = h("button", { class: "icon-button", type: "button" });
  readonly #links = new Map<string, HTMLAnchorElement>();
  readonly #actions: ShellActions;

  constructor(actions: ShellActions) {
    this.#actions = actions;
    const skip = h("a", { href: "#main", class: "skip", on: { click: (event) => {
      event.preventDefault();
      this.focusHeading();
    } } }, "Skip to content");
    const logo = s("svg", { viewBox: "0 0 32 32", class: "logo", "aria-hidden": "true" },
      s("rect", { width: 32, height: 32, rx: 8 }), s("path", { d: "M8 23 16 8l8 15M11 18h10" }));
    replace(this.#state, h("span", { class: "live-dot", "aria-hidden": "true" }), this.#stateWord);
    const help = h("button", { class: "icon-button", type: "button", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)", "aria-keyshortcuts": "?",
      on: { click: () => actions.help() } }, "?");
    this.#theme.addEventListener("click", () => this.nextTheme());
    this.#showTheme();
    const header = h("header", { class: "top" },
      h("a", { href: "#/pools", class: "brand" }, logo, "Assay"), this.#nav,
      h("div", { class: "top-end" }, this.#state, this.#theme, help, this.#caller));
    document.body.replaceChildren(skip, header, this.main, announcer());
  }

  /** Offers these views. */
  offer(views: readonly { readonly name: string; readonly href: string; readonly text: string }[]): void {
    this.#links.clear();
    for (const view of views) {
      this.#links.set(view.name, h("a", { href: view.href }, view.text));
    }
    replace(this.#nav, ...this.#links.values());
  }

  /** Says which of them one is in. */
  mark(name: string): void {
    for (const [view, link] of this.#links) {
      setAttribute(link, "aria-current", view === name ? "page" : null);
    }
  }

  /** Says who one is. */
  showCaller(caller: Caller | null, canSignOut: boolean): void {
    replace(this.#caller,
      caller === null || !canSignOut ? null : h("span", { class: "caller-name", title: `${caller.subject}, ${caller.role} of ${caller.tenant}` }, caller.subject),
      canSignOut ? h("button", { class: "button button-small", type: "button", on: { click: () => this.#actions.signOut() } }, "Sign out") : null);
  }

  /** Says whether what one sees is live; nothing where one sees nothing yet. */
  showLive(state: LiveState | null): void {
    this.#state.hidden = state === null;
    if (state === null) {
      return;
    }
    setAttribute(this.#state, "data-state", state);
    setAttribute(this.#state, "title", STATES[state].title);
    setText(this.#stateWord, STATES[state].word);
  }

  /** Goes from one theme to the next. */
  nextTheme(): void {
    const next = THEMES[(THEMES.indexOf(chosenTheme()) + 1) % THEMES.length] ?? "auto";
    chooseTheme(next);
    this.#showTheme();
  }

  #showTheme(): void {
    const theme = chosenTheme();
    chooseTheme(theme);
    setText(this.#theme, { auto: "◐", light: "☀", dark: "☾" }[theme]);
    const text = `Theme: ${theme === "auto" ? "as the system has it" : theme}`;
    setAttribute(this.#theme, "aria-label", text);
    setAttribute(this.#theme, "title", `${text} (t)`);
  }

  /** Puts the focus on the heading of the view, from where one reads on. */
  focusHeading(): void {
    this.main.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }
}
