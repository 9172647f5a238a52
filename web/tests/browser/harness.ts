// A page in a real Chromium, and what it must never do, whatever a test does with it.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { chromium, type BrowserContext, type Page } from "playwright-core";

function given(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: these tests are run by e2e/tests/e2e/page.rs`);
  return value;
}

/** The gateway under test, without a slash at the end. */
export const GATEWAY = given("ASSAY_URL");

/** The token to ask with, if the gateway wants one. */
export const TOKEN = process.env["ASSAY_TOKEN"] ?? "";

const SCREENSHOTS = given("SCREENSHOTS");

/** How long anything may take that has no limit of its own. */
export const PATIENCE = 30_000;

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-dev-shm-usage",
];

export type Scheme = "light" | "dark";

/** A page, and all that it did. */
export interface Opened {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Saves what is seen, for people to look at. */
  readonly picture: (name: string) => Promise<void>;
  /** What else may stand in the console, such as that a gateway which was stopped does not answer. */
  readonly expectInConsole: (text: RegExp) => void;
}

/** Opens the page in a browser of its own, runs the test, and holds it to the rules. */
export async function withPage(test: (opened: Opened) => Promise<void>): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "assay-page-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    headless: true,
    args: FLAGS,
    viewport: { width: 1280, height: 860 },
    colorScheme: "light",
    timezoneId: "UTC",
  });
  const wrong: string[] = [];
  // Until it has a token, the page asks without one.
  const expected: RegExp[] = TOKEN === "" ? [] : [/status of 401/];
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(PATIENCE);
    const origin = new URL(GATEWAY).origin;
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin !== origin && url.protocol !== "blob:") {
        wrong.push(`a request to ${request.url()}`);
      }
      if (TOKEN !== "" && request.url().includes(TOKEN)) {
        wrong.push("the token stands in an address");
      }
    });
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning" || /content security policy/i.test(message.text())) {
        wrong.push(`in the console: ${message.text()} ${message.location().url}`);
      }
    });
    page.on("pageerror", (error) => wrong.push(`an error nobody caught: ${error.message}`));
    page.on("dialog", (dialog) => {
      wrong.push(`a dialog of the browser: ${dialog.message()}`);
      void dialog.dismiss();
    });
    // Told by the browser itself, also of what its console keeps to itself.
    await page.exposeFunction("assayViolation", (text: string) => wrong.push(`a violation of the policy: ${text}`));
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        const tell = (globalThis as unknown as { assayViolation: (text: string) => void }).assayViolation;
        tell(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    const picture = async (name: string): Promise<void> => {
      mkdirSync(SCREENSHOTS, { recursive: true });
      await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
    };
    try {
      await test({ page, context, picture, expectInConsole: (text) => expected.push(text) });
    } catch (error) {
      await picture("failed").catch(() => undefined);
      throw error;
    }
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
  const unexpected = wrong.filter((text) => !expected.some((pattern) => pattern.test(text)));
  assert.deepEqual(unexpected, [], "the page did what it must not do");
}

/** Goes to a place within the page, signing in where that is asked for. */
export async function open(page: Page, hash = ""): Promise<void> {
  await page.goto(`${GATEWAY}/ui/${hash}`);
  if (TOKEN !== "") {
    const field = page.getByLabel("Token");
    await field.or(page.getByRole("navigation", { name: "Views" }).getByRole("link").first()).first().waitFor();
    if (await field.isVisible()) {
      await field.fill(TOKEN);
      await page.getByRole("button", { name: "Sign in" }).click();
    }
  }
  await page.getByRole("navigation", { name: "Views" }).getByRole("link").first().waitFor();
}

/** The value of a tile of the pools' view. */
export async function tile(page: Page, name: string): Promise<string> {
  return (await page.locator(`[data-tile=${name}] .tile-value`).textContent()) ?? "";
}

/** Waits until something holds. */
export async function until(what: string, holds: () => Promise<boolean>, limit = PATIENCE): Promise<void> {
  const end = performance.now() + limit;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface AxeResult {
  readonly violations: { readonly id: string; readonly help: string; readonly nodes: { readonly html: string; readonly failureSummary?: string }[] }[];
}

/** Has axe-core look for what keeps people from using what is shown now. */
export async function isAccessible(page: Page, where: string): Promise<void> {
  await page.evaluate(AXE);
  const result = (await page.evaluate(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })",
  )) as AxeResult;
  const found = result.violations.map((violation) =>
    `${violation.id}: ${violation.help}\n${violation.nodes.map((node) => `    ${node.html}\n    ${node.failureSummary ?? ""}`).join("\n")}`);
  assert.deepEqual(found, [], `${where} keeps somebody out`);
}

/** Nothing but tables is wider than the window. */
export async function fits(page: Page, where: string): Promise<void> {
  const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok((inner ?? 0) <= (outer ?? 0), `${where} is ${inner} wide in a window of ${outer}`);
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks whoever runs the test to do something, and waits until it is done. */
export async function ask(what: string): Promise<void> {
  console.log(`ASK ${what}`);
  const answer = await lines.next();
  assert.equal(answer.value, "done", `${what}: ${String(answer.value)}`);
}

/** Ends the process with the outcome. */
export function run(test: () => Promise<void>): void {
  test().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
