// Times: how long ago, with the moment itself at hand.

import { now } from "../api.ts";
import { h, setText } from "../dom.ts";
import { absolute, relative } from "../format.ts";

/** How long ago something was; keeps up by itself. */
export function ago(at: string): HTMLTimeElement {
  const date = new Date(at);
  return h("time", { datetime: at, title: absolute(date), "data-ago": true }, relative(date, now()));
}

/** Keeps all of them up to date. */
export function keepTimes(): void {
  setInterval(() => {
    const moment = now();
    for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-ago]")) {
      setText(time, relative(new Date(time.dateTime), moment));
    }
  }, 1_000);
}
