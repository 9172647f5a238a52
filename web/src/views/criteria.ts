// The results of the single criteria, as Gradescope's results.json has them. Whatever else a result may be is shown as it is.

import { h } from "../dom.ts";
import { score } from "../format.ts";

interface TestResult {
  readonly name: string;
  readonly score: number;
  readonly max_score: number;
  readonly output: string;
}

function isTest(value: unknown): value is TestResult {
  const test = value as Partial<TestResult> | null;
  return typeof test === "object" && test !== null && typeof test.name === "string" && typeof test.score === "number" &&
    typeof test.max_score === "number" && typeof test.output === "string";
}

function testsOf(result: unknown): TestResult[] | null {
  const tests = typeof result === "object" && result !== null ? (result as { tests?: unknown }).tests : null;
  return Array.isArray(tests) && tests.every(isTest) ? tests : null;
}

/** The results as a section; nothing when there are none. */
export function criteria(result: unknown): HTMLElement | null {
  if (result === null || result === undefined) {
    return null;
  }
  const tests = testsOf(result);
  if (tests !== null && tests.length === 0) {
    return null;
  }
  const content = tests === null
    ? h("pre", { class: "text mono" }, JSON.stringify(result, null, 2))
    : h("ul", { class: "criteria" }, ...tests.map(criterion));
  return h("section", { class: "card", "aria-labelledby": "section-criteria" },
    h("header", { class: "card-head" }, h("h2", { id: "section-criteria" }, "Criteria")), content);
}

function criterion(test: TestResult): HTMLElement {
  const whole = test.score >= test.max_score;
  const points = `${score(test.score)} of ${score(test.max_score)}`;
  return h("li", { class: "criterion" },
    h("div", { class: "criterion-head" }, h("strong", {}, test.name), h("span", { class: whole ? "points" : "points points-lost" }, points)),
    test.max_score > 0 ? h("meter", { class: "meter", min: 0, max: test.max_score, value: test.score, "aria-label": `${test.name}: ${points} points` }) : null,
    test.output === "" ? null : h("p", { class: "muted" }, test.output));
}
