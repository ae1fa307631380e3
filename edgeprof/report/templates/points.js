
// --- points of the plot: a tooltip, and a way to the row
const scatter = document.getElementById("scatter");
if (scatter) {
  const tip = build("div", { id: "tip", hidden: true });
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
  for (const drawing of scatter.querySelectorAll("svg")) {
    const ids = drawing.closest("[data-rows]").dataset.rows.split(" ");
    drawing.querySelectorAll('[aria-roledescription="point"]').forEach((point, index) => {
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
