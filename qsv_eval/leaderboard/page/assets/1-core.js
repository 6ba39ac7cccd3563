"use strict";
// Shared functions: making elements, loading data files on demand, dialogs and selects.

const page = JSON.parse(document.getElementById("data").textContent);
window.qsvData = {};
const byId = (id) => document.getElementById(id);

/** Make an element. Its children are elements or text; no string on this page is parsed as HTML. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "role") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const loading = new Map();

/** Load a data file once; return a promise of its value. */
function load(key) {
  if (key in window.qsvData) return Promise.resolve(window.qsvData[key]);
  if (!loading.has(key)) {
    loading.set(key, new Promise((resolve, reject) => {
      const script = make("script", { src: `page/${key}.js`, async: true });
      const fail = (why) => {
        loading.delete(key);
        reject(new Error(`page/${key}.js ${why}`));
      };
      script.onload = () => (key in window.qsvData ? resolve(window.qsvData[key]) : fail("is damaged: make the page again"));
      script.onerror = () => fail('cannot be loaded: the folder "page" belongs beside this file');
      document.head.append(script);
    }));
  }
  return loading.get(key);
}

/** Fill an element from a data file, or with the error; a result that is no longer wanted is dropped. */
async function fill(element, key, build) {
  element.dataset.wanted = key;
  let content;
  try {
    content = build(await load(key));
  } catch (error) {
    content = make("p", { className: "missing" }, error.message);
  }
  if (element.dataset.wanted === key) element.replaceChildren(...[content].flat());
}

/** Return a list of terms and values, without empty ones. */
function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", { className: "facts" },
    known.map(([name, value]) => [make("dt", {}, name), make("dd", {}, typeof value === "number" ? String(value) : value)]));
}

/** Open a dialog with a title and content; Esc, its button or a click outside closes it. */
function show(dialog, title, content) {
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector(".body").replaceChildren(...content.filter((part) => part !== null));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

/** Fill a select with values, and keep its selected value if that is among them. */
function fillSelect(select, values, first) {
  const before = select.value;
  const named = values.map((value) => Array.isArray(value) ? value : [value, value]);
  select.replaceChildren(...(first ? [make("option", { value: "" }, first)] : []),
    ...named.map(([value, name]) => make("option", { value }, name)));
  if (named.some(([value]) => value === before)) select.value = before;
}
