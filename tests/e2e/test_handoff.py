# SPDX-License-Identifier: MIT
"""Nothing is lost between proof and socket: data on the ACK and right behind it needs no
retransmission, which would take 200 ms or more.  Time alone does not tell: a busy machine takes
longer too.  Nor do retransmissions: reordered segments of large requests cause some at once."""
from case import SLOW, LabCase, main
from lab import VICTIM4, VICTIM6, endpoint

STALL_US = 50_000


class Handoff(LabCase):
    def run_load(self, addr, count, *more, port=80):
        before = self.retransmissions()
        result = self.lab.load(addr, port, "--count", count, *more)
        self.assertAll(result, count)
        result["retransmitted"] = self.retransmissions() - before
        return result

    def no_stall(self, result):
        if not SLOW:
            stalled = result["retransmitted"] and result["total_us"]["max"] >= STALL_US
            self.assertFalse(stalled, result)

    def retransmissions(self):
        return self.lab.client.nstat("Tcp.RetransSegs") + self.lab.victim.nstat("Tcp.RetransSegs")

    def in_front_of(self, reply, request=1, addrs=(VICTIM4,), more=()):
        sizes = ("--reply-bytes", str(reply), "--request-bytes", str(request))
        self.lab.bench_server("127.0.0.1", 8080, None, *sizes)
        for addr in addrs:
            self.lab.bench_server(addr, 81, None, *sizes)
        return self.lab.guard(*more, listen=[endpoint(a, 80) for a in addrs])

    def test_10000_in_a_row(self):
        synward = self.in_front_of(512, 5)
        ask = ("--request", "hello", "--expect-bytes", 512)
        guarded = self.run_load(VICTIM4, 10_000, *ask)
        self.assertEqual(guarded["retransmitted"], 0, guarded)
        self.assertEqual(synward.counters()["handed"], 10_000)
        kernel = self.run_load(VICTIM4, 2_000, *ask, port=81)
        guarded_again = self.run_load(VICTIM4, 2_000, *ask)
        self.note(f"connect p50 {guarded_again['connect_us']['p50']} us, a plain listener's "
                  f"{kernel['connect_us']['p50']} us; request and reply, longest of 10,000 "
                  f"{guarded['total_us']['max']} us")

    def test_ip6(self):
        self.in_front_of(512, 5, (VICTIM6,))
        self.no_stall(self.run_load(VICTIM6, 2_000, "--request", "hello", "--expect-bytes", 512))

    def test_data_on_the_ack(self):
        self.in_front_of(512, 5, (VICTIM4, VICTIM6))
        for addr in (VICTIM4, VICTIM6):
            self.no_stall(self.run_load(addr, 1_000, "--on-ack", "--request", "hello",
                                        "--expect-bytes", 512))

    def test_large_request_right_behind(self):
        """30 KB leave as one frame larger than the MTU where segmentation is offloaded."""
        self.in_front_of(512, 30_000, (VICTIM4, VICTIM6))
        ask = ("--request-bytes", 30_000, "--expect-bytes", 512)
        for offload in (True, False):
            for ns in (self.lab.client, self.lab.victim):
                ns.offload(tso=offload, gso=offload, tx=offload)
            for addr in (VICTIM4, VICTIM6):
                for more in ((), ("--on-ack",)):
                    with self.subTest(offload=offload, addr=addr, more=more):
                        self.no_stall(self.run_load(addr, 500, *ask, *more))

    def test_many_at_once(self):
        self.in_front_of(512, 5)
        result = self.run_load(VICTIM4, 5_000, "--concurrency", 100, "--request", "hello",
                               "--expect-bytes", 512)
        self.note(f"{5000 / result['seconds']:,.0f} connections/s")

    def test_without_timestamps(self):
        """The narrow form of the cookie."""
        self.lab.client.sysctl("net.ipv4.tcp_timestamps", 0)
        self.in_front_of(512, 5)
        self.no_stall(self.run_load(VICTIM4, 1_000, "--request", "hello", "--expect-bytes", 512))


if __name__ == "__main__":
    main()
