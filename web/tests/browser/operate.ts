// What an operator does all day: looks for a job, looks into what failed, and has it tried again. First with a mouse, then by
// keyboard alone.

import assert from "node:assert/strict";

import type { Page } from "playwright-core";

import { each, job, score, submit } from "./client.ts";
import { ask, fits, GATEWAY, isAccessible, open, run, until, withPage, type Opened, type Scheme } from "./harness.ts";

const VIEWS = { pools: "#/pools", jobs: "#/jobs", "dead-letters": "#/dead-letters" };

run(() => withPage(async (opened) => {
  const { page } = opened;
  const submissions: string[] = [];
  const jobs: string[] = [];
  await each(60, 8, async (number) => {
    const submission = await submit(number);
    submissions.push(submission);
    jobs.push(await score(submission, "default"));
  });
  await ask("fail some");
  await until("all are done", async () => (await Promise.all(jobs.map(job))).every(({ status }) => status === "DONE"));

  await isServedSafely();
  // A browser notes what is not there, which a search for something unknown is about.
  opened.expectInConsole(/status of 404/);
  await finds(page, jobs[0] ?? "", submissions);
  await goesThroughPages(page);
  await redrivesOne(page);
  await redrivesMany(page);
  await worksByKeyboard(page);
  await looksRight(opened, jobs[0] ?? "");
}));

async function isServedSafely(): Promise<void> {
  const root = await fetch(`${GATEWAY}/`, { redirect: "manual" });
  assert.deepEqual([root.status, root.headers.get("location")], [302, "ui/"]);
  const index = await fetch(`${GATEWAY}/ui/`);
  const html = await index.text();
  assert.equal(index.headers.get("cache-control"), "no-cache");
  assert.match(index.headers.get("content-security-policy") ?? "", /default-src 'none'.*script-src 'self'/);
  const again = await fetch(`${GATEWAY}/ui/`, { headers: { "if-none-match": index.headers.get("etag") ?? "" } });
  assert.equal(again.status, 304);
  const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(html)?.[1];
  const asset = await fetch(`${GATEWAY}/ui/${script}`);
  assert.deepEqual([asset.status, asset.headers.get("cache-control")], [200, "public, max-age=31536000, immutable"]);
  assert.equal((await fetch(`${GATEWAY}/ui/../Cargo.toml`)).status, 404);
}

async function finds(page: Page, id: string, submissions: readonly string[]): Promise<void> {
  await open(page, "#/jobs");
  await page.getByRole("row").nth(50).waitFor();
  const search = page.getByRole("searchbox", { name: "Search" });
  await search.fill(id);
  await search.press("Enter");
  await page.getByRole("heading", { level: 1, name: `Job ${id}` }).waitFor();
  await page.getByRole("heading", { name: "Criteria" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "H1", "one begins to read at the heading");

  await page.goBack();
  await search.fill(submissions[1] ?? "");
  await search.press("Enter");
  await page.waitForURL((url) => url.hash.includes("submissionId="));
  await until("only its job is listed", async () => (await page.getByRole("row").count()) === 2);

  await search.fill("01a20bfb-22c5-7331-b0f0-2dcaab7c4f6d");
  await search.press("Enter");
  await page.getByText("No jobs match").waitFor();
  await page.getByRole("link", { name: "Show all jobs" }).click();
  await page.getByRole("radio", { name: "Error" }).check({ force: true });
  await until("only what failed is listed", async () => (await page.getByRole("row").count()) === 4);
  assert.equal(await page.locator(".badge-error").count(), 3);
}

async function goesThroughPages(page: Page): Promise<void> {
  await open(page, "#/jobs");
  await page.getByRole("button", { name: "Older" }).click();
  await page.getByText("Page 2", { exact: true }).waitFor();
  assert.equal(await page.getByRole("row").count(), 14, "63 jobs, 50 a page, and the head");
  await page.getByRole("button", { name: "Newer" }).click();
  await page.getByText("Page 1", { exact: true }).waitFor();
}

async function redrivesOne(page: Page): Promise<void> {
  await page.getByRole("link", { name: "Dead letters" }).click();
  await until("three failed", async () => (await page.getByRole("row").count()) === 4);
  const row = page.getByRole("row").nth(1);
  const failed = (await row.getByRole("link").first().getAttribute("title")) ?? "";
  await row.getByRole("link").first().click();
  await page.getByRole("heading", { name: "Why it has no score" }).waitFor();
  await page.getByText("invalid_content").first().waitFor();
  const attempts = page.getByRole("region", { name: "Table of attempts" });
  await attempts.getByText("permanent").waitFor();
  await attempts.getByText("scorer").first().waitFor();
  assert.deepEqual((await page.locator(".moment-what").allTextContents()).slice(0, 4),
    ["Accepted", "Attempt 1 began", "Attempt 1: permanent", "Ended without a score"]);
  await page.getByRole("button", { name: "Redrive" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Redrive" }).click();
  await page.waitForURL((url) => url.hash.startsWith("#/jobs/") && !url.hash.endsWith(failed));
  // Nothing about it is better, so the new one fails like the old one.
  await page.locator(".job-state .badge-error").waitFor();
  await page.goto(`${GATEWAY}/ui/#/jobs/${failed}`);
  await page.locator(".moment-what", { hasText: "Redriven by" }).waitFor();
}

async function redrivesMany(page: Page): Promise<void> {
  await page.goto(`${GATEWAY}/ui/#/dead-letters?code=invalid_content`);
  await page.getByRole("button", { name: "Redrive what matches" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("3 of 3 that match would be redriven.").waitFor();
  await dialog.getByRole("button", { name: "Redrive 3" }).click();
  await dialog.getByText("3 redriven.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).first().click();
  await page.getByRole("radio", { name: "Redriven" }).check({ force: true });
  await until("four were redriven in all", async () => (await page.getByText("Redriven: Error").count()) === 4);
}

/** The whole way without a mouse: what has the focus is all that one has to go by. */
async function worksByKeyboard(page: Page): Promise<void> {
  await open(page);
  const press = async (...keys: string[]): Promise<void> => {
    for (const key of keys) {
      await page.keyboard.press(key);
    }
  };
  const heading = (name: string): Promise<void> => page.getByRole("heading", { level: 1, name }).waitFor();
  await press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await press("g", "j");
  assert.ok(page.url().includes("#/pools") || !page.url().includes("#/jobs"), "keys mean nothing while a dialog is open");
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await press("g", "j");
  await heading("Jobs");
  await page.getByRole("row").nth(50).waitFor();
  await press("j", "j", "k", "j");
  const second = await page.locator("[data-row]").nth(1).getAttribute("data-row");
  assert.equal(await page.evaluate(() => (document.activeElement as HTMLElement).dataset["row"]), second);
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle);
  assert.equal(ring, "solid", "one sees where the focus is");
  await press("Enter");
  await heading(`Job ${second}`);

  await press("g", "j");
  await heading("Jobs");
  await page.getByRole("row").nth(50).waitFor();
  await press("/");
  await page.keyboard.type("gj?");
  assert.equal(await page.getByRole("searchbox").inputValue(), "gj?", "whoever types is left alone");
  await press("Escape", "Tab", "Tab");
  await press("]");
  await page.getByText("Page 2", { exact: true }).waitFor();
  await press("[");
  await page.getByText("Page 1", { exact: true }).waitFor();

  await press("g", "d");
  await heading("Dead letters");
  const rows = page.locator("[data-row]");
  await until("three are open: what was redriven has failed again", async () => (await rows.count()) === 3);
  const left = await rows.count();
  await press("j", "r");
  await page.getByRole("dialog", { name: "Redrive this job?" }).waitFor();
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => (document.activeElement as HTMLElement).dataset["row"]), await rows.first().getAttribute("data-row"),
    "the focus comes back to where it was");
  await press("r");
  await page.getByRole("dialog").waitFor();
  await press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await until("a new one has failed in its place", async () => (await rows.count()) === left);

  // Every link, field and button is reached by Tab, in the order in which one reads.
  await open(page, "#/pools");
  const reached: string[] = [];
  for (let count = 0; count < 12; count += 1) {
    await press("Tab");
    reached.push(await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? ""));
  }
  for (const name of ["Skip to content", "Pools", "Jobs", "Dead letters", "Keyboard shortcuts", "default"]) {
    assert.ok(reached.includes(name), `${name} is reached: ${reached.join(", ")}`);
  }
}

async function looksRight({ page, picture }: Opened, id: string): Promise<void> {
  const views: Record<string, string> = { ...VIEWS, job: `#/jobs/${id}`, nowhere: "#/elsewhere" };
  const show = async (hash: string): Promise<void> => {
    await open(page, hash);
    await page.locator("main h1").waitFor();
    await page.locator("main .loading").waitFor({ state: "detached" });
  };
  for (const scheme of ["light", "dark"] satisfies Scheme[]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [name, hash] of Object.entries(views)) {
      await show(hash);
      await picture(`${name}-${scheme}`);
      await isAccessible(page, `${name} in ${scheme}`);
    }
    await page.keyboard.press("?");
    await picture(`help-${scheme}`);
    await isAccessible(page, `the list of keys in ${scheme}`);
    await page.keyboard.press("Escape");
  }
  const grounds: string[] = [];
  await page.emulateMedia({ colorScheme: "light" });
  for (let count = 0; count < 3; count += 1) {
    grounds.push(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor));
    await page.keyboard.press("t");
  }
  assert.equal(new Set(grounds).size, 2, `a person may choose another scheme than the system has: ${grounds.join(", ")}`);

  // A telephone; and a window of 1280 pixels at a zoom of 200 % and of 400 %.
  for (const [size, width] of Object.entries({ telephone: 375, "zoom-200": 640, "zoom-400": 320 })) {
    await page.setViewportSize({ width, height: 640 });
    for (const [name, hash] of Object.entries(views)) {
      await show(hash);
      await fits(page, `${name} on ${size}`);
      await picture(`${name}-${size}`);
    }
  }
}
