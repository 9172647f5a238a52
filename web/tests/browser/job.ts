// A job that is running is watched until it is done, and then scored again.

import assert from "node:assert/strict";

import { ask, isAccessible, open, run, withPage } from "./harness.ts";

run(() => withPage(async ({ page, picture }) => {
  const id = process.env["JOB"] ?? "";
  await open(page, `#/jobs/${id}`);
  const main = page.locator("main");
  await main.locator(".job-state .badge-running").waitFor();
  await main.getByText("None has ended yet.").waitFor();
  await picture("job-running");

  await ask("let it go on");
  await main.locator(".job-state .badge-done").waitFor();
  await main.locator(".job-score").waitFor();
  assert.match((await main.locator(".job-score").textContent()) ?? "", /^\d+(\.\d+)? of 100$/);
  await main.getByRole("heading", { name: "Feedback" }).waitFor();
  await page.getByRole("region", { name: "Table of attempts" }).getByText("done").waitFor();
  const told = await main.locator(".moment-what").allTextContents();
  assert.deepEqual(told, ["Accepted", "Attempt 1 began", "Attempt 1: done", "Done"]);
  assert.match((await page.getByRole("status").allTextContents()).join(" "), /The job is now done/, "those who listen are told");
  await picture("job-done");
  await isAccessible(page, "a job that is done");

  await page.getByRole("button", { name: "Score again" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Keep as it is" }).click();
  assert.ok(page.url().endsWith(id), "nothing was done");
  await page.getByRole("button", { name: "Score again" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Score again" }).click();
  await page.waitForURL((url) => url.hash.startsWith("#/jobs/") && !url.hash.endsWith(id));
  await main.locator(".job-state .badge-done").waitFor();
}));
