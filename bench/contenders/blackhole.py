# SPDX-License-Identifier: MIT
"""Takes everything, answers nothing.  It must score 0 everywhere: it tests the harness."""
from contenders import common


def describe():
    return "drops everything: tests the harness, must score 0"


def start(net, service):
    common.serve(service)
    net.victim.run("nft", "-f", "-", text="""
        table netdev hole {
            chain drop_all { type filter hook ingress device eth0 priority 0; policy drop; }
        }""")
    return common.KernelCounters(net)


def stop(net, _state):
    net.victim.run("nft", "delete", "table", "netdev", "hole")
