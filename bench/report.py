# SPDX-License-Identifier: MIT
"""results.json, report.md and report.html out of what bench/run measured."""
import html
import json
import os
import shutil
import statistics
import subprocess

NOISY = 0.15  # repeats that differ by more than this share of their median
DISTURBED = 5  # percent of the serving CPU that went to processes that are not the lab's

TITLES = {
    "syn": "SYNs answered a second, one core", "ack": "Bogus ACKs refused a second, one core",
    "flood": "Legitimate clients during a flood", "idle": "Connecting without a flood",
    "cps": "Completed connections a second", "throughput": "Established throughput",
    "memory": "Memory during a flood",
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
}


def summary(values, base=None):
    """Median, minimum, maximum, noise, and the ratio to the base of the same repeat."""
    real = [v for v in values if v is not None]
    out = {"values": values, "median": None, "min": None, "max": None, "noisy": False,
           "ratio": None}
    if not real:
        return out
    out["median"], out["min"], out["max"] = statistics.median(real), min(real), max(real)
    spread = out["max"] - out["min"]
    out["noisy"] = len(real) > 1 and spread > NOISY * abs(out["median"]) and spread > 0
    pairs = [v / b for v, b in zip(values, base or []) if v is not None and b]
    out["ratio"] = statistics.median(pairs) if pairs else None
    return out


def disturbed(data):
    """The points during which others used the serving CPU."""
    worst = {}
    for row in data["rows"]:
        if row["metric"] == "others":
            for name, s in row["contenders"].items():
                if s["max"] is not None and s["max"] > DISTURBED:
                    worst[name, row["suite"], row["point"]] = s["max"]
    return worst


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"


def about_lines(data):
    a = data["about"]
    packages = ", ".join(f"{k} {v}" for k, v in a["packages"].items())
    lines = [f"- `{a['command']}`, {a['repeats']} repeats, {a['seconds']} s",
             f"- Linux {a['kernel']}, {a['cores']} cores of {a['cpu']}, {a['memory_mib']} MiB; load "
             f"at the start {a['load_at_start']:.2f}",
             f"- {a['synward'] or 'synward'}; {packages}"]
    if a["load_at_start"] > 0.5:
        lines.append("- **The machine was not quiet when this began: do not rely on it.**")
    worst = disturbed(data)
    if worst:
        lines.append(f"- **{len(worst)} points were measured while other processes used the serving "
                     f"CPU, up to {max(worst.values()):.0f} % of it.** They are marked disturbed.")
    return lines + [f"- not measured: {f.splitlines()[0]}" for f in data["failures"] if f]


def mark(name, row, s, worst):
    words = ["noisy"] * s["noisy"] + ["once"] * (len(s["values"]) == 1)
    words += ["disturbed"] * ((name, row["suite"], row["point"]) in worst)
    return ", ".join(words)


def table(row, worst):
    """The rows of one point and metric as lists of cells."""
    yield ["contender", f"median {row['unit']}", "min", "max", "ratio to kernel2", ""]
    for name, s in row["contenders"].items():
        yield [name, number(s["median"]), number(s["min"]), number(s["max"]),
               f"{s['ratio']:.2f}" if s["ratio"] is not None else "-",
               mark(name, row, s, worst)]


def markdown(data):
    out = ["# synward beside other defences", ""] + about_lines(data) + [
        "", f"Repeats that differ by more than {NOISY:.0%} of their median are marked noisy.", ""]
    out += [f"- **{n}**: {d}" for n, d in data["about"]["contenders"].items()]
    suite, worst = None, disturbed(data)
    for row in data["rows"]:
        if row["suite"] != suite:
            suite = row["suite"]
            out += ["", f"## {TITLES[suite]}"]
            out += ["", NOTES[suite]] if suite in NOTES else []
        out += ["", f"### {row['point']}: {row['metric']}", ""]
        head, *rest = table(row, worst)
        out += ["| " + " | ".join(head) + " |", "|---" + "|--:" * 4 + "|---|"]
        out += ["| " + " | ".join(cells) + " |" for cells in rest]
    return "\n".join(out) + "\n"


# ---- plots ----

def gnuplot(script):
    if not shutil.which("gnuplot"):
        return "<p>(gnuplot is not installed: no plot)</p>"
    out = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=False,
                         timeout=30)
    at = out.stdout.find("<svg")
    return out.stdout[at:] if at >= 0 else f"<pre>{html.escape(out.stderr)}</pre>"


HEAD = """set terminal svg size 900,420 font "sans-serif,12" background "white"
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
"""


def bars(row, title):
    """Median with minimum and maximum."""
    data = "\n".join(f'"{n}" {s["median"]} {s["min"]} {s["max"]}'
                     for n, s in row["contenders"].items() if s["median"] is not None)
    return gnuplot(f"""{HEAD}$d << EOD
{data}
EOD
set title "{title}"
set ylabel "{row['unit']}"
set style fill solid 0.7
set boxwidth 0.6
set yrange [0:*]
set format y "%.1s%c"
set xtics rotate by -30
unset key
plot $d using 0:2:xtic(1) with boxes lc rgb "#3366aa", '' using 0:2:3:4 with yerrorbars lc rgb "#222222" pt 0
""")


def lines(rows, metric, title, log):
    """One line a contender over the rates of the flood."""
    rates = [r for r in rows if r["suite"] == "flood" and r["metric"] == metric and
             r["point"].isdigit()]
    names = list(dict.fromkeys(n for r in rates for n in r["contenders"]))
    blocks, plots = [], []
    for i, name in enumerate(names):
        points = [(int(r["point"]), r["contenders"][name]["median"]) for r in rates
                  if name in r["contenders"] and r["contenders"][name]["median"] is not None]
        if points:
            blocks.append(f"$d{i} << EOD\n" + "\n".join(f"{x} {y}" for x, y in points) + "\nEOD")
            plots.append(f'$d{i} using 1:2 with linespoints lw 2 title "{name}"')
    if not plots:
        return ""
    return gnuplot(f"""{HEAD}{chr(10).join(blocks)}
set title "{title}"
set xlabel "flood, SYN/s"
set ylabel "{rates[0]['unit']}"
set format x "%.0s%c"
set key outside right
{'set logscale y' if log else 'set yrange [0:105]'}
plot {', '.join(plots)}
""")


def plots(data):
    rows, out = data["rows"], []
    for row in rows:
        if row["metric"] in ("answered", "refused", "completed", "throughput"):
            out.append(bars(row, f"{TITLES[row['suite']]}: {row['point']}"))
    out.append(lines(rows, "success", "Legitimate fetches that succeed during a flood", False))
    out.append(lines(rows, "p99", "connect() p99 during a flood", True))
    return "\n".join(f"<figure>{svg}</figure>" for svg in out if svg)


STYLE = """body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.5em 0 1.5em}td,th{padding:.15em .8em;border-bottom:1px solid #ddd}
td+td,th+th{text-align:right}figure{margin:1em 0}svg{max-width:100%;height:auto}.noisy{color:#a40}"""


def page(data):
    out = ["<!doctype html><html lang=en><meta charset=utf-8>"
           "<title>synward beside other defences</title>", f"<style>{STYLE}</style>",
           "<h1>synward beside other defences</h1><ul>"]
    out += [f"<li>{html.escape(line[2:])}</li>" for line in about_lines(data)]
    out += ["</ul>", plots(data), "<ul>"]
    out += [f"<li><b>{html.escape(n)}</b>: {html.escape(d)}</li>"
            for n, d in data["about"]["contenders"].items()]
    out += ["</ul>"]
    suite, worst = None, disturbed(data)
    for row in data["rows"]:
        if row["suite"] != suite:
            suite = row["suite"]
            out += [f"<h2>{TITLES[suite]}</h2><p>{html.escape(NOTES.get(suite, ''))}</p>"]
        out.append(f"<h3>{html.escape(row['point'])}: {row['metric']}</h3><table>")
        head, *rest = table(row, worst)
        out.append("<tr>" + "".join(f"<th>{c}</th>" for c in head) + "</tr>")
        out += [f"<tr class='{'noisy' if c[-1] else ''}'>" + "".join(f"<td>{html.escape(x)}</td>" for x in c) + "</tr>"
                for c in rest]
        out.append("</table>")
    return "\n".join(out) + "</html>\n"


def write(folder, data):
    owner = os.stat(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for name, text in (("results.json", json.dumps(data, indent=1) + "\n"),
                       ("report.md", markdown(data)), ("report.html", page(data))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
            os.fchown(f.fileno(), owner.st_uid, owner.st_gid)  # under sudo, as the checkout
