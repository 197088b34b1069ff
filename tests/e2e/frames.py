# SPDX-License-Identifier: MIT
"""Frames made and read by hand, and a small TCP client that speaks by them.

The client uses the lab's ghost addresses: frames for them reach the client's interface, but no
kernel owns them, so none answers in the client's place.
"""
import ipaddress
import os
import random
import socket
import struct
import time
from dataclasses import dataclass

import lab

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << i for i in range(8))
ETH_IP4, ETH_IP6, ETH_VLAN = 0x0800, 0x86DD, 0x8100
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


# ---- TCP options ----

def opt_mss(n):
    return struct.pack("!BBH", 2, 4, n)


def opt_wscale(n):
    return b"\x01" + struct.pack("!BBB", 3, 3, n)


def opt_ts(val, ecr=0):
    return b"\x01\x01" + struct.pack("!BBII", 8, 10, val, ecr)


OPT_SACK = b"\x01\x01\x04\x02"


def linux_options(mss=1460, tsval=1000, wscale=7):
    return (opt_mss(mss) + b"\x04\x02" + struct.pack("!BBII", 8, 10, tsval, 0) +
            opt_wscale(wscale))


def read_options(data):
    """{"mss": n, "wscale": n, "sack": True, "ts": (val, ecr)}"""
    found, i = {}, 0
    while i < len(data) and data[i] != 0:
        if data[i] == 1:
            i += 1
            continue
        kind, size = data[i], data[i + 1]
        body = data[i + 2:i + size]
        if kind == 2:
            found["mss"] = struct.unpack("!H", body)[0]
        elif kind == 3:
            found["wscale"] = body[0]
        elif kind == 4:
            found["sack"] = True
        elif kind == 8:
            found["ts"] = struct.unpack("!II", body)
        i += size
    return found


@dataclass
class Segment:
    """A TCP segment as it came in."""
    src: str
    dst: str
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    options: dict
    payload: bytes
    ttl: int = 0
    df: bool = False
    tos: int = 0
    vlan: int = None
    checksum_ok: bool = True


def tcp_bytes(src, dst, sport, dport, seq, ack, flags, window=64240, options=b"", payload=b""):
    options += b"\0" * (-len(options) % 4)
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                       (5 + len(options) // 4) << 4, flags & 0xFF, window, 0, 0)
    segment = head + options + payload
    total = checksum(pseudo(src, dst, len(segment)) + segment)
    return segment[:16] + struct.pack("!H", total) + segment[18:]


def pseudo(src, dst, length):
    a, b = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    if len(a) == 4:
        return a + b + struct.pack("!BBH", 0, 6, length)
    return a + b + struct.pack("!II", length, 6)


def ip_packet(src, dst, body, ttl=64, df=True, tos=0, fragment=0, more=False, options=b"",
              extension=b"", proto=6):
    """An IPv4 packet, or an IPv6 one with extension headers that `extension` holds:
    (first header's number, bytes)."""
    if ":" in dst:
        first, extra = extension or (proto, b"")
        return (struct.pack("!IHBB", 6 << 28 | tos << 20, len(extra) + len(body), first, ttl) +
                ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed + extra + body)
    ihl = 5 + len(options) // 4
    word = (0x4000 if df else 0) | (0x2000 if more else 0) | fragment
    head = struct.pack("!BBHHHBBH", 4 << 4 | ihl, tos, 4 * ihl + len(body),
                       random.randrange(65536), word, ttl, proto, 0)
    head += ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def ethernet(packet, src=lab.MAC["client"], dst=lab.MAC["victim"], vlan=None, kind=None):
    kind = kind or (ETH_IP6 if packet[0] >> 4 == 6 else ETH_IP4)
    tag = struct.pack("!HH", ETH_VLAN, vlan) if vlan is not None else b""
    return mac(dst) + mac(src) + tag + struct.pack("!H", kind) + packet


def parse(frame, vlan=None):
    """The Segment in an Ethernet frame, or None."""
    kind, at = struct.unpack("!H", frame[12:14])[0], 14
    if kind == ETH_VLAN:
        vlan, kind, at = (*struct.unpack("!HH", frame[14:18]), 18)
    ip = frame[at:]
    if kind == ETH_IP4 and ip[9] == 6:
        ihl, total, word = (ip[0] & 15) * 4, *struct.unpack("!HxxH", ip[2:8])
        src, dst = (str(ipaddress.ip_address(ip[i:i + 4])) for i in (12, 16))
        segment, ttl, df, tos = ip[ihl:total], ip[8], bool(word & 0x4000), ip[1]
    elif kind == ETH_IP6 and ip[6] == 6:
        src, dst = (str(ipaddress.ip_address(ip[i:i + 16])) for i in (8, 24))
        segment, ttl, df = ip[40:40 + struct.unpack("!H", ip[4:6])[0]], ip[7], True
        tos = struct.unpack("!I", ip[:4])[0] >> 20 & 0xFF
    else:
        return None
    sport, dport, seq, ack, doff, flags, window = struct.unpack("!HHIIBBH", segment[:16])
    end = (doff >> 4) * 4
    ok = checksum(pseudo(src, dst, len(segment)) + segment) == 0
    return Segment(src, dst, sport, dport, seq, ack, flags, window,
                   read_options(segment[20:end]), segment[end:], ttl, df, tos, vlan, ok)


class Wire:
    """The client's interface, frame by frame."""

    def __init__(self, ns, interface="eth0"):
        self.socket = ns.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.bind((interface, 3))  # ETH_P_ALL

    def send(self, frame):
        self.socket.send(frame)

    def recv(self, want, seconds=1.0):
        """The first TCP segment for which want(segment) holds, or None."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, control, _, addr = self.socket.recvmsg(65536, 128)
            except TimeoutError:
                return None
            if addr[2] == socket.PACKET_OUTGOING:
                continue
            segment = parse(frame, self._tag(control))
            if segment and want(segment):
                return segment
        return None

    @staticmethod
    def _tag(control):
        for level, kind, data in control:
            if level == SOL_PACKET and kind == PACKET_AUXDATA and len(data) >= 20:
                status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
                if status & TP_STATUS_VLAN_VALID:
                    return tci
        return None

    def close(self):
        self.socket.close()


class RawClient:
    """A TCP client made of frames.  It keeps what it sent, so a test may send it again."""

    def __init__(self, wire, dst=lab.VICTIM4, dport=80, src=None, sport=None, options=None,
                 window=64240, **ip):
        self.wire, self.dst, self.dport = wire, dst, dport
        self.src = src or (lab.GHOST6 if ":" in dst else lab.GHOST4)
        self.sport = sport or random.randrange(20000, 60000)
        self.isn = int.from_bytes(os.urandom(4), "big")
        self.options = linux_options() if options is None else options
        self.offered = read_options(self.options)
        self.window, self.ip = window, ip
        self.seq = self.isn  # the next byte to send
        self.ack = 0         # the next byte expected
        self.peer = {}       # options of the SYN-ACK
        self.ts_recent = 0
        self.synack = None

    def frame(self, flags, seq, ack=0, payload=b"", options=b"", **ip):
        at = {**self.ip, **ip}
        vlan = at.pop("vlan", None)
        body = tcp_bytes(self.src, self.dst, self.sport, self.dport, seq, ack, flags, self.window,
                         options, payload)
        return ethernet(ip_packet(self.src, self.dst, body, **at), vlan=vlan)

    def mine(self, segment):
        return (segment.sport, segment.dport, segment.src, segment.dst) == (
            self.dport, self.sport, self.dst, self.src)

    def recv(self, seconds=1.0, want=lambda s: True):
        return self.wire.recv(lambda s: self.mine(s) and want(s), seconds)

    def syn(self, flags=SYN, payload=b"", seconds=1.0, **ip):
        """Send a SYN and return the SYN-ACK, or None."""
        self.wire.send(self.frame(flags, self.isn, payload=payload, options=self.options, **ip))
        self.synack = self.recv(seconds, lambda s: s.flags & (SYN | ACK) == SYN | ACK)
        if self.synack:
            self.seq = self.isn + 1
            self.ack = (self.synack.seq + 1) & 0xFFFFFFFF
            self.peer = self.synack.options
            self.ts_recent = self.peer.get("ts", (0, 0))[0]
        return self.synack

    def _ts(self):
        if "ts" not in self.peer:
            return b""
        return opt_ts(self.offered["ts"][0] + 1, self.ts_recent)

    def segment(self, payload=b"", flags=ACK, **ip):
        """A frame that continues the connection."""
        return self.frame(flags | (PSH if payload else 0), self.seq, self.ack, payload, self._ts(),
                          **ip)

    def send(self, payload=b"", flags=ACK, **ip):
        self.wire.send(self.segment(payload, flags, **ip))
        self.seq = (self.seq + len(payload) + (1 if flags & FIN else 0)) & 0xFFFFFFFF

    def read(self, n, seconds=2.0):
        """n bytes of the stream, each acknowledged; fewer when the time is over or it ends."""
        data, end = b"", time.monotonic() + seconds
        while len(data) < n and (left := end - time.monotonic()) > 0:
            s = self.recv(left, lambda s: s.flags & RST or s.payload or s.flags & FIN)
            if not s or s.flags & RST:
                break
            if s.seq != self.ack:
                continue
            data += s.payload
            self.ack = (s.seq + len(s.payload) + (1 if s.flags & FIN else 0)) & 0xFFFFFFFF
            self.ts_recent = s.options.get("ts", (self.ts_recent, 0))[0]
            self.send()
            if s.flags & FIN:
                break
        return data

    def open(self, **ip):
        """The three-way handshake.  Returns the SYN-ACK."""
        synack = self.syn(**ip)
        if synack:
            self.send()
        return synack
