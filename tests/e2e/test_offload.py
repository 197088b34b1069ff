# SPDX-License-Identifier: MIT
"""--offload xdp: SYNs are answered and unproven ACKs refused in BPF, proven connections are handed
over by the packet threads as without it."""
import signal

import flood
import xdp
from case import LabCase, main, read
from lab import VICTIM4, VICTIM6, wait_for

FETCHES, RATE = 200, 50_000


class Offload(LabCase):
    def setUp(self):
        super().setUp()
        xdp.open_peer(self.lab)

    def offload(self, *more, listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"), **kwargs):
        return self.lab.guard("--offload", "xdp", *more, listen=listen, **kwargs)

    def test_both_families_and_macs(self):
        self.lab.bench_server()
        for mac in ("hmac-sha256", "siphash-2-4"):
            synward = self.offload("--mac", mac)
            for addr in (VICTIM4, VICTIM6):
                self.assertAll(self.lab.load(addr, 80, "--count", 100), 100)
            # A client is connected when the SYN-ACK has come: its ACK may still be on the way.
            wait_for(lambda: synward.counters().get("handed") == 200, 3, 0.05)
            counters = synward.counters()
            self.assertEqual((counters["xdp_answered"], counters["handed"]), (200, 200))
            self.assertLess(counters["frames"], 1000, "SYNs came to the front end")
            synward.stop()

    def test_data_right_behind_the_ack(self):
        """Segments that prove nothing follow the one that does: none may wait for a timer."""
        def sink(s, _events):
            read(s, 30_000)
            s.sendall(b"y" * 100)

        self.lab.serve(sink)
        self.offload()
        for i in range(300):
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.settimeout(5)
                s.sendall(b"x" * 30_000)
                self.assertEqual(len(read(s, 100)), 100, f"connection {i}")

    def test_survives_floods(self):
        """The rate is bounded: beyond it the veth's ring of 256 frames overflows on two shared
        cores, before any defence sees the frame."""
        self.lab.nginx("127.0.0.1:8080")
        synward = self.offload("--mac", "siphash-2-4")
        for start in (lambda: self.lab.hping3(12),
                      lambda: self.lab.trafgen(12, 20_000_000,
                                               flood.tcp(options=flood.LINUX_OPTIONS), RATE),
                      lambda: self.lab.trafgen(12, 20_000_000, flood.tcp("ack", flood.TIMESTAMPS),
                                               RATE)):
            flooding = start()
            result = self.lab.load(VICTIM4, 80, "--http", "/", "--count", FETCHES, "--concurrency",
                                   FETCHES, "--interval", 25_000, "--timeout", 3000)
            self.assertTrue(flooding.alive(), flooding.log())
            flooding.stop()
            self.assertAll(result, FETCHES)
        wait_for(lambda: synward.counters().get("handed") == 3 * FETCHES, 3, 0.05)
        counters = synward.counters()
        self.assertEqual(counters["handed"], 3 * FETCHES)
        self.assertGreater(counters["xdp_answered"], 100_000)
        self.assertGreater(counters["xdp_dropped"], 100_000)

    def test_restart_honours_cookies_of_the_user_space_front_end(self):
        """The same cookies on both paths: with and without offload, one key file."""
        key = self.lab.new_key()
        self.lab.bench_server()
        for more in ((), ("--offload", "xdp"), ()):
            synward = self.lab.guard(*more, "--key-file", key)
            self.assertAll(self.lab.load(VICTIM4, 80, "--count", 20), 20)
            synward.stop()

    def test_sigkill_leaves_nothing(self):
        synward = self.offload()
        self.assertTrue(xdp.modes(self.lab)[1].startswith("sw_answer"))
        synward.send(signal.SIGKILL)
        synward.popen.wait()
        self.assertTrue(wait_for(lambda: xdp.modes(self.lab) is None, 1))


if __name__ == "__main__":
    main()
