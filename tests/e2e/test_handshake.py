# SPDX-License-Identifier: MIT
"""docs/handshake.md, done as a reader does it: every `sh` block of the page in one shell, in order,
what it prints compared with the `text` block behind it.

The rule of comparison is in the page ("The numbers"): numbers of five digits and more and
hexadecimal ones may be others, but what is the same number in the page is the same number here, and
what is one more there is one more here.  Times may be others.  All else is equal.

`test_handshake.py --update` writes what the commands print into the page.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from lab import BUILD, SOURCE

PAGE = os.path.join(SOURCE, "docs", "handshake.md")
END = "__end_of_block__"
BLOCK = re.compile(r"```sh\n(?P<sh>.*?)```\n(?:\n*```text\n(?P<text>.*?)```\n)?", re.S)
SECONDS = 90  # for one block

# Namespaces, processes and mounts of its own: nothing is left whatever a block does.
ISOLATE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
PREPARE = "mkdir -p /run/netns; mount -t tmpfs none /run/netns; mount -t tmpfs none /run/lock"


def blocks(page):
    """(commands, expected output, line number) of each block that is run."""
    for m in BLOCK.finditer(page):
        yield m["sh"], m["text"] or "", page.count("\n", 0, m.start()) + 2


class Shell:
    """One bash for the whole page."""

    def __init__(self, directory):
        env = {**os.environ, "PATH": f"{BUILD}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "HOME": directory, "SYNWARD": SOURCE, "TERM": "dumb"}
        self.bash = subprocess.Popen(
            [*ISOLATE, "bash", "--norc", "-c", PREPARE + "; exec bash --norc"], cwd=directory,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=env, errors="replace", start_new_session=True)

    def run(self, commands):
        """What the commands print on either stream."""
        timer = threading.Timer(SECONDS, self.end)
        timer.start()
        self.bash.stdin.write(commands + f"\necho {END}\n")
        self.bash.stdin.flush()
        lines = []
        for line in self.bash.stdout:
            if line.rstrip("\n").endswith(END):
                lines.append(line.replace(END, "").rstrip("\n"))
                timer.cancel()
                return "\n".join(l.rstrip() for l in lines).rstrip("\n")
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"no end after {SECONDS} s:\n{commands}\n" + "\n".join(lines))

    def end(self):
        if self.bash.poll() is None:
            os.killpg(self.bash.pid, signal.SIGKILL)

    def close(self):
        self.bash.stdin.close()
        try:
            self.bash.wait(10)
        except subprocess.TimeoutExpired:
            self.end()
            self.bash.wait()
        self.bash.stdout.close()


TOKEN = re.compile(r"""
    (?P<day>\d{4}-\d\d-\d\dT[\d:.]+Z)
  | (?P<ip>\d{1,3}(?:\.\d{1,3}){3})
  | (?P<time>\d+\.\d+(?:\ ?(?:s|ms|us))?\b|\d+\ ?(?:ms|us)\b)
  | (?P<hex>0x[0-9a-f]+|\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b)
  | (?P<number>\d+)
  | (?P<space>\s+)
  | (?P<word>[^\d\s]+)
""", re.X)
TURN = 1 << 32


class Likeness:
    """Remembers which number of the page stands for which number here."""

    def __init__(self):
        self.bound = {}

    def tokens(self, line):
        for m in TOKEN.finditer(line.strip()):
            kind, text = m.lastgroup, m.group()
            if kind == "hex":
                yield "bound", int(text, 16)
            elif kind == "number" and int(text) >= 10000:
                yield "bound", int(text)
            elif kind in ("day", "time"):
                yield kind, None
            elif kind == "space":
                yield kind, " "
            else:
                yield kind, text

    def number(self, page, here):
        """Is `here` what `page` stands for?"""
        if page not in self.bound:
            for near in (-1, 1):
                other = self.bound.get((page + near) % TURN)
                if other is not None:
                    return (here + near) % TURN == other
            self.bound[page] = here
        return self.bound[page] == here

    def line(self, page, here):
        a, b = list(self.tokens(page)), list(self.tokens(here))
        if len(a) != len(b):
            return False
        for (kind, x), (other, y) in zip(a, b):
            if kind != other or (kind == "bound" and not self.number(x, y)):
                return False
            if kind != "bound" and x != y:
                return False
        return True


class Handshake(unittest.TestCase):
    def test_the_page(self):
        with open(PAGE, encoding="utf-8") as f:
            page = f.read()
        likeness, ran = Likeness(), 0
        with tempfile.TemporaryDirectory(prefix="synward-handshake-") as directory:
            shell = Shell(directory)
            try:
                for commands, text, line in blocks(page):
                    with self.subTest(line=line):
                        self.block(shell, likeness, commands, text, line)
                    ran += 1
                left = shell.run("ip netns list; jobs -r; pgrep -af 'synward|hping3|tcpdump|python3'")
                self.assertEqual(left, "", "the page's last commands leave nothing")
            finally:
                shell.close()
        self.assertGreater(ran, 25)

    def block(self, shell, likeness, commands, text, line):
        here, want = shell.run(commands).splitlines(), text.splitlines()
        report = f"\ndocs/handshake.md:{line}\n{commands}\nshould print\n{text}\nprinted\n" + \
            "\n".join(here)
        self.assertEqual(len(here), len(want), report)
        for a, b in zip(want, here):
            self.assertTrue(likeness.line(a, b), f"{report}\n\n  page {a}\n  here {b}")

    def test_the_rule(self):
        """The rule sees what it should see."""
        for page, here, want in (
                ("seq 50000, ack 70000", "seq 90000, ack 10001", True),
                ("seq 50000, ack 50000", "seq 90000, ack 90000", True),
                ("seq 50000, ack 50000", "seq 90000, ack 90001", False),
                ("seq 50000, ack 50001", "seq 90000, ack 90001", True),
                ("seq 50000, ack 50001", "seq 90000, ack 90002", False),
                ("seq 4294967295, ack 0x0", "seq 12345, ack 0x303a", True),
                ("isn 0x0000c350 (50000)", "isn 0x00015f90 (90000)", True),
                ("isn 0x0000c350 (50000)", "isn 0x00015f90 (90001)", False),
                ("mss 1460", "mss 1460", True), ("mss 1460", "mss 1400", False),
                ("after 1.02 s", "after 0.9 s", True), ("192.0.2.1", "192.0.2.2", False),
                ("key 1a2b3c4d", "key 99aa77bb", True), ("open", "closed", False),
                ("a  b", "a b", True), ("a b", "a b c", False)):
            self.assertEqual(Likeness().line(page, here), want, (page, here))


def update():
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    with tempfile.TemporaryDirectory(prefix="synward-handshake-") as directory:
        shell = Shell(directory)

        def fill(m):
            out = shell.run(m["sh"])
            print(f"$ {m['sh']}{out}", flush=True)
            return f"```sh\n{m['sh']}```\n" + (f"\n```text\n{out}\n```\n" if out else "")

        page = BLOCK.sub(fill, page)
        shell.close()
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(page)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        unittest.main(verbosity=2)
