// Errors beside the fields that they name.

let number = 0;

/** The bad fields that a google.rpc.Status names. */
export function violations(status) {
  return (status?.details ?? []).flatMap((detail) => detail.fieldViolations ?? []);
}

/** Says beside a control what is wrong with it. */
export function mark(control, text) {
  const said = document.createElement("p");
  said.className = "violation";
  said.id = `violation-${++number}`;
  said.textContent = text;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-errormessage", said.id);
  (control.closest("label") ?? control).after(said);
}

/** Takes back what was said within an element. */
export function unmark(element) {
  for (const said of element.querySelectorAll(".violation")) {
    said.remove();
  }
  for (const control of element.querySelectorAll("[aria-errormessage]")) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-errormessage");
  }
}

/** Says in an operation's form which fields its answer names: parameters at their own, all others at the body. */
export function markOperation(path, method, response) {
  const summary = document.querySelector(`.opblock-${method} .opblock-summary-path[data-path=${JSON.stringify(path)}]`);
  const block = summary?.closest(".opblock");
  if (!block) {
    return;
  }
  unmark(block);
  const answer = response?.err?.response ?? response;
  for (const { field, description } of violations(answer?.body)) {
    const row = block.querySelector(`tr[data-param-name=${JSON.stringify(field)}]`);
    const control = row?.querySelector("input, select, textarea") ?? block.querySelector("textarea.body-param__text");
    if (control) {
      mark(control, row ? `${description}.` : `${field}: ${description}.`);
    }
  }
}
