"use strict";
// Details of a score, tables of groups, and the plots of a task.

const OUTCOMES = ["correct", "wrong", "unparsed", "empty", "error", "unscored"];

function outcomeBar(outcomes) {
  const total = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  if (!total) return null;
  const there = OUTCOMES.filter((name) => outcomes[name]);
  const parts = there.map((name) => {
    const part = make("i", { title: `${outcomes[name]} ${name}` });
    part.style.width = `${100 * outcomes[name] / total}%`;
    part.style.background = `var(--${name})`;
    return part;
  });
  return make("div", {},
    make("div", { className: "shares", role: "img", "aria-label": there.map((name) => `${outcomes[name]} ${name}`).join(", ") }, parts),
    make("div", { className: "key" }, there.map((name) => make("span", { className: `outcome ${name}` }, `${outcomes[name]} ${name}`))));
}

function usageFacts(usage) {
  if (!usage) return make("p", { className: "missing" }, "Frames used and cost are unknown.");
  const range = ` (5th to 95th percentile ${usage.p5} to ${usage.p95})`;
  const parts = Object.entries(usage.parts).map(([name, seconds]) => `${name} ${seconds}`).join(", ");
  return facts([
    ["frames really used", `${usage.frames} a question${range}`],
    ["cubes", `${usage.cubes} a question`],
    ["visual tokens", `${usage.tokens} a question, ${usage.tokens_per_frame ?? "–"} a frame`],
    ["seconds", `${usage.seconds} a question: ${parts}; decoding, in parallel, ${usage.decoding}`],
    ["mean over", `${usage.answers} answers`],
  ]);
}

function openScore(number) {
  const score = page.scores[number];
  const shelf = score.shelf;
  const protocol = make("div");
  const interval = score.low_text ? `[${score.low_text}, ${score.high_text}], 95 %` : "";
  const possible = score.complete === false && score.lowest_text ? `${score.lowest_text} to ${score.highest_text}` : "";
  show(byId("score-view"), `${score.model} on ${score.task}: ${score.value_text || "no score"}`, [
    outcomeBar(score.outcomes),
    facts([
      ["setting", score.setting], ["interval", interval], ["possible range (incomplete)", possible],
      ["questions", score.n === null ? null : score.videos ? `${score.n} on ${score.videos} videos or images` : score.n],
      ["average", score.average || [score.kind, score.metric].filter(Boolean).join(": ")],
      ["scale", score.scale], ["mean of questions", score.micro_text], ["mean of groups", score.macro_text],
      ["degraded", score.degraded ? `${score.degraded} answers use fewer frames because memory ran out` : ""],
      ["source", score.source], ["note", score.note], ["file", score.file],
    ]),
    usageFacts(score.usage),
    shelf?.key ? make("p", {}, make("button", { type: "button", className: "link", onclick: () => {
      byId("score-view").close();
      openShelf(score.task, String(number));
    } }, "Browse its samples")) : null,
    score.protocol ? make("h3", {}, `Protocol ${score.protocol}`) : null,
    protocol,
  ]);
  if (score.protocol) fill(protocol, "protocols/all", (all) => record(all[score.protocol] ?? {}));
}

/** Return a protocol record as a list; nested fields have dotted names. */
function record(value, at = "") {
  const pairs = [];
  const walk = (part, name) => {
    if (part !== null && typeof part === "object" && !Array.isArray(part)) {
      for (const [key, inner] of Object.entries(part)) walk(inner, name ? `${name}.${key}` : key);
    } else {
      pairs.push([name, make("span", { className: "text" }, typeof part === "string" ? part : JSON.stringify(part))]);
    }
  };
  walk(value, at);
  return facts(pairs.filter(([name]) => name !== "hash"));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-score]");
  if (button) openScore(Number(button.dataset.score));
});

// ---- groups

function groupCell(cell) {
  if (!cell) return make("td", { className: "number none" }, "–");
  const near = cell.near ? make("span", { className: "near", "aria-hidden": "true", title: "not significantly different from the best" }, "≈") : null;
  const said = cell.said ? make("span", { className: "unseen" }, ` ${cell.said} `) : null;
  const value = make("span", { className: "value" }, cell.text || "–", near, said);
  return make("td", { className: `number ${cell.mark}`, "data-v": cell.value ?? "" }, value,
    cell.under ? make("small", {}, cell.under) : null, cell.n ? make("small", {}, cell.n) : null, cell.marks ? make("small", { className: "mark" }, cell.marks) : null);
}

function groupTable(table) {
  const heading = (name, kind) => make("th", { scope: "col", className: kind, "aria-sort": "none" }, make("button", { type: "button" }, name));
  const rows = table.rows.map((row) => make("tr", { className: row.published ? "published" : "" },
    make("th", { scope: "row", className: "name" }, row.model, row.label ? make("small", {}, row.label) : null),
    row.cells.map(groupCell)));
  const head = make("thead", {}, make("tr", {}, heading("model", "name"), table.columns.map((name) => heading(name, "number"))));
  makeSortable(head);
  return [head, make("tbody", {}, rows)];
}

const showGroups = () => fill(byId("group-table"), byId("group-choice").value, groupTable);

if (byId("group-choice")) {
  byId("group-choice").addEventListener("change", showGroups);
  showGroups();
}

// ---- plots

function showPlots() {
  const task = byId("plot-choice").value;
  byId("plot-figures").replaceChildren(...page.plots.filter((plot) => plot.task === task).map((plot) =>
    make("figure", {}, make("img", { src: plot.svg, alt: `${plot.task}: ${plot.title}`, loading: "lazy" }),
      make("figcaption", {}, `${plot.title} (`, make("a", { href: plot.svg }, "SVG"), ", ", make("a", { href: plot.png }, "PNG"), ")"))));
}

if (byId("plot-choice")) {
  byId("plot-choice").addEventListener("change", showPlots);
  showPlots();
}
