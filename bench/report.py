# SPDX-License-Identifier: MIT
"""results.json, report.md, report.html and the plots out of what bench/run measured."""
import html
import json
import os

import plots
import rows

TITLES = {
    "syn": "SYNs answered a second, one core", "ack": "Bogus ACKs refused a second, one core",
    "flood": "Legitimate clients during a flood", "idle": "Connecting without a flood",
    "cps": "Completed connections a second", "throughput": "Established throughput",
    "memory": "Memory during a flood", "cores": "Two cores beside one",
}
NOTES = {
    "syn": "Answers are counted at the far end of the victim's link; each must acknowledge the "
           "generator's own sequence number. `received` is what the victim's link took in: no "
           "contender can answer more, and drop-ceiling shows the most the generator delivers.",
    "ack": "The smaller of what came in and what the contender's own counters say it refused; 0 "
           "for one that does not serve.",
    "flood": "The point is the flood's SYNs a second, or the tool. A fetch counts when the whole "
             "reply is there in time.",
    "throughput": "On the level link both ends have an XDP program for every contender, which "
                  "turns TSO off on a veth; on the plain link none has. Neither is a NIC.",
    "memory": "RSS of the defence's process; Slab of the whole machine at its peak.",
    "cores": "Each core has a queue of the link and does everything: generator, victim and sink. So "
             "the rates are not to be held beside those of the other suites, and only the scaling "
             "from one core to two, both measured this way, says something.",
}
FIRST = ("syn", "ack", "cores", "flood", "cps", "idle", "throughput", "memory")  # what people ask first
HEADLINES = {"answered", "refused", "scaling", "success", "p99", "completed", "throughput",
             "rss_growth", "slab_growth"}  # open in the page; the rest unfolds
SPREAD = (f"A row is marked noisy when its repeats, or their ratios to kernel2, differ by more than "
          f"{rows.NOISY:.0%} of their median. Do not quote a row that is marked.")


def about_lines(data):
    a = data["about"]
    packages = ", ".join(f"{k} {v}" for k, v in a["packages"].items())
    lines = [f"- `{a['command']}`, {a['repeats']} repeats, {a['seconds']} s",
             f"- Linux {a['kernel']}, {a['cores']} cores of {a['cpu']}, {a['memory_mib']} MiB; load "
             f"at the start {a['load_at_start']:.2f}",
             f"- {a['synward'] or 'synward'}; {packages}"]
    if a["load_at_start"] > 0.5:
        lines.append("- **The machine was not quiet when this began: do not rely on it.**")
    worst = rows.disturbed(data)
    if worst:
        lines.append(f"- **{len(worst)} points were measured while other processes used the serving "
                     f"CPU, up to {max(worst.values()):.0f} % of it.** They are marked disturbed.")
    return lines + [f"- not measured: {f.splitlines()[0]}" for f in data["failures"] if f]


def in_order(data):
    """The rows by suite, those that people ask for first."""
    known = {suite: i for i, suite in enumerate(FIRST)}
    return sorted(data["rows"], key=lambda r: known.get(r["suite"], len(FIRST)))


def table(row, worst):
    """The rows of one point and metric as lists of cells."""
    yield ["contender", f"median {row['unit']}", "min", "max", f"ratio to {rows.BASE}", "min", "max",
           ""]
    for name, s in row["contenders"].items():
        yield [name, rows.number(s["median"]), rows.number(s["min"]), rows.number(s["max"]),
               rows.ratio(s["ratio"]), rows.ratio(s["ratio_min"]), rows.ratio(s["ratio_max"]),
               ", ".join(rows.marks(name, row, worst))]


def markdown(data):
    out = ["# synward beside other defences", ""] + about_lines(data) + ["", SPREAD, ""]
    out += [f"- **{n}**: {d}" for n, d in data["about"]["contenders"].items()]
    suite, worst = None, rows.disturbed(data)
    for row in in_order(data):
        if row["suite"] != suite:
            suite = row["suite"]
            out += ["", f"## {TITLES[suite]}"]
            out += ["", NOTES[suite]] if suite in NOTES else []
        out += ["", f"### {row['point']}: {row['metric']}", ""]
        head, *rest = table(row, worst)
        out += ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 2) + "|---|"]
        out += ["| " + " | ".join(cells) + " |" for cells in rest]
    return "\n".join(out) + "\n"


# ---- the page ----

STYLE = """body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;margin:.3em 0 1.2em}td,th{padding:.15em .8em;border-bottom:1px solid #ddd}
td,th{text-align:right}td:first-child,th:first-child,td:last-child{text-align:left}
td:first-child{white-space:nowrap}figure{margin:1.5em 0}svg{max-width:100%;height:auto}.marked td{color:#a40}summary{cursor:pointer}
h2{margin-top:2em}"""


def bold(text):
    """**words** and `words` of the lines that both reports have."""
    for sign, tag in (("**", "b"), ("`", "code")):
        parts = text.split(sign)
        text = parts[0] + "".join((f"<{tag}>" if i % 2 == 0 else f"</{tag}>") + part
                                  for i, part in enumerate(parts[1:]))
    return text


def page_table(row, worst):
    head, *rest = table(row, worst)
    out = ["<table><tr>" + "".join(f"<th>{html.escape(c)}</th>" for c in head) + "</tr>"]
    out += [f"<tr{' class=marked' if cells[-1] else ''}>" +
            "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>" for cells in rest]
    return "\n".join(out) + "</table>"


def page_suite(suite, found, worst, drawn):
    out = [f"<h2>{TITLES[suite]}</h2><p>{bold(html.escape(NOTES.get(suite, '')))}</p>"]
    out += [f"<figure>{svg}</figure>" for of, _, svg in drawn if of == suite]
    for row in found:
        head = html.escape(f"{row['point']}: {row['metric']}")
        opened = " open" if row["metric"] in HEADLINES else ""
        out.append(f"<details{opened}><summary>{head}</summary>{page_table(row, worst)}</details>")
    return out


def page(data, drawn):
    out = ["<!doctype html><html lang=en><meta charset=utf-8>"
           "<title>synward beside other defences</title>", f"<style>{STYLE}</style>",
           "<h1>synward beside other defences</h1><ul>"]
    out += [f"<li>{bold(html.escape(line[2:]))}</li>" for line in about_lines(data)]
    out += [f"</ul><p>{SPREAD} In the plots such a value has a star.</p>"]
    out += ["<details><summary>The contenders</summary><ul>"]
    out += [f"<li><b>{html.escape(n)}</b>: {html.escape(d)}</li>"
            for n, d in data["about"]["contenders"].items()]
    out += ["</ul></details>"]
    if not drawn:
        out += ["<p>No plots: gnuplot is not installed.</p>"]
    worst, ordered = rows.disturbed(data), in_order(data)
    for suite in dict.fromkeys(r["suite"] for r in ordered):
        out += page_suite(suite, [r for r in ordered if r["suite"] == suite], worst, drawn)
    return "\n".join(out) + "</html>\n"


def put(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
        if os.geteuid() == 0:  # under sudo, as the checkout
            owner = os.stat(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
            os.fchown(f.fileno(), owner.st_uid, owner.st_gid)
    return name


def show(folder, data):
    """report.md, report.html and the plots.  @return the names of the files."""
    drawn = list(plots.files(data))
    names = [put(folder, "report.md", markdown(data)), put(folder, "report.html", page(data, drawn))]
    return names + [put(folder, name + ".svg", svg) for _, name, svg in drawn]


def write(folder, data):
    """All of a run.  @return the names of the files."""
    return [put(folder, "results.json", json.dumps(data, indent=1) + "\n")] + show(folder, data)
