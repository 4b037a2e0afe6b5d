// The form that registers and logs in. The tokens are in variables of this module and nowhere else.

import { mark, unmark, violations } from "/docs/violations.js";

const form = document.getElementById("login");
const account = document.getElementById("account");
const said = document.getElementById("said");
const submit = form.querySelector("[type=submit]");

/** Renew an access token so long before its end. */
const EARLY_MS = 60_000;
/** Try so long after a renewal that got no answer. */
const RETRY_MS = 5_000;

/**
 * Makes the form work. `changed` is told `{token, user}` when somebody has logged in or the token is another, and `{}` when
 * nobody is logged in any more.
 */
export function makeLogin({ changed }) {
  let login = null;
  let renewal = null;

  const begin = (answer) => {
    login = answer;
    clearTimeout(renewal);
    renewal = setTimeout(renew, Math.max(answer.expiresIn * 1000 - EARLY_MS, EARLY_MS));
    changed({ token: answer.accessToken, user: answer.user });
  };

  const end = () => {
    login = null;
    clearTimeout(renewal);
    changed({});
    show(null);
  };

  // Meanwhile somebody may have logged out, or another may have logged in: then the answer is nobody's.
  const renew = async () => {
    const mine = login;
    try {
      const answer = await call("/auth/refresh", { refreshToken: mine.refreshToken });
      if (login === mine) {
        begin({ user: mine.user, ...answer });
        say("");
      }
    } catch (error) {
      if (login !== mine) {
        return;
      }
      if (error.status === 400 || error.status === 401) {
        end();
        say("Your login has ended. Log in again to go on.", true);
      } else {
        renewal = setTimeout(renew, RETRY_MS);
        say(`Your login could not be renewed, and is tried again. ${error.message}`, true);
      }
    }
  };

  form.addEventListener("change", () => choose(new FormData(form).get("action")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { action, email, password, role } = Object.fromEntries(new FormData(form));
    submit.disabled = true;
    unmark(form);
    say("");
    try {
      if (action === "register") {
        await call("/auth/register", { email, password, role });
      }
      const answer = await call("/auth/login", { email, password });
      form.reset();
      choose("login");
      begin(answer);
      show(answer.user);
      say("You are logged in.");
    } catch (error) {
      say(error.message, true);
      const bad = violations(error.answer).filter(({ field }) => form.elements[field]);
      for (const { field, description } of bad) {
        mark(form.elements[field], `${description}.`);
      }
      form.elements[bad[0]?.field ?? "email"].focus();
    } finally {
      submit.disabled = false;
    }
  });

  document.getElementById("logout").addEventListener("click", async () => {
    const { accessToken } = login;
    end();
    form.elements.email.focus();
    say("You are logged out.");
    try {
      await call("/auth/logout", {}, accessToken);
    } catch (error) {
      say(`This page has forgotten your tokens, but the login could not be ended: ${error.message}`, true);
    }
  });

  document.getElementById("copy-id").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(login.user.userId);
      say("Your id is copied.");
    } catch {
      say("The browser did not allow copying: select the id and copy it yourself.", true);
    }
  });
}

/** Reads JSON as somebody. Throws as `call` does. */
export function get(path, token) {
  return answered(path, { headers: { authorization: `Bearer ${token}` } });
}

/**
 * Sends JSON and returns the JSON of the answer. Throws an `Error` with words for people, and the `status` and the `answer` if
 * there is one.
 */
function call(path, body, token) {
  const headers = { "content-type": "application/json" };
  if (token) {
    headers.authorization = `Bearer ${token}`;
  }
  return answered(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function answered(path, request) {
  let response;
  try {
    response = await fetch(path, { ...request, credentials: "omit" });
  } catch {
    throw new Error("The server can't be reached.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = new Error(words(answer) ?? `The server answered ${response.status}.`);
    throw Object.assign(error, { status: response.status, answer });
  }
  return answer;
}

/** What a google.rpc.Status says: each bad field, or the message. */
function words(status) {
  const text = violations(status).map(({ field, description }) => `${field}: ${description}`).join("; ") || status.message;
  return text && `${text[0].toUpperCase()}${text.slice(1)}.`.replace(/\.\.$/, ".");
}

function choose(action) {
  const registers = action === "register";
  const roles = document.getElementById("roles");
  roles.hidden = roles.disabled = !registers;
  document.getElementById("password-hint").hidden = !registers;
  form.elements.password.autocomplete = registers ? "new-password" : "current-password";
  submit.textContent = registers ? "Register and log in" : "Log in";
}

/** Shows whose account it is, or the form if it is nobody's. */
function show(user) {
  form.hidden = user !== null;
  account.hidden = user === null;
  if (user) {
    account.querySelector("[data-email]").textContent = user.email;
    account.querySelector("[data-role]").textContent = user.role === "CLIENT" ? "Client" : "Therapist";
    account.querySelector("[data-id]").textContent = user.userId;
    document.getElementById("first-client").hidden = user.role !== "CLIENT";
    document.getElementById("first-therapist").hidden = user.role !== "THERAPIST";
    account.focus();
  }
}

function say(text, isBad = false) {
  said.textContent = text;
  said.classList.toggle("bad", isBad);
}
