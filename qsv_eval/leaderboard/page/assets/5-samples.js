"use strict";
// The sample browser: choice of a task and a run, and filters of its samples.

const BATCH = 200; // samples added to the list at once
const browser = { shelf: null, message: "", samples: [], matches: [], listed: 0, selected: 0 };

const shelved = page.scores.map((score, number) => ({ score, number: String(number) })).filter(({ score }) => score.shelf);

function fillRuns() {
  const task = byId("sample-task").value;
  fillSelect(byId("sample-run"), shelved.filter(({ score }) => score.task === task)
    .map(({ score, number }) => [number, [score.model, score.setting].filter(Boolean).join(" · ")]));
}

/** Show the samples of one score. */
function openShelf(task, number) {
  byId("sample-task").value = task;
  fillRuns();
  byId("sample-run").value = number;
  // Filters set for another run would hide some samples.
  for (const filter of ["sample-search", "sample-outcome", "sample-group"]) byId(filter).value = "";
  loadShelf();
  byId("samples").scrollIntoView();
  byId("sample-list").focus({ preventScroll: true });
}

async function loadShelf() {
  const { shelf } = page.scores[Number(byId("sample-run").value)];
  browser.shelf = shelf;
  // The samples listed so far belong to another run.
  setSamples([], shelf.key ? "Loading…" : `No samples: ${shelf.why}.`);
  let [samples, message] = [[], browser.message];
  if (shelf.key) {
    try {
      [samples, message] = [(await load(shelf.key)).samples, ""];
    } catch (error) {
      message = error.message;
    }
  }
  // Another run may have been chosen in the meantime.
  if (browser.shelf !== shelf) return;
  fillFilters(samples);
  setSamples(samples, message);
}

function fillFilters(samples) {
  const groups = new Set(samples.flatMap((sample) =>
    Object.entries(sample.groups ?? {}).flatMap(([name, values]) => values.map((value) => `${name}: ${value}`))));
  fillSelect(byId("sample-outcome"), OUTCOMES.filter((name) => samples.some((sample) => sample.outcome === name)), "all");
  fillSelect(byId("sample-group"), [...groups].sort(NUMBERS_FIRST.compare), "all");
}

/** Set the samples to browse; if there are none, `message` is the reason. */
function setSamples(samples, message) {
  browser.samples = samples;
  browser.message = message;
  filterSamples();
}

function isMatch(sample, outcome, group, words) {
  if (outcome && sample.outcome !== outcome) return false;
  if (group && !Object.entries(sample.groups ?? {}).some(([name, values]) => values.some((value) => `${name}: ${value}` === group))) return false;
  const text = [sample.id, plainText(sample.question), plainText(sample.reply), sample.video].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function filterSamples() {
  const words = wordsOf(byId("sample-search").value);
  const [outcome, group] = [byId("sample-outcome").value, byId("sample-group").value];
  browser.matches = browser.samples.filter((sample) => isMatch(sample, outcome, group, words));
  browser.listed = 0;
  byId("sample-list").replaceChildren();
  const left = browser.shelf.left_out ? `; ${browser.shelf.left_out} more are not on this page (wrong ones come first)` : "";
  byId("sample-count").textContent = browser.message || `${browser.matches.length} of ${browser.samples.length} samples${left}`;
  listMore();
  select(0, false);
}

function listMore() {
  const next = browser.matches.slice(browser.listed, browser.listed + BATCH);
  byId("sample-list").append(...next.map((sample, index) => make("li",
    { role: "option", id: `sample-${browser.listed + index}`, "aria-selected": "false" },
    make("span", { className: `outcome ${sample.outcome ?? ""}` }, sample.outcome ?? (sample.score === undefined ? "–" : `score ${sample.score}`)),
    make("span", {}, plainText(sample.question).slice(0, 200)),
    make("span", { className: "said" }, plainText(sample.reply).slice(0, 120)))));
  browser.listed += next.length;
  byId("sample-more").hidden = browser.listed >= browser.matches.length;
}

function select(index, scroll = true) {
  const list = byId("sample-list");
  if (!browser.matches.length) {
    list.removeAttribute("aria-activedescendant");
    return;
  }
  browser.selected = Math.min(Math.max(index, 0), browser.matches.length - 1);
  while (browser.listed <= browser.selected) listMore();
  list.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
  const item = list.children[browser.selected];
  item.setAttribute("aria-selected", "true");
  list.setAttribute("aria-activedescendant", item.id);
  if (scroll) item.scrollIntoView({ block: "nearest" });
}

function openSample() {
  const sample = browser.matches[browser.selected];
  if (sample) show(byId("sample-view"), sample.id, sampleView(sample));
}

function turn(by) {
  select(browser.selected + by);
  openSample();
}

if (byId("sample-task") && shelved.length) {
  fillSelect(byId("sample-task"), [...new Set(shelved.map(({ score }) => score.task))]);
  fillRuns();
  byId("sample-task").addEventListener("change", () => { fillRuns(); loadShelf(); });
  byId("sample-run").addEventListener("change", loadShelf);
  for (const id of ["sample-outcome", "sample-group"]) byId(id).addEventListener("change", filterSamples);
  byId("sample-search").addEventListener("input", filterSamples);
  byId("sample-more").addEventListener("click", listMore);
  byId("sample-list").addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (!item) return;
    select([...item.parentElement.children].indexOf(item));
    openSample();
  });
  for (const button of document.querySelectorAll("[data-turn]")) button.addEventListener("click", () => turn(Number(button.dataset.turn)));
  loadShelf();
}
