# SPDX-License-Identifier: MIT
"""Plots of a run as SVG, made by gnuplot: bars where one number counts, and where each contender has
one for several points a matrix of coloured cells, because lines would lie on each other."""
import math
import re
import shutil
import subprocess
import sys

import rows

OURS, BASE, OTHERS, TEXT = "#2878b5", "#5c6670", "#a9b2bb", "#222222"
BAD, MIDDLE, GOOD, EMPTY = (244, 177, 131), (247, 247, 247), (143, 196, 222), "#e4e4e4"

HEAD = """set terminal svg noenhanced size 800,{height} font "sans-serif,15" background "white"
set title {title} font ",17"
set border 0
set tics scale 0
unset key
"""


def quote(text):
    """A string for gnuplot: single quotes take everything as it is but themselves."""
    return "'" + text.replace("'", "''").replace("\n", " ") + "'"


def gnuplot(script):
    """@return an <svg> element, or None when gnuplot is not there."""
    if not shutil.which("gnuplot"):
        return None
    p = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=False,
                       timeout=30)
    at = p.stdout.find("<svg")
    if p.returncode != 0 or at < 0:
        raise RuntimeError("gnuplot: " + p.stderr)
    return re.sub(r"\n\s*\n+", "\n", p.stdout[at:])


def table(name, cells):
    """A block of data, in which strings have double quotes."""
    lines = [" ".join('"' + c.replace('"', "'") + '"' if isinstance(c, str) else repr(c)
                      for c in line) for line in cells]
    return f"${name} << EOD\n" + "\n".join(lines) + "\nEOD\n"


def rgb(color):
    return color[0] << 16 | color[1] << 8 | color[2]


def colour(name):
    return int((OURS if name.startswith("synward") else BASE if name == rows.BASE else OTHERS)[1:], 16)


def ytics(names):
    return "set ytics (" + ", ".join(f"{quote(rows.label(n))} {i}" for i, n in enumerate(names)) + \
        f")\nset yrange [{len(names) - 0.5}:-0.5]\n"


def xtics(right):
    """Some round numbers from 0 on."""
    step = 10 ** math.floor(math.log10(right))
    step *= next(f for f in (0.2, 0.5, 1, 2) if right / (f * step) <= 6)
    return ", ".join(f"{quote(rows.short(i * step))} {i * step}" for i in range(int(right / step) + 1))


def times(s):
    return (rows.ratio(s["ratio"]) if s["ratio"] < 10 else f"{s['ratio']:.3g}") + "x"


def bars(row, title, xlabel, worst, ceiling=None):
    """A bar for each contender, from minimum to maximum a line, and the ratio behind it."""
    have = {n: s for n, s in row["contenders"].items()
            if s["median"] is not None and n not in rows.HARNESS}
    if not have:
        return None
    right = max([s["max"] for s in have.values()] + [ceiling or 0]) or 1
    cells = []
    for i, (name, s) in enumerate(have.items()):
        text = rows.short(s["median"]) + "*" * bool(rows.marks(name, row, worst))
        text += "" if s["ratio"] is None else f"  ({times(s)})"
        cells.append([s["median"], i, s["min"], s["max"], s["max"] + 0.01 * right, text,
                      colour(name)])
    script = HEAD.format(height=34 * len(have) + 130, title=quote(title)) + table("d", cells)
    script += ytics(list(have)) + f"""set xlabel {quote(xlabel)}
set xrange [0:{1.3 * right}]
set xtics ({xtics(1.3 * right)})
set grid xtics lc rgb "#dddddd"
"""
    if ceiling:
        script += f"""set arrow 1 from {ceiling},-0.5 to {ceiling},{len(have) - 0.5} nohead dt 2 lw 2 lc rgb "#b04030"
set label 1 {quote("what the generator delivers: " + rows.short(ceiling))} at {ceiling},-0.5 right offset 0,0.6 tc rgb "#b04030"
"""
    return gnuplot(script + """set style fill solid 1 noborder
plot $d using (0):2:(0):1:($2-0.36):($2+0.36):7 with boxxyerror lc rgb variable, \\
     '' using 1:2:3:4 with xerrorbars pt 0 lw 1.5 lc rgb "black", \\
     '' using 5:2:6 with labels left tc rgb "black"
""")


def blend(share):
    """share: 0 bad, 1 good."""
    share = min(1.0, max(0.0, share))
    low, high, at = (BAD, MIDDLE, 2 * share) if share < 0.5 else (MIDDLE, GOOD, 2 * share - 1)
    return rgb([round(a + (b - a) * at) for a, b in zip(low, high)])


def by_ratio(s):
    return 0.5 + math.log2(max(s["ratio"], 1e-9)) / 4 if s["ratio"] is not None else 0.5


def by_percent(s):
    """Nobody wants a service that loses one of five."""
    return (s["median"] - 60) / 40


def by_delay(s):
    """A tenth of a millisecond is good, a second bad."""
    return 1 - math.log10(max(s["median"], 1) / 100) / 4


def matrix(found, title, xlabel, show, shade, worst, below=None):
    """found: (name of the column, row).  Contenders down, points across; below: a second line."""
    names = [n for n in dict.fromkeys(n for _, r in found for n in r["contenders"])
             if n not in rows.HARNESS]
    cells = []
    for x, (_, row) in enumerate(found):
        for y, name in enumerate(names):
            s = row["contenders"].get(name)
            if s is None or s["median"] is None:
                cells.append([x, y, "-", int(EMPTY[1:], 16), ""])
            else:
                text = show(s) + "*" * bool(rows.marks(name, row, worst))
                cells.append([x, y, text, blend(shade(s)), below(s) if below else ""])
    if not names or not found:
        return None
    height = (46 if below else 30) * len(names) + 120
    script = HEAD.format(height=height, title=quote(title)) + table("d", cells)
    heads = ", ".join(f"{quote(head)} {x}" for x, (head, _) in enumerate(found))
    return gnuplot(script + ytics(names) + f"""set xlabel {quote(xlabel)}
set xtics ({heads}) font ",{13 if len(found) > 4 else 15}"
set xrange [-0.5:{len(found) - 0.5}]
set style fill solid 1 noborder
plot $d using 1:2:($1-0.48):($1+0.48):($2-0.45):($2+0.45):4 with boxxyerror lc rgb variable, \\
     '' using 1:2:3 with labels offset 0,{0.35 if below else 0} tc rgb "black", \\
     '' using 1:2:5 with labels offset 0,-0.55 font ",13" tc rgb "#444444"
""")


def of_flood(data, metric):
    points = ["no flood"] + rows.rates(data) + ["hping3"]
    found = [(p, rows.find(data, "flood", p, metric)) for p in points]
    return [(rows.short(int(p)) if p.isdigit() else p, r) for p, r in found if r]


def of_points(data, suite, metric, prefix=""):
    return [(r["point"].removeprefix(prefix), r) for r in data["rows"]
            if (r["suite"], r["metric"]) == (suite, metric) and r["point"].startswith(prefix)]


def value(s):
    return rows.short(s["median"])


def below(s):
    return "" if s["ratio"] is None else times(s)


def draw(data):
    """Yields (suite, name of the file, function that makes it), in the order of the report."""
    worst = rows.disturbed(data)
    answered = rows.find(data, "syn", "syn-linux", "answered")
    if answered:
        yield "syn", "answered", lambda: bars(
            answered, "SYNs answered with one core", "SYN/s, as Linux sends them (ratio to kernel2)",
            worst, rows.ceiling(data))
    kinds = of_points(data, "syn", "answered")
    if len(kinds) > 1:
        yield "syn", "kinds", lambda: matrix(kinds, "SYNs answered with one core",
                                             "kind of flood, SYN/s (ratio to kernel2)",
                                             value, by_ratio, worst, below)
    refused = rows.find_ack(data)
    if refused:
        yield "ack", "refused", lambda: bars(refused, "Bogus ACKs refused with one core",
                                             "ACK/s (ratio to kernel2)", worst)
    both = of_points(data, "cores", "answered")
    if both:
        yield "cores", "cores", lambda: matrix(both, "SYNs answered, generator and sink on the same "
                                               "cores", "SYN/s (ratio to kernel2)", value, by_ratio,
                                               worst, below)
    for metric, title, show, shade in (
            ("success", "Legitimate fetches that succeed during a flood",
             lambda s: rows.percent(s["median"]), by_percent),
            ("p99", "connect() during a flood, 99th percentile",
             lambda s: rows.duration(s["median"]), by_delay)):
        found = of_flood(data, metric)
        if found:
            yield "flood", metric, lambda a=(found, title, "flood, SYN/s", show, shade): matrix(
                *a, worst)
    for suite, metric, title, unit in (
            ("cps", "completed", "Connections with request and reply", "connections/s"),
            ("idle", "p50", "connect() without a flood, median", "us")):
        for _, row in of_points(data, suite, metric)[:1]:
            yield suite, metric if suite == "cps" else "idle", lambda a=(
                row, title, unit + " (ratio to kernel2)"): bars(*a, worst)
    for prefix in ("plain link, ", "level link, "):
        found = of_points(data, "throughput", "throughput", prefix)
        if found:
            yield "throughput", prefix.split()[0] + "-link", lambda a=(
                found, f"Established throughput, {prefix[:-2]}",
                "streams and direction, Gbit/s (ratio to kernel2)", value, by_ratio
            ): matrix(*a, worst, below)


def files(data):
    """Yields (suite, name, svg).  A plot that fails costs no more than itself."""
    for suite, name, make in draw(data):
        try:
            svg = make()
        except (RuntimeError, OSError, subprocess.SubprocessError) as e:
            print(f"bench/run: no plot {name}: {e}", file=sys.stderr)
            continue
        if svg:
            yield suite, name, svg
