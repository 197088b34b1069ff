# SPDX-License-Identifier: MIT
"""SYN floods are told once when they begin and once when they are over, and busy times are not."""
import json
import os
import re
import socket
import stat

import flood
from case import SLOW, LabCase, main
from lab import VICTIM4, wait_for
from watch import Watched

BEGAN = (r"synward: (?:warning: )?web: Possible SYN flooding on port 198\.51\.100\.1:80\. Sending cookies\. "
         r"syn=[0-9.]+[kM]?/s answered=[0-9.]+[kM]?/s valid=\d+/s")
ENDED = (r"synward: web: SYN flood ended after \d+s: [0-9.]+[kM]? SYNs, [0-9.]+[kM]? cookies sent, "
         r"\d+ accepted")


class Alarm(LabCase):
    def start(self, extra="", **options):
        self.lab.bench_server(*((VICTIM4, 80) if options.get("transparent") else ("127.0.0.1", 8080)))
        return Watched(self.lab, {"web": options}, extra)

    def lines(self, w, pattern):
        return re.findall(pattern, w.process.log())

    def whole_flood(self, w):
        """One from its beginning to its end, as every view tells it."""
        flooding = self.lab.hping3(10)
        self.assertTrue(wait_for(lambda: self.lines(w, BEGAN), 6, 0.1), "not told")
        self.assertEqual(w.metrics().sum("synward_flood_active", "web"), 1)
        self.assertTrue(w.listener()["flood"]["active"])
        self.assertIn("UNDER SYN FLOOD", w.run("status").stdout)
        self.assertIn(" FLOOD", w.run("top", "-n", "1").stdout)
        self.assertEqual(w.run("status").returncode, 0, "under a flood it is ready all the same")
        self.assertTrue(flooding.alive(), "the flood ended early:\n" + flooding.log())
        flooding.stop()
        self.assertTrue(wait_for(lambda: self.lines(w, ENDED), 15, 0.1), "its end is not told")
        m = w.metrics()
        self.assertEqual(m.sum("synward_flood_active", "web"), 0)
        self.assertEqual(m.sum("synward_floods_total", "web"), 1)
        self.assertAlmostEqual(m.sum("synward_flood_last_start_timestamp_seconds"),
                               w.stats()["now"], delta=30)
        self.assertEqual((len(self.lines(w, "Possible SYN flooding")), len(self.lines(w, "flood ended"))),
                         (1, 1), w.process.log())

    def test_hping3(self):
        self.whole_flood(self.start())

    def test_hping3_offload(self):
        self.whole_flood(self.start(offload="xdp"))

    def test_hping3_transparent(self):
        self.whole_flood(self.start(transparent="true"))

    def burst(self, w):
        """2,000 real connections a second for five seconds, from a standing start."""
        result = self.lab.load(VICTIM4, 80, "--count", 10_000, "--interval", 500, "--concurrency", 400)
        self.assertAll(result, 10_000)
        peak = w.listener()["flood"]
        self.note(f"SYN/s {peak['syn_rate']}, proven/s {peak['proven_rate']} in the last second")
        wait_for(lambda: False, 2.5)
        self.assertEqual(self.lines(w, "Possible SYN flooding"), [])
        self.assertEqual(w.metrics().sum("synward_floods_total"), 0)
        self.assertEqual(w.metrics().sum("synward_cookies_accepted_total"), 10_000)

    def test_a_burst_of_real_connections_is_no_flood(self):
        self.burst(self.start())

    def test_a_burst_of_real_connections_is_no_flood_offload(self):
        self.burst(self.start(offload="xdp"))

    def test_a_trickle_below_the_threshold_is_none(self):
        w = self.start()
        self.lab.trafgen(10, 3_000, flood.tcp(), rate=500).wait(15)
        self.assertEqual(self.lines(w, "Possible SYN flooding"), [])
        self.assertGreater(w.metrics().sum("synward_cookies_issued_total"), 2_900)

    def test_the_command_learns_what_happens(self):
        out = os.path.join(self.lab.dir, "told")
        script = os.path.join(self.lab.dir, "tell")
        with open(script, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\nenv | grep ^SYNWARD_ | sort >>{out}; echo \"args: $*\" >>{out}\n")
        os.chmod(script, stat.S_IRWXU)
        w = self.start(f'flood: {{ enter: 1000, leave: 500, hold: 2s, command: ["{script}", "a b"] }}\n')
        self.lab.hping3(3).wait(8)

        def text():
            if not os.path.exists(out):
                return ""
            with open(out, encoding="ascii") as f:
                return f.read()

        self.assertTrue(wait_for(lambda: text().count("args: a b\n") == 2, 15, 0.1), text())
        began, ended = text().split("args: a b\n")[:2]
        for part in ("SYNWARD_EVENT=flood_began", "SYNWARD_LISTENER=web",
                     f"SYNWARD_ADDRESSES={VICTIM4}:80", "SYNWARD_MESSAGE=web: Possible SYN flooding"):
            self.assertIn(part, began)
        self.assertGreater(int(re.search(r"SYNWARD_SYN_RATE=(\d+)", began).group(1)), 1000)
        self.assertIn("SYNWARD_EVENT=flood_ended", ended)
        syns = int(re.search(r"SYNWARD_SYNS=(\d+)", ended).group(1))
        self.assertGreater(syns, 3000)
        self.assertLessEqual(syns, w.listener()["stats"]["syns"])

    def test_subscribers_are_told(self):
        w = self.start()
        s = self.lab.victim.connect(*w.METRICS, timeout=20)
        self.addCleanup(s.close)
        s.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        self.lab.hping3(3)
        heard = b""
        while b"event: flood_ended" not in heard:
            more = s.recv(65536)
            self.assertTrue(more, "the stream ended")
            heard += more
        text = heard.decode()
        self.assertIn("event: flood_began", text)
        sample = json.loads(re.search(r"event: sample\r?\ndata: (\{.*\})", text).group(1))
        self.assertEqual(sample["listeners"][0]["name"], "web")
        self.assertLess(text.index("flood_began"), text.index("flood_ended"))


if __name__ == "__main__":
    main()
