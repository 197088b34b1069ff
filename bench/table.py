# SPDX-License-Identifier: MIT
"""The short table of a run, in Markdown, as the README has it."""
import re
import statistics

import rows


class Cells:
    """The cells of one contender; what is marked in the report gets a star."""

    def __init__(self, data):
        self.data, self.worst, self.starred = data, rows.disturbed(data), False

    def star(self, text, name, *found):
        if text != "-" and any(rows.marks(name, r, self.worst) for r in found):
            self.starred = True
            return text + "*"
        return text

    def cell(self, name, suite, point, metric, show):
        r = rows.find(self.data, suite, point, metric)
        if not r or name not in r["contenders"]:
            return "-"
        return self.star(show(r["contenders"][name]), name, r)

    def throughput(self, name):
        """The median of the ratios of all points of the level link."""
        found = [r for r in self.data["rows"] if r["suite"] == "throughput" and
                 r["point"].startswith("level link") and name in r["contenders"] and
                 r["contenders"][name]["ratio"] is not None]
        if not found:
            return "-"
        middle = statistics.median(r["contenders"][name]["ratio"] for r in found)
        return self.star(rows.ratio(middle), name, *found)


def median(s):
    return rows.number(s["median"])


def ratio(s):
    return rows.ratio(s["ratio"])


def percent(s):
    return rows.percent(s["median"])


def delay(s):
    return rows.duration(s["median"])


def columns(data):
    """(heading, suite, point, metric, how to show it)"""
    ack = (rows.find_ack(data) or {"point": "-"})["point"]
    rate = (rows.rates(data) or ["1000000"])[-1]
    under = f"at {rows.short(int(rate))} SYN/s"
    return [("SYNs answered a second", "syn", "syn-linux", "answered", median),
            ("ratio", "syn", "syn-linux", "answered", ratio),
            ("bogus ACKs refused a second", "ack", ack, "refused", median),
            ("ratio", "ack", ack, "refused", ratio),
            (f"fetches that succeed {under}", "flood", rate, "success", percent),
            (f"connect p99 {under}", "flood", rate, "p99", delay),
            ("connections a second, ratio", "cps", "64 at a time", "completed", ratio),
            ("CPU of a connection, ratio", "cps", "64 at a time", "cpu_per_million", ratio)]


def markdown(data):
    cells, what = Cells(data), columns(data)
    out = ["| | " + " | ".join(w[0] for w in what) + " | established throughput, ratio |",
           "|---" + "|--:" * (len(what) + 1) + "|"]
    for name in data["about"]["contenders"]:
        if name not in rows.HARNESS:
            line = [cells.cell(name, *w[1:]) for w in what] + [cells.throughput(name)]
            out.append(f"| {rows.label(name)} | " + " | ".join(line) + " |")
    a = data["about"]
    command = re.sub(r" --out[ =]\S+", "", a["command"])  # where it went is nobody's concern
    out += ["", f"`{command}`: Linux {a['kernel']}, one serving core of {a['cpu']}, medians of "
                f"{a['repeats']} repeats; ratios to `tcp_syncookies=2` of the same repeat."]
    ceiling = rows.ceiling(data)
    if ceiling:
        out[-1] += f" The generator delivers up to {rows.number(ceiling)} SYNs a second."
    if cells.starred:
        out[-1] += " *: noisy, disturbed, or measured once."
    return "\n".join(out) + "\n"
