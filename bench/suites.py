# SPDX-License-Identifier: MIT
"""What is measured.  A suite is a function (net, state, plan) that yields (point, metric, value); a
value of None says that there is nothing to measure, for instance the latency of no connection."""
import json
import re
import subprocess
import time

import lab
import rig
import xdp
from contenders import common as contenders_common

UNITS = {  # metric -> (unit, which way is better: 1 more, -1 less, 0 neither)
    "answered": ("SYN/s", 1), "refused": ("ACK/s", 1), "received": ("packets/s", 0),
    "cpu_per_million": ("CPU s", -1), "success": ("%", 1), "rate": ("packets/s", 0),
    "resent": ("%", 0), "first_p50": ("us", -1), "first_p99": ("us", -1),
    "p50": ("us", -1), "p90": ("us", -1), "p99": ("us", -1), "p999": ("us", -1), "max": ("us", -1),
    "completed": ("connections/s", 1), "throughput": ("Gbit/s", 1), "syns": ("SYNs", 0),
    "others": ("% of serving CPU", 0), "scaling": ("two cores / one", 1),
    "rss_growth": ("KiB", -1), "slab_growth": ("KiB", -1),
}


class Plan:
    """How long and how often: full, quick, or tiny for the test of the harness."""
    repeats, seconds = 3, 2.0
    kinds = ("syn-linux", "syn-linux-6", "syn-plain", "syn-data", "prefix", "mix")
    ack_kinds = ("ack-ts", "ack-ts-6", "ack")
    rates, hping3, fetches, interval_ms, timeout_ms = (
        (50_000, 200_000, 500_000, 1_000_000), True, 600, 5, 4000)
    idle, cps, streams, iperf_seconds, plain_link = 3000, 20_000, (1, 8), 2, True
    memory_syns, memory_seconds = 10_000_000, 40
    once = ("memory",)  # suites that are not repeated

    @classmethod
    def quick(cls):
        p = cls()
        p.repeats, p.seconds, p.kinds, p.ack_kinds = 2, 0.5, ("syn-linux",), ("ack-ts",)
        p.rates, p.hping3, p.fetches, p.interval_ms, p.timeout_ms = (200_000,), False, 60, 10, 1200
        p.idle, p.cps, p.streams, p.iperf_seconds, p.plain_link = 300, 1000, (1,), 1, False
        p.memory_syns, p.memory_seconds = 300_000, 1
        p.once = ("flood", "throughput", "memory")
        return p

    @classmethod
    def tiny(cls):
        p = cls.quick()
        p.repeats, p.seconds, p.fetches, p.timeout_ms = 1, 0.3, 20, 500
        p.kinds, p.ack_kinds = ("syn-linux", "syn-linux-6"), ("ack-ts", "ack-ts-6")
        return p


def flood_of(kind):
    """The options of a flood: -6 at the end is IPv6, prefix is syn-linux from one."""
    if kind == "prefix":
        return {"kind": "syn-linux", "prefix": True}
    if kind.endswith("-6"):
        return {"kind": kind[:-2], "family": 6}
    return {"kind": kind}


def generator_report(process):
    process.stop()
    found = re.search(r"^\{.*\}$", process.log(), re.M)
    if not found:
        raise AssertionError("the generator did not report: " + process.log())
    return json.loads(found.group())


def under(net, kind, plan):
    """A flood for a moment: the rates in the middle of it, and what the generators offered."""
    floods = net.floods(seconds=plan.seconds + 1.5, **flood_of(kind))
    time.sleep(0.5)
    window = rig.Window(net)
    time.sleep(plan.seconds)
    seen = window.end()
    for flood in floods:
        if not flood.alive():
            raise AssertionError("the flood ended early: " + flood.log())
    reports = list(map(generator_report, floods))
    seen["offered"] = sum(r["offered"] / r["seconds"] for r in reports)
    return seen


def per_million(seen, rate):
    return 1e6 * seen["cpu"] / rate if rate > 1000 else None


def answered(net, plan, kind, point):
    seen = under(net, kind, plan)
    yield point, "answered", seen["synack"]
    yield point, "received", seen["received"]
    yield point, "rate", seen["offered"]
    yield point, "cpu_per_million", per_million(seen, seen["synack"])
    yield point, "others", 100 * seen["others"]


def refused(net, state, plan, kind, point):
    """An ACK is refused when the victim received it, says so in its own counters, and still serves:
    both are needed, and the smaller number counts."""
    serves = net.serves(lab.VICTIM6 if kind.endswith("-6") else lab.VICTIM4)
    before = state.counters().get("refused", 0)
    rx = net.victim.packets()[0]
    seen = under(net, kind, plan)
    time.sleep(0.2)
    total = max(1, net.victim.packets()[0] - rx)
    share = min(1.0, (state.counters().get("refused", 0) - before) / total)
    rate = seen["received"] * share if serves else 0.0
    yield point, "refused", rate
    yield point, "received", seen["received"]
    yield point, "cpu_per_million", per_million(seen, rate)
    yield point, "others", 100 * seen["others"]


def syn(net, _state, plan):
    for kind in plan.kinds:
        yield from answered(net, plan, kind, kind)


def ack(net, state, plan):
    for kind in plan.ack_kinds:
        yield from refused(net, state, plan, kind, kind)


def sharing(module, plan, cpus):
    """(kind, metric) -> value where these CPUs do everything, generator and sink included.  No CPU
    time by who used it: a thread that was woken is charged for what the waking one still did."""
    with rig.Rig(shared=cpus) as net:
        state = module.start(net, net.serve_at)
        rows = [*refused(net, state, plan, "ack-ts", "ack-ts"),
                *answered(net, plan, "syn-linux", "syn-linux")]
        module.stop(net, state)
    return {(kind, metric): value for kind, metric, value in rows if metric != "cpu_per_million"}


def cores(module, plan):
    """What two cores do beside one of them: the mean of both, one before and one after."""
    first, two, second = (sharing(module, plan, cpus) for cpus in ((0,), (0, 1), (1,)))
    one = {key: (first[key] + second[key]) / 2 for key in first}
    for where, values in (("one core", one), ("two cores", two)):
        for (kind, metric), value in values.items():
            yield f"{kind}, {where}", metric, value
    for kind, metric in (("ack-ts", "refused"), ("syn-linux", "answered")):
        point, alone = f"{kind}, two cores to one", one[kind, metric]
        yield point, "scaling", two[kind, metric] / alone if alone else None
        yield point, "others", max(v[kind, "others"] for v in (first, two, second))


def hping3(net, seconds, *more):
    return net.attacker.spawn(
        "hping3", "timeout", "-s", "INT", "-k", "2", str(round(seconds)), "hping3", "-S",
        "--flood", "--rand-source", "-q", "-n", "-I", "eth0", "-p", "80", *more, lab.VICTIM4,
        extra=rig.on_cpu(rig.OTHER_CPU, nice=10))


def flood(net, _state, plan):
    """Legitimate clients, a new one every few milliseconds whether or not others came back.  They
    share their CPU with generator and sink, and wait for neither: that would be the lab's time."""
    seconds = 3 + (plan.fetches * plan.interval_ms + plan.timeout_ms) / 1000
    points = [("no flood", None)]
    points += [(str(r), lambda r=r: net.flood("syn-linux", seconds, rate=r)) for r in plan.rates]
    if plan.hping3:
        points += [("hping3", lambda: hping3(net, seconds)),
                   ("hping3 -d 120 -w 64", lambda: hping3(net, seconds, "-d", "120", "-w", "64"))]
    with net.answers_at_once():
        for name, start in points:
            yield from fetches_under(net, plan, name, start)
        most = max(plan.rates)
        with net.receiving_first():
            yield from fetches_under(net, plan, f"{most}, receiving first",
                                     lambda: net.flood("syn-linux", seconds, rate=most))


def fetches_under(net, plan, name, start):
    attack = start() if start else None
    time.sleep(0.7 if attack else 0)
    window = rig.Window(net)
    result = net.fetch(plan.fetches, "--concurrency", plan.fetches, "--interval",
                       plan.interval_ms * 1000, "--timeout", plan.timeout_ms, fifo=rig.CLIENT_FIFO)
    seen = window.end()
    if attack:
        if not attack.alive():
            raise AssertionError("the flood ended early: " + attack.log())
        attack.stop()
        yield name, "rate", seen["received"]
        yield name, "cpu_per_million", per_million(seen, seen["received"])
    yield name, "others", 100 * seen["others"]
    yield name, "success", 100 * result["ok"] / result["count"]
    for p in ("p50", "p99", "p999", "max"):
        yield name, p, result["connect_us"][p] if result["ok"] else None
    # What the veth's queue of 256 frames lost comes again by TCP's timer after a second, and is
    # no work of a defence's.
    yield name, "resent", 100 * result["resent"] / result["ok"] if result["ok"] else None
    for p in ("p50", "p99"):
        good = result["ok"] > result["resent"]
        yield name, "first_" + p, result["first_us"][p] if good else None


def idle(net, _state, plan):
    alive = net.serves()
    result = net.fetch(plan.idle, "--timeout", 1000) if alive else {"ok": 0}
    for p in ("p50", "p90", "p99", "p999", "max"):
        yield "connect", p, result["connect_us"][p] if result["ok"] else None
    yield "connect", "success", 100 * result["ok"] / plan.idle


def cps(net, _state, plan):
    alive = net.serves()
    window = rig.Window(net)
    result = net.fetch(plan.cps, "--concurrency", 64, "--timeout", 3000) if alive else {"ok": 0}
    seen = window.end()
    yield "64 at a time", "completed", result["ok"] / result["seconds"] if result["ok"] else 0.0
    yield "64 at a time", "cpu_per_million", per_million(seen, result["ok"] / seen["seconds"])
    yield "64 at a time", "others", 100 * seen["others"]


def iperf(net, streams, backwards, seconds):
    """Gbit/s that the receiver got; 0 when there was no connection."""
    argv = ["iperf3", "-c", lab.VICTIM4, "-p", "80", "-J", "-t", str(seconds), "-P", str(streams),
            "--connect-timeout", "1500"] + (["-R"] if backwards else [])
    enter, pin = net.preexec(net.client), rig.on_cpu(rig.OTHER_CPU)

    def both():
        enter()
        pin()

    try:
        out = subprocess.run(argv, capture_output=True, text=True, check=False,
                             timeout=seconds + 10, preexec_fn=both)
        return json.loads(out.stdout)["end"]["sum_received"]["bits_per_second"] / 1e9
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return 0.0


def throughput(net, _state, plan):
    """With XDP on both ends of the link for everybody, because it costs veth its TSO; and for those
    who need none of it on the plain link too."""
    links = [("level link", None)]
    if xdp.modes(net) is None:
        links = [("level link", lambda: contenders_common.xdp(net, "pass"))]
        if plan.plain_link:
            links.insert(0, ("plain link", net.plain_link))
    for link, prepare in links:
        if prepare:
            prepare()
        if link == "level link":
            net.level_link()
        for streams in plan.streams:
            for backwards in (False, True):
                way = "from victim" if backwards else "to victim"
                yield (f"{link}, {streams} {way}", "throughput",
                       iperf(net, streams, backwards, plan.iperf_seconds))


def slab_kib():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(r"^Slab:\s+(\d+)", f.read(), re.M).group(1))


def memory(net, state, plan):
    before, slab, rx = state.rss_kib(), slab_kib(), net.victim.packets()[0]
    attack = net.flood("syn-linux", plan.memory_seconds)
    end, peak = time.monotonic() + plan.memory_seconds, slab
    while net.victim.packets()[0] - rx < plan.memory_syns and time.monotonic() < end:
        time.sleep(0.1)
        peak = max(peak, slab_kib())
    after, got = state.rss_kib(), net.victim.packets()[0] - rx
    attack.stop()
    yield "flood", "syns", got
    yield "flood", "rss_growth", after - before if after is not None else None
    yield "flood", "slab_growth", peak - slab


# In the order in which one lab stands them: kernel0 does not serve any more after a flood.
SUITES = {"idle": idle, "cps": cps, "ack": ack, "flood": flood, "syn": syn, "memory": memory,
          "throughput": throughput, "cores": cores}
SERVICE_IPERF = ("throughput",)
OWN_LABS = ("cores",)  # (module, plan) in place of (net, state, plan)
NOT_QUICK = ("cores",)  # unless it is asked for
