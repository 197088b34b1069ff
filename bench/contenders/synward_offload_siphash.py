# SPDX-License-Identifier: MIT
from contenders import common


def describe():
    return "synward relay, SYNs answered in XDP, siphash-2-4"


def start(net, service):
    return common.synward(net, service, "--offload", "xdp", "--mac", "siphash-2-4")


def stop(_net, state):
    state.process.end_now()
