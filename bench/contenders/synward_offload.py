# SPDX-License-Identifier: MIT
from contenders import common


def describe():
    return "synward relay, SYNs answered in XDP, hmac-sha256"


def start(net, service):
    return common.synward(net, service, "--offload", "xdp")


def stop(_net, state):
    state.process.end_now()
