# SPDX-License-Identifier: MIT
"""Out of descriptors, connections or room in a queue: counted, told once, and nobody is lost: the
handshake stays provable, so the client's next segment succeeds."""
import re
import resource
import signal
import time

from case import LabCase, main, read
from lab import VICTIM4, wait_for


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Limits(LabCase):
    def talk(self, s, text=b"hello"):
        s.sendall(text)
        self.assertEqual(s.recv(len(text)), text)

    def connect_all(self, count):
        """Handshakes that synward can only partly hand over, each with its request under way.  Some
        may have been reset already."""
        sockets = []
        for _ in range(count):
            try:
                s = self.lab.client.connect(VICTIM4, 80, timeout=20)
                self.addCleanup(s.close)
                s.sendall(b"hello")
                sockets.append(s)
            except ConnectionError:
                pass
        return sockets

    def told(self, synward, pattern):
        """The lines about a shortage: at least one, and not one for each connection."""
        lines = [line for line in synward.log().splitlines()
                 if re.search(pattern, line) and " counter " not in line]
        self.assertIn(len(lines), (1, 2, 3), synward.log())

    def test_out_of_descriptors(self):
        """24 connections where descriptors suffice for about 10.  Each is served in the end, or
        reset and counted when it was already accepted."""
        self.lab.serve(echo)

        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (45, 45))

        synward = self.lab.guard(extra=few)
        sockets = self.connect_all(24)
        time.sleep(0.5)
        counters = synward.counters()
        short = counters["reason_no_descriptor"] + counters["relay_ended_no_resources"]
        self.assertGreater(short, 0, counters)
        self.told(synward, "(?i)descriptor|too many open files")
        served = 0
        for s in sockets:
            try:
                served += read(s, 5) == b"hello"
            except ConnectionError:
                pass
            s.close()
        counters = synward.counters()
        self.note(f"{served} of 24 served, {counters['relay_ended_no_resources']} reset for want "
                  f"of a descriptor, {counters['reason_no_descriptor']} times told to come again")
        self.assertEqual(served, 24 - counters["relay_ended_no_resources"], counters)
        with self.lab.client.connect(VICTIM4, 80) as s:
            self.talk(s)

    def test_full_queue(self):
        """A burst of handshakes for a queue of 8: those that find it full come again by their
        requests, and all are served."""
        self.lab.bench_server()
        synward = self.lab.guard("--queue-depth", "8")
        result = self.lab.load(VICTIM4, 80, "--count", 60, "--concurrency", 60, "--request", "x",
                               "--expect-bytes", 64, "--timeout", 30000)
        counters = synward.counters()
        self.note(f"queue_full {counters['reason_queue_full']}, slowest "
                  f"{result['total_us']['max'] / 1000:.0f} ms")
        self.assertAll(result, 60)
        self.assertGreater(counters["reason_queue_full"], 0)
        self.told(synward, "(?i)queue")

    def test_max_connections(self):
        self.lab.serve(echo)
        synward = self.lab.guard("--max-connections", "5")
        held = [self.lab.client.connect(VICTIM4, 80) for _ in range(5)]
        for s in held:
            self.addCleanup(s.close)
            self.talk(s)
        with self.assertRaises(ConnectionResetError), self.lab.client.connect(VICTIM4, 80) as s:
            s.recv(1)
        self.assertEqual(synward.counters()["relay_ended_limit"], 1)
        held.pop().close()
        self.assertTrue(wait_for(lambda: self.works(), 3, 0.05))
        for s in held:
            self.talk(s)
            s.close()

    def works(self):
        try:
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.sendall(b"hello")
                return s.recv(5) == b"hello"
        except ConnectionError:
            return False

    def test_a_stopped_process_serves_when_it_goes_on(self):
        """SIGSTOP, as in a debugger: handshakes begun meanwhile finish afterwards."""
        self.lab.serve(echo)
        synward = self.lab.guard()
        synward.send(signal.SIGSTOP)
        s = self.lab.client.socket()
        self.addCleanup(s.close)
        s.setblocking(False)
        s.connect_ex((VICTIM4, 80))
        time.sleep(0.3)
        synward.send(signal.SIGCONT)
        s.settimeout(5)
        wait_for(lambda: s.getsockopt(1, 4) == 0, 1)
        time.sleep(0.2)
        self.talk(s)

    def test_small_ring(self):
        """A ring of few frames loses some of a burst; clients come again."""
        self.lab.bench_server()
        self.lab.guard("--ring-frames", "64")
        self.assertAll(self.lab.load(VICTIM4, 80, "--count", 500, "--concurrency", 100, "--request",
                                     "x", "--expect-bytes", 64, "--timeout", 10000), 500)


if __name__ == "__main__":
    main()
