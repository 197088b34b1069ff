# SPDX-License-Identifier: MIT
"""What keeps synward from starting is told in one line that says what to do, with the exit code of
`synward --help`, and nothing is left behind."""
import ctypes
import os
import re
import struct

from case import LabCase, main
from lab import SYNWARD, VICTIM4, libc

OK, FAILED, USAGE, UNAVAILABLE, NOPERM, CONFIG = 0, 1, 2, 69, 77, 78

RUN = ("run", "--interface", "eth0", "--listen", f"{VICTIM4}:80", "--upstream", "127.0.0.1:8080")

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
SYSCALLS = {"x86_64": {"bpf": 321, "setsockopt": 54}, "aarch64": {"bpf": 280, "setsockopt": 208}}
ENOSYS, ENOPROTOOPT = 38, 92
SOL_TCP, TCP_REPAIR = 6, 19


def forbid(name, error, arguments=()):
    """A seccomp filter under which a system call fails, when its (index, value) arguments match:
    a kernel that lacks a feature."""
    number = SYSCALLS[os.uname().machine][name]
    checks = [(0, number)] + [(16 + 8 * i, value) for i, value in arguments]
    program = []
    for at, value in checks:
        left = 2 * (len(checks) - len(program) // 2) - 1
        program += [(0x20, 0, 0, at), (0x15, 0, left, value)]  # load; jump if not equal to allow
    program += [(0x06, 0, 0, SECCOMP_RET_ERRNO | error), (0x06, 0, 0, SECCOMP_RET_ALLOW)]
    code = b"".join(struct.pack("HBBI", *line) for line in program)

    def apply():
        array = ctypes.create_string_buffer(code)
        fprog = ctypes.create_string_buffer(
            struct.pack("HxxxxxxP", len(program), ctypes.addressof(array)))
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
           libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0):
            raise OSError(ctypes.get_errno(), "seccomp")

    return apply


class Failures(LabCase):
    def fails(self, code, *words, args=RUN, **kwargs):
        """synward ends with this code, and its last words are one line with these in it."""
        links = self.lab.victim.links()
        p = self.lab.start_synward(*args, ready=False, **kwargs)
        ended = p.wait(10)
        log = p.log()
        self.assertEqual(ended, code, log)
        lines = [line for line in log.splitlines() if not line.startswith("Try 'synward")]
        errors = [line for line in lines if not re.search(
            r"synward: (no --key-file|guarding|relaying|counter)", line)]
        self.assertEqual(len(errors), 1, log)
        for word in words:
            self.assertRegex(errors[0], "(?i)" + word)
        self.assertEqual(self.lab.victim.links(), links)
        self.lab.processes.remove(p)
        return errors[0]

    def replaced(self, option, value):
        args = list(RUN)
        args[args.index(option) + 1] = value
        return args

    # ---- 77 ----

    def test_missing_capabilities(self):
        for caps, word in (("net_raw", "CAP_NET_RAW"), ("net_admin", "CAP_NET_ADMIN"),
                           ("bpf,-sys_admin", "CAP_BPF"),
                           ("net_bind_service", "CAP_NET_BIND_SERVICE")):
            with self.subTest(caps=caps):
                self.fails(NOPERM, word, wrap=("setpriv", "--bounding-set", f"-{caps}"))

    def test_no_capability_at_all(self):
        self.fails(NOPERM, "CAP_", wrap=("setpriv", "--bounding-set", "-all"))

    def test_unprivileged_user(self):
        """The program is made readable for it: the build may lie in root's home."""
        copy = os.path.join(self.lab.dir, "synward")
        with open(SYNWARD, "rb") as source, open(copy, "wb") as target:
            target.write(source.read())
        os.chmod(copy, 0o755)
        user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        self.fails(NOPERM, "CAP_", binary=copy, wrap=user)

    def enough(self, port, caps):
        self.lab.bench_server()
        p = self.lab.start_synward(*self.replaced("--listen", f"{VICTIM4}:{port}"),
                                   wrap=("setpriv", "--bounding-set", "-all," + caps))
        self.assertAll(self.lab.load(VICTIM4, port, "--request", "x", "--expect-bytes", 64), 1)
        self.assertEqual(p.end_now(), OK)

    def test_enough_capabilities(self):
        self.enough(8000, "+net_raw,+net_admin,+bpf")

    def test_enough_capabilities_for_a_low_port(self):
        self.enough(80, "+net_raw,+net_admin,+bpf,+net_bind_service")

    # ---- 69 ----

    def test_kernel_without_bpf(self):
        self.fails(UNAVAILABLE, "bpf", extra=forbid("bpf", ENOSYS))

    def test_kernel_without_tcp_repair(self):
        self.fails(UNAVAILABLE, "TCP_REPAIR|CONFIG_CHECKPOINT_RESTORE",
                   extra=forbid("setsockopt", ENOPROTOOPT, ((1, SOL_TCP), (2, TCP_REPAIR))))

    # ---- 78 ----

    def key_file(self, content, mode=0o600):
        path = os.path.join(self.lab.dir, "key")
        with open(path, "w", encoding="ascii") as f:
            f.write(content)
        os.chmod(path, mode)
        return path

    def with_key(self, path):
        return (*RUN, "--key-file", path)

    def test_key_file_missing(self):
        path = os.path.join(self.lab.dir, "no-such-file")
        self.fails(CONFIG, path, "secret new|no such file", args=self.with_key(path))

    def test_key_file_others_can_read(self):
        path = self.lab.new_key()
        for mode in (0o604, 0o640, 0o644, 0o666):
            os.chmod(path, mode)
            with self.subTest(mode=oct(mode)):
                self.fails(CONFIG, path, "chmod|600", args=self.with_key(path))

    def test_key_file_malformed(self):
        good = self.lab.new_key("good")
        with open(good, encoding="ascii") as f:
            good = f.read()
        cases = {"empty": "", "words": "hello\n", "short": re.sub("[0-9a-f]{8} #", " #", good),
                 "odd": re.sub("[0-9a-f]", "z", good), "directory": None}
        for name, content in cases.items():
            with self.subTest(name):
                path = self.lab.dir if content is None else self.key_file(content)
                line = self.fails(CONFIG, path, args=self.with_key(path))
                self.assertNotIn("zz", line, "the message shows what may be a key")

    # ---- 2 ----

    def test_unparsable_addresses(self):
        bad = ("nonsense", "198.51.100.1", "198.51.100.1:", "198.51.100.1:0", "198.51.100.1:65536",
               "198.51.100.256:80", "2001:db8::1:80", "[2001:db8::1]", "[2001:db8::1]:x", ":80", "",
               "198.51.100.1:80x")
        for option in ("--listen", "--upstream"):
            for value in bad:
                with self.subTest(option=option, value=value):
                    self.fails(USAGE, option, re.escape(value),
                               args=self.replaced(option, value))

    def test_usage(self):
        for args in ((), ("nonsense",), ("run",), ("run", "--nonsense"), RUN + ("extra",),
                     RUN[:-2], RUN[:3], RUN + ("--workers", "0"), RUN + ("--workers", "x"),
                     RUN + ("--mac", "md5"), RUN + ("--proxy-protocol", "v3"),
                     RUN + ("--drain-timeout", "soon"), RUN + ("--queue-depth",),
                     ("secret", "nonsense"), RUN + ("--offload", "magic")):
            with self.subTest(args=args):
                p = self.lab.start_synward(*args, ready=False)
                self.assertEqual(p.wait(5), USAGE, p.log())
                self.assertTrue(p.log().startswith(("synward", "usage: ")), p.log())
                self.lab.processes.remove(p)

    def test_help_and_version(self):
        for args in (("--help",), ("--version",), ("run", "--help"), ("secret", "--help"),
                     ("doctor", "--help")):
            out = self.lab.victim.run(SYNWARD, *args)
            self.assertEqual((out.returncode, out.stderr), (OK, ""))
            self.assertLessEqual(out.stdout.count("\n"), 24, args)
        self.assertRegex(self.lab.victim.run(SYNWARD, "--version").stdout, r"^synward \d+\.\d+")

    # ---- 1 ----

    def test_missing_interface(self):
        line = self.fails(FAILED, "nosuch0", args=self.replaced("--interface", "nosuch0"))
        self.assertRegex(line, "eth0|ip link", "it does not say what would be right")

    def test_interface_name_too_long(self):
        p = self.lab.start_synward(*self.replaced("--interface", "x" * 40), ready=False)
        self.assertIn(p.wait(5), (FAILED, USAGE, CONFIG))
        self.assertIn("x" * 40, p.log())
        self.lab.processes.remove(p)

    def test_port_guarded_by_another(self):
        first = self.lab.start_synward(*RUN)
        self.fails(FAILED, f"{re.escape(VICTIM4)}:80", "another synward", str(first.pid))
        self.fails(FAILED, ":80", "another synward", args=self.replaced("--listen", "0.0.0.0:80"))
        self.lab.serve(lambda s, _: s.sendall(b"hi"))
        with self.lab.client.connect(VICTIM4, 80) as s:
            self.assertEqual(s.recv(2), b"hi")
        other = self.lab.start_synward(*self.replaced("--listen", f"{VICTIM4}:81"))
        with self.lab.client.connect(VICTIM4, 81) as s:
            self.assertEqual(s.recv(2), b"hi")
        self.assertEqual(first.end_now(), OK)
        again = self.lab.start_synward(*RUN)
        self.assertTrue(again.alive() and other.alive())

    def test_guard_dies_and_another_may_follow(self):
        first = self.lab.start_synward(*RUN)
        first.stop(9)
        self.assertTrue(self.lab.start_synward(*RUN).alive())


if __name__ == "__main__":
    main()
