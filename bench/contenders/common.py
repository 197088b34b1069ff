# SPDX-License-Identifier: MIT
"""What several contenders share."""
import os

import lab
import rig


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


def listener(net, service, cookies):
    """A plain listener under one setting of tcp_syncookies."""
    net.victim.sysctl("net.ipv4.tcp_syncookies", cookies)
    service(lab.VICTIM4, 80)
    return KernelCounters(net)


def synward(net, service, *args):
    """synward on the victim's CPU, as docs/benchmark.md says."""
    transparent = "--transparent" in args
    service(*((lab.VICTIM4, 80) if transparent else ("127.0.0.1", 8080)))
    more = () if transparent else ("--upstream", "127.0.0.1:8080", "--qdisc-bypass")
    return SynwardState(net.start_synward("run", "--interface", "eth0", "--listen",
                                          f"{lab.VICTIM4}:80", *more, *args,
                                          extra=rig.on_victim_cpu()))


def xdp(net, program):
    """An XDP program of bench/ on the victim's interface."""
    net.victim.run("ip", "link", "set", "eth0", "xdp", "obj",
                   os.path.join(rig.TOOLS, program + ".bpf.o"), "sec", "xdp.frags")


def no_xdp(net):
    net.victim.run("ip", "link", "set", "eth0", "xdp", "off")
