# SPDX-License-Identifier: MIT
"""SIGHUP and `synward reload`: a changed configuration is applied all or nothing, no connection is
dropped, and what changed is said."""
import copy
import json
import os
import pathlib
import re
import signal
import time

from case import LabCase, SLOW, main, read
from configfile import ConfigFile, Hammer
from lab import SYNWARD, VICTIM4, VICTIM4B, VICTIM6, wait_for

OK, FAILED, USAGE, CONFIG = 0, 1, 2, 78


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


def named(name):
    """A server that says its name to whoever connects."""
    def serve(s, _events):
        s.sendall(name)
        while s.recv(4096):
            pass
    return serve


class Reload(LabCase):
    def start(self, handler=echo, **more):
        self.lab.serve(handler)
        self.file = ConfigFile(self.lab, **more)
        return self.file.run()

    def hold(self, addr=VICTIM4, port=80):
        s = self.lab.client.connect(addr, port)
        self.addCleanup(s.close)
        self.talk(s)
        return s

    def talk(self, s):
        s.sendall(b"hello")
        self.assertEqual(read(s, 5), b"hello")

    def reloads(self, *lines):
        """The file as it is in self.file is applied, with these lines and no others."""
        code, text = self.file.reload()
        self.assertEqual((code, text.split("\n")), (OK, [*lines, ""]))
        for line in lines:
            self.assertIn("synward: reload: " + line, self.file.synward.log())

    def refused(self, *lines, code=CONFIG):
        got, text = self.file.reload()
        self.assertEqual(got, code, text)
        for line in lines:
            self.assertIn(line, text)
        self.assertIn("nothing was changed", text)

    def first_words(self, addr=VICTIM4, port=80):
        with self.lab.client.connect(addr, port) as s:
            return s.recv(16)

    # ---- all or nothing ----

    def test_mistakes_leave_everything_running(self):
        synward = self.start()
        held = self.hold()
        self.file.write("interface: eth0\nlisteners:\n  - name: web\n    qeue_depth: 1\n")
        log = self.file.hangup(write=False)
        self.assertIn(f'{self.file.path}:4:5: unknown key "qeue_depth" in a listener; did you mean '
                      '"queue_depth"?', log)
        self.assertIn("reload: nothing was changed", log)
        code, text = self.file.reload(write=False)
        self.assertEqual(code, CONFIG, text)
        self.assertIn(f"{self.file.path}:4:5: ", text)
        os.unlink(self.file.path)
        code, text = self.file.reload(write=False)
        self.assertEqual(code, CONFIG, text)
        self.assertIn("No such file", text)
        self.talk(held)
        self.talk(self.hold())
        self.assertTrue(synward.alive())

    def test_a_listener_that_cannot_start_undoes_the_rest(self):
        self.start()
        links = self.lab.victim.links()
        held = self.hold()
        self.file.web["queue_depth"] = 100
        self.file.app["servers"] = ["127.0.0.1:8081"]
        self.file.config["listeners"].append(
            {"name": "lost", "interface": "nosuch0", "listen": [f"{VICTIM4}:81"],
             "upstreams": "app"})
        self.refused("listener lost: no interface nosuch0 here", code=FAILED)
        self.talk(held)
        for _ in range(5):
            self.talk(self.hold())
        self.assertEqual(self.lab.victim.links(), links)
        self.file.config["listeners"].pop()
        self.file.app["servers"] = ["127.0.0.1:8080"]
        self.reloads("listener web: queue_depth 4096 -> 100")

    def with_a_refusing_server(self, **health):
        """8081 refuses and is checked at once; then only when a connection could not reach it."""
        self.lab.serve(echo)
        self.file = ConfigFile(self.lab)
        self.file.app["servers"] = ["127.0.0.1:8081", "127.0.0.1:8080"]
        self.file.app["health"] = {"interval": "1m", **health}
        self.file.write()
        return self.file.run()

    def late_refusal(self):
        """All that a pool, the limits and the log can have differs, and a listener cannot start."""
        good = copy.deepcopy(self.file.config)
        self.file.app.update(servers=["127.0.0.1:8080", "127.0.0.1:8082"], retries=0,
                             health={"interval": "50ms"}, idle_timeout="1ms")
        self.file.config.update(limits={"connections": 1, "per_source": 1}, log={"access": True},
                                drain_timeout="1s")
        self.file.config["pools"].append({"name": "more", "servers": ["127.0.0.1:8083"]})
        self.file.config["listeners"].append(
            {"name": "lost", "interface": "nosuch0", "listen": [f"{VICTIM4}:81"],
             "upstreams": "more"})
        self.refused("listener lost: no interface nosuch0 here", code=FAILED)
        self.file.config = good

    def servers(self):
        out = self.lab.victim.run(SYNWARD, "status", "--json", "-s", self.file.socket)
        return json.loads(out.stdout)["servers"]

    def test_a_server_that_is_down_stays_down(self):
        synward = self.with_a_refusing_server(fall=1)
        self.assertTrue(wait_for(lambda: "127.0.0.1:8081 is down" in synward.log(), 5))
        self.lab.serve(named(b"it is up"), port=8081)  # which the next check would find
        self.talk(self.hold())
        before, said = self.servers(), len(synward.log())
        self.assertEqual([s["up"] for s in before], [False, True])
        self.late_refusal()
        self.assertEqual([(s["name"], s["up"], s["connect"]["count"]) for s in self.servers()],
                         [(s["name"], s["up"], s["connect"]["count"]) for s in before])
        for held in [self.hold() for _ in range(4)]:
            self.talk(held)
            held.close()
        time.sleep(0.5)
        self.assertEqual([s["up"] for s in self.servers()], [False, True])
        self.assertNotRegex(synward.log()[said:], "upstream|access|is up|is down")
        self.reloads("nothing differs")

    def test_failed_checks_are_counted_over_a_refused_reload(self):
        """Three in a row: one at the start and one before the reload, so one more will do."""
        synward = self.with_a_refusing_server(fall=3)

        def failed(times):
            return wait_for(lambda: self.lab.victim.nstat("Tcp.AttemptFails") == times, 5)

        self.assertTrue(failed(1), "no check at the start")
        self.talk(self.hold())  # 8081 has its turn; 8080 is next, and so the turn is 8081's again
        self.assertTrue(failed(3), "not one connection and one check")
        self.assertNotIn("is down", synward.log())
        self.late_refusal()
        self.talk(self.hold())
        self.assertTrue(wait_for(lambda: "8081 is down: 3 checks failed" in synward.log(), 5),
                        synward.log())

    def test_what_needs_a_restart_is_refused(self):
        self.start()
        self.file.config["control"] = {"socket": self.file.socket + "2"}
        self.file.config["user"] = "nobody"
        self.file.web["workers"] = 2
        self.refused('user "" -> "nobody"; this needs a restart',
                     f'control.socket "{self.file.socket}" -> "{self.file.socket}2"; '
                     'this needs a restart')
        self.talk(self.hold())

    def test_nothing_differs(self):
        self.start()
        self.reloads("nothing differs")

    def test_without_a_file(self):
        """Started with options: SIGHUP reads the key file again and ends nothing."""
        self.lab.serve(echo)
        key = self.lab.new_key()
        synward = self.lab.guard("--key-file", key)
        synward.send(signal.SIGHUP)
        self.assertTrue(wait_for(lambda: "reload: the keys are the same" in synward.log(), 5))
        self.talk(self.hold())

    def test_a_key_file_that_fails_midway(self):
        """It is good when it is checked and cannot be opened a moment later, for the first of two
        listeners: the other one gets the key, the rest is changed, and the words say so."""
        self.lab.serve(echo)
        key = self.lab.new_key()
        self.file = ConfigFile(self.lab, key_file=key)
        self.file.config["listeners"].append(
            {"name": "api", "listen": [f"{VICTIM4}:81"], "upstreams": "app"})
        self.file.write()
        trace = os.path.join(self.lab.dir, "strace")
        # The start checks it, opens it for two listeners and tries whether the user may; the reload
        # checks it again.
        opens = 5
        p = self.file.run(wrap=["strace", "-f", "-qq", "-o", trace, "-P", key, "-e", "trace=openat",
                                "-e", f"inject=openat:error=EIO:when={opens + 1}"])
        traced = int(self.lab.victim.run("pgrep", "-P", str(p.pid)).stdout.split()[0])
        self.addCleanup(p.wait, 20)
        self.addCleanup(os.kill, traced, signal.SIGTERM)
        self.lab.victim.run(SYNWARD, "secret", "stage", key)
        self.file.app["retries"] = 0
        code, text = self.file.reload()
        self.assertEqual(code, FAILED, text)
        lines = text.removeprefix("synward reload: ").splitlines()
        self.assertEqual(lines[0], "pool app: retries 1 -> 0")
        self.assertRegex(lines[1], rf"^listener (web|api) keeps its key: {key}: Input/output error")
        self.assertRegex(lines[2], "^keys active .* -> active .*, staged ")
        self.assertEqual(lines[3:], [
            "the rest was changed, but the key file could not be read again"])
        code, text = self.file.reload()
        self.assertEqual(code, OK, text)
        for port in (80, 81):
            self.talk(self.hold(port=port))

    def test_more_lines_than_an_answer_holds(self):
        self.start()
        self.file.write("".join(f"nonsense_{n}_{'x' * 30}: 1\n" for n in range(99)))
        code, text = self.file.reload(write=False)
        self.assertEqual(code, CONFIG)
        lines = text.splitlines()
        left_out = re.fullmatch(r"and (\d+) more", lines[-2])
        self.assertTrue(left_out, lines[-3:])
        self.assertEqual(len(lines) - 2 + int(left_out.group(1)), 100, "99 keys, and no listeners")
        self.assertEqual(lines[-1], "nothing was changed")
        self.talk(self.hold())

    # ---- under load ----

    def changes_under_load(self, *changes, offload=None, key_file=None):
        """Each change is a function of the file; no connection fails meanwhile."""
        if offload:
            self.lab.take_xdp_tx()
        self.start(key_file=key_file or self.lab.new_key())
        held = self.hold()
        with Hammer(self.lab) as hammer:
            self.assertTrue(hammer.wait(20))
            for change in changes:
                change(self.file)
                code, text = self.file.reload()
                self.assertEqual(code, OK, text)
                self.assertTrue(hammer.wait(20), (hammer.failed, self.file.synward.log()))
        self.talk(held)
        self.assertEqual(hammer.failed, [], text)
        self.note(f"{hammer.done} connections over {len(changes)} changes")

    def test_guard_changes_under_load(self):
        def depth(n):
            return lambda f: f.web.update(queue_depth=n)

        self.changes_under_load(
            *(depth(n) for n in (8192, 100, 4096)),
            lambda f: f.web.update(workers=2), lambda f: f.web.update(workers=1),
            lambda f: f.web.update(ring_frames=1024),
            lambda f: f.web.update(refuse_rate=0), lambda f: f.web.update(mss_max=1200),
            lambda f: f.web["listen"].append(f"[{VICTIM6}]:80"),
            lambda f: f.web["listen"].append(f"{VICTIM4B}:80"),
            lambda f: f.web["listen"].remove(f"[{VICTIM6}]:80"))

    def test_offload_changes_under_load(self):
        self.changes_under_load(*(lambda f, o=o: f.web.update(offload=o)
                                  for o in ("xdp", "none", "xdp", "none")), offload=True)

    def test_pool_changes_under_load(self):
        self.lab.serve(echo, port=8081)
        self.changes_under_load(
            lambda f: f.app.update(servers=["127.0.0.1:8080", "127.0.0.1:8081"]),
            lambda f: f.app.update(servers=["127.0.0.1:8081"]),
            lambda f: f.app.update(retries=0, idle_timeout="1m"),
            lambda f: f.config.update(limits={"connections": 1000, "per_source": 500}),
            lambda f: f.config.update(log={"access": True, "format": "json"}),
            lambda f: (f.config["pools"].append({"name": "b", "servers": ["127.0.0.1:8080"]}),
                       f.web.update(upstreams="b")),
            lambda f: f.config.update(pools=[p for p in f.config["pools"] if p["name"] == "b"]))

    def test_rename_under_load(self):
        """A listener of another name takes the addresses over."""
        self.changes_under_load(*(lambda f, n=n: f.web.update(name=n) for n in "abc"))

    def test_rekey_under_load(self):
        """staged, then active, then the old one retired and gone: at no time does a key go that a
        handshake under way needs."""
        paths = [self.lab.new_key(name) for name in "ab"]
        old, new = [re.search("[0-9a-f]{64}", pathlib.Path(p).read_text("ascii")).group()
                    for p in paths]

        def keys(*lines):
            def change(f):
                with open(f.config["key_file"], "w", encoding="ascii") as file:
                    file.write("\n".join(lines) + "\n")
            return change

        self.changes_under_load(
            keys(f"active {old}", f"staged {new}"), keys(f"active {new}", f"retired {old}"),
            keys(f"active {new}"), key_file=paths[0])

    # ---- what changes ----

    def test_mac_live(self):
        """With another MAC a handshake under way is lost, but not a connection."""
        self.start()
        held = self.hold()
        for mac, other in (("hmac-sha256", "siphash-2-4"), ("siphash-2-4", "hmac-sha256")):
            self.file.web["mac"] = other
            self.reloads(f"listener web: mac {mac} -> {other}")
            for _ in range(5):
                self.talk(self.hold())
        self.talk(held)

    def test_transparent_live(self):
        """From a relay to the service itself and back."""
        self.lab.serve(named(b"direct"), VICTIM4, 80)
        self.lab.take_xdp_tx()
        self.start(named(b"relayed"))
        self.assertEqual(self.first_words(), b"relayed")
        held = self.lab.client.connect(VICTIM4, 80)
        self.addCleanup(held.close)
        self.assertEqual(held.recv(16), b"relayed")
        del self.file.web["upstreams"]
        self.file.web["transparent"] = True
        self.file.config["pools"] = []
        code, text = self.file.reload()
        self.assertEqual(code, OK, text)
        self.assertEqual(self.first_words(), b"direct")
        held.sendall(b"still there")
        self.file.config["pools"] = [{"name": "app", "servers": ["127.0.0.1:8080"]}]
        self.file.web["upstreams"] = "app"
        del self.file.web["transparent"]
        code, text = self.file.reload()
        self.assertEqual(code, OK, text)
        self.assertEqual(self.first_words(), b"relayed")
        held.sendall(b"still there")

    def test_add_and_remove_live(self):
        self.start(named(b"one"))
        self.lab.serve(named(b"two"), port=8081)
        self.file.config["listeners"].append(
            {"name": "api", "listen": [f"{VICTIM4}:81"], "upstreams": "two"})
        self.file.config["pools"].append({"name": "two", "servers": ["127.0.0.1:8081"]})
        self.reloads("listener api: added", "pool two: added")
        self.assertEqual(self.first_words(port=81), b"two")
        self.assertEqual(self.first_words(), b"one")
        held = self.lab.client.connect(VICTIM4, 81)
        self.addCleanup(held.close)
        self.assertEqual(held.recv(8), b"two")
        self.file.config["listeners"].pop()
        self.file.config["pools"].pop()
        self.reloads("listener api: removed", "pool two: removed")
        held.sendall(b"a connection of a removed pool lives on")
        self.assertTrue(wait_for(lambda: self.is_closed(81), 3))
        self.assertEqual(self.first_words(), b"one")
        held.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            held.recv(1)

    def is_closed(self, port):
        try:
            self.lab.client.connect(VICTIM4, port, timeout=0.3).close()
            return False
        except OSError:
            return True

    def test_upstreams_live(self):
        self.start(named(b"one"))
        self.lab.serve(named(b"two"), port=8081)
        self.file.app["servers"] = ["127.0.0.1:8081"]
        self.reloads('pool app: servers ["127.0.0.1:8080"] -> ["127.0.0.1:8081"]')
        self.assertEqual(self.first_words(), b"two")

    def test_settings_without_a_guard(self):
        """Limits, log level and drain timeout, with the words of each change."""
        synward = self.start(log={"level": "warn"})
        self.file.config["log"] = {"level": "debug"}
        self.file.config["drain_timeout"] = "1s"
        self.file.config["limits"] = {"connections": 1}
        self.file.config["flood"] = {"enter": 2000}
        self.reloads("limits.connections 0 -> 1", "drain_timeout 30s -> 1s",
                     "log.level warn -> debug", "flood.enter 1000 -> 2000")
        held = self.hold()
        with self.assertRaises(ConnectionError):
            self.talk(self.lab.client.connect(VICTIM4, 80))
        begin = time.monotonic()
        synward.send(signal.SIGTERM)
        self.assertEqual(synward.wait(5), 0)
        self.assertGreater(time.monotonic() - begin, 0.9)
        held.close()

    def test_drained_stays_drained(self):
        self.start()
        run = lambda *a: self.lab.victim.run(SYNWARD, *a, "-s", self.file.socket)
        run("drain", "web")
        self.assertTrue(self.is_closed(80))
        self.file.web["queue_depth"] = 1000
        self.reloads("listener web: queue_depth 4096 -> 1000")
        time.sleep(0.5)
        self.assertTrue(self.is_closed(80), "a reload opened a drained listener")
        run("undrain", "web")
        self.talk(self.hold())

    # ---- many times ----

    def test_a_thousand_reloads_leak_nothing(self):
        synward = self.start()
        held = self.hold()
        count = 100 if SLOW else 1000
        for n in range(0, 1000, 10):  # guards only, until the heap has found its size
            self.one_of_many(n)
        time.sleep(1)
        fds, rss = synward.fds(), synward.rss_kib()
        for n in range(count):
            self.one_of_many(n)
        self.assertTrue(wait_for(lambda: synward.fds() <= fds, 5), (fds, synward.fds()))
        self.note(f"{count} reloads: {fds} descriptors, RSS {rss} -> {synward.rss_kib()} KiB")
        if not SLOW:
            self.assertLess(synward.rss_kib() - rss, 1024)
        self.talk(held)
        self.talk(self.hold())

    def one_of_many(self, n):
        """Nine in ten change a pool, one makes another guard."""
        if n % 10 == 0:
            self.file.web["queue_depth"] = 1000 + n % 100
        self.file.app["connect_timeout"] = f"{1 + n % 7}s"
        code, text = self.file.reload()
        self.assertEqual(code, OK, text)


if __name__ == "__main__":
    main()
