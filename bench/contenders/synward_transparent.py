# SPDX-License-Identifier: MIT
from contenders import common


def describe():
    return "synward transparent: BPF and the service's own listener, hmac-sha256"


def start(net, service):
    return common.synward(net, service, "--transparent")


def stop(_net, state):
    state.process.end_now()
