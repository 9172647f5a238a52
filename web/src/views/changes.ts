// When a list is worth reading anew.

import type { Snapshot } from "../model.ts";

/** Not more often than this, in milliseconds. */
const LEAST_PAUSE_MS = 2_000;

/** Tells by the pools' numbers whether jobs came, began or ended since it last said so. */
export function changes(): (snapshot: Snapshot) => boolean {
  let known = "";
  let at = performance.now();
  return (snapshot) => {
    const numbers = snapshot.pools.map((pool) =>
      [pool.pool, pool.queue?.leased, pool.queue?.ready, pool.queue?.delayed, pool.active?.queued, pool.active?.running,
        ...pool.series.accepted.slice(-3), ...pool.series.done.slice(-3), ...pool.series.error.slice(-3)].join());
    const text = numbers.join(";");
    const first = known === "";
    if (text === known || performance.now() - at < LEAST_PAUSE_MS) {
      return false;
    }
    known = text;
    at = performance.now();
    return !first;
  };
}
