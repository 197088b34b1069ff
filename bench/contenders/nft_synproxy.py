# SPDX-License-Identifier: MIT
"""The ruleset of nftables' own documentation (nft(8), SYNPROXY STATEMENT), for a local service."""
import lab
from contenders import common

RULES = f"""
table ip guard {{
    chain syns_untracked {{
        type filter hook prerouting priority raw; policy accept;
        ip daddr {lab.VICTIM4} tcp dport 80 tcp flags syn notrack
    }}
    chain to_service {{
        type filter hook input priority filter; policy accept;
        tcp dport 80 ct state {{ invalid, untracked }} synproxy mss 1460 wscale 7 timestamp sack-perm
        ct state invalid drop
    }}
}}"""


class State(common.Nothing):
    def __init__(self, net):
        self.net = net

    def counters(self):
        """cookie_invalid of every CPU, hexadecimal."""
        out = self.net.victim.run("cat", "/proc/net/stat/synproxy").stdout.splitlines()
        at = out[0].split().index("cookie_invalid")
        return {"refused": sum(int(line.split()[at], 16) for line in out[1:])}


def describe():
    return "nftables synproxy, nf_conntrack_tcp_loose=0"


def start(net, service):
    net.victim.sysctl("net.ipv4.tcp_syncookies", 1)
    service(lab.VICTIM4, 80)
    net.victim.run("nft", "-f", "-", text=RULES)
    net.victim.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
    return State(net)


def stop(net, _state):
    net.victim.run("nft", "delete", "table", "ip", "guard")
