#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of corpus/frame and corpus/tcpopt.  usage: corpus.py"""
import ipaddress
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "core"))
import vectors  # noqa: E402

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << n for n in range(8))
FIX_IP4, CHECKED, PARTIAL, TAGGED, CUT, BIG, LOOPBACK, BARE = (1 << n for n in range(8))
HOSTS = {4: ("192.0.2.1", "198.51.100.2"), 6: ("2001:db8::1", "2001:db8:ffff::2")}
ISN = 0x12345678

MSS = b"\x02\x04\x05\xb4"
SACK = b"\x04\x02"
WSCALE = b"\x01\x03\x03\x07"
LINUX = MSS + SACK + b"\x08\x0a\x00\x00\x03\xe8\x00\x00\x00\x00" + WSCALE
WINDOWS = MSS + b"\x01\x03\x03\x08\x01\x01" + SACK
BSD = MSS + b"\x01\x03\x03\x06" + SACK + b"\x08\x0a\x00\x00\x03\xe8\x00\x00\x00\x00"


def csum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def frame(family, flags, options=b"", seq=ISN, ack=0, payload=b"", tags=(), ip_options=b"",
          ext=(), src=None, sport=40000, dport=443, pad=0):
    options += b"\0" * (-len(options) % 4)
    src, dst = (ipaddress.ip_address(a).packed for a in (src or HOSTS[family][0],
                                                          HOSTS[family][1]))
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, (20 + len(options)) // 4 << 4, flags,
                      64240, 0, 0) + options + payload
    tcp = tcp[:16] + struct.pack(">H", csum(src + dst + struct.pack(">II", len(tcp), 6) + tcp)
                                 ) + tcp[18:]
    if family == 4:
        head = struct.pack(">BBHHHBBH", 0x45 + len(ip_options) // 4, 0,
                           20 + len(ip_options) + len(tcp), 0, 0x4000, 64, 6, 0)
        head += src + dst + ip_options
        head = head[:10] + struct.pack(">H", csum(head)) + head[12:]
    else:
        kinds = [kind for kind, _ in ext] + [6]
        chain = b"".join(bytes([nxt]) + body for nxt, (_, body) in zip(kinds[1:], ext))
        head = struct.pack(">IHBB", 6 << 28, len(chain) + len(tcp), kinds[0], 64) + src + dst
        head += chain
    eth = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1])
    for tpid, tci in tags:
        eth += struct.pack(">HH", tpid, tci)
    eth += struct.pack(">H", 0x0800 if family == 4 else 0x86DD)
    return eth + head + tcp + b"\0" * pad


def proven(family, ts, time=1700000000):
    row = {"alg": vectors.SIPHASH, "src": HOSTS[family][0], "dst": HOSTS[family][1],
           "sport": 40000, "dport": 443, "isn": ISN, "time": time, "mss": 1460, "wscale": 7,
           "sack": True, "ts": ts, "ecn": False}
    isn, tsval = vectors.cookie(row)
    options = b"\x01\x01\x08\x0a\x00\x00\x03\xe9" + struct.pack(">I", tsval) if ts else b""
    return {"options": options, "seq": ISN + 1, "ack": (isn + 1) & 0xFFFFFFFF}


def frames():
    pad8 = b"\0" + b"\x01\x04\0\0\0\0"
    frag = b"\0\0\0\0\0\0\x07"
    for v in (4, 6):
        yield f"syn{v}-linux", FIX_IP4, frame(v, SYN, LINUX)
        yield f"syn{v}-windows", 0, frame(v, SYN, WINDOWS)
        yield f"syn{v}-bsd-ecn", 0, frame(v, SYN | ECE | CWR, BSD)
        yield f"syn{v}-plain", BARE, frame(v, SYN)
        yield f"syn{v}-data", 0, frame(v, SYN | PSH, LINUX, payload=b"GET / HTTP/1.0\r\n\r\n")
        yield f"syn{v}-vlan", 0, frame(v, SYN, LINUX, tags=[(0x8100, 5)])
        yield f"syn{v}-qinq", FIX_IP4, frame(v, SYN, LINUX, tags=[(0x88A8, 5), (0x8100, 6)])
        yield f"syn{v}-tag-beside", TAGGED, frame(v, SYN, LINUX, tags=[(0x8100, 6)])
        yield f"syn{v}-land", LOOPBACK, frame(v, SYN, src=HOSTS[v][1], sport=443)
        yield f"ack{v}-wide", 0, frame(v, ACK, **proven(v, True))
        yield f"ack{v}-narrow", 0, frame(v, ACK, **proven(v, False))
        yield f"ack{v}-data-cut", CUT, frame(v, ACK | PSH, **proven(v, True),
                                             payload=b"x" * 100)[:-40]
        yield f"ack{v}-expired", 0, frame(v, ACK, **proven(v, True, 1700000000 - 64))
        yield f"ack{v}-forged", CHECKED, frame(v, ACK, ack=99)
        yield f"rst{v}", PARTIAL, frame(v, RST)
    yield "syn4-ip-options", FIX_IP4, frame(4, SYN, LINUX, ip_options=b"\x01" * 12)
    yield "syn4-padded", 0, frame(4, SYN, pad=6)
    yield "syn4-martian", 0, frame(4, SYN, src="127.0.0.1")
    yield "syn6-mapped", 0, frame(6, SYN, src="::ffff:192.0.2.1")
    yield "syn6-hopopt", 0, frame(6, SYN, LINUX, ext=[(0, pad8)])
    yield "syn6-chain", 0, frame(6, SYN, LINUX, ext=[(0, pad8), (60, pad8), (43, b"\0" * 7),
                                                     (44, frag), (60, pad8)])
    yield "syn6-fragment", 0, frame(6, SYN, ext=[(44, b"\0\0\x01\0\0\0\x07")])
    big = bytearray(frame(6, ACK, **proven(6, True), payload=b"x" * 50))
    big[18:20] = b"\0\0"
    yield "ack6-big", BIG, bytes(big)


def option_lists():
    yield "linux", LINUX
    yield "windows", WINDOWS
    yield "bsd", BSD
    yield "twice", MSS + MSS + WSCALE + b"\x03\x03\xff"
    yield "length-zero", MSS + b"\x08\x00\x01\x02"
    yield "length-one", SACK + b"\x08\x01"
    yield "overrun", b"\x01\x01\x08\x0a\x01\x02"
    yield "unknown", b"\xfe\x06\xf9\x89\x00\x00" + MSS


def main():
    for name, how, data in frames():
        (HERE / "corpus" / "frame" / name).write_bytes(bytes([how]) + data)
    for name, data in option_lists():
        (HERE / "corpus" / "tcpopt" / name).write_bytes(data)


if __name__ == "__main__":
    main()
