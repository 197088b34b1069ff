# SPDX-License-Identifier: MIT
"""What `ss -tin` shows at both ends equals what a plain kernel listener negotiates with the same
client: timestamps, SACK and window scaling each on and off, four MTUs, both families.  ECN apart:
a repaired socket cannot have it."""
import itertools

from case import LabCase, main
from frames import Wire
from lab import Lab, VICTIM4, VICTIM6, wait_for

SETTINGS = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling")


def echo(s, _events):
    while data := s.recv(4096):
        s.sendall(data)


def flow(s, _events):
    s.recv(2)
    s.sendall(bytes(100_000))


class Options(LabCase):
    def negotiated(self, net, addr, port):
        """Both ends' facts, once data went both ways."""
        with net.client.connect(addr, port) as s:
            s.sendall(b"hello")
            self.assertEqual(s.recv(5), b"hello")
            here, there = s.getsockname()[1], f"dport = :{s.getsockname()[1]}"
            client = net.client.ss(f"sport = :{here}")
            victim = wait_for(lambda: net.victim.ss(f"( sport = :{port} and {there} )"), 1)
            return {"client": client, "victim": victim}

    def compare(self, mtu, addrs, client_mtu=None):
        with Lab(mtu) as net:
            net.victim.sysctl("net.ipv4.tcp_ecn", 0)
            if client_mtu:
                net.client.run("ip", "link", "set", "eth0", "mtu", str(client_mtu))
            for addr in addrs:
                net.serve(echo, addr, 81)
            net.serve(echo)
            net.guard(listen=[f"[{a}]:80" if ":" in a else f"{a}:80" for a in addrs])
            for addr, values in itertools.product(addrs, itertools.product((1, 0), repeat=3)):
                for name, value in zip(SETTINGS, values):
                    net.client.sysctl("net.ipv4." + name, value)
                with self.subTest(mtu=mtu, addr=addr, **dict(zip(SETTINGS, values))):
                    kernel = self.negotiated(net, addr, 81)
                    self.assertIn("mss", kernel["victim"])
                    self.assertEqual("ts" in kernel["client"], bool(values[0]))
                    guarded = self.negotiated(net, addr, 80)
                    if guarded not in self.expect(kernel):
                        self.assertEqual(guarded, kernel)

    def expect(self, kernel):
        """What synward's end may show.  connect() under TCP_REPAIR sets room for timestamps aside
        when the host's own sysctl allows them, whatever the client said: mss then shows 12 bytes
        less, and the kernel adds them again for each segment (tcp_current_mss()).
        test_segments_without_timestamps looks at the segments themselves."""
        if "ts" in kernel["victim"]:
            return [kernel]
        less = str(int(kernel["victim"]["mss"]) - 12)
        return [kernel, {**kernel, "victim": {**kernel["victim"], "mss": less}}]

    def setUp(self):
        """Each test makes labs of its own."""

    def tearDown(self):
        pass

    def test_mtu_576(self):
        self.compare(576, (VICTIM4,))

    def test_mtu_1280(self):
        self.compare(1280, (VICTIM4, VICTIM6))

    def test_mtu_1500(self):
        self.compare(1500, (VICTIM4, VICTIM6))

    def test_mtu_9000(self):
        self.compare(9000, (VICTIM4, VICTIM6))

    def test_smaller_client(self):
        """A client with an ordinary MTU in front of a victim with jumbo frames."""
        self.compare(9000, (VICTIM4, VICTIM6), client_mtu=1500)

    def test_segments_without_timestamps(self):
        """The longest segment on the wire is a plain listener's."""
        with Lab() as net:
            net.client.sysctl("net.ipv4.tcp_timestamps", 0)
            net.victim.offload(tso=False, gso=False)
            for addr in (VICTIM4, VICTIM6):
                net.serve(flow, addr, 81)
            net.serve(flow)
            net.guard(listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"))
            for addr, longest in ((VICTIM4, 1460), (VICTIM6, 1440)):
                for port in (81, 80):
                    with self.subTest(addr=addr, port=port):
                        self.assertEqual(self.longest(net, addr, port), longest)

    @staticmethod
    def longest(net, addr, port):
        wire = Wire(net.client)
        with net.client.connect(addr, port) as s:
            s.sendall(b"go")
            while s.recv(65536):
                pass
        sizes = []
        while segment := wire.recv(lambda s: s.sport == port, 0.1):
            sizes.append(len(segment.payload))
        wire.close()
        return max(sizes)


if __name__ == "__main__":
    main()
