#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Test vectors for SYN cookie version 1, computed without any of synward's code.

HMAC and SHA-256 are Python's, HKDF follows RFC 5869 and SipHash-2-4 is written out below and
checked against the vector of the SipHash paper.

    vectors.py c      the rows for test_vectors.c
    vectors.py doc    the block in docs/cookie.md
"""
import hashlib
import hmac
import ipaddress
import struct
import sys

MASTER = bytes(range(32))
SALT = b"synward cookie v1"
HMAC, SIPHASH = "hmac-sha256", "siphash-2-4"
WIDE, NARROW = 1, 2

MSS = {
    (WIDE, 4): [216, 536, 1240, 1380, 1420, 1452, 1460, 8960],
    (WIDE, 6): [216, 536, 1220, 1360, 1400, 1432, 1440, 8940],
    (NARROW, 4): [536, 1240, 1460, 8960],
    (NARROW, 6): [536, 1220, 1440, 8940],
}
NARROW_WSCALE = [None, 0, 4, 6, 7, 8, 9, 10]
M64 = (1 << 64) - 1


def rotl(x, n):
    return ((x << n) | (x >> (64 - n))) & M64


def siphash24(key, msg):
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
         k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & M64
            v[1] = rotl(v[1], 13) ^ v[0]
            v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & M64
            v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & M64
            v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & M64
            v[1] = rotl(v[1], 17) ^ v[2]
            v[2] = rotl(v[2], 32)

    whole = len(msg) // 8 * 8
    last = msg[whole:].ljust(7, b"\0") + bytes([len(msg) & 255])
    for (word,) in struct.iter_unpack("<Q", msg[:whole] + last):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])


def hkdf_sha256(ikm, salt, info):
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()


def epoch_key(alg, epoch):
    return hkdf_sha256(MASTER, SALT, struct.pack(">Q", epoch) + alg.encode())


def mac(alg, key, msg):
    if alg == HMAC:
        return hmac.new(key, msg, hashlib.sha256).digest()[:8]
    return siphash24(key[:16], msg)


def cookie(v):
    """@return (isn, tsval) of the SYN-ACK."""
    src, dst = ipaddress.ip_address(v["src"]), ipaddress.ip_address(v["dst"])
    epoch = v["time"] // 32
    form = NARROW if v["ts"] is False else WIDE
    table = MSS[form, src.version]
    offer = v["mss"] or (536 if src.version == 4 else 1220)
    mss = max(i for i, m in enumerate(table) if m <= offer)
    if form == WIDE:
        wscale = 15 if v["wscale"] is None else v["wscale"]
        data = (epoch & 1) << 9 | mss << 6 | wscale << 2 | v["sack"] << 1 | v["ecn"]
    else:
        code = 0
        if v["wscale"] is not None:
            code = max(i for i in range(1, 8) if NARROW_WSCALE[i] <= v["wscale"])
        data = (epoch & 1) << 6 | mss << 4 | code << 1 | v["sack"]
    msg = struct.pack(">BBHHHII", 1, form << 4 | src.version, data, v["sport"], v["dport"],
                      v["isn"], epoch) + src.packed + dst.packed
    assert len(msg) == (24 if src.version == 4 else 48)
    tag = int.from_bytes(mac(v["alg"], epoch_key(v["alg"], epoch), msg), "big")
    if form == WIDE:
        return tag >> 32, (tag & 0xFFFFFFFF) >> 10 << 10 | data
    return (tag >> 39) << 7 | data, 0


def rows():
    hosts = [("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "2001:db8:ffff::2")]
    #           isn         time        mss  wscale sack   ts     ecn
    offers = [
        (0x00000000, 1700000000, 1460, 7, True, True, False),
        (0x12345678, 1700000031, 1460, 7, True, True, True),
        (0xFFFFFFFF, 1700000032, 8960, 14, False, True, False),
        (0x80000001, 1700000064, 0, None, True, True, True),
        (0xDEADBEEF, 4102444800, 216, 0, False, True, False),
        (0x00000001, 1700000000, 1460, 7, True, False, False),
        (0x12345678, 1700000032, 65535, 14, False, False, False),
        (0xCAFEF00D, 1700000064, 0, None, True, False, False),
        (0x7FFFFFFF, 4102444800, 1300, 5, True, False, False),
    ]
    for alg in (HMAC, SIPHASH):
        for src, dst in hosts:
            for n, (isn, time, mss, wscale, sack, ts, ecn) in enumerate(offers):
                yield {"alg": alg, "src": src, "dst": dst, "sport": 40000 + n, "dport": 443,
                       "isn": isn, "time": time, "mss": mss, "wscale": wscale, "sack": sack,
                       "ts": ts, "ecn": ecn}


def write_c():
    enum = {HMAC: "SW_MAC_HMAC_SHA256", SIPHASH: "SW_MAC_SIPHASH24"}
    flag = {False: "false", True: "true"}
    print("/* SPDX-License-Identifier: MIT */")
    print("/* Written by vectors.py; do not edit. */")
    print("static const struct key_vector key_vectors[] = {")
    for alg in (HMAC, SIPHASH):
        for epoch in (0, 53125000, 53125001, 0xFFFFFFFF):
            print("\t{ %s, %#xu,\n\t  \"%s\" }," %
                  (enum[alg], epoch, epoch_key(alg, epoch).hex()))
    print("};\n")
    print("static const struct cookie_vector cookie_vectors[] = {")
    for v in rows():
        isn, tsval = cookie(v)
        print("\t{ %s, \"%s\", \"%s\", %d, %d,\n"
              "\t  %#xu, %du, %d, %d, %s, %s, %s, %#xu, %#xu }," %
              (enum[v["alg"]], v["src"], v["dst"], v["sport"], v["dport"], v["isn"], v["time"],
               v["mss"], -1 if v["wscale"] is None else v["wscale"], flag[v["sack"]],
               flag[v["ts"]], flag[v["ecn"]], isn, tsval))
    print("};")


def write_doc():
    print("master key  %s" % MASTER.hex())
    for alg in (HMAC, SIPHASH):
        print("K_53125000  %s  (%s)" % (epoch_key(alg, 53125000).hex(), alg))
    hosts = None
    for v in rows():
        head = (v["alg"], v["src"], v["dst"])
        if head != hosts:
            hosts = head
            print("\n%s, %s -> %s port %d" % (*head, v["dport"]))
            print("  port  client ISN       time    MSS  ws  SACK TS ECN  ->       ISN     TSval")
        isn, tsval = cookie(v)
        print("%6d    %08x %10d  %5s  %2s  %4s %2s %3s  ->  %08x  %s" %
              (v["sport"], v["isn"], v["time"], v["mss"] or "-",
               "-" if v["wscale"] is None else v["wscale"], "-y"[v["sack"]], "-y"[v["ts"]],
               "-y"[v["ecn"]], isn, "%08x" % tsval if v["ts"] else "-"))


# Aumasson and Bernstein, "SipHash: a fast short-input PRF", appendix A.
assert siphash24(bytes(range(16)), bytes(range(15))) == struct.pack("<Q", 0xA129CA6149BE45E5)
# RFC 5869 A.1 is longer than one block of output; its first 32 bytes are compared.
assert hkdf_sha256(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA))).hex() == (
    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")

if __name__ == "__main__":
    {"c": write_c, "doc": write_doc}[sys.argv[1]]()
