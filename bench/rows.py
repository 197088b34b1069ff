# SPDX-License-Identifier: MIT
"""What a row of results.json says: medians, ratios to kernel2, and what keeps one from being quoted.

A row is one metric at one point of a suite; it has the value of each repeat for each contender.
"""
import json
import math
import os
import statistics

BASE = "kernel2"  # what ratios are to
NOISY = 0.15  # repeats that differ by more than this share of their median
DISTURBED = 5  # percent of the serving CPU that went to processes that are not the lab's
HARNESS = ("blackhole", "drop-ceiling")  # they test the benchmark itself

LABELS = {
    "kernel0": "kernel, tcp_syncookies=0", "kernel1": "kernel, tcp_syncookies=1",
    "kernel2": "kernel, tcp_syncookies=2", "nft-synproxy": "nftables synproxy",
    "haproxy": "HAProxy, TCP mode",
    "synward": "synward relay, hmac-sha256", "synward-siphash": "synward relay, siphash-2-4",
    "synward-library": "synward library, hmac-sha256",
    "synward-offload": "synward offload, hmac-sha256",
    "synward-offload-siphash": "synward offload, siphash-2-4",
    "synward-transparent": "synward transparent, hmac-sha256",
    "synward-transparent-siphash": "synward transparent, siphash-2-4",
}


def label(name):
    return LABELS.get(name, name)


def wide(values):
    """Do they differ by more than NOISY of their median?"""
    if len(values) < 2:
        return False
    spread = max(values) - min(values)
    return spread > 0 and spread > NOISY * abs(statistics.median(values))


def summary(values, base=None):
    """Median, minimum and maximum of the values and of their ratios to the base of the same repeat.
    Noisy when either differ: a ratio can move though its median does not, and the other way."""
    real = [v for v in values if v is not None]
    ratios = [v / b for v, b in zip(values, base or []) if v is not None and b is not None and b > 0]
    out = {"values": values, "noisy": wide(real) or wide(ratios)}
    for prefix, of in (("", real), ("ratio_", ratios)):
        out[prefix + "min"], out[prefix + "max"] = (min(of), max(of)) if of else (None, None)
    out["median"] = statistics.median(real) if real else None
    out["ratio"] = statistics.median(ratios) if ratios else None
    return out


def row(suite, point, metric, unit, better, by):
    """by: contender -> the value of each repeat.  What is neither better nor worse has no ratio."""
    base = by.get(BASE) if better else None
    return {"suite": suite, "point": point, "metric": metric, "unit": unit, "better": better,
            "contenders": {name: summary(values, base) for name, values in by.items()}}


def load(folder):
    """results.json of a run, its summaries made from the values."""
    with open(os.path.join(folder, "results.json"), encoding="utf-8") as f:
        data = json.load(f)
    data["rows"] = [row(r["suite"], r["point"], r["metric"], r["unit"], r["better"],
                        {name: s["values"] for name, s in r["contenders"].items()})
                    for r in data["rows"]]
    return data


def disturbed(data):
    """(contender, suite, point) -> percent, where others used the serving CPU."""
    worst = {}
    for r in data["rows"]:
        if r["metric"] == "others":
            for name, s in r["contenders"].items():
                if s["max"] is not None and s["max"] > DISTURBED:
                    worst[name, r["suite"], r["point"]] = s["max"]
    return worst


def marks(name, r, worst):
    """The words that keep a contender's cell of a row from being quoted."""
    s = r["contenders"][name]
    words = ["noisy"] * s["noisy"] + ["once"] * (sum(v is not None for v in s["values"]) == 1)
    words += ["disturbed"] * ((name, r["suite"], r["point"]) in worst)
    if s["ratio"] is not None and name != BASE and (BASE, r["suite"], r["point"]) in worst:
        words.append(BASE + " disturbed")
    return words


def find(data, suite, point, metric):
    return next((r for r in data["rows"]
                 if (r["suite"], r["point"], r["metric"]) == (suite, point, metric)), None)


def find_ack(data):
    """The row that says how many bogus ACKs were refused: with timestamps, or else without."""
    return find(data, "ack", "ack-ts", "refused") or find(data, "ack", "ack", "refused")


def ceiling(data):
    """The SYNs a second that the generator delivers to one who drops them, or None."""
    r = find(data, "syn", "syn-linux", "received")
    return r["contenders"].get("drop-ceiling", {}).get("median") if r else None


def rates(data):
    """The rates of the flood suite, as points, ascending."""
    points = {r["point"] for r in data["rows"] if r["suite"] == "flood" and r["point"].isdigit()}
    return sorted(points, key=int)


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"


def short(value):
    """For plots: 2.22M, 804k, 97.5."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def percent(value):
    """Rounded down: 100 % is all of them."""
    return "-" if value is None else f"{math.floor(value * 10) / 10:g} %"


def duration(us):
    if us is None:
        return "-"
    size, unit = (1e6, "s") if us >= 999_500 else (1e3, "ms") if us >= 999.5 else (1, "us")
    return f"{us / size:.3g} {unit}"


def ratio(value):
    return "-" if value is None else f"{value:.2f}"
