// Whatever stands in what people submit, it is shown as the text that it is.

import assert from "node:assert/strict";

import { score, submit } from "./client.ts";
import { GATEWAY, open, run, withPage } from "./harness.ts";

const HOSTILE = `<img src=x onerror="document.title='owned'"><script>alert(1)</script>"'\`}}{{7*7}}<svg onload=alert(2)>`;

/** The same value with every text replaced, but for those by which the page goes. */
function poisoned(value: unknown, name = ""): unknown {
  if (typeof value === "string") {
    const kept = ["job_id", "status", "submissionId", "batchId"].includes(name) || /At$|Before$/.test(name) || name === "at";
    return kept ? value : HOSTILE;
  }
  if (Array.isArray(value)) {
    return value.map((item) => poisoned(item));
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, poisoned(item, key)]));
  }
  return value;
}

run(() => withPage(async ({ page, picture, expectInConsole }) => {
  const id = await score(await submit(1));
  const failure = { code: HOSTILE, message: HOSTILE };
  await page.route(`${GATEWAY}/api/**`, async (route) => {
    const url = route.request().url();
    if (!/\/api\/(scoring|dead-letters)/.test(url)) {
      await route.continue();
      return;
    }
    const response = await route.fetch();
    const body = poisoned(await response.json()) as Record<string, unknown>;
    if (url.endsWith(`/${id}`)) {
      Object.assign(body, { feedback: HOSTILE, result: { tests: [{ name: HOSTILE, score: 1, max_score: 2, output: HOSTILE }] } });
    }
    if (url.endsWith("/attempts")) {
      const at = "2026-11-25T12:00:00Z";
      body["attempts"] = [{ attempt: 1, epoch: 1, scorer: HOSTILE, startedAt: at, endedAt: at, outcome: HOSTILE, errorCode: HOSTILE, message: HOSTILE }];
      body["actions"] = [{ action: HOSTILE, by: HOSTILE, at, reason: HOSTILE, newJobId: HOSTILE }];
    }
    for (const item of (body["items"] ?? []) as Record<string, unknown>[]) {
      item["error"] = failure;
    }
    await route.fulfill({ response, json: body });
  });
  await open(page, `#/jobs/${id}`);
  await page.getByRole("heading", { name: "Criteria" }).waitFor();
  assert.ok(((await page.locator("main").textContent()) ?? "").includes(HOSTILE), "it is shown");
  await picture("hostile-job");
  await page.goto(`${GATEWAY}/ui/#/jobs`);
  await page.getByRole("table").waitFor();
  expectInConsole(/status of 40[04]/);
  await page.goto(`${GATEWAY}/ui/#/jobs/${encodeURIComponent(HOSTILE)}`);
  await page.getByText("There is no such job").or(page.getByText("Cannot show")).first().waitFor();
  await page.goto(`${GATEWAY}/ui/#/jobs?pool=${encodeURIComponent(HOSTILE)}`);
  await page.getByLabel("Pool").waitFor();
  assert.equal(await page.locator("img, script:not([src]), iframe, svg[onload]").count(), 0, "nothing became HTML");
  assert.doesNotMatch(await page.title(), /owned/);
}));
