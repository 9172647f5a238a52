// Saying aloud, to those who listen to the page, what changed. Not what changes every second.

import { h } from "../dom.ts";

const region = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });

/** The place from which it is said; belongs on the page once. */
export function announcer(): HTMLElement {
  return region;
}

/** Says something, also when it was said before. */
export function announce(text: string): void {
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
}
