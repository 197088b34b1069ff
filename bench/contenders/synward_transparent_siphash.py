# SPDX-License-Identifier: MIT
from contenders import common


def describe():
    return "synward transparent: BPF and the service's own listener, siphash-2-4"


def start(net, service):
    return common.synward(net, service, "--transparent", "--mac",
                          "siphash-2-4")


def stop(_net, state):
    state.process.end_now()
