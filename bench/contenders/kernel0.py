# SPDX-License-Identifier: MIT
from contenders import common


def describe():
    return "a plain listener, tcp_syncookies=0: unprotected"


def start(net, service):
    return common.listener(net, service, 0)


def stop(_net, _state):
    pass
