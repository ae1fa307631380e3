"use strict";
document.documentElement.classList.add("js");

// A form control with its label, as on any page.
const build = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const count = (number, one, many) => `${number} ${number === 1 ? one : many || `${one}s`}`;

// --- sorting: the names of columns become buttons; what is not known stays last in both directions
const valueOf = (row, column) => {
  const text = row.cells[column].dataset.value;
  if (text === undefined || text === "") return null;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
};
const alphabet = new Intl.Collator("en", { numeric: true });
const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : alphabet.compare(String(a), String(b)));

const sortable = (table) => {
  const status = document.getElementById("sorted");
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const sort = (column) => {
    const head = heads[column];
    const now = head.getAttribute("aria-sort");
    const first = head.dataset.first || "ascending";
    const next = now === null ? first : now === "ascending" ? "descending" : "ascending";
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
    rows.sort(([a], [b]) => (a === null ? (b === null ? 0 : 1) : b === null ? -1 : sign * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
    table.dispatchEvent(new Event("sorted"));
    if (status) status.textContent = `Sorted by ${head.textContent.trim()}, ${next}`;
  };
  heads.forEach((head, column) => {
    const button = build("button", { type: "button" }, ...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
};
document.querySelectorAll("table.sortable").forEach(sortable);

// --- a hint where a table goes on to the side, told by its size when it is laid out
const hints = new WeakMap();
const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => {
  const box = target.closest(".scroll");
  const wider = box.scrollWidth > box.clientWidth + 1;
  box.classList.toggle("wider", wider);
  hints.get(box).hidden = !wider;
}));
const hinted = (box) => {
  const hint = build("p", { className: "hint", hidden: true }, "Scroll the table sideways: it has more columns \u2192");
  hint.setAttribute("aria-hidden", "true");  // who does not see it is told all columns anyway
  hints.set(box, hint);
  for (const part of [box, box.firstElementChild]) sizes.observe(part);
  return hint;
};

// --- filtering the table of candidates: by words, and by what there are several kinds of. Of very many only the first
// are shown: the page was made with the others hidden, and laying them all out takes seconds.
const filterable = (table) => {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  let limit = Number(table.dataset.limit);
  const controls = build("div", { className: "controls", role: "group" });
  controls.setAttribute("aria-label", "Which candidates to show");
  const search = build("input", { type: "search", id: "filter", autocomplete: "off", spellcheck: false });
  controls.append(build("label", {}, "Filter by words", search));
  const choices = Object.entries(JSON.parse(table.dataset.filters)).map(([key, label]) => {
    const kinds = [...new Set(rows.map((row) => row.dataset[key]))].sort(alphabet.compare);
    const list = build("select", { id: `filter-${key}` }, build("option", { value: "" }, "all"));
    list.append(...kinds.map((kind, index) => build("option", { value: String(index + 1) }, kind)));
    if (kinds.length > 1) controls.append(build("label", {}, label, list));
    return [key, list, kinds];
  });
  const ticks = [["doubtful", "trusted only", false], ["front", "front only", true]].map(([name, label, wanted]) => {
    const tick = build("input", { type: "checkbox", id: `filter-${name}` });
    const some = rows.filter((row) => row.classList.contains(name)).length;
    if (some > 0 && some < rows.length) controls.append(build("label", { className: "tick" }, tick, label));
    return [name, tick, wanted];
  });
  const clear = build("button", { type: "button", id: "filter-clear", hidden: true }, "Clear filters");
  const more = build("button", { type: "button", id: "filter-more", hidden: true });
  const told = build("p", { id: "shown", className: "told", role: "status" });
  controls.append(clear, more);
  table.closest(".scroll").before(controls, told);

  const texts = new Map(rows.map((row) => [row, `${row.dataset.words} ${row.id}`.toLowerCase()]));
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let fitting = 0;
    for (const row of body.rows) {
      const fits = words.every((word) => texts.get(row).includes(word))
        && choices.every(([key, list, kinds]) => !list.value || row.dataset[key] === kinds[Number(list.value) - 1])
        && ticks.every(([name, tick, wanted]) => !tick.checked || row.classList.contains(name) === wanted);
      fitting += fits ? 1 : 0;
      const shown = fits && fitting <= limit;
      if (row.hidden === shown) row.hidden = !shown;
    }
    const shown = Math.min(fitting, limit);
    clear.hidden = fitting === rows.length;
    more.hidden = shown === fitting;
    more.textContent = `Show all ${fitting} rows`;
    const left = rows.length - shown;
    told.replaceChildren(...(left === 0 ? [] : [`Shown: ${shown} of ${count(rows.length, "candidate")}.`, build("span",
      { className: "paper-only" }, ` On paper the other ${left} ${left === 1 ? "is" : "are"} left out; all are in ranking.csv beside this page.`)]));
  };
  const reset = () => {
    search.value = "";
    for (const [, list] of choices) list.value = "";
    for (const [, tick] of ticks) tick.checked = false;
    apply();
  };
  controls.addEventListener("input", apply);
  clear.addEventListener("click", () => { reset(); search.focus(); });
  more.addEventListener("click", () => { limit = Infinity; apply(); search.focus(); });
  table.addEventListener("sorted", apply);
  // A link to a row that is filtered out shows it again.
  const reveal = () => {
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!row || !row.hidden || !texts.has(row)) return;
    reset();
    row.hidden = false;
    row.scrollIntoView({ block: "center" });
  };
  window.addEventListener("hashchange", reveal);
  apply();
  reveal();
};
document.querySelectorAll("table[data-filters]").forEach(filterable);
document.querySelectorAll(".scroll").forEach((box) => box.before(hinted(box)));
