// Numbers and times as people read them.

const INTEGER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const ONE_DIGIT = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const SCORE = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const CLOCK = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const ABSOLUTE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });

/** What stands where there is nothing to say. */
export const NOTHING = "–";

/** 2000 is 2,000. */
export function integer(number: number): string {
  return INTEGER.format(number);
}

/** A rate: 0, 0.4, 12, 1,250. */
export function rate(perSecond: number): string {
  return perSecond > 0 && perSecond < 9.95 ? ONE_DIGIT.format(perSecond) : INTEGER.format(perSecond);
}

/** A score: 87.5. */
export function score(number: number): string {
  return SCORE.format(number);
}

/** How long something takes: 850 ms, 3.2 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. */
export function duration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 1_000) {
    return `${Math.round(ms)} ms`;
  }
  const seconds = ms / 1_000;
  if (seconds < 9.95) {
    return `${seconds.toFixed(1)} s`;
  }
  return coarse(Math.round(seconds), true);
}

/** How long ago: just now, 12 s ago, 3 min ago; or in 5 min. */
export function relative(at: Date, now: Date): string {
  const seconds = Math.round((now.getTime() - at.getTime()) / 1_000);
  if (Math.abs(seconds) < 2) {
    return "just now";
  }
  const words = coarse(Math.abs(seconds), false);
  return seconds > 0 ? `${words} ago` : `in ${words}`;
}

function coarse(seconds: number, withRest: boolean): string {
  const units: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  for (const [index, [size, name]] of units.entries()) {
    const whole = Math.floor(seconds / size);
    if (whole > 0) {
      const next = units[index + 1];
      const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
      return withRest && next && rest > 0 ? `${whole} ${name} ${rest} ${next[1]}` : `${whole} ${name}`;
    }
  }
  return "0 s";
}

/** A moment in full, in the reader's own time zone. */
export function absolute(at: Date): string {
  return ABSOLUTE.format(at);
}

/** The time of day. */
export function clock(at: Date): string {
  return CLOCK.format(at);
}

/** The end of an id, which tells it from those that were drawn at about the same time. */
export function shortId(id: string): string {
  return `…${id.slice(-12)}`;
}

/** `retries_exhausted` in words. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether a text is an id. */
export function isId(text: string): boolean {
  return UUID.test(text);
}
