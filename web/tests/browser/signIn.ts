// A gateway that asks for tokens: what each role sees, and where the token goes and does not go.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

import type { Page } from "playwright-core";

import { GATEWAY, isAccessible, run, withPage } from "./harness.ts";

/** A token as `gateway token` makes it. */
function token(role: string, seconds: number): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1_000) + seconds;
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ tenant: "algebra", sub: "ada@example.org", role, exp })}`;
  return `${signed}.${createHmac("sha256", process.env["SECRET"] ?? "").update(signed).digest("base64url")}`;
}

async function signIn(page: Page, pasted: string): Promise<void> {
  await page.getByLabel("Token").fill(pasted);
  await page.getByRole("button", { name: "Sign in" }).click();
}

run(() => withPage(async ({ page, context, picture, expectInConsole }) => {
  expectInConsole(/status of 40[13]/);
  const addresses: string[] = [];
  context.on("request", (request) => addresses.push(request.url()));

  await page.goto(`${GATEWAY}/`);
  await page.waitForURL(`${GATEWAY}/ui/`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "token", "one can paste at once");
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await picture(`sign-in-${scheme}`);
    await isAccessible(page, `signing in, ${scheme}`);
  }
  await page.keyboard.press("Enter");
  await page.getByText("Paste a token first.").waitFor();
  await signIn(page, "not.a.token");
  await page.getByText("The gateway did not take the token").waitFor();

  const instructor = token("instructor", 600);
  await signIn(page, `Bearer ${instructor}\n`);
  await page.getByText("Jobs of your tenant.").waitFor();
  await page.getByText("ada@example.org").waitFor();
  await page.locator(".live[data-state=live]").waitFor();
  await picture("instructor");
  assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie]), [0, ""], "it is kept nowhere else");
  await page.reload();
  await page.getByText("Jobs of your tenant.").waitFor();
  const other = await context.newPage();
  await other.goto(`${GATEWAY}/ui/`);
  await other.getByRole("heading", { name: "Sign in" }).waitFor();
  await other.close();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();

  await signIn(page, token("learner", 600));
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Pools" }).count(), 0, "a learner is offered what one may see");
  await page.getByText("No jobs yet").waitFor();
  await picture("learner");
  await page.getByRole("button", { name: "Sign out" }).click();

  // It ends while one works: the page says so and goes on from there with another.
  await signIn(page, token("admin", 3));
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForTimeout(4_000);
  await page.getByRole("link", { name: "Jobs" }).click();
  await page.getByText("The gateway did not take the token").waitFor();
  await signIn(page, token("admin", 600));
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();

  assert.ok(addresses.length > 10);
  assert.ok(!addresses.some((address) => address.includes(instructor.split(".")[2] ?? "-")), "a token stands in no address");
}));
