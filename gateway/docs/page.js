// Puts the page together: the reference, and the form that logs in for it.

import { makeReference } from "/docs/reference.js";
import { makeLogin } from "/docs/login.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

for (const place of document.querySelectorAll("[data-origin]")) {
  place.textContent = location.origin;
}

const reference = makeReference(document.getElementById("swagger"));
makeLogin({
  changed: ({ token, user }) => (token ? reference.authorize(token, user) : reference.forget()),
});

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
