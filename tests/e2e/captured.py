# SPDX-License-Identifier: MIT
"""A capture as three readers see it: synward explain, tshark, and the few lines of Python below,
which know nothing but which bytes went by."""
import collections
import csv
import json
import struct
import subprocess

import lab

FIELDS = {
    "number": "frame.number", "comment": "frame.comment", "stream": "tcp.stream",
    "src4": "ip.src", "src6": "ipv6.src", "sport": "tcp.srcport", "dport": "tcp.dstport",
    "flags": "tcp.flags", "seq": "tcp.seq", "ack": "tcp.ack", "len": "tcp.len",
    "seq_raw": "tcp.seq_raw", "ack_raw": "tcp.ack_raw", "complete": "tcp.completeness",
    "window": "tcp.window_size_value", "ip_id": "ip.id", "time": "frame.time_epoch",
    "mss": "tcp.options.mss_val", "wscale": "tcp.options.wscale.shift",
    "sack": "tcp.options.sack_perm", "tsval": "tcp.options.timestamp.tsval",
}
ANALYSIS = ("retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order",
            "keep_alive", "zero_window", "duplicate_ack", "lost_segment", "ack_lost_segment",
            "zero_window_probe", "reused_ports")
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TSHARK_NOISE = 'Running as user "root"'


def explain(path, *more, only="", check=0):
    """The JSON of synward explain -j.  only is a filter of tcpdump's."""
    p = subprocess.run([lab.SYNWARD, "explain", "-q", "-j", *more, path, *only.split()],
                       capture_output=True, text=True)
    if p.returncode != check:
        raise AssertionError(f"synward explain: exit code {p.returncode}\n{p.stderr[-3000:]}")
    return json.loads(p.stdout)


def tshark(path, *more):
    """One dict a frame.  A warning of tshark's is an error."""
    columns = list(FIELDS) + list(ANALYSIS)
    names = list(FIELDS.values()) + ["tcp.analysis." + a for a in ANALYSIS]
    argv = ["tshark", "-2", "-n", "-r", path, "-T", "fields", "-E", "separator=/t", "-E",
            "aggregator=|", "-E", "quote=n", *more]
    for name in names:
        argv += ["-e", name]
    p = subprocess.run(argv, capture_output=True, text=True, check=True)
    noise = [line for line in p.stderr.splitlines() if line and not line.startswith(TSHARK_NOISE)]
    if noise:
        raise AssertionError("tshark: " + "\n".join(noise))
    rows = []
    for line in csv.reader(p.stdout.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        row = dict(zip(columns, line))
        for key in ("number", "stream", "sport", "dport", "seq", "ack", "len", "seq_raw",
                    "ack_raw", "complete", "window"):
            row[key] = int(row[key] or 0)
        row["flags"] = int(row["flags"] or "0", 16) & 0xFF
        row["src"] = row["src4"] or row["src6"]
        row["analysis"] = {a for a in ANALYSIS if row[a]}
        row["time"] = float(row["time"])
        row["facts"] = facts(row["comment"])
        row["marks"] = set(filter(None, row["facts"].get("marks", "").split(",")))
        rows.append(row)
    return rows


def facts(comment):
    """The key=value pairs of the comment for machines."""
    machine = comment.rpartition("|synward: ")[2]
    return dict(word.split("=", 1) for word in machine.split() if "=" in word)


def by_stream(rows):
    streams = collections.defaultdict(list)
    for row in rows:
        streams[row["stream"]].append(row)
    return streams


class Bytes:
    """Which sequence numbers of one direction went by, relative to its first."""

    def __init__(self):
        self.seen, self.top = set(), None

    def take(self, start, length):
        """(how many were seen before, how many are new, is some of it below the top)"""
        numbers = range(start, start + length)
        old = sum(n in self.seen for n in numbers)
        below = self.top is not None and start < self.top
        self.seen.update(numbers)
        if self.top is None or start + length > self.top:
            self.top = start + length
        return old, length - old, below


def oracle(rows):
    """For each frame number of one stream: "new", "again" (all of it went by before), "both" (some
    of it) or "fill" (below the highest, not seen before); only for segments that take sequence
    numbers."""
    ends, said = collections.defaultdict(Bytes), {}
    for row in rows:
        flags = row["flags"]
        length = row["len"] + bool(flags & SYN) + bool(flags & FIN)
        if flags & RST or not length:
            continue
        old, new, below = ends[row["src"]].take(row["seq"], length)
        said[row["number"]] = ("both" if new else "again") if old else "fill" if below else "new"
    return said


def write_pcap(path, packets, snaplen=262144):
    """packets: (seconds, Ethernet frame).  Nanosecond pcap."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snaplen, 1))
        for at, frame in packets:
            whole = int(at)
            f.write(struct.pack("<IIII", whole, round((at - whole) * 1e9),
                                min(len(frame), snaplen), len(frame)) + frame[:snaplen])


def read_pcap(path):
    """The frames of a pcap file of Ethernet that tcpdump wrote here."""
    frames = []
    with open(path, "rb") as f:
        f.read(24)
        while head := f.read(16):
            frames.append(f.read(struct.unpack("<IIII", head)[2]))
    return frames
