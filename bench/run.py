# SPDX-License-Identifier: MIT
"""Every defence against the same floods and the same clients, side by side, on this machine.

Each repeat gives every contender a fresh lab, in turn, so that what drifts hits all of them.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402
import compare  # noqa: E402
import contenders  # noqa: E402
import lab  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
import suites  # noqa: E402
import table  # noqa: E402

PACKAGES = ("haproxy", "nftables", "iperf3", "hping3", "libbpf1", "libssl3", "libevent-core-2.1-7",
            "gnuplot-nox")


class Progress:
    """One line on a terminal: what is measured now and how long the rest will take."""

    def __init__(self, units):
        self.units, self.done = units, 0
        self.begin = time.monotonic()
        self.tty = sys.stderr.isatty()

    def at(self, what):
        if not self.tty:
            print(f"bench: {self.done + 1} of {self.units}: {what}", file=sys.stderr, flush=True)
            return
        spent = time.monotonic() - self.begin
        left = spent / self.done * (self.units - self.done) if self.done else None
        text = f"{left / 60:.0f} min {left % 60:.0f} s left" if left is not None else ""
        print(f"\r\033[K[{100 * self.done // self.units:3d} %] {what}  {text}", end="",
              file=sys.stderr, flush=True)

    def end(self):
        if self.tty:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Results:
    """(suite, point, metric) -> contender -> the value of each repeat."""

    def __init__(self):
        self.values, self.failures = {}, []

    def add(self, repeat, suite, point, metric, contender, value):
        """A repeat that was not measured leaves a hole: ratios are to the base of the same one."""
        row = self.values.setdefault((suite, point, metric), {})
        values = row.setdefault(contender, [])
        values += [None] * (repeat - len(values)) + [value]

    def rows(self):
        for (suite, point, metric), by in self.values.items():
            yield rows.row(suite, point, metric, *suites.UNITS[metric], by)


def one_lab(name, repeat, chosen, plan, results, service_kind):
    """A fresh lab for one contender; the suites that share a kind of service."""
    module = contenders.load(name)
    if service_kind == "own":
        for suite in chosen:
            for point, metric, value in suites.SUITES[suite](module, plan):
                results.add(repeat, suite, point, metric, name, value)
        return
    with rig.Rig() as net:
        def service(addr, port):
            if service_kind == "iperf":
                return net.victim.spawn("iperf3", "iperf3", "-s", "-B", addr, "-p", str(port),
                                        extra=net.on_victim())
            return net.serve_at(addr, port)

        state = module.start(net, service)
        for suite in chosen:
            for point, metric, value in suites.SUITES[suite](net, state, plan):
                results.add(repeat, suite, point, metric, name, value)
        module.stop(net, state)


def can_run(name, kind):
    """Who is the service itself cannot be another one."""
    return kind != "iperf" or not getattr(contenders.load(name), "IS_THE_SERVICE", False)


def measure(options, plan):
    results = Results()
    groups = [("load", [s for s in suites.SUITES if s in options.suites and
                        s not in suites.SERVICE_IPERF + suites.OWN_LABS]),
              ("iperf", [s for s in suites.SERVICE_IPERF if s in options.suites]),
              ("own", [s for s in suites.OWN_LABS if s in options.suites])]
    units = [(r, name, kind, now) for r in range(plan.repeats) for name in options.contender
             for kind, chosen in groups if can_run(name, kind)
             if (now := [s for s in chosen if r == 0 or s not in plan.once])]
    progress, end = Progress(len(units)), time.monotonic() + 60 * options.minutes
    for repeat, name, kind, chosen in units:
        if time.monotonic() > end:
            results.failures.append(f"ended after {options.minutes} minutes: "
                                    f"{progress.units - progress.done} of {progress.units} labs "
                                    "were not made")
            break
        progress.at(f"{name}: {' '.join(chosen)}, repeat {repeat + 1} of {plan.repeats}")
        try:
            one_lab(name, repeat, chosen, plan, results, kind)
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            results.failures.append(f"{name}, repeat {repeat + 1}: {e}")
            if options.verbose:
                traceback.print_exc()
        progress.done += 1
    progress.end()
    return results


def version(package):
    out = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True,
                         text=True, check=False)
    return out.stdout if out.returncode == 0 else "not installed"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")),
                   "unknown")
    return {"kernel": platform.release(), "cpu": cpu, "cores": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
            "load_at_start": os.getloadavg()[0],
            "synward": subprocess.run([lab.SYNWARD, "--version"], capture_output=True, text=True,
                                      check=False).stdout.strip(),
            "packages": {p: version(p) for p in PACKAGES}}


def parse(argv):
    o = argparse.ArgumentParser(prog="bench/run", description=__doc__.splitlines()[0])
    o.add_argument("suites", nargs="*", metavar="SUITE", help=" ".join(suites.SUITES) + " (all)")
    o.add_argument("--quick", action="store_true", help="under 5 minutes, fewer points")
    o.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    o.add_argument("--contender", nargs="+", metavar="NAME", default=None, help="only these")
    o.add_argument("--repeats", type=int, help="of each point (3, quick 2; memory once)")
    o.add_argument("--minutes", type=float, help="the longest it may take (120, quick 4.6)")
    o.add_argument("--out", metavar="DIR", default=None,
                   help="where results.json, the report and its plots go (build/bench)")
    o.add_argument("--list", action="store_true", help="the contenders, and what each is")
    o.add_argument("--report", metavar="DIR",
                   help="write the report and its plots again from DIR/results.json")
    o.add_argument("--table", metavar="DIR", help="print a short table of the run in DIR")
    o.add_argument("--compare", nargs=2, metavar=("DIR1", "DIR2"),
                   help="do two runs agree on their ratios?  Exit 1 when a row differs by more than "
                        "15 %% and neither run had marked it")
    o.add_argument("--verbose", action="store_true", help=argparse.SUPPRESS)
    options = o.parse_args(argv)
    for given, known, what in ((options.suites, suites.SUITES, "suite"),
                               (options.contender or [], contenders.names(), "contender")):
        for name in given:
            if name not in known:
                o.error(f"no {what} is called {name}; there are: {' '.join(known)}")
    options.suites = options.suites or [s for s in suites.SUITES if not (
        options.quick and s in suites.NOT_QUICK)]
    options.contender = options.contender or contenders.names()
    options.minutes = options.minutes or (4.6 if options.quick else 120)
    options.out = options.out or os.path.join(rig.ROOT, "build", "bench")
    return options


def look_back(options):
    """What needs a run's results.json and measures nothing.  @return the exit status."""
    try:
        if options.compare:
            text, status = compare.text(*map(rows.load, options.compare))
            print(text, end="", file=sys.stderr if status == 2 else sys.stdout)
            return status
        if options.table:
            print(table.markdown(rows.load(options.table)), end="")
            return 0
        names = report.show(options.report, rows.load(options.report))
        print(f"written to {options.report}: {' '.join(names)}")
        return 0
    except OSError as e:
        print(f"bench/run: {e.filename}: {e.strerror}", file=sys.stderr)
    except (ValueError, KeyError, TypeError):
        print("bench/run: results.json is not what bench/run writes", file=sys.stderr)
    return 2


def main(argv):
    options = parse(argv)
    if options.list:
        for name in contenders.names():
            print(f"{name:28} {contenders.load(name).describe()}")
        return 0
    if options.compare or options.table or options.report:
        return look_back(options)
    plan = suites.Plan.tiny() if options.tiny else \
        suites.Plan.quick() if options.quick else suites.Plan()
    plan.repeats = options.repeats or plan.repeats
    about = {"command": "bench/run " + " ".join(argv), "repeats": plan.repeats, **machine(),
             "contenders": {n: contenders.load(n).describe() for n in options.contender}}
    begin = time.monotonic()
    results = measure(options, plan)
    about["seconds"] = round(time.monotonic() - begin)
    data = {"about": about, "failures": results.failures,
            "rows": list(results.rows())}
    os.makedirs(options.out, exist_ok=True)
    names = report.write(options.out, data)
    print(report.markdown(data))
    print(f"written to {options.out}: {' '.join(names)}")
    return 1 if results.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nbench/run: interrupted; the lab is removed")
