# SPDX-License-Identifier: MIT
"""A pool of servers: turns, retries, and another configuration while connections live."""
import collections
import threading

from case import main, read
from lab import VICTIM4, endpoint, wait_for
from pooled import CHECKED, PooledCase

HERE = "127.0.0.1"
THREE = tuple(endpoint(HERE, port) for port in (8080, 8081, 8082))


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Pools(PooledCase):
    def name_server(self, name, port):
        return self.lab.serve(lambda s, _: s.sendall(name), HERE, port)

    def ask(self):
        with self.lab.client.connect(VICTIM4, 80, timeout=10) as s:
            return s.recv(10)

    def asked(self, times):
        return collections.Counter(self.ask() for _ in range(times))

    def loaded(self, count, *more):
        return self.lab.load(VICTIM4, 80, "--count", count, "--concurrency", 20, "--request", "x",
                             "--expect-bytes", 64, "--timeout", 10000, *more)

    # ---- which server ----

    def test_one_that_is_down_leaves_its_share_to_all_others(self):
        self.name_server(b"a", 8080)
        self.name_server(b"c", 8082)
        self.guard(*THREE, pool=f"health: {CHECKED}")
        self.says(r"upstream app/127\.0\.0\.1:8081 is down: 3 checks failed, the last by "
                  r"'Connection refused'; up: 2 of 3")
        before = self.synward.counters()["relay_connect_refused"]
        self.assertEqual(self.asked(20), {b"a": 10, b"c": 10})
        self.assertEqual(self.synward.counters()["relay_connect_refused"], before)

    def test_a_server_dies_and_comes_back_under_load(self):
        """Its own connections die with it; everyone else is served, at each moment."""
        self.lab.bench_server(HERE, 8080)
        dying = self.lab.bench_server(HERE, 8081)
        self.guard(*THREE[:2], pool=f"health: {CHECKED}")
        self.assertAll(self.loaded(200), 200)
        dying.stop(9)
        self.assertAll(self.loaded(200), 200)  # by retries, until the checks notice
        self.says("8081 is down")
        refused = self.synward.counters()["relay_connect_refused"]
        self.assertAll(self.loaded(200), 200)
        self.assertEqual(self.synward.counters()["relay_connect_refused"], refused)
        back = self.lab.bench_server(HERE, 8081)
        self.says("8081 is up again")
        self.assertAll(self.loaded(200), 200)
        self.assertEqual(len(self.synward.log().split("is down")), 2, "said more than once")
        back.stop(9)

    def test_all_down_are_tried_all_the_same(self):
        self.guard(THREE[0], pool="health: { interval: 60s, timeout: 500ms, rise: 9, fall: 1 }")
        self.says("is down: 1 check failed.*so all are tried")
        self.name_server(b"a", 8080)
        self.assertEqual(self.asked(5), {b"a": 5})

    def test_without_checks_a_failed_server_rests(self):
        """One connection a second finds out whether it is back; the others do not wait for it."""
        self.name_server(b"b", 8081)
        self.guard(*THREE[:2])
        self.assertEqual(self.asked(30), {b"b": 30})
        self.assertLess(self.synward.counters()["relay_connect_refused"], 10)
        self.name_server(b"a", 8080)
        self.assertTrue(wait_for(lambda: self.ask() == b"a", 5, 0.05))
        self.says("8080 is up again")
        self.assertEqual(self.asked(30), {b"a": 15, b"b": 15})

    # ---- retries ----

    def outcome(self):
        try:
            return self.ask()
        except ConnectionResetError:
            return "reset"

    def test_no_retries(self):
        self.name_server(b"b", 8081)
        self.guard(*THREE[:2], pool="retries: 0")
        self.assertEqual(self.outcome(), "reset")
        self.assertEqual(self.outcome(), b"b")
        self.assertEqual(self.synward.counters()["relay_connect_refused"], 1)

    def test_one_retry(self):
        self.guard(*THREE, pool="retries: 1")
        self.assertEqual(self.outcome(), "reset")
        counters = self.synward.counters()
        self.assertEqual(counters["relay_connect_refused"], 2)
        self.assertEqual(counters["relay_ended_connect_failed"], 1)

    # ---- another configuration ----

    def test_servers_come_and_go_under_load(self):
        for port in (8080, 8081, 8082):
            self.lab.bench_server(HERE, port)
        self.lab.serve(echo, HERE, 8083)
        held_by = endpoint(HERE, 8083)
        self.guard(held_by)
        held = [self.lab.client.connect(VICTIM4, 80) for _ in range(5)]
        for s in held:
            self.addCleanup(s.close)
            s.sendall(b"one")
            self.assertEqual(read(s, 3), b"one")
        results = []
        self.assertIn("pool app", self.reload(*THREE))
        worker = threading.Thread(target=lambda: results.append(self.loaded(3000)))
        worker.start()
        rounds = 0
        while worker.is_alive():
            rounds += 1
            self.reload(*(THREE[rounds % 3:] or THREE[:1]),
                        pool=f"idle_timeout: {rounds % 5 + 50}s\nconnect_timeout: 4s\n"
                             f"health: {CHECKED if rounds % 2 else '{ interval: 0 }'}")
        worker.join()
        self.note(f"{rounds} reloads meanwhile")
        self.assertAll(results[0], 3000)
        self.assertGreater(rounds, 2)
        for s in held:
            s.sendall(b"two")
            self.assertEqual(read(s, 3), b"two")
        self.assertEqual(self.synward.counters()["relay_active"], len(held))

    def test_a_wrong_configuration_changes_nothing(self):
        self.name_server(b"a", 8080)
        self.guard(THREE[0])
        said = self.reload(THREE[1], pool="health: { interval: 1s, fall: 0 }")
        self.assertIn("nothing was changed", said)
        self.assertEqual(self.ask(), b"a")
        said = self.reload(THREE[1], THREE[1])
        self.assertIn("nothing was changed", said)
        self.assertEqual(self.ask(), b"a")

    def test_live_connections_keep_their_idle_timeout(self):
        self.lab.serve(echo, HERE, 8080)
        self.guard(THREE[0])
        with self.lab.client.connect(VICTIM4, 80) as old:
            old.sendall(b"a")
            self.assertEqual(read(old, 1), b"a")
            self.reload(THREE[0], pool="idle_timeout: 300ms")
            with self.lab.client.connect(VICTIM4, 80) as new:
                new.settimeout(5)
                with self.assertRaises(ConnectionResetError):
                    new.recv(1)
            old.sendall(b"b")
            self.assertEqual(read(old, 1), b"b")


if __name__ == "__main__":
    main()
