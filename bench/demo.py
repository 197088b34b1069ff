# SPDX-License-Identifier: MIT
"""The demonstration behind bench/demo: nginx under `hping3 -S --flood --rand-source`, three times.

Each row is a fresh lab (tests/e2e/lab.py draws it) with the same settings, the same flood and the
same client, which starts a fetch every 50 ms whether or not the ones before have come back.
"""
import argparse
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import lab  # noqa: E402

INTERVAL_MS, TIMEOUT_MS, SETTLE_S = 50, 5000, 2
IDLE = 1000  # fetches in a row before the flood begins


def unprotected(net):
    net.victim.sysctl("net.ipv4.tcp_syncookies", 0)
    net.nginx(f"{lab.VICTIM4}:80")


def kernel_cookies(net):
    net.victim.sysctl("net.ipv4.tcp_syncookies", 1)
    net.nginx(f"{lab.VICTIM4}:80")


def synward(net):
    net.nginx("127.0.0.1:8080")
    net.guard()


ROWS = (("unprotected", unprotected), ("kernel cookies", kernel_cookies), ("synward", synward))


def measure(setup, fetches):
    with lab.Lab() as net:
        setup(net)
        idle = net.load(lab.VICTIM4, 80, "--http", "/", "--count", IDLE)
        seconds = SETTLE_S + (fetches * INTERVAL_MS + TIMEOUT_MS) // 1000 + 2
        flood = net.hping3(seconds)
        time.sleep(SETTLE_S)
        before, begin = net.victim.packets()[0], time.monotonic()
        result = net.load(lab.VICTIM4, 80, "--http", "/", "--count", fetches, "--concurrency",
                          fetches, "--interval", INTERVAL_MS * 1000, "--timeout", TIMEOUT_MS)
        result["idle_us"] = idle["connect_us"]["p50"]
        result["rate"] = (net.victim.packets()[0] - before) / (time.monotonic() - begin)
        if not flood.alive():
            raise SystemExit("the flood ended too early:\n" + flood.log())
        return result


class Table:
    HEAD = ("", "flood SYN/s", "fetched", "success", "connect p50", "p99", "without flood")
    WIDTH = (16, 13, 13, 9, 13, 12, 15)

    def __init__(self):
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.row(self.HEAD)

    def row(self, cells, colour=None):
        line = "".join(c.ljust(w) if i == 0 else c.rjust(w)
                       for i, (c, w) in enumerate(zip(cells, self.WIDTH)))
        if self.colour and colour:
            line = f"\033[{colour}m{line}\033[0m"
        print(line, flush=True)

    def result(self, name, r):
        share = 100 * r["ok"] / r["count"]
        times = [f"{r['connect_us'][p] / 1000:.2f} ms" if r["ok"] else "-" for p in ("p50", "p99")]
        self.row((name, f"{r['rate']:,.0f}", f"{r['ok']} of {r['count']}", f"{share:.1f} %",
                  *times, f"{r['idle_us'] / 1000:.2f} ms"), 32 if share == 100 else 31 if share < 50 else 33)


def main():
    options = argparse.ArgumentParser(prog="bench/demo", description=__doc__.splitlines()[0])
    options.add_argument("--fetches", type=int, default=200, help="per row (200)")
    fetches = max(1, options.parse_args().fetches)
    print(f"nginx under hping3 -S --flood --rand-source, {fetches} fetches in each row:\n")
    table = Table()
    for name, setup in ROWS:
        table.result(name, measure(setup, fetches))
    print(f"\nunprotected: tcp_syncookies=0.  kernel cookies: tcp_syncookies=1, the usual "
          f"default.\n"
          f"Without flood: connect p50 of {IDLE} fetches in a row.  A fetch counts when the whole "
          f"page\nis there within {TIMEOUT_MS // 1000} s.  Flood, client and victim share {os.cpu_count()} CPUs.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nbench/demo: interrupted; the lab is removed")
