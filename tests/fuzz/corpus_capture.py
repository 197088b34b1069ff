#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of corpus/capture: good, cut and hostile capture files.
usage: corpus_capture.py"""
import pathlib
import struct

from corpus import ACK, FIN, LINUX, RST, SYN, frame, frames, proven

HERE = pathlib.Path(__file__).resolve().parent
NOW = 1700000000


def pcap(packets, linktype=1, order="<", nano=False, snaplen=262144, at=NOW):
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, snaplen, linktype)
    for i, p in enumerate(packets):
        out += struct.pack(order + "IIII", at, i, len(p), len(p)) + p
    return out


def block(kind, body, order="<"):
    body += b"\0" * (-len(body) % 4)
    n = len(body) + 12
    return struct.pack(order + "II", kind, n) + body + struct.pack(order + "I", n)


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def shb(order="<", options=b""):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def idb(linktype=1, snaplen=0, order="<", options=b""):
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def epb(p, us, iface=0, order="<", caplen=None, options=b""):
    head = struct.pack(order + "IIIII", iface, us >> 32, us & 0xFFFFFFFF,
                       len(p) if caplen is None else caplen, len(p))
    return block(6, head + p + b"\0" * (-len(p) % 4) + options, order)


def spb(p, order="<"):
    return block(3, struct.pack(order + "I", len(p)) + p, order)


def handshake(family):
    ack = proven(family, True)
    return [frame(family, SYN, LINUX), frame(family, ACK, **ack),
            frame(family, ACK, payload=b"x" * 20, **ack), frame(family, RST), frame(family, ACK),
            frame(family, SYN | FIN), frame(family, ACK, **proven(family, True, NOW - 64)),
            frame(family, ACK, **proven(family, False))]


def seeds():
    both = handshake(4) + handshake(6)
    yield "pcap-us", pcap(both)
    yield "pcap-ns-big-endian", pcap(both, order=">", nano=True)
    yield "pcap-all-frames", pcap([f for _, _, f in frames()])
    yield "pcap-no-packets", pcap([])
    yield "pcap-cut-in-head", pcap(both)[:20]
    yield "pcap-cut-in-packet", pcap(both)[:24 + 16 + 30]
    yield "pcap-cut-in-record", pcap(both)[:24 + 8]
    yield "pcap-snaplen-small", pcap(both, snaplen=20)
    yield "pcap-caplen-huge", pcap([]) + struct.pack("<IIII", NOW, 0, 0xFFFFFFFF, 0xFFFFFFFF)
    yield "pcap-caplen-above-snaplen", pcap([]) + struct.pack("<IIII", NOW, 0, 300000, 60) + both[0]
    yield "pcap-time-jumps", (pcap(both, at=0xFFFFFFFF) + pcap(both, at=0)[24:] +
                              pcap(both, at=NOW)[24:])
    yield "pcap-empty-packets", pcap([b"", b"\0", b"\0" * 13, b"\0" * 14])
    ip = [f[14:] for f in both]
    yield "pcap-raw", pcap(ip, 101)
    yield "pcap-null", pcap([b"\2\0\0\0" + p for p in ip[:8]], 0)
    yield "pcap-loop", pcap([b"\0\0\0\x1e" + p for p in ip[8:]] + [b"\0\0"], 108)
    yield "pcap-sll", pcap([b"\0\0\0\1\0\6abcdef\0\0\x08\0" + p for p in ip[:8]] + [b"\0"], 113)
    yield "pcap-sll2", pcap([b"\x86\xdd\0\0\0\0\0\2\0\1\0\6abcdef\0\0" + p for p in ip[8:]], 276)
    yield "pcap-ipv6", pcap(ip[8:] + [b""], 229)
    yield "pcap-wifi", pcap(both, 105)
    us = NOW * 1000000
    yield "pcapng", (shb(options=option(1, b"a comment") + option(0, b"")) +
                     idb(options=option(2, b"eth0") + option(0, b"")) +
                     b"".join(epb(p, us + i, options=option(1, b"why") + option(0, b""))
                              for i, p in enumerate(both)))
    yield "pcapng-big-endian", shb(">") + idb(order=">") + b"".join(
        epb(p, us, order=">") for p in both)
    yield "pcapng-ns", (shb() + idb(options=option(9, b"\x09") + option(0, b"")) +
                        epb(both[0], us * 1000) + epb(both[1], (1 << 64) - 1))
    yield "pcapng-2-to-the-127", shb() + idb(options=option(9, b"\xff")) + epb(both[0], us)
    yield "pcapng-simple", shb() + idb(snaplen=100) + spb(both[0]) + spb(both[1])
    yield "pcapng-two-link-types", shb() + idb(1) + idb(101) + epb(both[0], us, 1)
    yield "pcapng-no-interface", shb() + epb(both[0], us)
    yield "pcapng-caplen-wrong", shb() + idb() + epb(both[0], us, caplen=4000)
    yield "pcapng-cut", (shb() + idb() + epb(both[0], us) + epb(both[1], us))[:-30]
    yield "pcapng-length-zero", shb() + idb() + struct.pack("<II", 6, 0)
    yield "pcapng-length-huge", shb() + idb() + struct.pack("<II", 6, 0xFFFFFFFC)
    yield "pcapng-lengths-differ", shb() + idb() + epb(both[0], us)[:-4] + b"\x10\0\0\0"
    yield "pcapng-unknown-blocks", shb() + idb() + block(0x0BAD, b"x" * 30) + epb(both[0], us)
    yield "pcapng-new-section", (shb() + idb() + epb(both[0], us) + shb(">") + idb(order=">") +
                                 epb(both[1], us, order=">"))
    yield "not-a-capture", b"#!/bin/sh\nexit 0\n" * 4
    yield "gzip", b"\x1f\x8b\x08" + b"\0" * 40


def main():
    where = HERE / "corpus" / "capture"
    where.mkdir(exist_ok=True)
    for name, data in seeds():
        (where / name).write_bytes(data)


if __name__ == "__main__":
    main()
