# SPDX-License-Identifier: MIT
"""The access log: a line for each connection, and the lines add up with what clients counted."""
import json
import os
import re
import threading

from case import main, read
from lab import CLIENT4, CLIENT6, VICTIM4, VICTIM6, endpoint, wait_for
from pooled import PooledCase

LISTEN = (f"{VICTIM4}:80", f"[{VICTIM6}]:80")
SERVER = "127.0.0.1:8080"
NAMES = ["client", "listener", "local", "server", "start", "connect_ms", "total_ms", "to_server",
         "to_client", "cause", "attempts", "id"]


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class AccessLog(PooledCase):
    def lines(self, count, form="text"):
        """So many records, waited for: as dictionaries."""
        marks = {"text": r"^synward: access (.*)", "logfmt": r"^ts=\S+ level=info msg=access (.*)",
                 "json": r"^(\{.*\"msg\":\"access\".*\})$"}

        def found():
            got = re.findall(marks[form], self.synward.log(), re.M)
            return got if len(got) >= count else None

        got = wait_for(found, 10, 0.05)
        self.assertTrue(got, f"not {count} lines:\n{self.synward.log()[-3000:]}")
        self.assertEqual(len(got), count)
        if form == "json":
            return [json.loads(line) for line in got]
        return [dict(word.split("=", 1) for word in line.split(" ")) for line in got]

    def hello(self, addr=VICTIM4):
        with self.lab.client.connect(addr, 80) as s:
            s.sendall(b"hello")
            self.assertEqual(read(s, 5), b"hello")
            return s.getsockname()

    def test_fields(self):
        self.lab.serve(echo)
        self.guard(SERVER, listen=LISTEN, log="access: true")
        for addr, client in ((VICTIM4, CLIENT4), (VICTIM6, CLIENT6)):
            port = self.hello(addr)[1]
            line = self.lines(1 if addr == VICTIM4 else 2)[-1]
            self.assertEqual(list(line), NAMES)
            self.assertEqual(line["client"], endpoint(client, port))
            self.assertEqual(line["local"], endpoint(addr, 80))
            self.assertEqual((line["listener"], line["server"]), ("web", f"app/{SERVER}"))
            self.assertEqual((line["to_server"], line["to_client"]), ("5", "5"))
            self.assertEqual((line["cause"], line["attempts"]), ("client_fin", "1"))
            self.assertLessEqual(float(line["connect_ms"]), float(line["total_ms"]))
            self.assertRegex(line["start"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertRegex(line["id"], "^[0-9a-f]{16}$")

    def adds_up(self, form):
        count, size = 2000, 3000
        self.lab.bench_server("127.0.0.1", 8080, None, "--request-bytes", "4", "--reply-bytes",
                              str(size))
        self.guard(SERVER, log=f"access: true, format: {form}")
        result = self.lab.load(VICTIM4, 80, "--count", count, "--concurrency", 50, "--request",
                               "four", "--expect-bytes", size)
        self.assertAll(result, count)
        lines = self.lines(count, form)
        self.assertEqual(sum(int(line["to_server"]) for line in lines), 4 * count)
        self.assertEqual(sum(int(line["to_client"]) for line in lines), size * count)
        self.assertEqual(len({line["id"] for line in lines}), count)
        self.assertEqual({line["attempts"] for line in lines}, {1 if form == "json" else "1"})
        self.synward.send(15)
        self.assertEqual(self.synward.wait(5), 0)
        counters = dict(re.findall(r"counter (\S+) (\d+)", self.synward.log()))
        self.assertEqual(int(counters["relay_accepted"]), count)

    def test_text_adds_up(self):
        self.adds_up("text")

    def test_logfmt_adds_up(self):
        self.adds_up("logfmt")

    def test_json_adds_up(self):
        self.adds_up("json")

    def test_what_failed_is_there_too(self):
        self.guard(SERVER, "127.0.0.1:8081", log="access: true", limits="per_source: 1")
        with self.assertRaises(ConnectionResetError), self.lab.client.connect(VICTIM4, 80) as s:
            s.recv(1)
        line = self.lines(1)[0]
        self.assertEqual((line["cause"], line["attempts"], line["connect_ms"]),
                         ("connect_failed", "2", "-"))
        self.lab.serve(echo)
        with self.lab.client.connect(VICTIM4, 80) as held:
            held.sendall(b"x")
            self.assertEqual(read(held, 1), b"x")
            with self.assertRaises(ConnectionResetError), \
                 self.lab.client.connect(VICTIM4, 80) as s:
                s.recv(1)
            line = self.lines(2)[-1]
            self.assertEqual((line["cause"], line["attempts"], line["server"]),
                             ("source_limit", "0", "-"))

    def hello_and_gone(self):
        self.hello()
        self.assertTrue(wait_for(lambda: self.synward.counters()["relay_active"] == 0, 5))

    def test_off_by_default_and_switched_by_a_reload(self):
        self.lab.serve(echo)
        self.guard(SERVER)
        self.hello_and_gone()
        self.reload(SERVER, log="access: true")
        self.hello_and_gone()
        self.lines(1)
        self.reload(SERVER, log="access: true, format: json")
        self.hello()
        self.lines(1, "json")
        self.reload(SERVER)
        self.hello_and_gone()
        self.hello_and_gone()
        self.lines(1)

    def test_a_stuck_reader_holds_nobody_up(self):
        """Nobody reads the log: connections go on, lines are lost, and the log says how many."""
        count = 9000
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.lab.bench_server()
        self.guard(SERVER, log="access: true", extra=lambda: os.dup2(writer, 2), ready=False)
        os.close(writer)
        said = b""
        while b"synward: ready" not in said:
            more = os.read(reader, 65536)
            self.assertTrue(more, said)
            said += more
        result = self.lab.load(VICTIM4, 80, "--count", count, "--concurrency", 50, "--request", "x",
                               "--expect-bytes", 64)
        self.assertAll(result, count)
        self.synward.send(15)
        rest = []
        drain = threading.Thread(target=lambda: rest.extend(iter(lambda: os.read(reader, 65536),
                                                                  b"")))
        drain.start()
        drain.join(10)
        self.assertEqual(self.synward.wait(5), 0)
        text = (said + b"".join(rest)).decode()
        lost = [int(n) for n in re.findall(r"^synward: access lines_lost=(\d+)$", text, re.M)]
        kept = len(re.findall(r"^synward: access client=.* id=[0-9a-f]{16}$", text, re.M))
        self.note(f"{kept} lines kept, {sum(lost)} lost")
        self.assertTrue(lost)
        self.assertEqual(kept + sum(lost), count)


if __name__ == "__main__":
    main()
