// Server-sent events in the reference: shown as they come, until somebody stops them.

/** Fetches for Swagger UI, which shows an answer at its end: an answer of events ends when it is stopped. */
export async function fetchLive(url, request) {
  const stop = new AbortController();
  const response = await fetch(url, { ...request, signal: stop.signal });
  const block = response.headers.get("content-type")?.startsWith("text/event-stream") && blockOf(response.url);
  if (!block) {
    return response;
  }
  const live = show(block, stop);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let [all, rest] = ["", ""];
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (!live.isConnected) {
        stop.abort();
      }
      all += part.value;
      const blocks = (rest + part.value).split("\n\n");
      rest = blocks.pop();
      for (const event of blocks) {
        add(live, event);
      }
    }
  } catch {
    // It was stopped, or the connection broke: what came is the answer.
  } finally {
    live.remove();
  }
  return new Response(all, { status: response.status, headers: response.headers });
}

function blockOf(url) {
  const path = JSON.stringify(new URL(url).pathname);
  return document.querySelector(`.opblock-get .opblock-summary-path[data-path=${path}]`)?.closest(".opblock");
}

/** Makes the list of events above the responses. */
function show(block, stop) {
  const live = document.createElement("div");
  live.className = "live";
  const said = document.createElement("p");
  said.textContent = "Events are shown as they come.";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Stop";
  button.addEventListener("click", () => stop.abort());
  const list = document.createElement("ol");
  list.setAttribute("role", "log");
  list.ariaLabel = "Events";
  live.append(said, button, list);
  block.querySelector(".responses-wrapper").before(live);
  return live;
}

/** Adds an event, unless the block of lines has no data. */
function add(live, block) {
  const data = /^data: (.*)$/m.exec(block)?.[1];
  if (data === undefined) {
    return;
  }
  const event = document.createElement("li");
  const code = document.createElement("code");
  code.textContent = JSON.stringify(JSON.parse(data), null, 2);
  event.append(code);
  live.querySelector("ol").append(event);
}
