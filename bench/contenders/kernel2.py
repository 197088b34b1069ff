# SPDX-License-Identifier: MIT
from contenders import common


def describe():
    return "a plain listener, tcp_syncookies=2: cookies always"


def start(net, service):
    return common.listener(net, service, 2)


def stop(_net, _state):
    pass
