# SPDX-License-Identifier: MIT
"""tests/e2e/turnover.c as an object: several listeners in one process, told what to do."""
import os
import socket
import threading
import time

from case import SLOW
from lab import BUILD, wait_for

PROGRAM = os.environ.get("SYNWARD_TURNOVER") or os.path.join(BUILD, "tests", "e2e_turnover")


class Listeners:
    """Each method is a line to the program, and raises RuntimeError with what it says."""

    def __init__(self, lab):
        self.end, theirs = socket.socketpair()
        self.end.settimeout(20)
        self.process = lab.victim.spawn("turnover", "ip", "netns", "exec", lab.victim.name, "sh", "-c",
                                        f"exec {PROGRAM} >&0", stdin=theirs)
        theirs.close()
        self.lines = self.end.makefile("rw", encoding="ascii")

    def do(self, line):
        self.lines.write(line + "\n")
        self.lines.flush()
        got = self.lines.readline().strip()
        if not got.startswith("ok"):
            raise RuntimeError(got or "the program has ended: " + self.process.log())
        return got

    def new(self, name, addrs, *options):
        self.do(f"new {name} eth0 {','.join(addrs)} {' '.join(options)}")

    def drain(self, name):
        self.do(f"drain {name}")

    def free(self, name):
        self.do(f"free {name}")

    def stats(self, name):
        return {k: int(v) for k, v in (word.split("=") for word in
                                       self.do(f"stats {name}").split()[1:])}

    def retire(self, name, seconds=5):
        """Drain, wait until nothing is queued, free.  Returns the last counters."""
        self.drain(name)
        if not wait_for(lambda: self.stats(name)["queued"] == 0, seconds, 0.01):
            raise RuntimeError(f"{name} is never empty: {self.stats(name)}")
        last = self.stats(name)
        self.free(name)
        return last

    def close(self):
        self.end.shutdown(socket.SHUT_WR)
        code = self.process.wait(10)
        self.end.close()
        if code != 0:
            raise RuntimeError(f"exit code {code}: {self.process.log()}")


class Callers:
    """Threads that connect all the time, one round trip each.  Who fails is remembered."""

    def __init__(self, lab, addrs, port, threads=4, pause=0.002):
        self.lab, self.addrs, self.port, self.pause = lab, addrs, port, pause
        self.count, self.worst, self.errors = 0, 0.0, []
        self.lock, self.over = threading.Lock(), False
        self.threads = [threading.Thread(target=self._loop, args=(i,)) for i in range(threads)]
        for t in self.threads:
            t.start()

    def _call(self, addr):
        begin = time.monotonic()
        with self.lab.client.connect(addr, self.port) as s:
            s.sendall(b"hello")
            got = b""
            while len(got) < 6 and (more := s.recv(6 - len(got))):
                got += more
            if got[1:] != b"hello":
                raise RuntimeError(f"got {got!r}")
        return time.monotonic() - begin

    def _loop(self, i):
        while not self.over:
            try:
                took, error = self._call(self.addrs[i % len(self.addrs)]), None
            except (OSError, RuntimeError) as e:
                took, error = 0.0, e
            with self.lock:
                self.count += 1
                self.worst = max(self.worst, took)
                if error:
                    self.errors.append(repr(error))
            time.sleep(self.pause)

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()

    def expect_all_served(self, test, worst=0.9, least=200):
        """Below a second no SYN was sent twice.  Where the XDP program comes or goes, the driver drops
        what its queue holds (veth_disable_xdp()), which no listener can help: worst is 3."""
        self.stop()
        test.note(f"{self.count} connections, the slowest took {self.worst * 1000:.1f} ms")
        test.assertEqual(self.errors, [])
        if not SLOW:
            test.assertLess(self.worst, worst, "a SYN or ACK was lost")
        test.assertGreater(self.count, least)
