# SPDX-License-Identifier: MIT
"""Takes everything, answers nothing.  It must score 0 everywhere: it tests the harness."""
import lab
from contenders import common


def describe():
    return "drops everything: tests the harness, must score 0"


def start(net, service):
    service(lab.VICTIM4, 80)
    net.victim.run("nft", "-f", "-", text="""
        table netdev hole {
            chain drop_all { type filter hook ingress device eth0 priority 0; policy drop; }
        }""")
    return common.KernelCounters(net)


def stop(net, _state):
    net.victim.run("nft", "delete", "table", "netdev", "hole")
