"use strict";
(() => {
  document.documentElement.classList.add("js");

  // --- sorting: the names of columns become buttons; what is not known stays last in both directions
  const status = document.getElementById("sorted");
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value;
    if (text === undefined || text === "") return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

  for (const table of document.querySelectorAll("table.sortable")) {
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
      if (status) status.textContent = `Sorted by ${head.textContent.trim()}, ${next}`;
    };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(column));
      head.append(button);
    });
  }

  // --- points of the plot: a tooltip, and a way to the row
  const figure = document.getElementById("scatter");
  if (figure) {
    const ids = figure.dataset.rows.split(" ");
    const tip = document.createElement("div");
    tip.id = "tip";
    tip.hidden = true;
    document.body.append(tip);
    const show = (point) => {
      const box = point.getBoundingClientRect();
      tip.textContent = point.getAttribute("aria-label");
      tip.hidden = false;
      const left = Math.min(box.right + 10, document.documentElement.clientWidth - tip.offsetWidth - 8);
      tip.style.left = `${Math.max(8, left) + window.scrollX}px`;
      const above = box.top - tip.offsetHeight - 8;
      tip.style.top = `${(above > 0 ? above : box.bottom + 8) + window.scrollY}px`;
    };
    const hide = () => { tip.hidden = true; };
    for (const drawing of figure.querySelectorAll("svg")) {
      const points = drawing.querySelectorAll('[aria-roledescription="point"]');
      points.forEach((point, index) => {
        const follow = () => { hide(); location.hash = ids[index]; };
        point.dataset.to = ids[index];
        point.setAttribute("tabindex", "0");
        point.setAttribute("role", "link");
        point.addEventListener("pointerenter", () => show(point));
        point.addEventListener("pointerleave", hide);
        point.addEventListener("focus", () => show(point));
        point.addEventListener("blur", hide);
        point.addEventListener("click", follow);
        point.addEventListener("keydown", (event) => {
          if (event.key === "Enter") follow();
          if (event.key === "Escape") hide();
        });
      });
    }
  }

  // --- paper shows what is folded away, and folds it again; but not the long lists of data
  const folded = [...document.querySelectorAll("details:not([open]):not(.data)")];
  window.addEventListener("beforeprint", () => folded.forEach((one) => { one.open = true; }));
  window.addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));
})();
