// What came in and went out lately, as bars: done below, failed on top; a line for what was accepted.

import { h, s, setAttribute, setText } from "../dom.ts";
import { integer } from "../format.ts";

const HEIGHT = 100;

export interface Series {
  readonly stepSeconds: number;
  readonly accepted: readonly number[];
  readonly done: readonly number[];
  readonly error: readonly number[];
}

/** A chart that is drawn once and then changed. Those who cannot see it have the numbers beside it. */
export class Chart {
  readonly element: HTMLElement;
  readonly #bars: { done: SVGRectElement; error: SVGRectElement }[] = [];
  readonly #line = s("polyline", { class: "chart-line", "vector-effect": "non-scaling-stroke", fill: "none" });
  readonly #top = h("span", { class: "chart-top" });
  readonly #svg: SVGSVGElement;

  constructor(readonly steps: number, small: boolean) {
    this.#svg = s("svg", { viewBox: `0 0 ${steps} ${HEIGHT}`, preserveAspectRatio: "none", class: "chart-plot" });
    if (!small) {
      for (const y of [0, HEIGHT / 2, HEIGHT]) {
        this.#svg.append(s("line", { class: "chart-grid", x1: 0, x2: steps, y1: y, y2: y, "vector-effect": "non-scaling-stroke" }));
      }
    }
    for (let step = 0; step < steps; step += 1) {
      const bar = {
        done: s("rect", { class: "chart-done", x: step + 0.12, width: 0.76, y: HEIGHT, height: 0 }),
        error: s("rect", { class: "chart-error", x: step + 0.12, width: 0.76, y: HEIGHT, height: 0 }),
      };
      this.#bars.push(bar);
      this.#svg.append(bar.done, bar.error);
    }
    this.#svg.append(this.#line);
    this.element = h("div", { class: small ? "chart chart-small" : "chart", "aria-hidden": "true" },
      small ? null : this.#top, this.#svg);
  }

  /** Shows other numbers. */
  show(series: Series): void {
    const highest = Math.max(1, ...series.accepted, ...series.done.map((done, step) => done + (series.error[step] ?? 0)));
    const ceiling = roundUp(highest);
    setText(this.#top, `${integer(ceiling)} in ${series.stepSeconds} s`);
    const height = (jobs: number): number => (jobs / ceiling) * HEIGHT;
    this.#bars.forEach((bar, step) => {
      const done = height(series.done[step] ?? 0);
      const error = height(series.error[step] ?? 0);
      setAttribute(bar.done, "y", (HEIGHT - done).toFixed(2));
      setAttribute(bar.done, "height", done.toFixed(2));
      setAttribute(bar.error, "y", (HEIGHT - done - error).toFixed(2));
      setAttribute(bar.error, "height", error.toFixed(2));
    });
    const points = series.accepted.map((jobs, step) => `${step + 0.5},${(HEIGHT - height(jobs)).toFixed(2)}`);
    setAttribute(this.#line, "points", points.join(" "));
  }
}

/** 1, 2, 5, 10, 20, 50: so that the scale seldom changes, and its half is a number, too. */
export function roundUp(highest: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, highest)));
  for (const factor of [1, 2, 5, 10]) {
    if (highest <= factor * power) {
      return factor * power;
    }
  }
  return highest;
}

/** The sum of several series of equal steps. */
export function sum(all: readonly Series[]): Series {
  const length = Math.max(0, ...all.map((series) => series.done.length));
  const add = (pick: (series: Series) => readonly number[]): number[] =>
    Array.from({ length }, (_, step) => all.reduce((total, series) => total + (pick(series)[step] ?? 0), 0));
  return {
    stepSeconds: all[0]?.stepSeconds ?? 1,
    accepted: add((series) => series.accepted),
    done: add((series) => series.done),
    error: add((series) => series.error),
  };
}
