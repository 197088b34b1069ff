# SPDX-License-Identifier: MIT
"""HAProxy in TCP mode: what people put in front of a service; the kernel's cookies protect it."""
import os

import lab
from contenders import common

CONFIG = """global
    nbthread {threads}
    maxconn 8000
defaults
    mode tcp
    timeout connect 3s
    timeout client 1h
    timeout server 1h
listen front
    bind {four} backlog 4096
    bind {six} backlog 4096
    server one 127.0.0.1:8080
"""


class State(common.KernelCounters):
    def __init__(self, net, process):
        super().__init__(net)
        self.process = process

    def rss_kib(self):
        return self.process.rss_kib()


def describe():
    return "HAProxy in TCP mode, one thread a core, tcp_syncookies=1"


def start(net, service):
    net.victim.sysctl("net.ipv4.tcp_syncookies", 1)
    service("127.0.0.1", 8080)
    four, six = (lab.endpoint(addr, 80) for addr in common.GUARDED)
    path = os.path.join(net.dir, "haproxy.cfg")
    with open(path, "w", encoding="ascii") as f:
        f.write(CONFIG.format(threads=len(net.serving_cpus), four=four, six=six))
    p = net.victim.spawn("haproxy", "haproxy", "-db", "-f", path,
                         extra=net.on_victim())
    if not lab.wait_for(lambda: all(net.victim.run("ss", "-ltnH", "src", where).stdout.strip()
                                    for where in (four, six)), 5):
        raise AssertionError("haproxy did not start: " + p.log())
    return State(net, p)


def stop(_net, state):
    state.process.stop()
