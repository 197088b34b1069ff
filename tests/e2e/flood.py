# SPDX-License-Identifier: MIT
"""Descriptions of flood packets for trafgen (Lab.trafgen)."""
import ipaddress

import lab


def _bytes(hexes):
    return ", ".join(f"0x{b:02x}" for b in bytes.fromhex(hexes))


# What a Linux client offers: MSS 1460, SACK, timestamps (random), window scale 7.  20 bytes.
LINUX_OPTIONS = _bytes("020405b40402080a") + ", drnd(4), 0, 0, 0, 0, " + _bytes("01030307")

# A timestamp option with a random value and a random echo.  12 bytes.
TIMESTAMPS = _bytes("0101080a") + ", drnd(8)"

_LENGTH = {"": 0, LINUX_OPTIONS: 20, TIMESTAMPS: 12}


def tcp(flags="syn", options="", target=lab.VICTIM4, port=80):
    """A frame with a random source address (198.18.0.0/15 or 2001:db8:5::/64), source port and
    sequence numbers."""
    words = 5 + _LENGTH[options] // 4
    segment = (f"tcp(sport=drnd(1024, 65535), dport={port}, seq=drnd(), ackseq=drnd(), {flags}, "
               f"window=64240, hlen={words})")
    if ":" in target:
        kind = "0x86dd"
        ip = (f"ipv6(nh=6, hl=64, len={4 * words}, saddr=2001:db8:5::1, saddr[12:4]=drnd(), "
              f"daddr={target})")
    else:
        kind = "0x0800"
        net = ipaddress.ip_network("198.18.0.0/15")
        first, last = int(net[1]), int(net[-2])
        ip = (f"ipv4(id=drnd(), ttl=64, len={20 + 4 * words}, df, saddr=drnd({first}, {last}), "
              f"daddr={target})")
    eth = f"eth(da={lab.MAC['victim']}, sa={lab.MAC['attacker']}, type={kind})"
    return "{ " + " ".join(filter(None, (eth, ip, segment, options))) + " }"
