# SPDX-License-Identifier: MIT
"""The verbs of `synward secret`: what they write, what they refuse, what they never show."""
import fcntl
import hashlib
import hmac
import os
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

from lab import SYNWARD

OK, FAILED, USAGE, CONFIG = 0, 1, 2, 78


def fingerprint(key):
    """As docs/run.md defines it."""
    return hmac.new(bytes.fromhex(key), b"synward fingerprint v1", hashlib.sha256).hexdigest()[:8]


class SecretCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="synward-secret-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.key = os.path.join(self.dir, "key")

    def secret(self, *args, code=OK, text=None):
        """Run a verb.  Its output, both streams together, never holds a key."""
        p = subprocess.run([SYNWARD, "secret", *args], input=text, capture_output=True, text=True,
                           timeout=20, check=False)
        self.assertEqual(p.returncode, code, (args, p.stdout, p.stderr))
        if args[0] != "new" and "--show-keys" not in args:
            self.assertIsNone(re.search("[0-9a-f]{16}", p.stdout + p.stderr), p.stdout + p.stderr)
        self.assertEqual(bool(p.stderr), code != OK, p.stderr)
        return p.stdout + p.stderr

    def new(self, path=None):
        self.secret("new", "-k", path or self.key)

    def slots(self, path=None):
        """{slot: key}, read by rules of our own."""
        with open(path or self.key, encoding="ascii") as f:
            lines = [line.split("#")[0].split() for line in f]
        return {words[0]: words[1] for words in lines if words}

    def alone(self):
        """Nothing but the key file is in the directory."""
        self.assertEqual(os.listdir(self.dir), ["key"])


class Verbs(SecretCase):
    def test_new(self):
        self.assertRegex(self.secret("new", "-k", self.key), r": made, active [0-9a-f]{8}\n$")
        st = os.stat(self.key)
        self.assertEqual(stat.S_IMODE(st.st_mode), 0o600)
        key = self.slots()["active"]
        self.assertRegex(key, "^[0-9a-f]{64}$")
        self.assertEqual(self.secret("list", "-k", self.key), f"active  {fingerprint(key)}\n")
        out = self.secret("new", "-k", self.key, code=FAILED)
        self.assertIn("there is one already; another key comes in with: synward secret stage", out)
        self.assertEqual(self.slots(), {"active": key})

    def test_new_to_stdout(self):
        out = self.secret("new")
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(out)
        self.secret("fingerprint", self.key)
        self.assertNotEqual(self.secret("new"), out)

    def test_rotation(self):
        self.new()
        first = self.slots()["active"]
        out = self.secret("stage", "-k", self.key)
        self.assertIn("a running synward takes it with: synward reload", out)
        second = self.slots()["staged"]
        self.assertNotEqual(first, second)
        self.assertIn(f"staged {fingerprint(second)}", out)
        self.secret("activate", self.key)
        self.assertEqual(self.slots(), {"active": second, "retired": first})
        self.secret("stage", self.key)
        third = self.slots()["staged"]
        out = self.secret("activate", self.key, code=FAILED)
        self.assertIn("the place of the retired key is taken", out)
        self.secret("drop", "-k", self.key)
        self.assertEqual(self.slots(), {"active": second, "staged": third})
        self.secret("drop", "staged", self.key)
        self.assertEqual(self.slots(), {"active": second})
        self.alone()

    def test_list(self):
        self.new()
        self.secret("stage", self.key)
        slots = self.slots()
        for verb in ("list", "fingerprint"):
            self.assertEqual(self.secret(verb, self.key), "".join(
                f"{slot:7} {fingerprint(slots[slot])}\n" for slot in ("active", "staged")))
        out = self.secret("list", "--show-keys", self.key)
        self.assertEqual({line.split()[0]: line.split()[1] for line in out.splitlines()}, slots)

    def test_fleet(self):
        """A key that one host stages goes to another by stdin, and by a file."""
        self.new()
        hosts = [os.path.join(self.dir, n) for n in ("b", "c")]
        for path in hosts:
            shutil.copy2(self.key, path)
        self.secret("stage", self.key)
        shown = self.secret("list", "--show-keys", self.key)
        self.secret("stage", "--from", "-", "-k", hosts[0], text=shown)
        self.secret("stage", "--from", self.key, "-k", hosts[1])
        for path in hosts:
            self.assertEqual(self.slots(path), self.slots())
        out = self.secret("stage", "--from", self.key, hosts[0], code=FAILED)
        self.assertIn("is there already, as staged", out)
        fresh = os.path.join(self.dir, "fresh")
        self.new(fresh)
        self.secret("drop", "staged", hosts[0])
        self.secret("stage", "--from", fresh, hosts[0])
        self.assertEqual(self.slots(hosts[0])["staged"], self.slots(fresh)["active"])

    def test_what_makes_no_sense(self):
        self.new()
        before = self.slots()
        for args, said in ((("activate",), "no key is staged; begin with: synward secret stage"),
                           (("drop",), "there is no retired key"),
                           (("drop", "staged"), "there is no staged key"),
                           (("drop", "active"), "stage and activate another first")):
            self.assertIn(said, self.secret(*args, self.key, code=FAILED), args)
        self.secret("stage", self.key)
        staged = self.slots()
        self.assertIn("a key is staged already", self.secret("stage", self.key, code=FAILED))
        self.assertEqual(self.slots(), staged)
        self.assertEqual(staged["active"], before["active"])
        self.alone()

    def test_usage(self):
        for args in ((), ("forget",), ("list", "a", "b"), ("drop", "--from", "x"), ("list", "-x"),
                     ("new", "--show-keys"), ("stage", "--from")):
            p = subprocess.run([SYNWARD, "secret", *args], capture_output=True, text=True,
                               timeout=20, check=False)
            self.assertEqual((p.returncode, p.stdout), (USAGE, ""), args)
            self.assertIn("Try 'synward secret --help'.", p.stderr)


class File(SecretCase):
    """What happens to the file itself."""

    def test_owner_and_mode_stay(self):
        self.new()
        os.chown(self.key, 65534, 65533)
        os.chmod(self.key, 0o400)
        self.secret("stage", self.key)
        st = os.stat(self.key)
        self.assertEqual((st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)), (65534, 65533, 0o400))

    def test_comments_stay(self):
        self.new()
        with open(self.key, "a", encoding="ascii") as f:
            f.write("# of the web tier\n")
        self.secret("stage", self.key)
        self.secret("activate", self.key)
        with open(self.key, encoding="ascii") as f:
            self.assertIn("# of the web tier\n", f.read())

    def test_link_stays(self):
        real = os.path.join(self.dir, "real")
        self.new(real)
        os.symlink("real", self.key)
        self.secret("stage", self.key)
        self.assertEqual(os.readlink(self.key), "real")
        self.assertIn("staged", self.slots(real))

    def test_on_disk_before_it_has_the_name(self):
        """The order that a crash cannot hurt: write, fsync, rename, fsync of the directory."""
        self.new()
        p = subprocess.run(["strace", "-f", "-e", "trace=write,fsync,rename,fchmod,fchown", "-y",
                            SYNWARD, "secret", "stage", self.key],
                           capture_output=True, text=True, timeout=60, check=True)
        calls = [line.split("(")[0] for line in p.stderr.splitlines()
                 if line.startswith(("write(3", "write(4", "write(5", "fsync", "rename"))]
        self.assertEqual(calls, ["write", "fsync", "rename", "fsync"], p.stderr)

    def test_a_failed_write_leaves_the_old(self):
        self.new()
        before = self.slots()
        # The file limit stands for a full disk: the new file cannot be written.
        p = subprocess.run(["prlimit", "--fsize=20", "sh", "-c",
                            f"trap '' XFSZ; exec {SYNWARD} secret stage {self.key} >/dev/null"],
                           capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(p.returncode, FAILED, p.stderr)
        self.assertIn("cannot replace it: File too large", p.stderr)
        self.assertEqual(self.slots(), before)
        self.alone()

    def test_two_at_once(self):
        self.new()
        before = self.slots()
        with open(self.key, "rb") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            out = self.secret("stage", self.key, code=FAILED)
        self.assertIn("another program is changing it", out)
        self.assertEqual(self.slots(), before)

    def test_others_may_not_read(self):
        self.new()
        os.chmod(self.key, 0o640)
        for verb in ("list", "stage", "activate", "drop"):
            out = self.secret(verb, self.key, code=CONFIG)
            self.assertIn("mode 0640 lets others use the key; run: chmod 0600", out)

    def test_what_is_no_key_file(self):
        fifo = os.path.join(self.dir, "fifo")
        os.mkfifo(fifo, 0o600)
        self.assertIn("not a regular file", self.secret("stage", fifo, code=CONFIG))
        out = self.secret("stage", self.key, code=CONFIG)
        self.assertIn(f"make one with: synward secret new -k {self.key}", out)
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write("active 00\n")
        self.assertIn("key:1:10: key too short", self.secret("stage", self.key, code=CONFIG))
        with open(self.key, "w", encoding="ascii") as f:
            f.write("#" * 5000)
        self.assertIn("longer than 4096 bytes", self.secret("activate", self.key, code=CONFIG))
        self.assertIn("stdin:1:1: no active key",
                      self.secret("stage", "--from", "-", self.key, code=CONFIG, text=""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
