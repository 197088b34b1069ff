# SPDX-License-Identifier: MIT
"""SIGTERM: no new connections, the live ones end in their own time, exit code 0."""
import signal
import time

from case import LabCase, main, read
from lab import VICTIM4, wait_for


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Drain(LabCase):
    def start(self, *more):
        self.lab.serve(echo)
        synward = self.lab.guard(*more)
        self.held = self.lab.client.connect(VICTIM4, 80)
        self.addCleanup(self.held.close)
        self.talk()
        return synward

    def talk(self):
        self.held.sendall(b"hello")
        self.assertEqual(read(self.held, 5), b"hello")

    before = 0

    def refused(self):
        try:
            self.lab.client.connect(VICTIM4, 80, timeout=0.5).close()
            self.before += 1  # the signal was still on its way
            return False
        except (ConnectionError, TimeoutError):
            return True

    def test_live_connections_finish(self):
        synward = self.start()
        synward.send(signal.SIGTERM)
        self.assertTrue(wait_for(self.refused, 2, 0.05), "it still takes connections")
        for _ in range(5):
            self.talk()
            time.sleep(0.1)
        self.assertTrue(synward.alive(), "it did not wait")
        self.held.close()
        self.assertEqual(synward.wait(3), 0)
        self.assertIn(f"counter handed {1 + self.before}\n", synward.log())

    def test_nothing_to_wait_for(self):
        self.lab.serve(echo)
        synward = self.lab.guard()
        synward.send(signal.SIGTERM)
        self.assertEqual(synward.wait(3), 0)

    def test_drain_timeout(self):
        synward = self.start("--drain-timeout", "1s")
        begin = time.monotonic()
        synward.send(signal.SIGTERM)
        self.assertEqual(synward.wait(5), 0)
        self.assertGreater(time.monotonic() - begin, 0.9)
        with self.assertRaises(ConnectionResetError):
            self.held.recv(1)

    def test_second_sigterm_ends_at_once(self):
        synward = self.start()
        synward.send(signal.SIGTERM)
        time.sleep(0.3)
        self.assertTrue(synward.alive())
        begin = time.monotonic()
        synward.send(signal.SIGTERM)
        self.assertEqual(synward.wait(5), 0)
        self.assertLess(time.monotonic() - begin, 2)

    def test_sigint_is_like_sigterm(self):
        synward = self.start("--drain-timeout", "1s")
        synward.send(signal.SIGINT)
        self.assertEqual(synward.wait(5), 0)

    def test_a_plain_listener_can_take_over_while_it_drains(self):
        """Rolling over to another server: the port is free as soon as draining begins."""
        synward = self.start()
        synward.send(signal.SIGTERM)
        self.assertTrue(wait_for(self.refused, 2, 0.05))
        self.lab.serve(echo, VICTIM4, 80)
        with self.lab.client.connect(VICTIM4, 80) as s:
            s.sendall(b"new")
            self.assertEqual(read(s, 3), b"new")
            self.talk()
        self.held.close()
        self.assertEqual(synward.wait(3), 0)

    def test_counters(self):
        """On SIGUSR1 and at the end, one line each, in the same form."""
        synward = self.start()
        asked = synward.counters()
        self.assertEqual(asked["handed"], 1)
        self.assertEqual(asked["reason_syn_answered"], 1)
        self.held.close()
        self.assertEqual(synward.end_now(), 0)
        self.assertGreaterEqual(synward.log().count("synward: counter handed 1\n"), 2)


if __name__ == "__main__":
    main()
