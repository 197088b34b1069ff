# SPDX-License-Identifier: MIT
"""A service behind synward survives SYN floods that take an unprotected one away."""
import time

import flood
import lab
from case import LabCase, main
from lab import VICTIM4, VICTIM6

# A lost SYN comes again after 1 s, and after 3 s: a patient client, for each row the same.
FETCHES, INTERVAL_MS, TIMEOUT_MS = 200, 25, 6000


class Flood(LabCase):
    def fetch(self, addr=VICTIM4):
        """200 fetches, one every 25 ms, however the ones before fare."""
        return self.lab.load(addr, 80, "--http", "/", "--count", FETCHES, "--concurrency", FETCHES,
                             "--interval", INTERVAL_MS * 1000, "--timeout", TIMEOUT_MS)

    def under(self, start, addr=VICTIM4):
        """Fetch while the flood that start() begins is on."""
        flooding = start()
        time.sleep(1)
        before, begin = self.lab.victim.packets()[0], time.monotonic()
        result = self.fetch(addr)
        rate = (self.lab.victim.packets()[0] - before) / (time.monotonic() - begin)
        self.assertTrue(flooding.alive(), "the flood ended early:\n" + flooding.log())
        flooding.stop()
        self.note(f"{rate:,.0f} packets/s, {result['ok']} of {FETCHES} fetched, connect p50 "
                  f"{result['connect_us']['p50']} us, p99 {result['connect_us']['p99']} us")
        self.assertGreater(rate, 10_000, "that was no flood")
        return result

    def guarded(self, *more):
        self.lab.nginx("127.0.0.1:8080")
        return self.lab.guard(*more, listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"))

    def survives(self, start, addr=VICTIM4, more=()):
        synward = self.guarded(*more)
        self.assertAll(self.under(start, addr), FETCHES)
        counters = synward.counters()
        self.assertGreater(counters["reason_syn_answered"], 10_000)
        self.assertEqual(counters["handed"], FETCHES)
        return counters

    def trafgen(self, packet):
        return lambda: self.lab.trafgen(20, 20_000_000, packet)

    def test_unprotected_goes_away(self):
        self.lab.victim.sysctl("net.ipv4.tcp_syncookies", 0)
        self.lab.nginx(f"{VICTIM4}:80")
        result = self.under(lambda: self.lab.hping3(20))
        self.assertLess(result["ok"], FETCHES // 10)

    def test_hping3(self):
        self.survives(lambda: self.lab.hping3(20))

    def test_hping3_with_payload(self):
        self.survives(lambda: self.lab.hping3(20, "-d", "120", "-w", "64"))

    def test_options(self):
        self.survives(self.trafgen(flood.tcp(options=flood.LINUX_OPTIONS)))

    def test_options_siphash(self):
        self.survives(self.trafgen(flood.tcp(options=flood.LINUX_OPTIONS)),
                      more=("--mac", "siphash-2-4"))

    def test_options_ip6(self):
        self.survives(self.trafgen(flood.tcp(options=flood.LINUX_OPTIONS, target=VICTIM6)), VICTIM6)

    def test_two_workers(self):
        self.survives(lambda: self.lab.hping3(20), more=("--workers", "2"))

    def test_a_million_random_acks(self):
        """None opens a connection, with or without timestamps, and the service stays."""
        synward = self.guarded()
        for options in ("", flood.TIMESTAMPS):
            flooding = self.lab.trafgen(30, 500_000, flood.tcp("ack", options))
            self.assertAll(self.fetch(), FETCHES)
            self.assertEqual(flooding.wait(40), 0, flooding.log())
        counters = synward.counters()
        self.assertEqual(counters["handed"], 2 * FETCHES)
        refused = sum(counters["reason_cookie_" + why] for why in ("forged", "expired", "future"))
        self.assertGreater(refused + counters["ring_lost"], 990_000, counters)


if __name__ == "__main__":
    main()
