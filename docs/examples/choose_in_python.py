# %% [markdown]
# # What do I ship on this board? From Python
#
# Run it in the folder of a suite, whole (`python docs/examples/choose_in_python.py`) or cell by cell in an editor that
# knows `# %%`. It measures on this machine; name a file of `devices/` to measure on a board.

# %%
import sys
import tempfile
from pathlib import Path

from edgeprof import Lines, Suite
from edgeprof.errors import EdgeprofError

DEVICE = "localhost"
suite = Suite()  # the current folder if it is a suite, else the built-in one
print("models:", ", ".join(suite.models()))
print("devices:", ", ".join(device.name for device in suite.devices()))

# %% [markdown]
# ## What would spoil a measurement here?

# %%
for finding in suite.doctor(DEVICE):
    print(f"{finding.severity}: {finding.what}")

# %% [markdown]
# ## Measure
#
# What is trained and exported already is reused. An interrupted run goes on where it stopped.

# %%
try:
    run = suite.run(DEVICE, quick=True, progress=Lines(print))
except EdgeprofError as error:
    sys.exit(f"{error}. {error.hint or ''}")
print(f"run {run.name}: {len(run.ranking.candidates)} candidates, {len(run.failed)} failures")

# %% [markdown]
# ## The candidates, as a data frame
#
# What is not known is `NA`. `rank_low` and `rank_high` are the places that a candidate may hold: those that overlap
# cannot be told apart by these data.

# %%
candidates = run.frame()
shown = [
    "model",
    "exporter",
    "threads",
    "top1",
    "median_ms",
    "p90_ms",
    "p90_high_ms",
    "rank_low",
    "rank_high",
    "trusted",
]
print(candidates[shown].round(4).to_string(index=False))

# %% [markdown]
# ## What each budget buys
#
# A candidate keeps to a budget when it is trusted and the upper end of its p90's 95% interval is within it.

# %%
for budget in ("0.1ms", "1ms", "5ms", "50ms"):
    choice = run.choose(budget)
    if choice.chosen is None:
        print(f"{budget:>6}: nothing. {choice.reason}")
    else:
        print(f"{budget:>6}: {choice.chosen.model} as {choice.chosen.exporter}, top-1 {choice.chosen.top1:.4f}")

# %% [markdown]
# ## Every sample
#
# The long table behind the summaries: how far do fresh processes of the same file differ?

# %%
samples = run.samples()
by_round = samples.groupby(["model", "exporter", "threads", "round"])["latency_ms"].median()
spread = by_round.groupby(level=[0, 1, 2]).agg(["min", "max"])
spread["max_over_min"] = spread["max"] / spread["min"]
print(spread.round(4).to_string())

# %% [markdown]
# ## Accuracy of the files themselves
#
# `drop` is what a file lost against its checkpoint, on the same test images.

# %%
accuracy = suite.accuracy()
print(
    accuracy[["model", "exporter", "images", "top1", "top1_low", "top1_high", "drop"]].round(4).to_string(index=False)
)

# %% [markdown]
# ## A baseline for a build
#
# Kept in the repository (here in a temporary folder), it is what `suite.gate("baseline.json")` holds a later run
# against, measured as this one was. Of a run that is there nothing is measured; this one is as good as itself, or too
# little was measured to tell.

# %%
try:
    with tempfile.TemporaryDirectory() as folder:
        baseline = Path(folder) / "baseline.json"
        run.write_baseline(baseline)
        gated = suite.gate(baseline, run)
    print(f"gate: {gated.verdict}: {gated.reason}")
    print(gated.frame()["verdict"].value_counts().to_dict())
except EdgeprofError as error:
    sys.exit(f"{error}. {error.hint or ''}")

# %% [markdown]
# ## A report for people

# %%
print("report:", run.report()["html"])
