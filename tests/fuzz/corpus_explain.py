# SPDX-License-Identifier: MIT
"""Writes the corpora of fuzz_explain and fuzz_track: python3 tests/fuzz/corpus_explain.py"""
import struct

from corpus import ACK, FIN, HERE, HOSTS, LINUX, PSH, RST, SYN, frame

KEY, ALL, PAGE, SIPHASH, SMALL = 1, 2, 4, 8, 16


def pcap(frames, linktype=1):
    out = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, linktype)
    for i, data in enumerate(frames):
        out += struct.pack("<IIII", 1700000000 + i // 10, i % 10 * 10**8, len(data), len(data))
        out += data
    return out


def pcapng(frames):
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack("<HHI", 1, 0, 0))
    for data in frames:
        out += block(6, struct.pack("<IIIII", 0, 0x60A, 0, len(data), len(data)) + data)
    return out


def lines(v, *rows):
    """(from the client?, flags, seq, ack, payload)"""
    return [segment(v, *row) for row in rows]


def segment(v, client, flags, seq, ack, payload):
    numbers = {"seq": ((1000 if client else 9000) + seq) % 2**32,
               "ack": (9000 if client else 1000) + ack if flags & ACK else 0,
               "payload": b"x" * payload}
    options = LINUX if flags & SYN else b""
    if client:
        return frame(v, flags, options, **numbers)
    there, HOSTS[v] = HOSTS[v], HOSTS[v][::-1]
    try:
        return frame(v, flags, options, sport=443, dport=40000, **numbers)
    finally:
        HOSTS[v] = there


OPEN = [(1, SYN, 0, 0, 0), (0, SYN | ACK, 0, 1, 0), (1, ACK, 1, 1, 0)]
TALKS = {
    "closed": OPEN + [(1, ACK | PSH, 1, 1, 9), (0, FIN | ACK, 1, 10, 0), (1, FIN | ACK, 10, 2, 0),
                      (0, ACK, 2, 11, 0)],
    "both": OPEN + [(1, FIN | ACK, 1, 1, 0), (0, FIN | ACK, 1, 1, 0), (0, ACK, 2, 2, 0),
                    (1, ACK, 2, 2, 0)],
    "again": [OPEN[0]] * 2 + [OPEN[1]] * 2 + [OPEN[2], OPEN[1], (1, ACK, 1, 1, 5),
                                              (1, ACK, 11, 1, 5), (1, ACK, 6, 1, 5),
                                              (1, ACK, 1, 1, 5)],
    "scan": OPEN[:2] + [(1, RST, 1, 0, 0)],
    "refused": [OPEN[0], (0, RST | ACK, -9000, 1, 0)],
    "open-both": [OPEN[0], (0, SYN, 0, 0, 0), (1, SYN | ACK, 0, 1, 0), (0, SYN | ACK, 0, 1, 0)],
    "reset": OPEN + [(1, ACK, 1, 1, 9), (0, RST, 1, 0, 0), (0, RST | ACK, 5000, 1, 0)],
    "stray": [(1, ACK, 1, 1, 0), (0, RST, 1, 0, 0)],
}


def track_bytes(rows):
    out = b""
    for client, flags, seq, ack, n in rows:
        out += struct.pack("!BHHBBBBBBB", flags, seq & 0xFFFF, ack & 0xFFFF, 64, n, 64, 0,
                           0 if client else 1, 0, 10)
    return out


def main():
    for name in ("explain", "track"):
        (HERE / "corpus" / name).mkdir(exist_ok=True)
    folder = HERE / "corpus" / "explain"
    for name, rows in TALKS.items():
        for v in (4, 6):
            (folder / f"{name}{v}").write_bytes(bytes([PAGE | KEY]) + pcap(lines(v, *rows)))
        (folder / f"{name}-ng").write_bytes(bytes([ALL | SIPHASH]) + pcapng(lines(4, *rows)))
        (HERE / "corpus" / "track" / name).write_bytes(track_bytes(rows))
    flood = [frame(4, SYN, src=f"198.18.{i // 250}.{i % 250 + 1}", sport=2000 + i)
             for i in range(150)]
    (folder / "flood").write_bytes(bytes([SMALL | PAGE]) + pcap(flood))
    whole = pcap(lines(4, *TALKS["closed"]))
    (folder / "cut").write_bytes(bytes([0]) + whole[:-30])
    (folder / "lie").write_bytes(bytes([0]) + whole[:32] + b"\xff\xff\xff\x7f" + whole[36:])


if __name__ == "__main__":
    main()
