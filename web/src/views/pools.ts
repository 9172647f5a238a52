// How the pools stand: what waits, what runs, and what came in and went out lately.

import { Chart, sum } from "../parts/chart.ts";
import { h, replace, setAttribute, setText } from "../dom.ts";
import { clock, duration, integer, NOTHING, rate } from "../format.ts";
import type { PoolState, Snapshot } from "../model.ts";
import { loading } from "../parts/states.ts";
import { Table, type Column } from "../parts/table.ts";
import { toList } from "../route.ts";
import type { Host, View } from "../view.ts";

/** A number with its name, changed in place. */
class Tile {
  readonly #value = h("dd", { class: "tile-value" });
  readonly #note = h("dd", { class: "tile-note" });
  readonly #label: HTMLElement;
  readonly element: HTMLElement;

  constructor(name: string, label: string, kind: string) {
    this.#label = h("dt", {}, label);
    this.element = h("div", { class: `tile tile-${kind}`, "data-tile": name }, this.#label, this.#value, this.#note);
  }

  call(label: string): void {
    setText(this.#label, label);
  }

  show(value: string, note: string, alarming = false): void {
    setText(this.#value, value);
    setText(this.#note, note);
    this.element.classList.toggle("tile-alarming", alarming);
  }
}

/** So long may a job wait before the number stands out. */
const LONG_WAIT_SECONDS = 300;

export function poolsView(_host: Host): View {
  const note = h("p", { class: "muted" });
  const warning = h("div", { class: "notice", role: "status", hidden: true });
  const tiles = {
    ready: new Tile("ready", "Ready", "plain"),
    delayed: new Tile("delayed", "Delayed", "plain"),
    running: new Tile("running", "Running", "running"),
    oldest: new Tile("oldest", "Oldest waiting", "plain"),
    done: new Tile("done", "Done", "done"),
    failed: new Tile("failed", "Failed", "error"),
  };
  const chart = new Chart(60, false);
  const legend = {
    accepted: h("span", { class: "legend-value" }),
    done: h("span", { class: "legend-value" }),
    error: h("span", { class: "legend-value" }),
  };
  const small = new Map<string, Chart>();
  const table = new Table<PoolState>("Pools", columns(small), (pool) => pool.pool);
  const body = h("div", { hidden: true },
    h("dl", { class: "tiles" }, ...Object.values(tiles).map((tile) => tile.element)),
    h("section", { class: "card", "aria-labelledby": "throughput" },
      h("header", { class: "card-head" },
        h("h2", { id: "throughput" }, "Throughput"),
        h("ul", { class: "legend" },
          h("li", {}, h("span", { class: "swatch swatch-accepted", "aria-hidden": "true" }), "Accepted ", legend.accepted),
          h("li", {}, h("span", { class: "swatch swatch-done", "aria-hidden": "true" }), "Done ", legend.done),
          h("li", {}, h("span", { class: "swatch swatch-error", "aria-hidden": "true" }), "Failed ", legend.error))),
      chart.element,
      h("div", { class: "chart-axis muted small", "aria-hidden": "true" }, h("span", {}, "5 min ago"), h("span", {}, "now"))),
    h("section", { class: "card", "aria-labelledby": "by-pool" }, h("header", { class: "card-head" }, h("h2", { id: "by-pool" }, "By pool")), table.element));
  const waiting = loading("the pools", 4);
  const element = h("div", {}, h("header", { class: "view-head" }, h("h1", { tabindex: -1 }, "Pools"), note), warning, waiting, body);

  const show = (snapshot: Snapshot): void => {
    waiting.remove();
    body.hidden = false;
    const since = clock(new Date(snapshot.since));
    setText(note, snapshot.scope === "tenant" ? `Jobs of your tenant. Done and failed since ${since}.` : `Done and failed since ${since}.`);
    showWarning(warning, snapshot);
    const { pools } = snapshot;
    const of = (pick: (pool: PoolState) => number): number => pools.reduce((all, pool) => all + pick(pool), 0);
    const queued = pools.every((pool) => pool.active !== null)
      ? integer(of((pool) => pool.active?.queued ?? 0)) + (pools.some((pool) => pool.active?.atLeast) ? "+" : "")
      : NOTHING;
    // What is not for one to see leaves no gap.
    tiles.delayed.element.hidden = snapshot.queue === "not_shown";
    tiles.oldest.element.hidden = snapshot.queue === "not_shown";
    tiles.ready.call(snapshot.queue === "known" ? "Ready" : "Queued");
    if (snapshot.queue === "known") {
      tiles.ready.show(integer(of((pool) => pool.queue?.ready ?? 0)), "could be taken now");
      tiles.delayed.show(integer(of((pool) => pool.queue?.delayed ?? 0)), "wait for their time");
      tiles.running.show(integer(of((pool) => pool.queue?.leased ?? 0)), "held by scorers");
      const oldest = Math.max(-1, ...pools.map((pool) => pool.queue?.oldestReadySeconds ?? -1));
      tiles.oldest.show(oldest < 0 ? NOTHING : duration(oldest * 1_000), oldest < 0 ? "nothing waits" : "since it was accepted", oldest > LONG_WAIT_SECONDS);
    } else {
      const running = pools.every((pool) => pool.active !== null) ? integer(of((pool) => pool.active?.running ?? 0)) : NOTHING;
      tiles.ready.show(queued, "by the record");
      tiles.delayed.show(NOTHING, "not known");
      tiles.running.show(running, "by the record");
      tiles.oldest.show(NOTHING, "not known");
    }
    tiles.done.show(integer(of((pool) => pool.counts.done)), `${rate(of((pool) => pool.perSecond.done))} a second`);
    const failed = of((pool) => pool.counts.error);
    tiles.failed.show(integer(failed), `${rate(of((pool) => pool.perSecond.error))} a second`, failed > 0);
    setText(legend.accepted, `${rate(of((pool) => pool.perSecond.accepted))}/s`);
    setText(legend.done, `${rate(of((pool) => pool.perSecond.done))}/s`);
    setText(legend.error, `${rate(of((pool) => pool.perSecond.error))}/s`);
    chart.show(sum(pools.map((pool) => pool.series)));
    table.show(pools);
    for (const pool of pools) {
      small.get(pool.pool)?.show(pool.series);
    }
  };
  return { title: "Pools", element, refresh: () => undefined, onSnapshot: show, leave: () => undefined };
}

function columns(charts: Map<string, Chart>): Column<PoolState>[] {
  const number = (name: string, text: (pool: PoolState) => string, wide = false): Column<PoolState> => ({
    name, numeric: true, wide, cell: text, key: text,
  });
  const queued = (pick: (queue: NonNullable<PoolState["queue"]>) => number) => (pool: PoolState): string =>
    pool.queue === null ? NOTHING : integer(pick(pool.queue));
  return [
    {
      name: "Pool",
      cell: (pool) => h("a", { href: toList("jobs", { pool: pool.pool }), "data-row": pool.pool }, pool.pool),
      key: (pool) => pool.pool,
    },
    number("Ready", (pool) => pool.queue === null && pool.active !== null ? integer(pool.active.queued) : queued((queue) => queue.ready)(pool)),
    number("Delayed", queued((queue) => queue.delayed)),
    number("Running", (pool) => pool.queue === null && pool.active !== null ? integer(pool.active.running) : queued((queue) => queue.leased)(pool)),
    number("Oldest", (pool) => {
      const seconds = pool.queue?.oldestReadySeconds ?? null;
      return seconds === null ? NOTHING : duration(seconds * 1_000);
    }),
    number("Accepted/s", (pool) => rate(pool.perSecond.accepted), true),
    number("Done/s", (pool) => rate(pool.perSecond.done)),
    number("Failed/s", (pool) => rate(pool.perSecond.error)),
    number("Done", (pool) => integer(pool.counts.done), true),
    number("Failed", (pool) => integer(pool.counts.error), true),
    {
      name: "5 minutes",
      wide: true,
      cell: (pool) => {
        const chart = new Chart(60, true);
        charts.set(pool.pool, chart);
        return chart.element;
      },
      key: (pool) => pool.pool,
    },
  ];
}

function showWarning(warning: HTMLElement, snapshot: Snapshot): void {
  const texts: string[] = [];
  if (snapshot.queue === "away") {
    texts.push("Redis does not answer: what waits and runs is shown by the record in Postgres. Jobs are accepted all the same.");
  } else if (snapshot.queue === "not_configured") {
    texts.push("This gateway does not know where Redis is (ASSAY_REDIS_URL), so queues are not shown: only what the record says.");
  }
  if (snapshot.database === "away") {
    texts.push("Postgres does not answer: done and failed are those of before, and nothing is accepted.");
  }
  if (texts.join(" ") !== warning.textContent) {
    replace(warning, texts.join(" "));
  }
  setAttribute(warning, "hidden", texts.length === 0 ? "" : null);
}
