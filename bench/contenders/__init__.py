# SPDX-License-Identifier: MIT
"""The contenders, one small file each, named as on the command line with - for _.

A module has describe(), one line for people, and start(net, service), which puts the defence in front
of a service on the victim (net is a rig.Rig).  It must serve port 80 of lab.VICTIM4 and lab.VICTIM6.
service(addr, port) starts what is served, there when the defence keeps the kernel's listener
(common.serve()), else where it relays to.  Programs are spawned with extra=net.on_victim(), and may
use a thread for each of net.serving_cpus.  start() may return an object with counters() (a dict:
"refused", bogus ACKs refused so far) and rss_kib().  stop(net, state) takes it away again; what lives
in the lab's namespaces goes with them.  IS_THE_SERVICE = True: what serves is its own, not what
service() starts, so suites with another service leave it out.

ORDER says where a contender stands in the tables; those that are not there come last.
"""
import importlib
import os

ORDER = ("kernel0", "kernel1", "kernel2", "nft-synproxy", "haproxy", "synward", "synward-siphash",
         "synward-library", "synward-offload", "synward-offload-siphash", "synward-transparent",
         "synward-transparent-siphash", "blackhole", "drop-ceiling")


def names():
    found = [f[:-3].replace("_", "-") for f in os.listdir(os.path.dirname(__file__))
             if f.endswith(".py") and not f.startswith(("__", "common"))]
    return sorted(found, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n))


def load(name):
    return importlib.import_module("contenders." + name.replace("-", "_"))
