# SPDX-License-Identifier: MIT
"""Do two runs on the same machine agree?  Every ratio to kernel2 that both have, side by side."""
import rows

AGREE, MARKED, UNMARKED = "", "differs, marked", "DIFFERS"
SAME = (("kernel", "kernel"), ("cpu", "CPU"), ("cores", "cores"), ("synward", "synward"),
        ("packages", "packages"))


def difference(one, two):
    """How far apart two ratios are, as a share of the smaller."""
    if one == two:
        return 0.0
    low = min(one, two)
    return abs(two - one) / low if low > 0 else float("inf")


def ratios(data):
    """(suite, point, metric, contender) -> (ratio, words)"""
    worst, found = rows.disturbed(data), {}
    for r in data["rows"]:
        for name, s in r["contenders"].items():
            if s["ratio"] is not None and name != rows.BASE:
                key = r["suite"], r["point"], r["metric"], name
                found[key] = s["ratio"], rows.marks(name, r, worst)
    return found


def compare(one, two):
    """Yields (key, ratio, ratio, difference, verdict, words) in the order of the first run."""
    first, second = ratios(one), ratios(two)
    for key in first:
        if key not in second:
            continue
        (a, words), (b, more) = first[key], second[key]
        words = list(dict.fromkeys(words + more))
        far = difference(a, b)
        verdict = AGREE if far <= rows.NOISY else MARKED if words else UNMARKED
        yield key, a, b, far, verdict, words


def text(one, two):
    """What bench/run --compare prints, and its exit status: 1 when a row differs and neither run
    had marked it, 2 when there is nothing to compare."""
    found = list(compare(one, two))
    if not found:
        return "the two runs have no row with a ratio to kernel2 in common\n", 2
    out = [f"the runs differ in {what}" for key, what in SAME
           if one["about"].get(key) != two["about"].get(key)]
    names = [(f"{suite} {point} {metric}", name) for (suite, point, metric, name), *_ in found]
    wide = [max(len(n[i]) for n in names) for i in (0, 1)]
    out.append(f"{'row':{wide[0]}}  {'contender':{wide[1]}}   ratio 1   ratio 2  difference")
    for (row, name), (_, a, b, far, verdict, words) in zip(names, found):
        note = ": ".join(filter(None, (verdict, ", ".join(words) if verdict == MARKED else "")))
        out.append(f"{row:{wide[0]}}  {name:{wide[1]}} {a:9.2f} {b:9.2f} {100 * far:9.1f} %  {note}"
                   .rstrip())
    count = [sum(f[4] == v for f in found) for v in (AGREE, MARKED, UNMARKED)]
    alone = len(set(ratios(one)) ^ set(ratios(two)))
    if alone:
        out.append(f"in one run only: {alone} rows")
    out.append(f"{count[0]} of {len(found)} rows agree within {rows.NOISY:.0%}, {count[1]} differ "
               f"and are marked, {count[2]} differ and are not marked")
    return "\n".join(out) + "\n", 1 if count[2] else 0
