# SPDX-License-Identifier: MIT
from contenders import common


def describe():
    return "a plain listener, tcp_syncookies=1: cookies when the queue is full"


def start(net, service):
    return common.listener(net, service, 1)


def stop(_net, _state):
    pass
