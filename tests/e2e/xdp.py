# SPDX-License-Identifier: MIT
"""What the tests of the BPF answerer share."""
import json


def open_peer(net):
    """XDP_TX on a veth reaches the far end only when that has an XDP program too."""
    net.take_xdp_tx()


def modes(net):
    """The XDP program on the victim's interface: (mode, name), or None."""
    link = json.loads(net.victim.run("ip", "-j", "-d", "link", "show", "eth0").stdout)[0]
    xdp = link.get("xdp")
    return (xdp["mode"], xdp["prog"]["name"]) if xdp else None
