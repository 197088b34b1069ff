# SPDX-License-Identifier: MIT
"""The ruleset of nftables' own documentation (nft(8), SYNPROXY STATEMENT), for a local service, with
one rule more.

synproxy adjusts the timestamps of what passes, and its own ACK to the service too: its echo is no
time that the service ever sent.  Kernels that count TcpExtTSEcrRejected look at that and refuse the
ACK; the client's request then completes the handshake, or, when the millisecond changed meanwhile,
waits for the service to send its SYN-ACK again after a second.  On loopback, where only synproxy
talks to the service, that ACK goes without its timestamp.
"""
import lab
from contenders import common

RULES = """
table inet guard {{
    chain syns_untracked {{
        type filter hook prerouting priority raw; policy accept;
        tcp dport 80 tcp flags syn notrack
    }}
    chain to_service {{
        type filter hook input priority filter; policy accept;
        iif lo tcp dport 80 tcp flags & (syn | ack) == ack reset tcp option timestamp
        ip daddr {four} {unproven} synproxy mss 1460 {options}
        ip6 daddr {six} {unproven} synproxy mss 1440 {options}
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


def window_scale(net):
    """What a listener of the victim announces: synproxy must announce the same."""
    with net.victim.listen(lab.VICTIM4, 81), net.client.connect(lab.VICTIM4, 81):
        return int(net.client.ss(f"dst {lab.VICTIM4}:81")["wscale"].split(",")[0])


def describe():
    return "nftables synproxy, nf_conntrack_tcp_loose=0, loopback ACKs without timestamps"


def start(net, service):
    net.victim.sysctl("net.ipv4.tcp_syncookies", 1)
    common.serve(service)
    four, six = common.GUARDED
    net.victim.run("nft", "-f", "-", text=RULES.format(
        four=four, six=six, unproven="tcp dport 80 ct state { invalid, untracked }",
        options=f"wscale {window_scale(net)} timestamp sack-perm"))
    net.victim.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
    return State(net)


def stop(net, _state):
    net.victim.run("nft", "delete", "table", "inet", "guard")
