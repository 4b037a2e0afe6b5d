// Uses the page at /docs as a new user does: node page.mjs URL CHROMIUM NODE_MODULES. Prints "played".

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [origin, executablePath, modules] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");

const EMAIL = "mira@example.com";
const PASSWORD = "seven quiet rivers";
const NOTE = "Walked home along the river.";

const profile = await mkdtemp(join(tmpdir(), "browser-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  viewport: { width: 1280, height: 900 },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  await play(await browser.newPage());
  console.log("played");
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}

async function play(page) {
  const { problems, foreignRequests } = await watch(page);

  await page.goto(`${origin}/`);
  assert.equal(page.url(), `${origin}/docs`);
  await page.locator("#operations-Journal-createEntry").waitFor();
  await isForEverybody(page);

  // Register: first with a password that is too short.
  await page.getByText("Register", { exact: true }).click();
  await page.getByLabel("E-mail address").fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill("short");
  await page.getByRole("button", { name: "Register and log in" }).click();
  await page.getByRole("status").filter({ hasText: "password" }).waitFor();
  assert.deepEqual(problems.splice(0).map((text) => /status of 400/.test(text)), [true]);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Register and log in" }).click();
  await page.getByRole("button", { name: "Log out" }).waitFor();

  // Log out, and log in with the new account.
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("status").filter({ hasText: "logged out" }).waitFor();
  assert.equal(await page.locator(".auth-wrapper .authorize.unlocked").count(), 1);
  await page.getByLabel("E-mail address").fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByRole("link", { name: "Write an entry" }).waitFor();
  await page.locator(".auth-wrapper .authorize.locked").waitFor();

  const profile = await tryOut(page, "createClient", { name: "Mira", email: EMAIL, pincode: "110002" });
  assert.equal(profile.status, 201);

  // Write an entry: the form already contains the id.
  await page.getByRole("link", { name: "Write an entry" }).click();
  const entry = { emotion: "hopeful", intensity: 3, timestamp: "2026-03-02T18:30:00Z", note: NOTE };
  const written = await tryOut(page, "createEntry", entry);
  assert.equal(written.status, 201);
  assert.equal(written.body.clientId, profile.body.clientId);
  assert.match(written.shown, /Walked home along the river\./);

  // See it listed.
  const listed = await tryOut(page, "listEntries");
  assert.equal(listed.status, 200);
  assert.deepEqual(listed.body.map(({ entryId, note }) => [entryId, note]), [[written.body.entryId, NOTE]]);
  assert.match(listed.shown, /Walked home along the river\./);

  // The opened operations are accessible too.
  await isForEverybody(page);
  assert.deepEqual(await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }, document.cookie]), [{}, {}, ""]);
  assert.ok(!page.url().includes("eyJ"), page.url());

  // The login is not stored: a reload logs out.
  await page.reload();
  await page.getByRole("button", { name: "Log in", exact: true }).waitFor();
  await page.locator(".auth-wrapper .authorize.unlocked").waitFor();

  await page.setViewportSize({ width: 360, height: 740 });
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= screen, `a phone of ${screen} px has to scroll to ${content}`);

  assert.deepEqual(problems, []);
  assert.deepEqual(foreignRequests, []);
}

/** Records browser errors and warnings, violations of the Content-Security-Policy, and requests to other origins. */
async function watch(page) {
  const [problems, foreignRequests] = [[], []];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      problems.push(message.text());
    }
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== origin) {
      foreignRequests.push(request.url());
    }
  });
  await page.exposeFunction("violated", (what) => problems.push(what));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      window.violated(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  return { problems, foreignRequests };
}

/** Opens an operation, unless it is open, and sends its request. */
async function tryOut(page, operationId, body) {
  const block = page.locator(`.opblock[id$="-${operationId}"]`);
  if (!(await block.getByRole("button", { name: "Execute" }).isVisible())) {
    await block.locator(".opblock-summary-control").click();
  }
  if (body) {
    await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  }
  const path = await block.locator(".opblock-summary-path").getAttribute("data-path");
  const pattern = new RegExp(`${path.replace(/\{[^}]*\}/g, "[^/]+")}$`);
  const answered = page.waitForResponse((response) => pattern.test(new URL(response.url()).pathname));
  await block.getByRole("button", { name: "Execute" }).click();
  const response = await answered;
  const live = block.locator(".live-responses-table");
  await live.locator(".response-col_status", { hasText: String(response.status()) }).waitFor();
  return { status: response.status(), body: await response.json(), shown: await live.innerText() };
}

/** Checks basic accessibility: a language, a title, names of controls, heading order, unique ids. */
async function isForEverybody(page) {
  const faults = await page.evaluate(() => {
    const visible = (element) => element.checkVisibility({ visibilityProperty: true });
    const faults = [];
    if (document.documentElement.lang !== "en") faults.push("no language");
    if (!document.title.trim()) faults.push("no title");
    if ([...document.querySelectorAll("h1")].filter(visible).length !== 1) faults.push("not one h1");
    if (document.querySelectorAll("main").length !== 1) faults.push("not one main");

    for (const control of document.querySelectorAll("input, select, textarea")) {
      if (visible(control) && !control.labels.length && !control.ariaLabel) faults.push(`no name: ${control.outerHTML}`);
    }
    for (const control of document.querySelectorAll("button, a[href]")) {
      const name = control.ariaLabel || control.textContent.trim() || control.title;
      if (visible(control) && !name) faults.push(`no name: ${control.outerHTML}`);
    }
    for (const image of document.querySelectorAll("img")) {
      if (!image.hasAttribute("alt")) faults.push(`no alt: ${image.outerHTML}`);
    }
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
    if (twice.length) faults.push(`twice: ${twice}`);

    let level = 0;
    for (const heading of [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(visible)) {
      const next = Number(heading.tagName[1]);
      if (next > level + 1) faults.push(`h${next} after h${level}: ${heading.textContent}`);
      level = next;
    }
    return faults;
  });
  assert.deepEqual(faults, []);
}
