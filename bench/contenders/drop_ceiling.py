# SPDX-License-Identifier: MIT
"""Drops everything in XDP: what is received here is the most that the generator can deliver."""
from contenders import common


def describe():
    return "XDP_DROP of everything: the generator's own ceiling"


def start(net, service):
    common.serve(service)
    common.xdp(net, "drop")
    return common.KernelCounters(net)


def stop(net, _state):
    common.no_xdp(net)
