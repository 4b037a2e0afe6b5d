// Uses the page at /docs as a new user does: node page.mjs URL CHROMIUM NODE_MODULES. Prints "played".

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { mkdtemp, readFile, rm } from "node:fs/promises";
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
  // The error stands beside the field too.
  const bad = page.getByLabel("Password", { exact: true });
  assert.equal(await bad.getAttribute("aria-invalid"), "true");
  await page.locator(`#${await bad.getAttribute("aria-errormessage")}`).filter({ hasText: "12" }).waitFor();
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

  await namesBadFields(page, problems);
  await drawsInsights(page, profile.body.clientId);
  await findsOperations(page);
  await watchesMessages(page, profile.body.clientId);

  // The opened operations are accessible too.
  await isForEverybody(page);
  assert.deepEqual(await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }, document.cookie]), [{}, {}, ""]);
  assert.ok(!page.url().includes("eyJ"), page.url());

  // The login is not stored: a reload logs out.
  await page.reload();
  await page.getByRole("button", { name: "Log in", exact: true }).waitFor();
  await page.locator(".auth-wrapper .authorize.unlocked").waitFor();

  // The steps of a therapist.
  await page.getByLabel("As a therapist").check({ force: true });
  await page.getByRole("link", { name: "POST /sessions" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "POST /journal/{clientId}" }).isVisible(), false);

  await isShortOnPhones(page);

  assert.deepEqual(problems, []);
  assert.deepEqual(foreignRequests, []);
}

/** Errors stand beside the parameter, or the body, that they are about, until the next answer. */
async function namesBadFields(page, problems) {
  const entry = { emotion: "hopeful", intensity: 9, timestamp: "2026-03-02T18:30:00Z" };
  assert.equal((await tryOut(page, "createEntry", entry)).status, 400);
  const block = page.locator('.opblock[id$="-createEntry"]');
  await block.locator(".violation").filter({ hasText: /^intensity: / }).waitFor();
  assert.equal(await block.locator("textarea.body-param__text").getAttribute("aria-invalid"), "true");
  assert.equal((await tryOut(page, "createEntry", { ...entry, intensity: 5 })).status, 201);
  await block.locator(".violation").waitFor({ state: "detached" });

  const list = page.locator('.opblock[id$="-listEntries"]');
  const token = list.locator('tr[data-param-name="pageToken"]');
  await token.locator("input").fill("none");
  assert.equal((await tryOut(page, "listEntries")).status, 400);
  await token.locator(".violation").waitFor();
  await token.locator("input").fill("");
  assert.deepEqual(problems.splice(0).map((text) => /status of 400/.test(text)), [true, true]);
}

/** The chart says in words and numbers what it shows. */
async function drawsInsights(page, clientId) {
  assert.equal(await page.getByLabel("Client id").inputValue(), clientId);
  const now = new Date().toISOString();
  const { family } = (await tryOut(page, "createEntry", { emotion: "lonely", intensity: 4, timestamp: now })).body;
  await page.getByRole("button", { name: "Draw" }).click();
  const chart = page.getByRole("img", { name: "Entries of each family of emotions over time" });
  await chart.waitFor();
  assert.match(await chart.locator("desc").textContent(), new RegExp(`\\b${family}: 1\\b`));
  const texts = await chart.locator("text").allTextContents();
  assert.ok([family, "1", "⌀ 4.0"].every((text) => texts.includes(text)), texts.join("; "));
  assert.match(texts[texts.indexOf(family) + 1], /^.+ to .+$/);
}

async function findsOperations(page) {
  await page.getByLabel("Find an operation").fill("get insights");
  await page.locator('.opblock[id$="-createEntry"]').waitFor({ state: "detached" });
  assert.deepEqual(await page.locator(".opblock-summary-path").allTextContents(), ["/journal/{clientId}/insights"]);
  await page.getByLabel("Find an operation").fill("");
  await page.locator('.opblock[id$="-createEntry"]').waitFor();
}

/** A watch shows events as they come, and stops. The snippet of the README reads them too, and resumes. */
async function watchesMessages(page, clientId) {
  const post = async (path, body, token) => {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(`${origin}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return answer.json();
  };
  const account = { email: "noor@example.com", password: "eight loud sparrows" };
  const noor = await post("/auth/register", { ...account, role: "THERAPIST" });
  const { accessToken } = await post("/auth/login", account);
  await post("/therapists", { name: "Noor", email: account.email, specialty: "Grief", pincode: "110001" }, accessToken);
  const say = (message) => post("/messages", { receiverId: clientId, message }, accessToken);
  assert.equal((await tryOut(page, "sendMessage", { receiverId: noor.userId, message: "Hello." })).status, 201);

  const block = page.locator('.opblock[id$="-watchConversationEvents"]');
  await block.locator(".opblock-summary-control").click();
  await block.locator('tr[data-param-name="peerId"] input').fill(noor.userId);
  await block.getByRole("button", { name: "Execute" }).click();
  await block.getByText("Events are shown as they come.").waitFor();
  for (const text of ["Of course.", "Ten past is fine."]) {
    await say(text);
    await block.getByRole("log").getByText(text).waitFor();
  }
  await block.getByRole("button", { name: "Stop" }).click();
  await block.getByRole("log").waitFor({ state: "detached" });
  await block.locator(".live-responses-table").getByText("Ten past is fine.").waitFor();

  const readme = await readFile(new URL("../../../README.md", import.meta.url), "utf8");
  const snippet = /^```js\n(.*?)^```$/ms.exec(readme)[1];
  const seen = await say("One.");
  await say("Two.");
  // As the therapist, whose token is at hand. The function is made by the debugger, which no policy of the page stops.
  const read = page.evaluate(`(async () => {
    ${snippet}
    const read = [];
    for await (const { message } of watch("${clientId}", () => "${accessToken}", "${seen.messageId}")) {
      read.push(message);
      if (read.length === 2) return read;
    }
  })()`);
  await say("Three.");
  assert.deepEqual(await read, ["Two.", "Three."]);
}

/** On a phone nothing is wider than the screen, and sections are closed. */
async function isShortOnPhones(page) {
  await page.setViewportSize({ width: 390, height: 844 });
  // Without the fragment, which opens an operation.
  await page.goto(`${origin}/docs`);
  await page.locator(".opblock-tag-section").first().waitFor();
  for (const width of [390, 360]) {
    await page.setViewportSize({ width, height: 844 });
    const [content, screen, height] = await page.evaluate(() => {
      const { scrollWidth, scrollHeight } = document.documentElement;
      return [scrollWidth, innerWidth, scrollHeight];
    });
    assert.ok(content <= screen, `a phone of ${screen} px has to scroll to ${content}`);
    assert.ok(height < 6 * 844, `the page is ${height} px long`);
  }
  assert.equal(await page.locator(".opblock").count(), 0);
  await page.getByLabel("Find an operation").fill("add journal");
  await page.locator('.opblock[id$="-createEntry"]').waitFor();
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
