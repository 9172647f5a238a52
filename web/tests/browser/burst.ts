// 2,000 jobs go through while somebody watches.

import assert from "node:assert/strict";

import { each, score, submit } from "./client.ts";
import { open, run, tile, until, withPage } from "./harness.ts";

const JOBS = 2_000;

run(() => withPage(async ({ page, picture }) => {
  const submissions: string[] = [];
  await each(JOBS, 32, async (number) => {
    submissions.push(await submit(number));
  });

  await open(page);
  await page.locator("[data-tile=done]").waitFor();
  await page.locator("[data-state=live]").waitFor();
  assert.equal(await tile(page, "done"), "0");
  // A page that was loaded anew would have lost this.
  await page.evaluate(() => {
    const seen: Record<string, string[]> = {};
    (globalThis as unknown as { seen: typeof seen }).seen = seen;
    for (const element of document.querySelectorAll<HTMLElement>("[data-tile]")) {
      const name = element.dataset["tile"] ?? "";
      const value = element.querySelector(".tile-value");
      const note = (): void => {
        (seen[name] ??= []).push(value?.textContent ?? "");
      };
      note();
      new MutationObserver(note).observe(element, { subtree: true, childList: true, characterData: true });
    }
  });

  const asking = each(JOBS, 32, async (number) => {
    await score(submissions[number] ?? "", "quick");
  });
  await until("some are done", async () => Number((await tile(page, "done")).replaceAll(",", "")) > JOBS / 10, 60_000);
  await picture("burst-under-way");
  await asking;
  await until("all are done, and none is left", async () =>
    (await tile(page, "done")) === "2,000" && (await tile(page, "ready")) === "0" && (await tile(page, "running")) === "0", 120_000);
  assert.equal(await tile(page, "delayed"), "0");
  assert.equal(await tile(page, "failed"), "0");
  await picture("burst-done");

  const seen = await page.evaluate(() => (globalThis as unknown as { seen: Record<string, string[]> }).seen);
  const done = (seen["done"] ?? []).map((text) => Number(text.replaceAll(",", "")));
  const different = [...new Set(done)];
  assert.ok(different.length >= 4, `the number of those that are done changed while one looked: ${different.join(", ")}`);
  assert.deepEqual(done, [...done].sort((a, b) => a - b), "what is done stays done");
  const ready = (seen["ready"] ?? []).map((text) => Number(text.replaceAll(",", "")));
  assert.ok(Math.max(...ready) > 0, `some waited: ${[...new Set(ready)].join(", ")}`);
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "default" }) });
  assert.match((await row.textContent()) ?? "", /2,000/);
  console.log(`done went ${different.join(" ")}; ready at most ${Math.max(...ready)}`);
}));
