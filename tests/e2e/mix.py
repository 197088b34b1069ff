# SPDX-License-Identifier: MIT
"""A thousand kernel connections that end in every way a program can end one."""
import random
import socket
import struct
import threading

LINGER_RESET = struct.pack("ii", 1, 0)
KINDS = ("client_first", "server_first", "half_close", "both", "client_abort", "server_abort",
         "unread", "after_close", "banner", "refused", "bulk")
CLOSED_PORT = 81


def read_all(s):
    n = 0
    while data := s.recv(65536):
        n += len(data)
    return n


def serve(s, _events):
    """The server's half; the first byte of a request says which."""
    s.settimeout(20)
    kind = KINDS[s.recv(1)[0]]
    if kind == "client_first":
        s.sendall(b"r" * 300)
        read_all(s)
    elif kind == "server_first":
        s.sendall(b"r" * 300)
    elif kind == "half_close":
        read_all(s)
        s.sendall(b"r" * 5000)
    elif kind == "both":
        s.sendall(b"r")
        s.recv(1)
    elif kind == "client_abort":
        s.sendall(b"r" * 100)
        read_all(s)
    elif kind == "server_abort":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    elif kind == "unread":
        s.sendall(b"r")
        s.recv(10)
    elif kind == "after_close":
        s.sendall(b"r")
    elif kind == "banner":
        s.sendall(b"220 hello\r\n")
        read_all(s)
    elif kind == "bulk":
        s.sendall(b"b" * 60000)
        read_all(s)


def talk(s, kind):
    s.settimeout(20)
    s.sendall(bytes([KINDS.index(kind)]))
    if kind in ("client_first", "client_abort"):
        s.recv(1000)
        if kind == "client_abort":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    elif kind == "server_first":
        read_all(s)
    elif kind == "half_close":
        s.sendall(b"q" * 2000)
        s.shutdown(socket.SHUT_WR)
        read_all(s)
    elif kind == "both":
        s.recv(1)
        s.sendall(b"x")
    elif kind in ("unread", "after_close"):
        s.recv(1)
        s.sendall(b"u" * 3000)
        s.recv(1)
        s.sendall(b"u" * 100)
    elif kind == "banner":
        s.recv(100)
    elif kind == "bulk":
        left = 60000
        while left and (data := s.recv(65536)):
            left -= len(data)


def run(client, addrs, port, count, seed, threads=48):
    """Make the connections.  Returns how many failed, which a bad network may cause."""
    rng = random.Random(seed)
    jobs = [(rng.choice(KINDS), rng.choice(addrs)) for _ in range(count)]
    lock, failed = threading.Lock(), []

    def work():
        while True:
            with lock:
                if not jobs:
                    return
                kind, addr = jobs.pop()
            try:
                s = client.connect(addr, CLOSED_PORT if kind == "refused" else port, timeout=20)
                with s:
                    talk(s, kind)
            except OSError as e:
                with lock:
                    failed.append((kind, type(e).__name__))

    crew = [threading.Thread(target=work) for _ in range(threads)]
    for t in crew:
        t.start()
    for t in crew:
        t.join()
    return failed
