"use strict";
// Sorting of tables by their headings, and filtering by words.

const NUMBERS_FIRST = new Intl.Collator("en", { numeric: true });

function valueOf(row, column) {
  const cell = row.cells[column];
  const stated = cell.dataset.v;
  const text = cell.textContent.trim();
  if (stated === undefined) return text === "–" ? "" : text;
  return stated === "" ? "" : isNaN(Number(stated)) ? stated : Number(stated);
}

function compare(one, other, down) {
  // Missing values come last in both directions.
  if (one === "" || other === "") return (one === "") - (other === "");
  const order = typeof one === "number" && typeof other === "number"
    ? one - other : NUMBERS_FIRST.compare(String(one), String(other));
  return down ? -order : order;
}

function sortBy(table, heading) {
  const column = heading.cellIndex;
  const isNumber = heading.classList.contains("number");
  const was = heading.getAttribute("aria-sort");
  // The first click sorts numbers from the highest, names from A.
  const down = was === "none" ? isNumber : was === "ascending";
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row, index) => [valueOf(row, column), index, row]);
  keyed.sort((one, other) => compare(one[0], other[0], down) || one[1] - other[1]);
  body.append(...keyed.map(([, , row]) => row));
}

/** Make a table sortable by its head; call this once for each head, or a click would sort several times. */
function makeSortable(head) {
  for (const heading of head.rows[0].cells) {
    heading.querySelector("button")?.addEventListener("click", () => sortBy(head.parentElement, heading));
  }
}

function wordsOf(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

function filterTable(id) {
  const words = wordsOf(document.querySelector(`[data-filter="${id}"]`)?.value ?? "");
  const box = document.querySelector(`[data-hide="${id}"]`);
  const rows = [...byId(id).tBodies[0].rows];
  let count = 0;
  for (const row of rows) {
    const text = (id === "headline" ? row.cells[0].textContent : row.textContent).toLowerCase();
    const isHidden = box && !box.checked && row.classList.contains(box.dataset.of);
    row.hidden = isHidden || !words.every((word) => text.includes(word));
    count += !row.hidden;
  }
  const output = document.querySelector(`[data-count="${id}"]`);
  if (output) {
    const total = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
    output.textContent = count === rows.length ? total : `${count} of ${total}`;
  }
}

for (const id of ["headline", "behind", "run-table"]) {
  makeSortable(byId(id).tHead);
  filterTable(id);
  document.querySelector(`[data-filter="${id}"]`).addEventListener("input", () => filterTable(id));
  document.querySelector(`[data-hide="${id}"]`)?.addEventListener("change", () => filterTable(id));
}
