
// --- choosing for a budget, by the rule of `edgeprof choose`: trusted, accuracy known, the upper end of the latency's
// interval within the budget; then the highest top-1, the lowest upper end, the smallest file, the first job
const PERCENTILES = [50, 90, 99];
const candidatesOf = (lists) => lists.map((rows) => rows.map(
  ([id, name, file, trusted, top1, low, high, size, order, ...latency]) => ({
    id, name, file, trusted, top1, low, high, size, order,
    value: (percentile) => latency[2 * PERCENTILES.indexOf(percentile)],
    bound: (percentile) => latency[2 * PERCENTILES.indexOf(percentile) + 1],
  })));
const firstOf = (...differences) => differences.find((one) => one !== 0) || 0;
const better = (a, b, percentile) => firstOf(
  b.top1 - a.top1, a.bound(percentile) - b.bound(percentile), a.size - b.size, a.order - b.order);

const chooseFor = (candidates, budget, percentile) => {
  const bound = (one) => one.bound(percentile);
  const refused = { trust: [], latency: [], unbounded: [], top1: [] };
  const hindrances = new Map();
  const fit = candidates.filter((one) => {
    const limits = [];
    if (!one.trusted) limits.push("trust");
    if (bound(one) === null) limits.push("unbounded");
    else if (bound(one) > budget) limits.push("latency");
    if (one.top1 === null) limits.push("top1");
    for (const limit of limits) refused[limit].push(one);
    hindrances.set(one, limits.length);
    return limits.length === 0;
  });
  fit.sort((a, b) => better(a, b, percentile));
  // Nearest is what only the latency keeps out. Where there is no p99, it is at least p90.
  const distance = (one) => [one.trusted ? 0 : 1, bound(one) === null ? 1 : 0, one.top1 === null ? 1 : 0,
    hindrances.get(one), bound(one) ?? one.value(percentile) ?? one.value(90), one.order];
  const near = (a, b) => firstOf(...distance(a).map((part, index) => part - distance(b)[index]));
  const miss = fit.length || !candidates.length ? null : candidates.reduce((a, b) => (near(b, a) < 0 ? b : a));
  return { chosen: fit[0] || null, runnerUp: fit[1] || null, miss, fit, refused };
};

// One file for all devices, on each with the number of threads that suits it best there: of those that meet the budget
// everywhere the one with the highest top-1, then with the lowest upper end where it is slowest, then the smallest.
const chooseForAll = (answers, percentile) => {
  const files = new Map();
  answers.forEach(({ fit }, device) => fit.forEach((one) => {  // the best of a device come first
    const there = files.get(one.file) || [];
    if (!there[device]) there[device] = one;
    files.set(one.file, there);
  }));
  const everywhere = [...files.entries()].filter(([, there]) => answers.every((_, device) => there[device]));
  const most = (there, key) => there.reduce((worst, one) => Math.max(worst, key(one)), -Infinity);
  const merits = ([, there]) => [(one) => -one.top1, (one) => one.bound(percentile), (one) => one.size].map((key) => most(there, key));
  const found = everywhere.map((entry) => [merits(entry), entry]);
  found.sort(([a, [file]], [b, [other]]) => firstOf(...a.map((part, index) => part - b[index]), file - other));
  return found.map(([, [file, there]]) => ({ file, there }));
};

// Numbers as the page writes them: three significant digits, never in powers of ten.
const digits = (value) => {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const shown = (decimals) => value.toFixed(Math.min(Math.max(0, decimals), 9));
  const first = shown(2 - Math.floor(Math.log10(Math.abs(value))));
  const text = Number(first) === 0 ? first : shown(2 - Math.floor(Math.log10(Math.abs(Number(first)))));
  const [whole, fraction] = text.split(".");
  return (whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole) + (fraction ? `.${fraction}` : "");
};
const percents = (share) => (100 * share).toFixed(1);

const SECTION = document.getElementById("choose");
if (SECTION) {
  const given = JSON.parse(SECTION.dataset.candidates);
  const lists = candidatesOf(given.candidates);
  const devices = JSON.parse(SECTION.dataset.devices);
  const lowest = Number(SECTION.dataset.low);
  const highest = Number(SECTION.dataset.high);
  const slider = document.getElementById("budget-slider");
  const field = document.getElementById("budget-field");
  const unit = document.getElementById("budget-unit");
  const asked = document.getElementById("budget-percentile");
  const answer = document.getElementById("answer");
  const STEPS = Number(slider.max);
  const position = (budget) => STEPS * Math.log(budget / lowest) / Math.log(highest / lowest);
  const rounded = (value) => Number(value.toPrecision(3));
  const budgetNow = () => (field.value.trim() === "" ? NaN : Number(field.value) * Number(unit.value));
  const say = (percentile) => (percentile === 50 ? "median" : `p${percentile}`);
  const link = (one) => build("a", { href: `#${one.id}` }, one.name);
  const facts = (one, percentile) => {
    const accuracy = one.top1 === null ? "accuracy unknown"
      : `top-1 ${percents(one.top1)}%${one.low === null || one.high === null ? "" : ` (${percents(one.low)} to ${percents(one.high)})`}`;
    const bound = one.bound(percentile);
    return `${accuracy}, ${say(percentile)} ${digits(one.value(percentile))} ms`
      + `${bound === null ? " without an upper bound" : `, at most ${digits(bound)} ms`}, ${digits(one.size / 1e6)} MB`;
  };
  const why = ({ chosen, runnerUp, fit }, percentile) => {
    if (fit.length === 1) return "Nothing else meets the budget.";
    if (chosen.top1 > runnerUp.top1) {
      const tied = runnerUp.high !== null && chosen.low !== null && runnerUp.high >= chosen.low;
      return "It has the highest top-1 of those that meet the budget"
        + (tied ? "; the intervals overlap, so the runner-up may be as good." : ".");
    }
    if (chosen.bound(percentile) < runnerUp.bound(percentile)) return "The runner-up is as accurate, but slower.";
    return chosen.size < runnerUp.size ? "The runner-up is as accurate and as fast, but its file is larger."
      : "The runner-up is as good in everything.";
  };
  const rejected = ({ fit, refused }, total, percentile) => {
    const parts = [
      [refused.latency, `${say(percentile)} may be over the budget`], [refused.trust, "not trusted"],
      [refused.unbounded, `${say(percentile)} has no upper bound`], [refused.top1, "accuracy unknown"],
    ].filter(([some]) => some.length).map(([some, text]) => `${text}: ${some.length}`);
    const several = new Set(Object.values(refused).flat()).size < Object.values(refused).flat().length;
    return `${fit.length} of ${count(total, "candidate")} ${fit.length === 1 ? "meets" : "meet"} it.`
      + (parts.length ? ` Rejected: ${parts.join("; ")}${several ? " (some for several of these)" : ""}.` : "");
  };
  const line = (label, one, percentile) =>
    build("div", {}, build("dt", {}, label), build("dd", {}, link(one), build("small", {}, facts(one, percentile))));

  const tell = (found, total, percentile) => {
    const list = build("dl", { className: "picked" });
    if (found.chosen) list.append(line("Chosen", found.chosen, percentile));
    if (found.runnerUp) list.append(line("Runner-up", found.runnerUp, percentile));
    if (found.miss) list.append(line("Nearest miss", found.miss, percentile));
    const text = found.chosen ? why(found, percentile) : "No candidate meets the budget.";
    return [list, build("p", {}, `${text} ${rejected(found, total, percentile)}`)];
  };
  const tellAll = (answers, percentile) => {
    const all = chooseForAll(answers, percentile);
    answer.dataset.forAll = all.length ? String(all[0].file) : "";
    const names = all.slice(0, 2).map(({ file }) => given.files[file]);
    const text = names.length === 0 ? "No file meets the budget on all devices."
      : `On all devices: ${names[0]}.${names.length > 1 ? ` Runner-up: ${names[1]}.` : " No other file does."}`;
    const head = ["Device", "Chosen", "Runner-up", "Meet it"].map((name) => build("th", { scope: "col" }, name));
    const cell = (one) => build("td", {}, ...(one ? [link(one), build("small", {}, facts(one, percentile))] : ["–"]));
    const rows = answers.map((found, index) => build("tr", {}, build("th", { scope: "row" }, devices[index].name),
      found.chosen ? cell(found.chosen) : build("td", {}, "none", ...(found.miss ? [build("small", {}, "nearest: ", link(found.miss))] : [])),
      cell(found.runnerUp), build("td", { className: "n" }, `${found.fit.length} of ${lists[index].length}`)));
    const table = build("table", {}, build("thead", {}, build("tr", {}, ...head)), build("tbody", {}, ...rows));
    const box = build("div", { className: "scroll", tabIndex: 0, role: "region" }, table);
    box.setAttribute("aria-label", "Choices by device");
    return [build("p", { className: "for-all" }, text), box];
  };

  // The plot: a line at the budget, and pale what does not meet it.
  const drawLine = (budget, percentile) => {
    if (!scatter || scatter.dataset.low === undefined) return;
    const [from, to] = [Number(scatter.dataset.low), Number(scatter.dataset.high)];
    for (const drawing of scatter.querySelectorAll("svg")) {
      drawing.querySelector(".budget-line")?.remove();
      const frame = drawing.querySelector(".role-frame > g");
      const size = frame?.querySelector("path.background")?.getAttribute("d").match(/h([\d.]+)v([\d.]+)/);
      if (!size || !(budget >= from && budget <= to)) continue;
      const x = Number(size[1]) * Math.log(budget / from) / Math.log(to / from);
      const made = (tag, attributes) => {
        const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
        for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
        return element;
      };
      const group = made("g", { class: "budget-line", "aria-hidden": "true" });
      const right = x > Number(size[1]) / 2;
      const text = made("text", { x: x + (right ? -5 : 5), y: 11, "text-anchor": right ? "end" : "start" });
      text.textContent = `${say(percentile)} within ${digits(budget)} ms`;
      group.append(made("line", { x1: x, x2: x, y1: 0, y2: size[2] }), text);
      frame.append(group);
    }
  };
  const mark = (answers) => {
    const fit = new Set(answers.flatMap((one) => one.fit.map(({ id }) => id)));
    const chosen = new Set(answers.filter((one) => one.chosen).map((one) => one.chosen.id));
    document.querySelectorAll("#scatter [data-to]").forEach((point) => {
      point.classList.toggle("out", !fit.has(point.dataset.to));
      point.classList.toggle("chosen", chosen.has(point.dataset.to));
    });
    document.querySelectorAll("tr.chosen").forEach((row) => {
      row.classList.remove("chosen");
      row.querySelector(".badge.chosen").remove();
    });
    for (const id of chosen) {
      const row = document.getElementById(id);
      row.classList.add("chosen");
      row.querySelector("th[scope=row] a").after(" ", build("span", { className: "badge chosen" }, "chosen"));
    }
  };
  const update = () => {
    const budget = budgetNow();
    const percentile = Number(asked.value);
    const valid = Number.isFinite(budget) && budget > 0;
    field.setAttribute("aria-invalid", String(!valid));
    answer.dataset.chosen = answer.dataset.runnerUp = answer.dataset.miss = "";
    if (!valid) {
      answer.replaceChildren(build("p", {}, "Write a time of more than zero as the budget."));
      drawLine(NaN, percentile);
      mark([]);
      return;
    }
    slider.value = String(Math.min(STEPS, Math.max(0, position(budget))));
    slider.setAttribute("aria-valuetext", `${digits(budget)} milliseconds`);
    const answers = lists.map((rows) => chooseFor(rows, budget, percentile));
    const ids = (key) => answers.map((one) => (one[key] ? one[key].id : "")).join(" ");
    Object.assign(answer.dataset, { chosen: ids("chosen"), runnerUp: ids("runnerUp"), miss: ids("miss") });
    answer.dataset.fit = answers.map(({ fit }) => fit.length).join(" ");
    answer.dataset.refused = JSON.stringify(answers.map(({ refused }) =>
      Object.fromEntries(Object.entries(refused).map(([key, some]) => [key, some.length]))));
    answer.replaceChildren(...(devices.length > 1 ? tellAll(answers, percentile)
      : tell(answers[0], lists[0].length, percentile)));
    const command = document.getElementById("command");
    if (command) {
      const asked = `${field.value.trim()}${unit.selectedOptions[0].textContent}`;
      const parts = ["edgeprof choose", `--run ${devices[0].run}`, `--budget ${asked}`, `--percentile ${percentile}`];
      command.replaceChildren(...parts.flatMap((part) => {
        const span = document.createElement("span");  // a line ends between options, never after a "-"
        span.textContent = part;
        return [span, " "];
      }));
    }
    drawLine(budget, percentile);
    mark(answers);
  };
  const slid = () => {
    const at = Number(slider.value);
    const budget = at >= STEPS ? highest : at <= 0 ? lowest : rounded(lowest * (highest / lowest) ** (at / STEPS));
    field.value = String(Number((budget / Number(unit.value)).toPrecision(12)));
    update();
  };
  slider.addEventListener("input", slid);
  field.addEventListener("input", update);
  asked.addEventListener("change", update);
  let before = Number(unit.value);
  unit.addEventListener("change", () => {
    if (field.value.trim() !== "") field.value = String(Number((Number(field.value) * before / Number(unit.value)).toPrecision(12)));
    before = Number(unit.value);
    update();
  });
  SECTION.hidden = false;
  slider.value = String(STEPS);
  slid();
}
