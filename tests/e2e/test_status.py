# SPDX-License-Identifier: MIT
"""The subcommands that talk to a running synward: status, top, drain, undrain, reload."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import lab as lab_module
from case import LabCase, main, read
from lab import VICTIM4, wait_for
from watch import Watched


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Screen:
    """A program on a terminal of its own.  What it draws is kept as it comes."""

    def __init__(self, lab, *argv, rows=30, cols=110):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

        def take_terminal():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(slave, fd)

        env = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        lab.victim.spawn("top", *argv, extra=take_terminal, env=env)
        self.process = lab.processes[-1]
        os.close(slave)
        self.drawn = b""

    def look(self, seconds=0.05):
        """Everything drawn so far, without the sequences that move and colour."""
        end = time.monotonic() + seconds
        while select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
            try:
                more = os.read(self.master, 65536)
            except OSError:
                break
            if not more:
                break
            self.drawn += more
        plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][0B]|\x1b[=>]", b" ", self.drawn)
        return plain.decode(errors="replace")

    def press(self, keys):
        os.write(self.master, keys)

    def close(self):
        os.close(self.master)


class Commands(LabCase):
    def setUp(self):
        super().setUp()
        self.lab.serve(echo)

    def connects(self):
        try:
            with self.lab.client.connect(VICTIM4, 80, timeout=1.5) as s:
                s.sendall(b"x")
                return read(s, 1) == b"x"
        except OSError:
            return False

    def test_status_is_a_glance(self):
        w = Watched(self.lab, extra=f"key_file: {self.lab.new_key()}\n")
        self.assertTrue(self.connects())
        out = w.run("status")
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        print_of = self.lab.victim.run(lab_module.SYNWARD, "secret", "fingerprint",
                                       os.path.join(self.lab.dir, "key")).stdout
        fingerprint = re.search(r"[0-9a-f]{8}", print_of).group()
        for pattern in (r"^synward \d+\.\d+\.\d+, up \d+\w+, ready$",
                        rf"^key   {fingerprint} active; epoch \d+ ends in \d+\w+$",
                        rf"^web   {VICTIM4}:80 on eth0$", r"^      relay to app, packet threads$",
                        r"^      a second  \d+ SYNs, ", r"^      in all    1 SYNs, 1 answered, 1 proven",
                        r"^      epochs    (current|previous) 1; keys active 1$",
                        r"^app   127\.0\.0\.1:8080 +up   \d+ live, connect p50 "):
            self.assertRegex(out.stdout, re.compile(pattern, re.M))
        self.assertLess(len(out.stdout.splitlines()), 24)

    def test_status_json_is_stats(self):
        w = Watched(self.lab)
        self.assertTrue(self.connects())
        stats = w.settled()
        shown = json.loads(w.run("status", "--json").stdout)
        self.assertEqual(shown["listeners"], stats["listeners"])
        self.assertEqual(shown["keys"], stats["keys"])
        self.assertTrue(shown["ready"])

    def test_status_of_xdp_and_transparent(self):
        w = Watched(self.lab, {"web": {"offload": "xdp"},
                               "mail": {"listen": f'["{VICTIM4}:25"]', "transparent": "true"}})
        out = w.run("status").stdout
        self.assertRegex(out, r"relay to app, XDP (native|generic)")
        self.assertRegex(out, r"transparent, XDP (native|generic)")
        # Without a key file each has a key of its own: the head has the first one's.
        keys = re.findall(r"\b([0-9a-f]{8}) run", out)
        self.assertEqual(len(set(keys)), 2, out)
        self.assertRegex(out, rf"(?m)^      key       {keys[1]} run$")

    def test_transparent_says_what_it_knows(self):
        """The keys and the epoch; of each connection only that it was proven."""
        self.lab.serve(echo, VICTIM4, 80)
        w = Watched(self.lab, {"web": {"transparent": "true"}},
                    extra=f"key_file: {self.lab.new_key()}\n")
        self.assertTrue(self.connects())
        self.assertTrue(wait_for(lambda: w.listener()["stats"]["proven"] == 1, 5))
        l = w.listener()
        self.assertEqual(l["keys"], w.stats()["keys"])
        self.assertEqual([k["slot"] for k in l["keys"]], ["active"])
        self.assertEqual(l["proven_epoch"], {"current": 0, "previous": 0, "next": 0, "unknown": 1})
        self.assertEqual(l["proven_key"], {"active": 0, "staged": 0, "retired": 0, "unknown": 1})
        self.assertIsNone(l["handoff"])
        self.assertIsNone(l["connections"]["duration"])
        out = w.run("status").stdout
        self.assertRegex(out, rf"(?m)^key   {l['keys'][0]['fingerprint']} active; epoch \d+ ends in ")
        self.assertRegex(out, r"(?m)^      epochs    -; keys -$")

    def test_nobody_there(self):
        for args in (("status",), ("status", "-j"), ("top",), ("reload",), ("drain", "web"),
                     ("undrain", "web")):
            out = self.lab.victim.run(lab_module.SYNWARD, *args, "-s", "/nowhere/control.sock",
                                      check=False)
            self.assertEqual(out.returncode, 75, args)
            self.assertIn("/nowhere/control.sock: no such socket", out.stderr)
            self.assertEqual(out.stdout, "")

    def test_wrong_usage(self):
        for args in (("status", "x"), ("status", "-q"), ("drain",), ("drain", "Web"), ("drain", "a", "b"),
                     ("undrain",), ("reload", "x"), ("top", "-d", "1ms"), ("top", "-n", "0"),
                     ("top", "-d"), ("status", "--socket")):
            out = self.lab.victim.run(lab_module.SYNWARD, *args, check=False)
            self.assertEqual((out.returncode, out.stdout), (2, ""), args)
            self.assertIn(f"Try 'synward {args[0]} --help'.", out.stderr)

    def test_help_fits_a_screen(self):
        for cmd in ("status", "top", "drain", "undrain", "reload"):
            out = self.lab.victim.run(lab_module.SYNWARD, cmd, "--help")
            self.assertTrue(out.stdout.startswith(f"usage: synward {cmd}"))
            self.assertLessEqual(len(out.stdout.splitlines()), 24)
            self.assertLess(max(map(len, out.stdout.splitlines())), 100)

    def test_drain_and_undrain(self):
        w = Watched(self.lab, {"web": {}, "mail": {"listen": f'["{VICTIM4}:25"]'}})
        live = self.lab.client.connect(VICTIM4, 80)
        self.addCleanup(live.close)
        live.sendall(b"a")
        self.assertEqual(read(live, 1), b"a")
        out = w.run("drain", "web")
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertIn("web", out.stdout)
        self.assertFalse(self.connects(), "a new connection on a drained listener")
        live.sendall(b"b")
        self.assertEqual(read(live, 1), b"b", "a live connection was cut")
        with self.lab.client.connect(VICTIM4, 25) as s:
            s.sendall(b"c")
            self.assertEqual(read(s, 1), b"c", "another listener was drained")
        self.assertEqual(w.get("/readyz").status, 503)
        self.assertIn("web", w.get("/readyz").body)
        self.assertEqual(w.metrics().sum("synward_listener_draining", "web"), 1)
        status = w.run("status")
        self.assertEqual(status.returncode, 1)
        self.assertIn("draining", status.stdout)
        self.assertEqual(w.run("drain", "web").returncode, 0, "twice is no error")
        out = w.run("undrain", "web")
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertTrue(self.connects())
        self.assertEqual(w.get("/readyz").status, 200)
        self.assertEqual(w.run("status").returncode, 0)

    def test_drain_of_a_listener_that_is_not_there(self):
        w = Watched(self.lab)
        out = w.run("drain", "wab")
        self.assertEqual((out.returncode, out.stdout), (1, ""))
        self.assertIn("wab", out.stderr)

    def test_reload_prints_what_changed_or_what_is_wrong(self):
        w = Watched(self.lab)
        self.assertTrue(self.connects())
        before = w.metrics().counters()
        w.listeners["web"]["queue_depth"] = 777
        w.write()
        out = w.run("reload")
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertIn("queue_depth", out.stdout)
        self.assertEqual(w.listener()["queue_depth"], 777)
        self.assertEqual(w.metrics().sum("synward_config_reloads_total"), 1)
        after = w.metrics().counters()
        fallen = {key for key in before if after.get(key, 0) < before[key]}
        self.assertEqual(fallen, set(), "a reload must not take counters back")
        w.listeners["web"]["queue_dept"] = 778
        w.write()
        out = w.run("reload")
        self.assertEqual((out.returncode, out.stdout), (78, ""))
        self.assertRegex(out.stderr, r"synward\.yaml:\d+:\d+: .*queue_dept")
        self.assertEqual(w.listener()["queue_depth"], 777, "nothing has changed")
        self.assertEqual(w.metrics().sum("synward_config_last_reload_successful"), 0)
        self.assertIn("the last reload failed", w.run("status").stdout)
        self.assertTrue(self.connects())

    def test_top_prints_lines_to_a_pipe(self):
        w = Watched(self.lab)
        out = w.run("top", "-n", "3", "-d", "200ms")
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        lines = out.stdout.splitlines()
        self.assertEqual(len(lines), 3)
        for line in lines:
            self.assertRegex(line, r"^\d\d:\d\d:\d\d web syn=\S+/s answered=\S+/s proven=\S+/s "
                                   r"refused=\S+/s live=\S+ p99=\S+")
        self.assertNotIn("\x1b", out.stdout)

    def test_top_on_a_terminal(self):
        w = Watched(self.lab, extra=f"key_file: {self.lab.new_key()}\n")
        screen = Screen(self.lab, lab_module.SYNWARD, "top", "-s", w.socket)
        self.addCleanup(screen.close)
        self.assertTrue(wait_for(lambda: "127.0.0.1:8080" in screen.look(), 10), screen.look())
        for part in ("synward", "ready", "LISTENER", "web", "PROVEN/s"):
            self.assertIn(part, screen.look())
        cpu, begin = screen.process.cpu_seconds(), time.monotonic()
        for i in range(20):
            self.connects()
            screen.look(0.15)
        share = (screen.process.cpu_seconds() - cpu) / (time.monotonic() - begin)
        self.assertLess(share, 0.25, "top itself takes a processor")
        screen.press(b"q")
        self.assertTrue(wait_for(lambda: screen.look() is None or not screen.process.alive(), 5))
        self.assertEqual(screen.process.wait(1), 0)
        self.assertIn("\x1b[?1049l", screen.drawn.decode(errors="replace"), "the screen is given back")

    def test_top_ends_with_its_terminal_and_with_synward(self):
        w = Watched(self.lab)
        screen = Screen(self.lab, lab_module.SYNWARD, "top", "-s", w.socket)
        self.assertTrue(wait_for(lambda: "web" in screen.look(), 10))
        screen.close()
        self.assertIsNotNone(screen.process.wait(5), "it lives on without a terminal")
        second = Screen(self.lab, lab_module.SYNWARD, "top", "-s", w.socket)
        self.addCleanup(second.close)
        self.assertTrue(wait_for(lambda: "web" in second.look(), 10))
        w.process.send(signal.SIGTERM)
        self.assertEqual(w.process.wait(10), 0)
        wait_for(lambda: second.look() is None or not second.process.alive(), 10)
        self.assertEqual(second.process.wait(1), 75)

    def test_top_on_a_small_terminal(self):
        w = Watched(self.lab, {"web": {}, "mail": {"listen": f'["{VICTIM4}:25"]'}})
        for rows, cols in ((2, 20), (5, 10), (1, 1), (50, 300)):
            screen = Screen(self.lab, lab_module.SYNWARD, "top", "-s", w.socket, "-n", "3", "-d", "200ms",
                            rows=rows, cols=cols)
            self.assertTrue(wait_for(lambda s=screen: s.look() is None or not s.process.alive(), 10))
            self.assertEqual(screen.process.wait(1), 0, (rows, cols))
            screen.close()


if __name__ == "__main__":
    main()
