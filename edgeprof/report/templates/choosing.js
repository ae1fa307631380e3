
// --- choosing under limits, by the rule of `edgeprof choose` (rank/choose.py, rank/choose_for_all.py): trusted, the
// upper end of the latency's interval within the budget, every other limit kept by what was measured; then the highest
// top-1, the lowest upper end, the smallest file, the first job; or the lowest median
const PERCENTILES = [50, 90, 99];
const candidatesOf = ({ limits, candidates }) => candidates.map((rows) => rows.map(
  ([id, name, file, doubt, order, [low, high, images], values, latency, curves = []]) => ({
    id, name, file, trusted: doubt === null, doubt, order, low, high, images, curves,
    its: Object.fromEntries(limits.map((one, at) => [one.name, values[at]])),
    // Where there is no p99, it is at least p90.
    value: (percentile) => latency[2 * PERCENTILES.indexOf(percentile)] ?? latency[2],
    bound: (percentile) => latency[2 * PERCENTILES.indexOf(percentile) + 1],
    measured: (percentile) => latency[2 * PERCENTILES.indexOf(percentile)] !== null,
  })));
const firstOf = (...differences) => differences.find((one) => one !== 0) || 0;
const inOrder = (a, b) => firstOf(...a.map((part, at) => (part < b[at] ? -1 : part > b[at] ? 1 : 0)));
const fastest = (asked) => asked.goal === "throughput";
const merit = (one, asked) => (fastest(asked) ? [one.value(50), -(one.its.top1 ?? 0), one.its.size]
  : [-one.its.top1, one.bound(asked.percentile) ?? Infinity, one.its.size]);

// Why a candidate is not taken: names of limits, each with what is said of it.
const refusals = (one, asked, limits) => {
  const found = [];
  const bound = one.bound(asked.percentile);
  if (!one.trusted) found.push(["trust", "not trusted"]);
  if (asked.budget !== null) {
    if (bound === null) found.push(["latency", `${asked.called} has no upper bound`]);
    else if (bound > asked.budget) found.push(["latency", `${asked.called} may be over the budget`]);
  }
  for (const { name, least, broken, unknown } of limits) {
    const value = one.its[name];
    const limit = asked.limits[name];
    if (value === null) {
      if (limit !== undefined || (name === "top1" && !fastest(asked))) found.push([name, unknown]);
    } else if (limit !== undefined && (least ? value < limit : value > limit)) found.push([name, broken]);
  }
  return found;
};

// asked: budget in ms or null, percentile, what that is called, goal, limits by name
const chooseFor = (candidates, asked, limits) => {
  const refused = new Map(candidates.map((one) => [one, refusals(one, asked, limits)]));
  const whole = (one) => [...merit(one, asked), one.order];
  const fit = candidates.filter((one) => !refused.get(one).length).sort((a, b) => inOrder(whole(a), whole(b)));
  // What would keep to all if it could be trusted. Nearest is the best of these, or what only one measured limit keeps out.
  const would = candidates.filter((one) => refused.get(one).length && refused.get(one).every(([name]) => name === "trust"))
    .sort((a, b) => inOrder(whole(a), whole(b)));
  const distance = (one) => [one.trusted ? 0 : 1, asked.budget !== null && one.bound(asked.percentile) === null ? 1 : 0,
    one.its.top1 === null ? 1 : 0, refused.get(one).length, one.bound(asked.percentile) ?? one.value(asked.percentile), one.order];
  const miss = fit.length || !candidates.length ? null
    : would[0] || candidates.reduce((a, b) => (inOrder(distance(b), distance(a)) < 0 ? b : a));
  return { chosen: fit[0] || null, runnerUp: fit[1] || null, miss, fit, would, refused };
};

// One file for all devices, on each with the number of threads that suits it best there: of those that keep to the limits
// everywhere the best, each of its merits taken where it is worst. With `doubtful`, what would if it could be trusted too.
const chooseForAll = (answers, asked, doubtful = false) => {
  const files = new Map();
  answers.forEach(({ fit, would }, device) => [...fit, ...(doubtful ? would : [])].forEach((one) => {  // the best of a device come first
    const there = files.get(one.file) || [];
    if (!there[device]) there[device] = one;
    files.set(one.file, there);
  }));
  const everywhere = [...files.entries()].filter(([, there]) => answers.every((_, device) => there[device]));
  const worst = (there) => there.map((one) => merit(one, asked)).reduce((a, b) => a.map((part, at) => Math.max(part, b[at])));
  const found = everywhere.map(([file, there]) => ({ file, there, merits: [...worst(there), file] }));
  return found.sort((a, b) => inOrder(a.merits, b.merits));
};

// --- how probable, after the rounds and the test images so far: stats/beliefs.py and rank/evidence.py once more
const chance = ([values, below], limit) => {  // that a latency is at most the limit
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1; else high = middle;
  }
  if (low === 0) return 0;
  if (low === values.length) return below[low - 1];
  const share = Math.log(limit / values[low - 1]) / Math.log(values[low] / values[low - 1]);
  return below[low - 1] + share * (below[low] - below[low - 1]);
};
const latencyAt = ([values, below], probability) => {  // infinite where nothing bounds it
  let last = 0;
  while (last < below.length && below[last] < probability) last += 1;
  if (last === 0) return values[0];
  if (last === below.length) return Infinity;
  const share = (probability - below[last - 1]) / (below[last] - below[last - 1]);
  return Math.exp(Math.log(values[last - 1]) + share * Math.log(values[last] / values[last - 1]));
};

// The regularized incomplete beta function: the continued fraction DLMF 8.17.22, by the modified Lentz algorithm; the
// logarithm of the gamma function by Stirling's series (DLMF 5.11.1) behind a shift.
const logGamma = (x) => {
  let shift = 0;
  for (; x < 15; x += 1) shift += Math.log(x);
  const inverse = 1 / (x * x);
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + (1 / 12 - (1 / 360 - inverse / 1260) * inverse) / x - shift;
};
const incompleteBeta = (a, b, x) => {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(b, a, 1 - x);
  const safe = (value) => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let [numerator, denominator, found] = [1, 1 / safe(1 - ((a + b) * x) / (a + 1)), 0];
  found = denominator;
  for (let m = 1; m < 5000; m += 1) {
    const before = found;
    for (const step of [(m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))]) {
      denominator = 1 / safe(1 + step * denominator);
      numerator = safe(1 + step / numerator);
      found *= denominator * numerator;
    }
    if (Math.abs(found / before - 1) < 1e-13) break;
  }
  return (Math.exp(a * Math.log(x) + b * Math.log(1 - x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a) * found;
};
const top1AtLeast = (one, share) => {  // Jeffreys' prior
  if (one.its.top1 === null || !one.images) return null;
  const hits = one.its.top1 * one.images;
  return incompleteBeta(one.images - hits + 0.5, hits + 0.5, 1 - share);
};

// That it is the fastest of all that keep to the limits, by integration over its own latency. A candidate is at the same
// place of the distributions of its median and of its percentile.
const STEPS_OF_BEST = 400;
const bestOf = (one, rivals, asked) => {
  const percentile = PERCENTILES.indexOf(asked.percentile);
  const keeps = (each) => (asked.budget === null ? 1 : each.curves[percentile] ? chance(each.curves[percentile], asked.budget) : 0);
  if (!one.curves[0]) return null;
  const own = keeps(one);
  const others = rivals.filter((each) => each !== one && each.curves[0]).map((each) => [keeps(each), each.curves[0]]);
  let total = 0;
  for (let step = 0; step < STEPS_OF_BEST; step += 1) {
    const latency = latencyAt(one.curves[0], (own * (step + 0.5)) / STEPS_OF_BEST);
    if (latency === Infinity) break;
    let first = 1;
    for (const [most, curve] of others) {
      if (curve[0][0] <= latency) first *= 1 - Math.min(most, chance(curve, latency));
      if (first === 0) break;
    }
    total += first;
  }
  return (own * total) / STEPS_OF_BEST;
};

// What can be told exactly here: of the most accurate it takes each test image to tell whether it is the best.
const bestIsExact = (asked, limits) => fastest(asked) && limits.every(({ name, exact }) => exact || asked.limits[name] === undefined);
const oddsOf = (one, candidates, asked, limits) => {
  const curve = one.curves[PERCENTILES.indexOf(asked.percentile)];
  const exact = bestIsExact(asked, limits);
  const others = limits.filter((limit) => limit.exact);
  const rivals = exact ? candidates.filter((each) => each.trusted
    && !refusals(each, { ...asked, budget: null }, others).length) : [];
  return {
    budget: asked.budget === null || !curve ? null : chance(curve, asked.budget),
    top1: asked.limits.top1 === undefined ? null : top1AtLeast(one, asked.limits.top1),
    best: exact ? bestOf(one, rivals, asked) : null,
  };
};
