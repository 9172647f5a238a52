// Redis goes and comes back, and then the gateway itself.

import assert from "node:assert/strict";

import { score, submit } from "./client.ts";
import { ask, open, run, tile, until, withPage } from "./harness.ts";

run(() => withPage(async ({ page, picture, expectInConsole }) => {
  await open(page);
  const live = page.locator(".live");
  const state = (name: string): Promise<void> => page.locator(`.live[data-state=${name}]`).waitFor();
  await state("live");
  const done = async (): Promise<number> => Number((await tile(page, "done")).replaceAll(",", ""));
  await score(await submit(1), "quick");
  await until("the first is done", async () => (await done()) === 1);

  await ask("stop redis");
  await page.getByText("Redis does not answer").waitFor();
  assert.equal(await live.getAttribute("data-state"), "live", "the page itself is");
  await score(await submit(2), "quick");
  await until("what was accepted is counted by the record", async () => (await tile(page, "ready")) === "1");
  await picture("redis-away");
  await ask("start redis");
  await page.getByText("Redis does not answer").waitFor({ state: "hidden" });
  await until("the second is done", async () => (await done()) === 2, 60_000);

  expectInConsole(/Failed to load resource: net::ERR_|net::ERR_INCOMPLETE_CHUNKED_ENCODING/);
  await ask("stop the gateway");
  await state("reconnecting");
  await picture("gateway-away");
  await page.getByRole("link", { name: "Jobs", exact: true }).click();
  await page.getByText("Cannot show jobs").waitFor();
  await picture("gateway-away-jobs");
  await ask("start the gateway");
  await state("live");
  await page.getByRole("table").getByText("Done").first().waitFor();
  await page.getByRole("link", { name: "Pools" }).click();
  await until("both are still counted", async () => (await done()) === 2);
}));
