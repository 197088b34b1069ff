# SPDX-License-Identifier: MIT
from contenders import common


def describe():
    return "synward relay: packet threads, hmac-sha256"


def start(net, service):
    return common.synward(net, service)


def stop(_net, state):
    state.process.end_now()
