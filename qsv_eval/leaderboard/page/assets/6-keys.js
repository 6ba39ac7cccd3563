"use strict";
// Keys: "/" goes to the search of the section in view; arrows, Enter and Esc in lists and dialogs.

function searchInView() {
  const searches = [...document.querySelectorAll('input[type="search"]')];
  const distance = (input) => {
    const { top, bottom } = input.closest("section").getBoundingClientRect();
    return top <= innerHeight / 2 && bottom >= 0 ? Math.abs(top) : Infinity;
  };
  return searches.reduce((best, input) => (distance(input) < distance(best) ? input : best));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.matches("input, select, textarea");
  const dialog = document.querySelector("dialog[open]");
  if (event.key === "/" && !isTyping && !dialog) {
    event.preventDefault();
    searchInView().focus();
  } else if (event.key === "Escape" && event.target.matches('input[type="search"]')) {
    event.target.value = "";
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
    event.target.blur();
  } else if (dialog?.id === "sample-view" && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
    event.preventDefault();
    turn(event.key === "ArrowLeft" ? -1 : 1);
  }
});

byId("sample-list")?.addEventListener("keydown", (event) => {
  const to = {
    ArrowDown: browser.selected + 1, ArrowUp: browser.selected - 1, Home: 0, End: browser.matches.length - 1,
    PageDown: browser.selected + 10, PageUp: browser.selected - 10,
  }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    select(to);
  } else if (event.key === "Enter") {
    event.preventDefault();
    openSample();
  }
});

byId("sample-search")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === "ArrowDown") {
    event.preventDefault();
    byId("sample-list").focus();
  }
});

// In tables, arrows go from number to number.
document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.("td button, thead button")?.closest("td, th");
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!cell || !step) return;
  const rows = [...cell.closest("table").rows].filter((row) => !row.hidden);
  let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex];
  do {
    row += step[0];
    column += step[1];
  } while (rows[row]?.cells[column] && !rows[row].cells[column].querySelector("button"));
  const button = rows[row]?.cells[column]?.querySelector("button");
  if (button) {
    event.preventDefault();
    button.focus();
  }
});
