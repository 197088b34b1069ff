# SPDX-License-Identifier: MIT
"""The ways a connection ends look through synward as they do without it.

Each scenario runs twice with the same server code: on the guarded address itself (direct TCP), and
behind synward.  What the client saw and what the server saw must be equal.
"""
import signal
import socket
import struct
import time

import lab as lab_module
from case import LabCase, main, read
from frames import RawClient
from lab import VICTIM4, endpoint, wait_for

DIRECT, GUARDED = 81, 80


def read_all(s, seen):
    """Note what comes until the stream ends, one way or another."""
    total = 0
    try:
        while data := s.recv(65536):
            total += len(data)
        seen += [total, "end"]
    except ConnectionResetError:
        seen += ["reset"]  # how much came before depends on timing, also without synward
    except TimeoutError:
        seen += [total, "nothing more"]


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


class Closes(LabCase):
    def both(self, handler, client, servers=1):
        """Run client(socket, seen) against handler directly and behind synward; compare."""
        direct = self.lab.serve(handler, VICTIM4, DIRECT)
        behind = self.lab.serve(handler)
        self.synward = self.lab.guard()
        fds = self.synward.fds()
        seen = {}
        for port, server in ((DIRECT, direct), (GUARDED, behind)):
            mine = []
            try:
                with self.lab.client.connect(VICTIM4, port, timeout=3) as s:
                    client(s, mine)
            except ConnectionError as e:
                mine.append(type(e).__name__)
            wait_for(lambda server=server: "over" in server.events, 3)
            seen[port] = {"client": mine, "server": list(server.events)}
        self.assertEqual(seen[GUARDED], seen[DIRECT])
        self.assertTrue(wait_for(lambda: self.synward.fds() <= fds, 3), "descriptors are left")
        return seen[DIRECT]

    # ---- half-close ----

    def test_client_half_closes(self):
        def server(s, events):
            read_all(s, events)
            s.sendall(bytes(200_000))  # after the client's FIN
            events.append("over")

        def client(s, seen):
            s.sendall(bytes(100_000))
            s.shutdown(socket.SHUT_WR)
            read_all(s, seen)

        seen = self.both(server, client)
        self.assertEqual(seen, {"client": [200_000, "end"], "server": [100_000, "end", "over"]})

    def test_server_half_closes(self):
        def server(s, events):
            s.recv(1)
            s.sendall(bytes(200_000))
            s.shutdown(socket.SHUT_WR)
            read_all(s, events)
            events.append("over")

        def client(s, seen):
            s.sendall(b"x")
            read_all(s, seen)
            s.sendall(bytes(100_000))  # after the server's FIN

        seen = self.both(server, client)
        self.assertEqual(seen, {"client": [200_000, "end"], "server": [100_000, "end", "over"]})

    def test_client_says_nothing_and_leaves(self):
        def server(s, events):
            read_all(s, events)
            events.append("over")

        seen = self.both(server, lambda s, seen: None)
        self.assertEqual(seen["server"], [0, "end", "over"])

    # ---- reset ----

    def test_client_resets(self):
        def server(s, events):
            s.sendall(b"hello")
            read_all(s, events)
            events.append("over")

        def client(s, seen):
            seen.append(s.recv(5))
            reset(s)

        seen = self.both(server, client)
        self.assertEqual(seen["server"], ["reset", "over"])

    def test_client_resets_with_data_unread(self):
        def server(s, events):
            try:
                while True:
                    s.sendall(bytes(65536))
            except (ConnectionResetError, BrokenPipeError):
                events.append("reset")
            events.append("over")

        def client(s, seen):
            seen.append(len(s.recv(1)))
            time.sleep(0.2)  # let it fill

        self.assertEqual(self.both(server, client)["server"], ["reset", "over"])

    def test_server_resets(self):
        def server(s, events):
            s.recv(5)
            reset(s)
            events.append("over")

        def client(s, seen):
            s.sendall(b"hello")
            read_all(s, seen)

        self.assertEqual(self.both(server, client)["client"], ["reset"])

    def test_server_resets_in_the_middle(self):
        def server(s, events):
            s.recv(5)
            s.sendall(bytes(100_000))
            time.sleep(0.3)
            reset(s)
            events.append("over")

        def client(s, seen):
            s.sendall(b"hello")
            read_all(s, seen)

        self.assertEqual(self.both(server, client)["client"], ["reset"])

    # ---- a side that is gone ----

    def test_client_vanishes(self):
        """It acknowledges nothing any more.  The server notices as little as it would without
        synward, and when it closes nothing is left of the connection."""
        def server(s, events):
            events.append(s.recv(100))
            s.sendall(b"reply")
            time.sleep(0.5)
            s.sendall(b"into the void")
            events.append("sent")

        self.lab.serve(server, VICTIM4, DIRECT)
        self.lab.serve(server)
        synward = self.lab.guard("--idle-timeout", "2s")
        fds = synward.fds()
        wire = self.wire()
        for port in (DIRECT, GUARDED):
            c = RawClient(wire, dport=port)
            self.assertTrue(c.open())
            c.send(b"request")
            self.assertEqual(c.read(5), b"reply")
        time.sleep(0.7)
        self.assertEqual(*(s.events for s in self.lab.servers))
        self.assertEqual(self.lab.servers[0].events, [b"request", "sent"])
        self.assertTrue(wait_for(lambda: synward.fds() <= fds, 8), "the connection stays")

    def test_client_vanishes_behind_the_handshake(self):
        """An ACK, and silence: the idle timeout ends it."""
        self.lab.serve(lambda s, events: read_all(s, events))
        synward = self.lab.guard("--idle-timeout", "1s")
        fds = synward.fds()
        self.assertTrue(RawClient(self.wire()).open())
        self.assertTrue(wait_for(lambda: synward.counters()["relay_accepted"] == 1, 2))
        self.assertTrue(wait_for(lambda: synward.fds() <= fds, 5), "the connection stays")
        self.assertEqual(synward.counters()["relay_ended_idle"], 1)

    def test_upstream_is_down(self):
        """Direct TCP is refused by a reset; here the handshake is over, the reset follows it."""
        synward = self.lab.guard()
        fds, begin = synward.fds(), time.monotonic()
        with self.assertRaises(ConnectionResetError), \
                self.lab.client.connect(VICTIM4, GUARDED) as s:
            s.recv(1)
        self.assertLess(time.monotonic() - begin, 1)
        self.assertTrue(wait_for(lambda: synward.fds() <= fds, 3))
        self.assertEqual(synward.counters()["relay_ended_connect_failed"], 1)

    def test_upstream_dies_in_the_middle(self):
        """A real process is killed while it has bytes unread, so that its kernel resets."""
        program = ("import socket,sys,time\n"
                   "l=socket.create_server((sys.argv[1],int(sys.argv[2])))\n"
                   "while True:\n"
                   " s,_=l.accept();s.recv(5);s.sendall(bytes(100000));time.sleep(60)\n")
        seen = {}
        synward = self.lab.guard()
        for port, (addr, real) in ((DIRECT, (VICTIM4, DIRECT)), (GUARDED, ("127.0.0.1", 8080))):
            p = self.lab.victim.spawn("upstream", "/usr/bin/python3", "-c", program, addr,
                                      str(real))
            wait_for(lambda a=addr, r=real: self.lab._listens(endpoint(a, r)), 5)
            with self.lab.client.connect(VICTIM4, port, timeout=3) as s:
                s.sendall(b"hello")
                self.assertEqual(len(read(s, 100_000)), 100_000)
                s.sendall(b"never read")
                time.sleep(0.2)
                p.stop(signal.SIGKILL)
                seen[port] = []
                read_all(s, seen[port])
        self.assertEqual(seen[GUARDED], seen[DIRECT])
        self.assertEqual(seen[DIRECT], ["reset"])
        self.assertTrue(synward.alive())

    # ---- the port afterwards ----

    def test_port_reused_after_the_server_closed_first(self):
        """The server's end is in TIME_WAIT; a new SYN from the same port starts anew at once."""
        def server(s, events):
            s.recv(5)
            s.sendall(b"bye")
            s.shutdown(socket.SHUT_WR)  # first
            read_all(s, events)

        self.lab.serve(server, VICTIM4, DIRECT)
        self.lab.serve(server)
        self.lab.guard()
        took = {}
        for port in (DIRECT, GUARDED):
            for attempt in range(3):
                begin = time.monotonic()
                with self.lab.client.connect(VICTIM4, port, source=("", 7777)) as s:
                    took[port, attempt] = time.monotonic() - begin
                    s.sendall(b"hello")
                    self.assertEqual(s.recv(3), b"bye")
                    self.assertEqual(s.recv(3), b"")
                time.sleep(0.1)
        self.assertTrue(all(t < 0.5 for t in took.values()), took)

    def test_slow_reader_slows_the_sender(self):
        """Back-pressure: what waits in synward is bounded."""
        sent = []

        def server(s, events):
            s.settimeout(1)
            try:
                while True:
                    sent.append(s.send(bytes(65536)))
            except TimeoutError:
                events.append("blocked")

        self.lab.serve(server)
        synward = self.lab.guard()
        rss = synward.rss_kib()
        sockets = [self.lab.client.connect(VICTIM4, GUARDED) for _ in range(20)]
        self.assertTrue(wait_for(lambda: self.lab.servers[0].events == ["blocked"] * 20, 20))
        self.assertLess(sum(sent), 20 * 32 << 20)
        self.note(f"20 readers that do not read: {sum(sent) >> 20} MiB sent, RSS grew by "
                  f"{synward.rss_kib() - rss} KiB")
        if not lab_module.is_sanitized():
            self.assertLess(synward.rss_kib() - rss, 20 * 192)
        for s in sockets:
            s.close()


if __name__ == "__main__":
    main()
