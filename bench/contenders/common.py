# SPDX-License-Identifier: MIT
"""What several contenders share."""
import os

import lab
import rig

GUARDED = (lab.VICTIM4, lab.VICTIM6)  # port 80 of each


class Nothing:
    """A defence without counters or memory of its own."""

    def counters(self):
        return {}

    def rss_kib(self):
        return None


class KernelCounters(Nothing):
    """Refusals of a plain listener: cookies that did not prove, and resets for the rest."""

    def __init__(self, net):
        self.net = net

    def counters(self):
        return {"refused": self.net.victim.nstat("Tcp.OutRsts")}


class SynwardState:
    """synward's own counters (docs/run.md, "Counters")."""

    def __init__(self, process):
        self.process = process

    def counters(self):
        c = self.process.counters()
        refused = sum(c["reason_cookie_" + why] for why in ("forged", "expired", "future"))
        return {"refused": max(refused, c["xdp_dropped"]), **c}

    def rss_kib(self):
        return self.process.rss_kib()


def serve(service):
    """The service itself, where the clients and the floods go."""
    for addr in GUARDED:
        service(addr, 80)


def listener(net, service, cookies):
    """A plain listener under one setting of tcp_syncookies."""
    net.victim.sysctl("net.ipv4.tcp_syncookies", cookies)
    serve(service)
    return KernelCounters(net)


def synward(net, service, *args):
    """synward on the victim's CPUs, as docs/benchmark.md says."""
    listen = [w for addr in GUARDED for w in ("--listen", lab.endpoint(addr, 80))]
    if "--transparent" in args:
        serve(service)
        more = ()
    else:
        service("127.0.0.1", 8080)
        more = ("--upstream", "127.0.0.1:8080", "--qdisc-bypass",
                "--workers", str(len(net.serving_cpus)))
    return SynwardState(net.start_synward("run", "--interface", "eth0", *listen, *more, *args,
                                          extra=net.on_victim()))


def xdp(net, program):
    """An XDP program of bench/ on the victim's interface."""
    net.victim.run("ip", "link", "set", "eth0", "xdp", "obj",
                   os.path.join(rig.TOOLS, program + ".bpf.o"), "sec", "xdp.frags")


def no_xdp(net):
    net.victim.run("ip", "link", "set", "eth0", "xdp", "off")
