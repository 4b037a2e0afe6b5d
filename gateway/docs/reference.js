// The reference, by Swagger UI: what is set, and what is added so that one can begin without reading it first.

import { fetchLive } from "/docs/events.js";
import { markOperation } from "/docs/violations.js";

const SCHEME = "accessToken";
/** The parameters of paths that are the caller's own id, by role. */
const OWN_ID = { CLIENT: "clientId", THERAPIST: "therapistId" };

/** On a phone, sections are closed until somebody opens them. */
const narrow = matchMedia("(max-width: 40rem)");

/** Shows the reference in an element. */
export function makeReference(element) {
  let loaded;
  const whenLoaded = new Promise((resolve) => (loaded = resolve));
  const ui = window.SwaggerUIBundle({
    domNode: element,
    url: "/openapi.yaml",
    presets: [window.SwaggerUIBundle.presets.apis],
    plugins: [forThisPage],
    layout: "BaseLayout",
    deepLinking: true,
    docExpansion: narrow.matches ? "none" : "list",
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    defaultModelExpandDepth: 2,
    persistAuthorization: false,
    validatorUrl: null,
    requestInterceptor: (request) => Object.assign(request, { userFetch: fetchLive }),
    onComplete() {
      leaveOut(ui);
      loaded();
    },
  });
  repair(element);

  return {
    /** Sends the token with what is tried from now on, and fills in the user's id. */
    async authorize(token, user) {
      await whenLoaded;
      ui.preauthorizeApiKey(SCHEME, token);
      for (const { path, method } of operations(ui)) {
        fill(ui, path, method, OWN_ID[user.role], user.userId);
      }
    },

    /** Sends no token any more. */
    async forget() {
      await whenLoaded;
      ui.authActions.logout([SCHEME]);
    },

    /** Shows the operations with this text in their summary, path or method; all of them if it is empty. */
    async filter(text) {
      await whenLoaded;
      ui.layoutActions.updateFilter(text || false);
      for (const tag of new Set(operations(ui).map(({ tag }) => tag))) {
        ui.layoutActions.show(["operations-tag", tag], text !== "" || !narrow.matches);
      }
    },

    /** Opens an operation and brings it into view. */
    async open(operationId) {
      await whenLoaded;
      clearFilter();
      const { tag } = operations(ui).find((operation) => operation.operationId === operationId);
      ui.layoutActions.show(["operations-tag", tag], true);
      ui.layoutActions.show(["operations", tag, operationId], true);
      // Swagger UI makes the element in its next rendering.
      requestAnimationFrame(() => requestAnimationFrame(() => {
        const block = document.getElementById(`operations-${tag.replaceAll(" ", "_")}-${operationId}`);
        block?.scrollIntoView({ block: "start" });
        block?.querySelector(".opblock-summary-control")?.focus({ preventScroll: true });
      }));
    },
  };
}

/** The document as it reads best on this page, a filter of operations, and errors beside the fields that they name. */
function forThisPage() {
  return {
    fn: {
      opsFilter: (tags, text) =>
        tags
          .map((tag) => tag.update("operations", (all) => all.filter((operation) => matches(operation, text))))
          .filter((tag) => tag.get("operations").size),
    },
    wrapComponents: {
      FilterContainer: () => () => null,
      InfoContainer: (Original, { React }) => (props) =>
        React.createElement(
          "details",
          { className: "everywhere", open: !narrow.matches },
          React.createElement("summary", null, "What holds everywhere"),
          React.createElement(Original, props),
        ),
    },
    statePlugins: {
      spec: {
        wrapActions: {
          setResponse: (set) => (path, method, response) => {
            // Swagger UI renders what it has read first.
            requestAnimationFrame(() => markOperation(path, method, response));
            return set(path, method, response);
          },
          updateJsonSpec: (update) => (document) => {
            // The guide has said it already.
            const [, rest] = document.info.description.split(/^## What holds everywhere$/m);
            document.info.description = rest ?? document.info.description;
            return update(document);
          },
        },
      },
    },
  };
}

/** Whether an operation has every word of a text in its summary, path or method. */
function matches(operation, text) {
  const summary = operation.getIn(["operation", "summary"]) ?? "";
  const own = `${operation.get("method")} ${operation.get("path")} ${summary}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => own.includes(word));
}

function clearFilter() {
  const filter = document.getElementById("filter");
  if (filter.value) {
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
  }
}

function operations(ui) {
  const document = ui.specSelectors.specJson().toJS();
  const named = ({ $ref: reference }) => reference.split("/").slice(1).reduce((part, name) => part[name], document);
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, operation]) => operation.operationId)
      .map(([method, { operationId, tags: [tag], parameters = [] }]) => ({
        path,
        method,
        operationId,
        tag,
        parameters: parameters.map((each) => (each.$ref ? named(each) : each)),
      })),
  );
}

/** Empties what may be left out. An example of a filter would hide what was just written, one of a page token be refused. */
function leaveOut(ui) {
  for (const { path, method, parameters } of operations(ui)) {
    for (const parameter of parameters.filter(({ required }) => !required)) {
      ui.specActions.changeParam([path, method], parameter.name, parameter.in, null, false);
    }
  }
}

/** Sets a parameter of a path, whether the operation has been opened before or not. */
function fill(ui, path, method, parameter, value) {
  if (!path.includes(`{${parameter}}`)) {
    return;
  }
  ui.specActions.changeParam([path, method], parameter, "path", value, false);
  const shown = ui.specSelectors.specResolvedSubtree(["paths", path, method, "parameters"]);
  const one = shown?.find((each) => each.get("in") === "path" && each.get("name") === parameter);
  if (one) {
    ui.specActions.changeParamByIdentity([path, method], one, value, false);
  }
}

/** Mends Swagger UI for keyboards and screen readers: names, ids given twice, a link in a button, what only a mouse scrolls. */
function repair(element) {
  const observer = new MutationObserver(() => {
    for (const control of element.querySelectorAll("input, select, textarea")) {
      if (!control.labels.length && !control.ariaLabel) {
        control.ariaLabel = control.closest("[data-param-name]")?.dataset.paramName ?? words(control);
      }
    }
    for (const label of element.querySelectorAll("label[id]")) {
      if (label.control?.id === label.id) {
        label.removeAttribute("id");
      }
    }
    for (const copy of element.querySelectorAll(".copy-to-clipboard > button:not([aria-label])")) {
      copy.ariaLabel = "Copy";
    }
    for (const link of element.querySelectorAll("button a[href]")) {
      link.removeAttribute("href");
    }
    for (const scrolled of element.querySelectorAll("pre:not([tabindex])")) {
      scrolled.tabIndex = 0;
    }
  });
  observer.observe(element, { childList: true, subtree: true });
}

function words(control) {
  if (control.tagName === "TEXTAREA") {
    return "Request body";
  }
  return control.closest(".responses-wrapper") ? "Form of the answer" : "Form of the request";
}
