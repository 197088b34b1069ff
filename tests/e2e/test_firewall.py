# SPDX-License-Identifier: MIT
"""The host's own firewall keeps its say: synward sees packets before it does."""
from case import LabCase, main, read
from lab import CLIENT4, VICTIM4


class Firewall(LabCase):
    def setUp(self):
        super().setUp()
        self.seen = []

        def banner(s, _events):
            self.seen.append(1)
            s.sendall(b"220 ready\r\n")
            s.recv(1)

        self.lab.serve(banner)
        self.synward = self.lab.guard()

    def rules(self, text):
        self.lab.victim.run("nft", "-f", "-", text=f"""
            table inet lab {{
                chain in {{
                    type filter hook input priority 0; policy accept;
                    {text}
                }}
            }}""")

    def test_a_banned_client_gets_nothing(self):
        self.rules(f"ip saddr {CLIENT4} tcp dport 80 drop")
        for _ in range(5):
            # The handshake completes, as with any SYN proxy; nothing comes after it.
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.settimeout(0.5)
                with self.assertRaises((TimeoutError, ConnectionResetError)):
                    s.recv(1)
        self.assertEqual(self.seen, [], "the service was reached")
        counters = self.synward.counters()
        self.assertEqual(counters["reason_filtered"], 5)
        self.assertNotIn("relay_accepted", counters)

    def test_others_are_served(self):
        self.rules("ip saddr 203.0.113.0/24 drop")
        for _ in range(20):
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.settimeout(2)
                self.assertEqual(read(s, 11), b"220 ready\r\n")
        self.assertNotIn("reason_filtered", self.synward.counters())


if __name__ == "__main__":
    main()
