// Draws how often each family of emotions was felt, as SVG without a library: every bar has its number, so that colour and
// height say nothing alone.

import { get } from "/docs/login.js";

const SVG = "http://www.w3.org/2000/svg";
const [NAMES, COLUMN, ROW, BAR, HEAD] = [150, 44, 76, 34, 30];
const DAY_MS = 86_400_000;
/** Columns, and so days, of each kind of bucket. */
const SPANS = { DAY: [14, 1], WEEK: [12, 7], MONTH: [12, 30] };

const section = document.getElementById("insights");
const form = section.querySelector("form");
const said = section.querySelector("[role=status]");
const place = section.querySelector("figure");

/** Makes the form work. The function it returns is told who is logged in, or nobody. */
export function makeInsights() {
  let token;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { clientId, bucket } = Object.fromEntries(new FormData(form));
    place.replaceChildren();
    said.textContent = "";
    try {
      const [count, days] = SPANS[bucket];
      const now = Date.now();
      const [from, to] = [now - (count - 1) * days * DAY_MS, now].map((time) => new Date(time).toISOString());
      const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
      const query = new URLSearchParams({ from, to, bucket, timeZone });
      const [insights, vocabulary] = await Promise.all([
        get(`/journal/${encodeURIComponent(clientId.trim())}/insights?${query}`, token),
        get("/emotions", token),
      ]);
      const families = rows(insights, vocabulary);
      if (families.length) {
        place.append(draw(insights, families));
      } else {
        said.textContent = "Nothing was written in this time.";
      }
    } catch (error) {
      said.textContent = error.message;
    }
  });

  return ({ token: next, user }) => {
    token = next;
    section.hidden = !token;
    form.elements.clientId.value = user?.role === "CLIENT" ? user.userId : "";
    place.replaceChildren();
    said.textContent = "";
  };
}

/** The families that were felt, in the order of the vocabulary, with words for them and what was felt of them in each bucket. */
function rows(insights, vocabulary) {
  const own = { family: "", light: ["words of one’s own"], strong: [] };
  return [...vocabulary.families, own]
    .map(({ family, light, strong }) => ({
      name: family || "other",
      words: [light[0], strong[0]].filter(Boolean).join(" to "),
      felt: insights.buckets.map((bucket) => bucket.families.find((each) => each.family === family)),
    }))
    .filter(({ felt }) => felt.some(Boolean));
}

function draw(insights, families) {
  const most = Math.max(...families.flatMap(({ felt }) => felt.map((each) => each?.count ?? 0)));
  const [width, height] = [NAMES + insights.buckets.length * COLUMN, HEAD + families.length * ROW];
  const chart = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-labelledby": "chart-title chart-desc" });
  const total = ({ felt }) => felt.reduce((sum, each) => sum + (each?.count ?? 0), 0);
  chart.append(
    element("title", { id: "chart-title" }, "Entries of each family of emotions over time"),
    element("desc", { id: "chart-desc" }, `${families.map((row) => `${row.name}: ${total(row)}`).join("; ")}.`),
  );
  const date = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: insights.timeZone });
  insights.buckets.forEach(({ start }, column) => {
    chart.append(element("text", { x: center(column), y: 18, class: "small" }, date.format(new Date(start))));
  });
  families.forEach(({ name, words, felt }, row) => {
    const floor = HEAD + (row + 1) * ROW - 18;
    chart.append(
      element("text", { x: 0, y: floor - 14, class: "name" }, name),
      element("text", { x: 0, y: floor + 2, class: "words" }, words),
      element("line", { x1: NAMES, x2: width, y1: floor, y2: floor }),
    );
    felt.forEach((each, column) => {
      if (each) {
        const tall = (each.count / most) * BAR;
        chart.append(
          element("rect", { x: center(column) - 12, y: floor - tall, width: 24, height: tall }),
          element("text", { x: center(column), y: floor - tall - 4 }, `${each.count}`),
          element("text", { x: center(column), y: floor + 13, class: "small" }, `⌀ ${each.meanIntensity.toFixed(1)}`),
        );
      }
    });
  });
  return chart;
}

const center = (column) => NAMES + (column + 0.5) * COLUMN;

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) {
    made.setAttribute(attribute, value);
  }
  made.textContent = text ?? "";
  return made;
}
