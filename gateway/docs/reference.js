// The reference, by Swagger UI: what is set, and what is added so that one can begin without reading it first.

const SCHEME = "accessToken";
/** The parameters of paths that are the caller's own id, by role. */
const OWN_ID = { CLIENT: "clientId", THERAPIST: "therapistId" };

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
    docExpansion: "list",
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    defaultModelExpandDepth: 2,
    persistAuthorization: false,
    validatorUrl: null,
    onComplete() {
      // An example that is sent twice, with different bodies, would be refused the second time.
      for (const { path, method } of operations(ui)) {
        ui.specActions.changeParam([path, method], "Idempotency-Key", "header", null, false);
      }
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

    /** Opens an operation and brings it into view. */
    async open(operationId) {
      await whenLoaded;
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

/** The document as it reads best on this page. */
function forThisPage() {
  return {
    statePlugins: {
      spec: {
        wrapActions: {
          updateJsonSpec: (update) => (document) => {
            // The guide has said it already.
            const [, rest] = document.info.description.split(/^(?=## What holds everywhere)/m);
            document.info.description = rest ?? document.info.description;
            return update(document);
          },
        },
      },
    },
  };
}

function operations(ui) {
  const { paths } = ui.specSelectors.specJson().toJS();
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, operation]) => operation.operationId)
      .map(([method, { operationId, tags: [tag] }]) => ({ path, method, operationId, tag })),
  );
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

/** Mends what Swagger UI lacks for keyboards and screen readers: names, one control in another, what only a mouse can scroll. */
function repair(element) {
  const observer = new MutationObserver(() => {
    for (const control of element.querySelectorAll("input, select, textarea")) {
      if (!control.labels.length && !control.ariaLabel) {
        control.ariaLabel = control.closest("[data-param-name]")?.dataset.paramName ?? words(control);
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
