"use strict";
// The sample browser: which task, which run, which of its samples.

const PORTION = 200; // samples that are listed at once
const browser = { shelf: null, said: "", samples: [], found: [], listed: 0, chosen: 0 };

const shelved = page.scores.map((score, number) => ({ score, number: String(number) })).filter(({ score }) => score.shelf);

function fillRuns() {
  const task = byId("sample-task").value;
  fillSelect(byId("sample-run"), shelved.filter(({ score }) => score.task === task)
    .map(({ score, number }) => [number, [score.model, score.setting].filter(Boolean).join(" · ")]));
}

/** Show the samples of one score, wherever on the page that was asked for. */
function openShelf(task, number) {
  byId("sample-task").value = task;
  fillRuns();
  byId("sample-run").value = number;
  // What was looked for in another run's samples would hide some of these.
  for (const filter of ["sample-search", "sample-outcome", "sample-group"]) byId(filter).value = "";
  loadShelf();
  byId("samples").scrollIntoView();
  byId("sample-list").focus({ preventScroll: true });
}

async function loadShelf() {
  const { shelf } = page.scores[Number(byId("sample-run").value)];
  browser.shelf = shelf;
  // What was listed until now is another run's.
  take([], shelf.key ? "Loading…" : `No samples: ${shelf.why}.`);
  let [samples, said] = [[], browser.said];
  if (shelf.key) {
    try {
      [samples, said] = [(await load(shelf.key)).samples, ""];
    } catch (error) {
      said = error.message;
    }
  }
  // Meanwhile yet another run may have been chosen.
  if (browser.shelf !== shelf) return;
  fillFilters(samples);
  take(samples, said);
}

function fillFilters(samples) {
  const groups = new Set(samples.flatMap((sample) =>
    Object.entries(sample.groups ?? {}).flatMap(([name, values]) => values.map((value) => `${name}: ${value}`))));
  fillSelect(byId("sample-outcome"), OUTCOMES.filter((name) => samples.some((sample) => sample.outcome === name)), "all");
  fillSelect(byId("sample-group"), [...groups].sort(NUMBERS_FIRST.compare), "all");
}

/** Browse these samples; where there are none, `said` is why. */
function take(samples, said) {
  browser.samples = samples;
  browser.said = said;
  filterSamples();
}

function isWanted(sample, outcome, group, words) {
  if (outcome && sample.outcome !== outcome) return false;
  if (group && !Object.entries(sample.groups ?? {}).some(([name, values]) => values.some((value) => `${name}: ${value}` === group))) return false;
  const text = [sample.id, plainText(sample.question), plainText(sample.reply), sample.video].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function filterSamples() {
  const words = wordsOf(byId("sample-search").value);
  const [outcome, group] = [byId("sample-outcome").value, byId("sample-group").value];
  browser.found = browser.samples.filter((sample) => isWanted(sample, outcome, group, words));
  browser.listed = 0;
  byId("sample-list").replaceChildren();
  const left = browser.shelf.left_out ? `; ${browser.shelf.left_out} more are not on this page (wrong ones come first)` : "";
  byId("sample-count").textContent = browser.said || `${browser.found.length} of ${browser.samples.length} samples${left}`;
  listMore();
  choose(0, false);
}

function listMore() {
  const next = browser.found.slice(browser.listed, browser.listed + PORTION);
  byId("sample-list").append(...next.map((sample, place) => make("li",
    { role: "option", id: `sample-${browser.listed + place}`, "aria-selected": "false" },
    make("span", { className: `outcome ${sample.outcome ?? ""}` }, sample.outcome ?? (sample.score === undefined ? "–" : `score ${sample.score}`)),
    make("span", {}, plainText(sample.question).slice(0, 200)),
    make("span", { className: "said" }, plainText(sample.reply).slice(0, 120)))));
  browser.listed += next.length;
  byId("sample-more").hidden = browser.listed >= browser.found.length;
}

function choose(place, scroll = true) {
  const list = byId("sample-list");
  if (!browser.found.length) {
    list.removeAttribute("aria-activedescendant");
    return;
  }
  browser.chosen = Math.min(Math.max(place, 0), browser.found.length - 1);
  while (browser.listed <= browser.chosen) listMore();
  list.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
  const item = list.children[browser.chosen];
  item.setAttribute("aria-selected", "true");
  list.setAttribute("aria-activedescendant", item.id);
  if (scroll) item.scrollIntoView({ block: "nearest" });
}

function openSample() {
  const sample = browser.found[browser.chosen];
  if (sample) show(byId("sample-view"), sample.id, sampleView(sample));
}

function turn(by) {
  choose(browser.chosen + by);
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
    choose([...item.parentElement.children].indexOf(item));
    openSample();
  });
  for (const button of document.querySelectorAll("[data-turn]")) button.addEventListener("click", () => turn(Number(button.dataset.turn)));
  loadShelf();
}
