"""Does the demo's ranking (JSON on stdin) say what the README promises? Exits 1 with every fault found."""

import json
import sys

ranking = json.load(sys.stdin)
candidates = ranking["candidates"]
faults = [f"failure: {one['stage']} {one['identity']}: {one['error']}" for one in ranking["failures"]]
files = {(one["model"], one["exporter"]) for one in candidates}
if len(files) < 9:
    faults.append(f"{len(files)} files were ranked, at least 9 were expected")
if {one["format"] for one in candidates} != {"onnx", "openvino", "tflite"}:
    faults.append("not every format was ranked")
# On a machine that is busy with something else all may be untrusted, and then none is on the front: that is the truth.
if any(one["trusted"] for one in candidates) != any(one["pareto"] for one in candidates):
    faults.append("the front does not go with what is trusted")
for one in candidates:
    who = f"{one['model']} / {one['exporter']} / {one['threads']} threads"
    if not one["top1"] or one["top1"] < 0.9:
        faults.append(f"{who}: top-1 {one['top1']} is below 0.9")
    if not one["top1_low"] <= one["top1"] <= one["top1_high"]:
        faults.append(f"{who}: top-1 lies outside its own interval")
    if not 0 < one["median_low_ms"] <= one["median_ms"] <= one["median_high_ms"]:
        faults.append(f"{who}: the median lies outside its own interval")
    if one["p90_ms"] < one["median_ms"]:
        faults.append(f"{who}: p90 is below the median")
    if not one["rank_low"] <= one["rank"] <= one["rank_high"] <= len(candidates):
        faults.append(f"{who}: rank {one['rank']} lies outside {one['rank_low']}..{one['rank_high']}")
print("\n".join(faults) if faults else f"demo: {len(candidates)} candidates, as promised")
sys.exit(bool(faults))
