# SPDX-License-Identifier: MIT
"""The service itself is a program of libsynward: no relay, and no second connection behind it."""
import lab
from contenders import common

IS_THE_SERVICE = True


def describe():
    return "libsynward in the service: packet threads, TCP_REPAIR, hmac-sha256"


def start(net, _service):
    at = [w for addr in common.GUARDED for w in ("--serve", lab.endpoint(addr, 80))]
    p = net.start_synward(*at, "--synward", "eth0", "--qdisc-bypass", "--workers",
                          str(len(net.serving_cpus)), binary=lab.BENCH_LOAD, ready=False,
                          extra=net.on_victim())
    if not lab.wait_for(lambda: "bench_load: ready" in p.log() or not p.alive(), 20) or \
            not p.alive():
        raise AssertionError("bench_load --synward: " + p.log())
    return common.SynwardState(p)


def stop(_net, state):
    code = state.process.stop()
    if code != 0:  # None: it did not end by itself
        raise AssertionError(f"bench_load --synward ended with {code}:\n{state.process.log()}")
