
// --- the panel in which a budget and other limits are chosen for
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

const oddsInWords = (share) => (share > 0.995 ? "over 99%" : share < 0.005 ? "under 1%" : `${(100 * share).toFixed(0)}%`);

const SECTION = document.getElementById("choose");
if (SECTION) {
  const given = JSON.parse(SECTION.dataset.candidates);
  const lists = candidatesOf(given);
  const devices = JSON.parse(SECTION.dataset.devices);
  const lowest = Number(SECTION.dataset.low);
  const highest = Number(SECTION.dataset.high);
  const slider = document.getElementById("budget-slider");
  const field = document.getElementById("budget-field");
  const unit = document.getElementById("budget-unit");
  const percentileList = document.getElementById("budget-percentile");
  const goal = document.getElementById("budget-goal");
  const limitFields = given.limits.map((limit) => [limit, document.getElementById(`limit-${limit.name}`)]).filter(([, input]) => input);
  const answer = document.getElementById("answer");
  const STEPS = Number(slider.max);
  const position = (budget) => STEPS * Math.log(budget / lowest) / Math.log(highest / lowest);
  const rounded = (value) => Number(value.toPrecision(3));
  const say = (percentile) => (percentile === 50 ? "median" : `p${percentile}`);
  const link = (one) => build("a", { href: `#${one.id}` }, one.name);
  const IF_TRUSTED = "would be chosen if it could be trusted";
  const doubted = (one) => (one.trusted ? [] : [" ", build("a", { className: "badge doubt", href: "#doubts" }, "not trusted")]);
  const measureAgain = (numbers) => build("p", { className: "command again" }, "To measure again: ",
    build("code", {}, `edgeprof ${devices[numbers[0]].again} ${numbers.map((one) => devices[one].option).join(" ")}`));
  const wouldToo = (number) => (number ? `; ${number} would, but cannot be trusted` : "");

  // What is asked for; with `wrong` in words where that means nothing.
  const numberIn = (input) => (input.validity.badInput ? NaN : input.value.trim() === "" ? null : Number(input.value));
  const positive = (number) => Number.isFinite(number) && number > 0;
  const askedNow = () => {
    const percentile = Number(percentileList.value);
    const written = numberIn(field);
    const asked = { percentile, called: say(percentile), goal: goal.value, limits: {}, wrong: "",
      budget: written === null ? null : written * Number(unit.value) };
    const wrong = (input, isWrong, text) => {
      input.setAttribute("aria-invalid", String(isWrong));
      if (isWrong) asked.wrong = asked.wrong || text;
    };
    wrong(field, asked.budget !== null && !positive(asked.budget), "Write a time of more than zero as the budget.");
    for (const [limit, input] of limitFields) {
      const number = numberIn(input);
      const value = number === null ? null : number * limit.times / limit.over;
      const isWrong = value !== null && !(positive(value) && (limit.most === null || value <= limit.most));
      wrong(input, isWrong, `${limit.label}: write a number of more than zero${limit.most === null ? "" : `, at most ${limit.most * limit.over / limit.times}`}.`);
      if (value !== null && !isWrong) asked.limits[limit.name] = limit.whole ? Math.max(1, Math.floor(value)) : value;
    }
    const nothing = asked.budget === null && !fastest(asked) && !Object.keys(asked.limits).length;
    if (nothing) asked.wrong = asked.wrong || "Write a latency budget, or another limit.";
    if (nothing) field.setAttribute("aria-invalid", "true");
    return asked;
  };
  const onlyBudget = (asked) => asked.budget !== null && !Object.keys(asked.limits).length;
  const kept = (asked, one, many) => (onlyBudget(asked) ? `${one ? "meets" : "meet"} ${many ? "it" : "the budget"}`
    : `${one ? "keeps" : "keep"} to ${many ? "them" : "the limits"}`);

  const facts = (one, asked) => {
    const accuracy = one.its.top1 === null ? "accuracy unknown"
      : `top-1 ${percents(one.its.top1)}%${one.low === null || one.high === null ? "" : ` (${percents(one.low)} to ${percents(one.high)})`}`;
    // The fastest is taken by its median where there is no budget.
    const shown = fastest(asked) && asked.budget === null ? 50 : asked.percentile;
    const bound = one.bound(shown);
    const latency = one.measured(shown) ? `${say(shown)} ${digits(one.value(shown))} ms${bound === null ? " without an upper bound" : `, at most ${digits(bound)} ms`}`
      : `no ${say(shown)}, for which there are too few samples; p90 ${digits(one.value(shown))} ms`;
    const memory = asked.limits.memory !== undefined && one.its.memory !== null ? `, ${digits(one.its.memory / 1e6)} MB of memory` : "";
    return `${accuracy}, ${latency}, file of ${digits(one.its.size / 1e6)} MB${memory}`;
  };
  const odds = (one, list, asked) => {
    const found = oddsOf(one, list, asked, given.limits);
    const told = [["meets the budget", found.budget], [`has a top-1 of ${percents(asked.limits.top1 ?? 0)}% or more`, found.top1],
      ["is the best", found.best]].filter(([, share]) => share !== null);
    return { best: found.best, text: told.length ? `Probability that it ${told.map(([text, share]) => `${text}: ${oddsInWords(share)}`).join("; ")}` : "" };
  };
  const why = ({ chosen, runnerUp, fit }, asked) => {
    if (fit.length === 1) return `Nothing else ${kept(asked, true)}.`;
    if (fastest(asked)) {
      return chosen.value(50) < runnerUp.value(50) ? `It has the lowest median of those that ${kept(asked, false)}.`
        : "The runner-up has the same median.";
    }
    if (chosen.its.top1 > runnerUp.its.top1) {
      const tied = runnerUp.high !== null && chosen.low !== null && runnerUp.high >= chosen.low;
      return `It has the highest top-1 of those that ${kept(asked, false)}`
        + (tied ? "; the intervals overlap, so the runner-up may be as good." : ".");
    }
    if ((chosen.bound(asked.percentile) ?? Infinity) < (runnerUp.bound(asked.percentile) ?? Infinity)) return "The runner-up is as accurate, but slower.";
    return chosen.its.size < runnerUp.its.size ? "The runner-up is as accurate and as fast, but its file is larger."
      : "The runner-up is as good in everything.";
  };
  const rejected = ({ fit, would, refused }, asked) => {
    const reasons = [...refused.values()];
    const counts = new Map();
    for (const [, text] of reasons.flat()) counts.set(text, (counts.get(text) || 0) + 1);
    const parts = [...counts].sort(([, a], [, b]) => b - a).map(([text, number]) => `${text}: ${number}`);
    const several = reasons.some((some) => some.length > 1);
    return `${fit.length} of ${count(refused.size, "candidate")} ${kept(asked, fit.length === 1, true)}${wouldToo(would.length)}.`
      + (parts.length ? ` Rejected: ${parts.join("; ")}${several ? " (some for several of these)" : ""}.` : "");
  };
  const line = (label, one, asked, told = "") => build("div", {}, build("dt", {}, label),
    build("dd", {}, link(one), ...doubted(one), build("small", {}, facts(one, asked)), ...(told ? [build("small", { className: "odds" }, told)] : [])));

  const tell = (found, list, asked) => {
    const box = build("dl", { className: "picked" });
    const [first, second] = [found.chosen, found.runnerUp].map((one) => (one ? odds(one, list, asked) : null));
    if (first) box.append(line("Chosen", found.chosen, asked, first.text));
    if (second) box.append(line("Runner-up", found.runnerUp, asked, second.text));
    const would = found.miss && found.would.length > 0;
    if (would) box.append(line(`${IF_TRUSTED[0].toUpperCase()}${IF_TRUSTED.slice(1)}`, found.miss, asked, `Not trusted: ${found.miss.doubt}`));
    else if (found.miss) box.append(line("Nearest miss", found.miss, asked));
    const text = found.chosen ? why(found, asked) : `No candidate ${would ? "that can be trusted " : ""}${kept(asked, true)}.`;
    const turned = first && second && second.best > first.best
      ? " The choice goes by what was measured; the probability also counts how uncertain that is, so the runner-up can be the more probable best." : "";
    return [box, build("p", {}, `${text}${turned} ${rejected(found, asked)}`), ...(would ? [measureAgain([0])] : [])];
  };
  const tellAll = (answers, asked) => {
    const all = chooseForAll(answers, asked);
    answer.dataset.forAll = all.length ? String(all[0].file) : "";
    const names = all.slice(0, 2).map(({ file }) => given.files[file]);
    const would = all.length ? [] : chooseForAll(answers, asked, true);
    answer.dataset.wouldForAll = would.length ? String(would[0].file) : "";
    const text = would.length ? `No file that can be trusted ${kept(asked, true)} on all devices${wouldToo(would.length)}.`
      + ` On all devices ${IF_TRUSTED}: ${given.files[would[0].file]}.`
      : names.length === 0 ? `No file ${kept(asked, true)} on all devices.`
      : `On all devices: ${names[0]}.${names.length > 1 ? ` Runner-up: ${names[1]}.` : " No other file does."}`;
    const head = ["Device", "Chosen", "Runner-up", onlyBudget(asked) ? "Meet it" : "Keep to them"].map((name) => build("th", { scope: "col" }, name));
    const cell = (one, list) => {
      const told = one ? odds(one, list, { ...asked, goal: "top1" }).text : "";
      return build("td", {}, ...(one ? [link(one), build("small", {}, facts(one, asked))] : ["–"]), ...(told ? [build("small", { className: "odds" }, told)] : []));
    };
    const rows = answers.map((found, index) => build("tr", {}, build("th", { scope: "row" }, devices[index].name),
      found.chosen ? cell(found.chosen, lists[index]) : build("td", {}, "none", ...(found.miss ? [build("small", {}, found.would.length ? `${IF_TRUSTED}: ` : "nearest: ", link(found.miss), ...doubted(found.miss))] : [])),
      cell(found.runnerUp, lists[index]), build("td", { className: "n" }, `${found.fit.length} of ${lists[index].length}`)));
    const table = build("table", {}, build("thead", {}, build("tr", {}, ...head)), build("tbody", {}, ...rows));
    const box = build("div", { className: "scroll", tabIndex: 0, role: "region" }, table);
    box.setAttribute("aria-label", "Choices by device");
    const again = would.length ? [measureAgain([...would[0].there.keys()].filter((at) => !would[0].there[at].trusted))] : [];
    return [build("p", { className: "for-all" }, text), ...again, hinted(box), box];
  };

  // The plot: a line at the budget, and pale what does not meet it, unless nothing is trusted: then all would be pale.
  const note = build("p", { className: "hint", id: "line-note", hidden: true });
  scatter?.after(note);
  const drawLine = (budget, percentile) => {
    note.hidden = true;
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
      note.hidden = false;
    }
    const pale = lists.some((rows) => rows.some((one) => one.trusted)) ? "; pale is what cannot be chosen" : "";
    note.textContent = "The dashed line is the budget on an axis of medians: a point left of it may still miss the budget, "
      + `which the upper end of the ${say(percentile)}'s interval decides${pale}.`;
  };
  const mark = (answers) => {
    const seen = new Set(lists.flatMap((rows, at) => (rows.some((one) => one.trusted) ? answers[at]?.fit ?? [] : rows).map(({ id }) => id)));
    const chosen = new Set(answers.filter((one) => one.chosen).map((one) => one.chosen.id));
    document.querySelectorAll("#scatter [data-to]").forEach((point) => {
      point.classList.toggle("out", !seen.has(point.dataset.to));
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
  // As a shell reads it: names come quoted, numbers are numbers. A line ends between options, never after a "-".
  const command = (asked) => {
    const parts = ["edgeprof choose", ...devices.map((one) => one.asked)];
    if (asked.budget !== null) parts.push(`--budget ${field.value.trim()}${unit.selectedOptions[0].textContent}`);
    parts.push(`--percentile ${asked.percentile}`);
    for (const [limit, input] of limitFields) {
      if (asked.limits[limit.name] !== undefined) parts.push(`${limit.option} ${input.value.trim()}${limit.unit}`);
    }
    if (fastest(asked)) parts.push("--maximize throughput");
    document.getElementById("command").replaceChildren(...parts.flatMap((part) => [build("span", {}, part), " "]));
    const told = !answer.dataset.chosen.trim() || (devices.length === 1 && bestIsExact(asked, given.limits));
    document.getElementById("command-adds").textContent = told ? "" : ", which also tells how probable it is that the choice is the best of all";
  };
  const update = () => {
    const asked = askedNow();
    const { budget, percentile } = asked;
    const more = Object.keys(asked.limits).length + (goal.options.length > 1 && fastest(asked) ? 1 : 0);
    document.getElementById("more-limits").textContent = more ? `More limits (${more} set)` : "More limits";
    answer.dataset.chosen = answer.dataset.runnerUp = answer.dataset.miss = "";
    document.querySelector("#choose .command").hidden = Boolean(asked.wrong);
    if (asked.wrong) {
      answer.replaceChildren(build("p", {}, asked.wrong));
      drawLine(NaN, percentile);
      mark([]);
      return;
    }
    if (budget !== null) slider.value = String(Math.min(STEPS, Math.max(0, position(budget))));
    slider.setAttribute("aria-valuetext", budget === null ? "no budget" : `${digits(budget)} milliseconds`);
    const answers = lists.map((rows) => chooseFor(rows, asked, given.limits));
    const ids = (key) => answers.map((one) => (one[key] ? one[key].id : "")).join(" ");
    Object.assign(answer.dataset, { chosen: ids("chosen"), runnerUp: ids("runnerUp"), miss: ids("miss") });
    answer.dataset.fit = answers.map(({ fit }) => fit.length).join(" ");
    answer.dataset.refused = JSON.stringify(answers.map(({ refused }) => {
      const counts = {};
      for (const [name] of [...refused.values()].flat()) counts[name] = (counts[name] || 0) + 1;
      return counts;
    }));
    answer.replaceChildren(...(devices.length > 1 ? tellAll(answers, asked) : tell(answers[0], lists[0], asked)));
    command(asked);
    drawLine(budget ?? NaN, percentile);
    mark(answers);
  };
  const slid = () => {
    const at = Number(slider.value);
    const budget = at >= STEPS ? highest : at <= 0 ? lowest : rounded(lowest * (highest / lowest) ** (at / STEPS));
    field.value = String(Number((budget / Number(unit.value)).toPrecision(12)));
    update();
  };
  slider.addEventListener("input", slid);
  for (const input of [field, ...limitFields.map(([, one]) => one)]) input.addEventListener("input", update);
  for (const list of [percentileList, goal]) list.addEventListener("change", update);
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
