# SPDX-License-Identifier: MIT
"""Metrics add up, are the same in every view, and cannot be used against the service."""
import contextlib
import re
import resource
import socket
import subprocess
import threading
import time

import flood
import watch
from case import SLOW, LabCase, main, read
from lab import VICTIM4, VICTIM6, wait_for
from watch import Metrics, Watched

GROWTH_MAX = 8 << 20  # bytes of memory that a thousand clients may cost


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Traffic(LabCase):
    def some_of_everything(self, connects=200):
        """Real connections, a flood, ACKs that prove nothing, and SYNs that are refused."""
        self.lab.trafgen(20, 30_000, flood.tcp(options=flood.LINUX_OPTIONS)).wait(30)
        self.lab.trafgen(20, 3_000, flood.tcp("ack")).wait(30)
        self.lab.trafgen(20, 1_000, flood.tcp("rst")).wait(30)
        self.lab.trafgen(20, 1_000, flood.tcp("syn, fin")).wait(30)
        for _ in range(connects):
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.sendall(b"hello")
                self.assertEqual(read(s, 5), b"hello")

    def assertAddsUp(self, m, listener="web"):
        label = f'listener="{listener}"'
        self.assertEqual(m.sum("synward_syns_received_total", label),
                         m.sum("synward_cookies_issued_total", label)
                         + m.sum("synward_syns_refused_total", label))
        self.assertEqual(m.sum("synward_cookies_accepted_total", label),
                         m.sum("synward_handoffs_total", label)
                         + m.sum("synward_handoffs_pending", label)
                         + m.sum("synward_handoff_failures_total", label))
        self.assertEqual(m.sum("synward_connections_total", label),
                         m.sum("synward_connections_active", label)
                         + m.sum("synward_connections_closed_total", label))


class AddsUp(Traffic):
    def seen(self, connects=200, **options):
        self.lab.serve(echo, VICTIM4 if options.get("transparent") else "127.0.0.1",
                       80 if options.get("transparent") else 8080)
        w = Watched(self.lab, {"web": options})
        self.some_of_everything(connects)
        w.settled()
        m = w.metrics()
        self.assertAddsUp(m)
        self.assertEqual(m.sum("synward_handoffs_total"), connects)
        self.assertGreater(m.sum("synward_cookies_issued_total"), 25_000)
        self.assertGreaterEqual(m.sum("synward_cookies_rejected_total", "cookie_forged"), 2_900)
        self.assertEqual(m.sum("synward_packets_dropped_total", 'reason="bad_flags"'), 1_000)
        self.assertEqual(m.sum("synward_syns_refused_total", 'reason="bad_flags"'), 1_000)
        return w, m

    def test_relay(self):
        _, m = self.seen()
        self.assertEqual(m.sum("synward_connections_total"), 200)
        self.assertEqual(m.sum("synward_connections_closed_total", "client_fin"), 200)
        self.assertEqual(m.sum("synward_bytes_total", "client_to_server"), 1000)
        self.assertEqual(m.sum("synward_bytes_total", "server_to_client"), 1000)
        self.assertEqual(m.sum("synward_backend_connect_duration_seconds_count"), 200)
        self.assertEqual(m.sum("synward_handoff_duration_seconds_count"), 200)
        self.assertEqual(m.sum("synward_cookies_accepted_total", "current")
                         + m.sum("synward_cookies_accepted_total", "previous"), 200)

    def test_offload(self):
        _, m = self.seen(offload="xdp")
        self.assertEqual(m.sum("synward_cookies_issued_total", "ring"), 0)
        self.assertEqual(m.sum("synward_xdp_attached", "eth0"), 1)

    def test_transparent(self):
        _, m = self.seen(transparent="true")
        self.assertEqual(m.sum("synward_connections_total"), 0, "they are the kernel's")

    def test_the_same_in_every_view(self):
        w, _ = self.seen(connects=50)
        stats, m = w.settled(), w.metrics()
        listener = stats["listeners"][0]
        status = w.run("status", "-j")
        self.assertEqual(status.returncode, 0, status.stderr)
        for view in (listener, w.listener()):
            for key, metric in (("syns", "synward_syns_received_total"),
                                ("synacks", "synward_synacks_sent_total"),
                                ("proven", "synward_cookies_accepted_total"),
                                ("handed", "synward_handoffs_total")):
                self.assertEqual(view["stats"][key], m.sum(metric), key)
            self.assertEqual(view["connections"]["total"], m.sum("synward_connections_total"))
        lines = w.process.counters()
        for key in ("syns", "synacks", "proven", "handed", "dropped"):
            self.assertEqual(lines[key], listener["stats"][key], key)
        for reason, count in listener["reasons"].items():
            self.assertEqual(lines["reason_" + reason], count, reason)
        glance = w.run("status").stdout
        self.assertRegex(glance, r"in all +\S+ SYNs, .* 50 proven, 50 handed over")
        top = w.run("top", "-n", "1").stdout
        self.assertRegex(top, r"web syn=\d+/s answered=\d+/s proven=\d+/s")

    def test_two_listeners_are_told_apart(self):
        self.lab.serve(echo)
        w = Watched(self.lab, {"web": {}, "mail": {"listen": f'["{VICTIM4}:25", "[{VICTIM6}]:25"]'}})
        for _ in range(7):
            with self.lab.client.connect(VICTIM6, 25) as s:
                s.sendall(b"x")
                self.assertEqual(read(s, 1), b"x")
        w.settled()
        m = w.metrics()
        self.assertAddsUp(m, "web")
        self.assertAddsUp(m, "mail")
        self.assertEqual(m.sum("synward_handoffs_total", "web"), 0)
        self.assertEqual(m.sum("synward_handoffs_total", "mail"), 7)
        self.assertEqual(m.sum("synward_syns_received_total", "mail", "ipv6"), 7)


class Format(Traffic):
    def test_promtool_finds_nothing(self):
        self.lab.serve(echo)
        w = Watched(self.lab)
        self.some_of_everything(20)
        reply = w.get("/metrics")
        self.assertEqual(reply.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        check = subprocess.run(["promtool", "check", "metrics"], input=reply.body, text=True,
                               capture_output=True, check=False)
        self.assertEqual((check.returncode, check.stdout, check.stderr), (0, "", ""))

    def test_the_manual_names_every_metric(self):
        self.lab.serve(echo)
        w = Watched(self.lab, {"web": {"offload": "xdp"}})
        with open(watch.lab_module.SOURCE + "/docs/observe.md", encoding="utf-8") as f:
            manual = set(re.findall(r"`((?:synward|process)_[a-z_]+)", f.read()))
        here = set(re.findall(r"# TYPE (\S+)", w.get("/metrics").body))
        self.assertEqual(here - manual, set(), "not in docs/observe.md")
        self.assertEqual(manual - here, set(), "in docs/observe.md only")

    def test_counters_only_grow(self):
        self.lab.serve(echo)
        w = Watched(self.lab, {"web": {"offload": "xdp"}})
        flooding = self.lab.trafgen(8, 400_000, flood.tcp())
        before, looks = {}, 0
        while flooding.alive():
            now = w.metrics().counters()
            for key, value in now.items():
                self.assertGreaterEqual(value, before.get(key, 0), key)
            before, looks = now, looks + 1
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.sendall(b"x")
                self.assertEqual(read(s, 1), b"x")
        self.assertGreater(looks, 5)


class Control(LabCase):
    def test_tcp_only_reads(self):
        w = Watched(self.lab, {"web": {}})
        for path in ("/reload", "/rekey", "/drain/web", "/undrain/web"):
            self.assertEqual(w.ask("POST", path, w.tcp()).status, 405, path)
            self.assertEqual(w.ask("GET", path, w.tcp()).status, 405, path)
        self.assertFalse(w.listener()["draining"])
        self.assertEqual(w.ask("GET", "/readyz", w.tcp()).status, 200)
        reply = w.ask("GET", "/", w.tcp())
        self.assertIn("default-src 'none'", reply.headers["Content-Security-Policy"])

    def test_methods_and_odd_requests(self):
        w = Watched(self.lab, {"web": {}})
        self.assertEqual(w.ask("HEAD", "/metrics").body, "")
        self.assertGreater(int(w.ask("HEAD", "/metrics").headers["Content-Length"]), 5000)
        for text in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + bytes(200),
                     b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nX: " + b"b" * 9000, b"FOO / HTTP/1.1\r\n\r\n",
                     b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n",
                     b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"GET http://evil.example/metrics HTTP/1.1\r\nHost: a\r\n\r\n",
                     b"GET /%00%0a HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            with self.lab.victim.connect(*w.METRICS) as s:
                try:
                    s.sendall(text)
                    s.shutdown(socket.SHUT_WR)
                    answer = s.recv(65536)
                except OSError:  # it was cut off while it spoke
                    answer = b""
            self.assertNotIn(b"200 OK", answer if b"evil" not in text else b"", text[:40])
            self.assertEqual(w.ask("GET", "/healthz", w.tcp()).status, 200, text[:40])


class Hostile(LabCase):
    """What may be done to the port of the metrics must not be felt by the service."""

    ASKS_ON = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"  # again and again, on one connection
    KINDS = (b"", b"GET /metrics HT", b"GET /stats HTTP/1.1\r\nHost: a\r\n\r\n" * 30,
             b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n", ASKS_ON)

    def setUp(self):
        super().setUp()
        self.lab.bench_server()
        self.w = Watched(self.lab)
        self.stop = threading.Event()
        self.made = 0

    def clients(self, count, kinds=KINDS):
        """That many at once, of all kinds, that hardly read; one that is cut off comes again."""
        def hold(s, kind):
            while not self.stop.is_set():
                if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    break
                if kind == self.ASKS_ON:
                    self.stop.wait(0.15)
                    try:
                        if not s.recv(65536, socket.MSG_DONTWAIT):
                            break
                    except BlockingIOError:
                        continue  # nobody has taken it in yet
                    s.sendall(kind)
                else:
                    self.stop.wait(1)
                    s.sendall(b"x")  # a byte now and then keeps it open

        def one(kind):
            while not self.stop.is_set():
                try:
                    s = self.lab.victim.connect(*self.w.METRICS, timeout=3)
                except OSError:
                    continue
                self.made += 1
                with s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                    try:
                        s.sendall(kind)
                        hold(s, kind)
                    except OSError:
                        pass

        threads = [threading.Thread(target=one, args=(kinds[i % len(kinds)],), daemon=True)
                   for i in range(count)]
        for t in threads:
            t.start()
        self.addCleanup(lambda: [t.join(10) for t in threads])
        self.addCleanup(self.stop.set)

    def test_a_thousand_clients_and_a_flood(self):
        for _ in range(20):  # what the first requests allocate
            self.w.ask("GET", "/metrics", self.w.tcp())
            self.w.ask("GET", "/stats", self.w.tcp())
        before = self.w.process.rss_kib() << 10
        self.clients(1000)
        self.assertTrue(wait_for(lambda: self.made >= 300, 20), f"only {self.made} connections")
        flooding = self.lab.hping3(25)
        time.sleep(1)
        result = self.lab.load(VICTIM4, 80, "--count", 2000, "--interval", 2000, "--concurrency", 200,
                               "--timeout", 3000)
        self.assertTrue(flooding.alive(), flooding.log())
        flooding.stop()
        self.assertAll(result, 2000)
        if not SLOW:
            self.assertLess(result["connect_us"]["p99"], 500_000, "SYNs had to be sent again")
        growth = (self.w.process.rss_kib() << 10) - before
        self.note(f"{self.made} hostile connections, memory {growth / 1024:+.0f} KiB, connect p99 "
                  f"{result['connect_us']['p99']} us")
        if not SLOW:
            self.assertLess(growth, GROWTH_MAX)
        # A client that asks properly gets its answer among them, if not at the first attempt.
        self.assertTrue(wait_for(self.answered, 30), "nobody else gets an answer")

    def answered(self):
        try:
            return self.w.ask("GET", "/metrics", self.w.tcp(timeout=10)).status == 200
        except (OSError, watch.http.client.HTTPException):
            return False

    def test_clients_that_keep_asking_do_not_keep_the_door(self):
        self.clients(64, [self.ASKS_ON])
        self.assertTrue(wait_for(lambda: self.made >= 64, 20), f"only {self.made} connections")
        for _ in range(5):
            time.sleep(0.5)
            self.assertTrue(self.answered(), "the door is shut")

    def test_a_silent_client_is_cut_off(self):
        for text in (b"", b"GET /metrics", b"GET /stats HTTP/1.1\r\nX: "):
            with self.lab.victim.connect(*self.w.METRICS, timeout=12) as s:
                begin = time.monotonic()
                s.sendall(text)
                try:
                    while s.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
                self.assertLess(time.monotonic() - begin, 11, text)

    def test_a_trickle_is_cut_off(self):
        """A byte a second is no request, however long it goes on."""
        with self.lab.victim.connect(*self.w.METRICS, timeout=12) as s:
            with self.assertRaises(OSError):
                for _ in range(14):
                    s.sendall(b"G")
                    time.sleep(1)

    def test_a_subscriber_that_does_not_read_is_cut_off(self):
        s = self.lab.victim.socket()
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        s.settimeout(5)
        before = self.w.process.fds()
        s.connect(self.w.METRICS)
        s.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(wait_for(lambda: self.w.process.fds() > before, 5))
        self.assertTrue(wait_for(lambda: self.w.process.fds() == before, 90, 0.5),
                        "it is still there")

    def subscribe(self, connection):
        """Its socket and the first line of the answer."""
        connection.connect()
        self.addCleanup(connection.sock.close)
        connection.sock.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        return connection.sock, connection.sock.recv(65536).split(b"\r\n")[0]

    def test_on_tcp_the_oldest_subscriber_makes_room(self):
        kept = []
        for _ in range(20):
            s, first = self.subscribe(self.w.tcp())
            kept.append(s)
            self.assertEqual(first, b"HTTP/1.1 200 OK", len(kept))
        for s in kept[:4]:
            with contextlib.suppress(ConnectionResetError):
                while s.recv(65536):
                    pass
        for s in kept[4:]:  # the samples go on
            self.assertIn(b"event: sample", self.heard(s))

    def heard(self, s):
        """A whole sample and more, of now."""
        text = s.recv(1 << 20)
        while text and text.count(b"event: sample") < 2:
            text += s.recv(1 << 20)
        return text

    def test_the_socket_has_places_of_its_own(self):
        for _ in range(20):
            self.subscribe(self.w.tcp())
        kept = []
        for _ in range(17):
            s, first = self.subscribe(watch.UnixConnection(self.w.socket))
            kept.append(s)
            want = b"HTTP/1.1 200 OK" if len(kept) <= 16 else b"HTTP/1.1 503 Service Unavailable"
            self.assertEqual(first, want, len(kept))
        for s in kept:
            s.close()
        self.assertTrue(wait_for(self.subscribes, 10), "no place is free again")

    def subscribes(self):
        s, first = self.subscribe(watch.UnixConnection(self.w.socket))
        s.close()
        return first == b"HTTP/1.1 200 OK"

    def test_out_of_descriptors(self):
        """No answer then, but no processor time either, and answers again after."""
        used = self.w.process.fds()
        resource.prlimit(self.w.process.pid, resource.RLIMIT_NOFILE, (used, used + 1000))
        held = [self.lab.victim.connect(*self.w.METRICS) for _ in range(5)]
        time.sleep(0.3)
        begin, cpu = time.monotonic(), self.w.process.cpu_seconds()
        time.sleep(2)
        share = (self.w.process.cpu_seconds() - cpu) / (time.monotonic() - begin)
        resource.prlimit(self.w.process.pid, resource.RLIMIT_NOFILE, (used + 1000, used + 1000))
        for s in held:
            s.close()
        self.assertLess(share, 0.2, "a busy loop")
        self.assertTrue(wait_for(self.answered, 10))


if __name__ == "__main__":
    main()
