// Puts the page together: the reference, and the form that logs in for it.

import { makeReference } from "/docs/reference.js";
import { makeInsights } from "/docs/insights.js";
import { makeLogin } from "/docs/login.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

for (const place of document.querySelectorAll("[data-origin]")) {
  place.textContent = location.origin;
}

const reference = makeReference(document.getElementById("swagger"));
const insights = makeInsights();
makeLogin({
  changed(login) {
    insights(login);
    if (login.token) {
      reference.authorize(login.token, login.user);
      showSteps(login.user.role);
    } else {
      reference.forget();
    }
  },
});

/** Shows the first steps of a client or of a therapist. */
function showSteps(role) {
  for (const steps of document.querySelectorAll("[data-steps]")) {
    steps.hidden = steps.dataset.steps !== role;
  }
  document.querySelector(`[name=steps][value=${role}]`).checked = true;
}
for (const choice of document.querySelectorAll("[name=steps]")) {
  choice.addEventListener("change", () => showSteps(choice.value));
}

const filter = document.getElementById("filter");
filter.addEventListener("input", () => reference.filter(filter.value.trim()));

for (const link of document.querySelectorAll("[data-operation]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    reference.open(link.dataset.operation);
  });
}

const errors = document.getElementById("errors");
const showErrors = () => document.getElementById("swagger").classList.toggle("with-errors", errors.checked);
errors.addEventListener("change", showErrors);
showErrors();
