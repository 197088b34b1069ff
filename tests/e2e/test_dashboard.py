# SPDX-License-Identifier: MIT
"""The dashboard in a real browser, while nothing happens and under a flood.  The screenshots are
dashboard-*.png in the build directory."""
import os
import struct
import threading

import lab
from browser import Browser
from case import LabCase, main, read
from lab import VICTIM4, wait_for
from watch import Watched

URL = "http://127.0.0.1:9177/"
CARD = "[data-listener=web]"


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Dashboard(LabCase):
    def open(self, listeners=None, dark=False):
        self.lab.serve(echo)
        w = Watched(self.lab, listeners)
        browser = Browser(self.lab, dark)
        self.addCleanup(browser.close)
        browser.open(URL)
        self.assertTrue(wait_for(lambda: self.samples(browser) >= 3, 20, 0.1), "no samples")
        return w, browser

    @staticmethod
    def samples(browser):
        return int(browser.run("return document.body.dataset.samples || 0"))

    def connect(self, count, pause=None):
        for _ in range(count):
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.sendall(b"hello")
                self.assertEqual(read(s, 5), b"hello")
            if pause:
                pause.wait(0.02)

    def shoot(self, browser, name):
        path = os.path.join(lab.BUILD, f"dashboard-{name}.png")
        browser.screenshot(path)
        with open(path, "rb") as f:
            head = f.read(24)
        self.assertEqual(head[:8], b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", head[16:24])
        self.assertGreater(width * height, 1_000_000)
        self.assertGreater(os.path.getsize(path), 20_000, "an empty page")

    def sums(self, browser):
        return browser.run(f"return {{...document.querySelector('{CARD} .sums').dataset}}")

    def ink(self, browser, chart):
        """How many points of a chart are drawn on."""
        return browser.run("""
            const c = document.querySelector(arguments[0]);
            const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            let n = 0;
            for (let i = 3; i < d.length; i += 4) n += d[i] > 0;
            return n;""", f"{CARD} canvas[data-chart={chart}]")

    def test_shows_the_numbers_of_stats(self):
        w, browser = self.open()
        self.connect(40)
        stats = w.settled()["listeners"][0]
        want = {k: str(stats["stats"][k]) for k in ("syns", "synacks", "proven", "handed", "dropped")}
        self.assertTrue(wait_for(lambda: self.sums(browser) == want, 10, 0.1),
                        (self.sums(browser), want))
        self.assertEqual(browser.text(f"{CARD} .name"), "web")
        self.assertEqual(browser.text(f"{CARD} .addresses"), f"{VICTIM4}:80")
        self.assertEqual(browser.text(f"{CARD} .flood"), "no flood")
        self.assertEqual(browser.text("#state"), "ready")
        self.assertIn("40 connections", browser.text(f"{CARD} .sums"))
        self.assertEqual(browser.text("#servers tr:nth-child(2) td:nth-child(2)"), "127.0.0.1:8080")
        self.assertIn(w.stats()["keys"][0]["fingerprint"], browser.text("#facts"))
        for chart in ("syn", "proven", "refused", "live", "latency"):
            self.assertGreater(self.ink(browser, chart), 500, chart)
        self.shoot(browser, "idle")
        self.assertEqual(browser.complaints(), [])

    def test_is_live_under_a_flood(self):
        w, browser = self.open({"web": {}, "mail": {"listen": f'["{VICTIM4}:25"]'}}, dark=True)
        stop = threading.Event()
        legit = threading.Thread(target=lambda: self.connect(400, stop), daemon=True)
        legit.start()
        before = self.samples(browser)
        self.lab.hping3(12)
        self.assertTrue(wait_for(lambda: "SYN flood for" in browser.text(f"{CARD} .flood"), 10, 0.1))
        self.assertTrue(wait_for(lambda: self.samples(browser) >= before + 8, 20, 0.1))
        self.assertEqual(browser.text("#state"), "ready, under SYN flood")
        self.assertEqual(browser.text("[data-listener=mail] .flood"), "no flood")
        self.assertRegex(browser.text(f"{CARD} [data-of=syn]"), r"^\d+(\.\d)?k$")
        self.assertIn("Possible SYN flooding on port", browser.text("#events"))
        self.assertRegex(browser.run("return document.title"), "^FLOOD")
        self.shoot(browser, "flood")
        legit.join(30)
        stop.set()
        self.assertTrue(wait_for(lambda: "flood ended" in browser.text("#events"), 30, 0.2))
        self.assertTrue(wait_for(lambda: browser.text(f"{CARD} .flood") == "1 flood so far", 10, 0.1))
        self.assertEqual(browser.complaints(), [])

    def test_tells_of_drain_and_of_the_end(self):
        w, browser = self.open()
        self.assertEqual(w.run("drain", "web").returncode, 0)
        self.assertTrue(wait_for(lambda: browser.text(f"{CARD} .flood") == "draining", 10, 0.1))
        self.assertIn("web", browser.text("#events"))
        self.assertEqual(w.run("undrain", "web").returncode, 0)
        self.assertTrue(wait_for(lambda: browser.text("#state") == "ready", 10, 0.1))
        self.assertEqual(w.process.end_now(), 0)
        self.assertTrue(wait_for(lambda: browser.text("#state") == "no connection to synward", 20, 0.2))

    def test_a_narrow_window_needs_no_scrolling_sideways(self):
        self.lab.serve(echo)
        w = Watched(self.lab)
        browser = Browser(self.lab, size=(500, 900))
        self.addCleanup(browser.close)
        browser.open(URL)
        self.assertTrue(wait_for(lambda: self.samples(browser) >= 2, 20, 0.1))
        wide, room = browser.run("const e = document.documentElement;"
                                 "return [e.scrollWidth, e.clientWidth]")
        self.assertLessEqual(wide, room)
        self.assertTrue(w.process.alive())


if __name__ == "__main__":
    main()
