# SPDX-License-Identifier: MIT
"""In a flood the BPF answerer spares the socket lookup for flows that are not known
(docs/architecture.md, "Known flows"): connections must be known all the same."""
import os
import time

import xdp
from case import LabCase, main
from frames import ACK, RST, SYN, RawClient
from lab import BUILD, GHOST4, GHOST6, VICTIM4, VICTIM6, wait_for

RATE, SECONDS = 250_000, 9
LOOK_RATE = 50_000  # src/bpf/answer.bpf.c
TRIES = 20          # two cores: a veth loses frames in a flood


def hold(s, _events):
    s.recv(1)  # until the test is over


class Known(LabCase):
    def setUp(self):
        super().setUp()
        xdp.open_peer(self.lab)
        self.net = self.wire()
        for addr in (VICTIM4, VICTIM6):
            self.lab.serve(hold, addr, 80)

    def connected(self, addr):
        client = RawClient(self.net, addr, src=GHOST6 if ":" in addr else GHOST4)
        self.assertTrue(client.syn(), "answered")
        client.send()
        return client

    def flood(self, synward):
        """A flood that takes more than the budget of lookups."""
        gen = self.lab.router.spawn(
            "gen", os.path.join(BUILD, "bench", "bench_gen"), "--interface", "v0", "--kind",
            "syn-linux", "--engine", "xdp", "--rate", str(RATE), "--seconds", str(SECONDS))
        before = synward.counters()["xdp_answered"]
        time.sleep(2)
        answered = synward.counters()["xdp_answered"] - before
        self.assertGreater(answered, 2.5 * LOOK_RATE, gen.log())
        return gen

    def new_syn(self, old):
        """What answers a SYN of the connection's own addresses and ports."""
        again = RawClient(self.net, old.dst, old.dport, src=old.src, sport=old.sport)
        for _ in range(TRIES):
            self.net.send(again.frame(SYN, again.isn, options=again.options))
            answer = again.recv(0.15, lambda s: s.flags & (SYN | ACK | RST))
            if answer:
                return answer
        return None

    def test_connections_are_known(self):
        """The kernel answers such a SYN with the numbers of the connection it has (RFC 9293
        3.10.7.4): for those from before the guard, and for those that it proved."""
        before = [self.connected(a) for a in (VICTIM4, VICTIM6)]
        synward = self.lab.guard("--transparent", "--mac", "siphash-2-4", upstream=(),
                                 listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"))
        proven = [self.connected(a) for a in (VICTIM4, VICTIM6)]
        self.assertTrue(wait_for(lambda: synward.counters()["handed"] == 2, 5), synward.log())
        time.sleep(1.2)  # the sockets are noted with the next tick
        gen = self.flood(synward)
        for client in before + proven:
            answer = self.new_syn(client)
            self.assertIsNotNone(answer, "no answer at all")
            self.assertEqual((answer.flags & (SYN | ACK | RST), answer.ack), (ACK, client.seq),
                             f"{client.dst}: {answer}")
        self.assertTrue(gen.alive(), "the flood lasted")
        self.assertEqual(self.new_syn(RawClient(self.net)).flags & (SYN | ACK), SYN | ACK)
        gen.stop()

    def test_a_connection_that_is_over(self):
        """Its segments pass XDP unread, but few get as far as the listener's resets."""
        synward = self.lab.guard("--transparent", "--mac", "siphash-2-4", "--refuse-rate", "5",
                                 upstream=(), listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"))
        for addr in (VICTIM4, VICTIM6):
            old = self.connected(addr)
            old.send(flags=RST)
            time.sleep(2.2)  # longer than a proven flow is remembered for its late segments
            before = synward.counters()["reason_cookie_forged"]
            for _ in range(300):
                self.net.send(old.frame(ACK, old.isn + 9, 12345))
            self.assertTrue(wait_for(lambda: synward.counters()["reason_cookie_forged"] - before
                                     == 300, 3), synward.counters())
            resets = 0
            while old.recv(0.2, lambda s: s.flags & RST):
                resets += 1
            self.assertTrue(1 <= resets <= 15, f"{addr}: {resets} resets")

    def test_a_listener_that_goes(self):
        """Nobody listens any more: the kernel refuses, in a flood too."""
        service = self.lab.serve(hold, VICTIM4, 8080, ns=self.lab.victim)
        synward = self.lab.guard("--transparent", "--mac", "siphash-2-4", upstream=(),
                                 listen=(f"{VICTIM4}:80", f"{VICTIM4}:8080"))
        gen = self.flood(synward)
        service.close_listener()
        time.sleep(0.05)
        answer = self.new_syn(RawClient(self.net, dport=8080, sport=4000))
        self.assertIsNotNone(answer)
        self.assertTrue(answer.flags & RST, answer)
        self.assertTrue(gen.alive(), "the flood lasted")
        gen.stop()


if __name__ == "__main__":
    main()
