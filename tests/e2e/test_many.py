# SPDX-License-Identifier: MIT
"""Many connections and many SYNs: memory and descriptors return to where they were."""
import time

import flood
from case import SLOW, LabCase, main
from lab import VICTIM4, wait_for

CONNECTIONS = 2_000
SYNS = 500_000 if SLOW else 10_000_000


class Many(LabCase):
    def hold(self, count):
        """count connections at the same time, each used once it is there and once all are."""
        sockets = [self.lab.client.connect(VICTIM4, 80) for _ in range(count)]
        for _ in range(2):
            for s in sockets:
                s.sendall(b"x")
            for s in sockets:
                self.assertEqual(len(s.recv(64)), 64)
        return sockets

    def test_2000_connections(self):
        self.lab.bench_server()
        synward = self.lab.guard()
        rss, fds, rounds = synward.rss_kib(), synward.fds(), []
        for _ in range(4):
            sockets = self.hold(CONNECTIONS)
            self.assertGreaterEqual(synward.fds(), fds + 2 * CONNECTIONS)
            top = synward.rss_kib()
            for s in sockets:
                s.close()
            self.assertTrue(wait_for(lambda: synward.fds() == fds, 5), synward.fds())
            rounds.append(synward.rss_kib())
        self.note(f"RSS {rss} KiB idle, {top} KiB with {CONNECTIONS} connections, then "
                  f"{rounds} KiB")
        if not SLOW:
            self.assertLess(rounds[-1], rounds[0] + 512, "memory grows with every round")
            self.assertLess(rounds[-1], rss + 2048, "memory does not come back")
        self.assertEqual(synward.counters()["relay_accepted"], 4 * CONNECTIONS)

    def test_10_million_syns(self):
        """With the options of a Linux client, from random addresses.  An unproven SYN costs no
        memory."""
        self.lab.bench_server()
        synward = self.lab.guard()
        fds = synward.fds()
        with self.lab.client.connect(VICTIM4, 80) as s:
            s.sendall(b"x")
            self.assertEqual(len(s.recv(64)), 64)
        before = synward.rss_kib()
        begin, received = time.monotonic(), self.lab.victim.packets()[0]
        flooding = self.lab.trafgen(240, SYNS, flood.tcp(options=flood.LINUX_OPTIONS))
        self.assertEqual(flooding.wait(250), 0, flooding.log())
        seconds = time.monotonic() - begin
        received = self.lab.victim.packets()[0] - received
        self.assertGreaterEqual(received, SYNS)
        counters = synward.counters()
        self.note(f"{received:,} SYNs in {seconds:.0f} s, {counters['synacks']:,} answered, RSS "
                  f"{before} KiB, then {synward.rss_kib()} KiB")
        self.assertGreater(counters["synacks"], SYNS // 4)
        if not SLOW:
            self.assertLess(abs(synward.rss_kib() - before), 1024)
        self.assertEqual(synward.fds(), fds)


if __name__ == "__main__":
    main()
