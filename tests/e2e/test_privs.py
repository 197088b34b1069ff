# SPDX-License-Identifier: MIT
"""What a running synward may still do, seen from outside: /proc, ptrace, signals, strace."""
import ctypes
import glob
import json
import os
import pwd
import re
import signal

from case import LabCase, main
from lab import SYNWARD, VICTIM4, VICTIM6, is_sanitized, wait_for

USER = "nobody"  # any user that every system has
CAPS = {"net_bind_service": 10, "net_admin": 12, "net_raw": 13, "perfmon": 38, "bpf": 39}
SANITIZED = is_sanitized()  # no filter there, and ptrace for LeakSanitizer
PTRACE_SEIZE = 0x4206
libc = ctypes.CDLL(None, use_errno=True)


def bits(*names):
    return sum(1 << CAPS[n] for n in names)


WORKER = bits("net_admin", "net_bind_service")
ALL = bits(*CAPS)
NICE = 1 << 23  # CAP_SYS_NICE: packet threads keep it where nobody may raise RLIMIT_RTPRIO
RELAY = {"name": "web", "listen": [f"{VICTIM4}:80"], "upstreams": "app"}
OFFLOAD = {"name": "fast", "listen": [f"{VICTIM4}:81"], "upstreams": "app", "offload": "xdp"}
TRANSPARENT = {"name": "own", "listen": [f"{VICTIM4}:443"], "transparent": True}
SIX = {"name": "six", "listen": [f"[{VICTIM6}]:80"], "upstreams": "app", "workers": 2}


class PrivsCase(LabCase):
    def setUp(self):
        super().setUp()
        self.user = pwd.getpwnam(USER)
        self.run_dir = os.path.join(self.lab.dir, "run")
        os.mkdir(self.run_dir)
        self.path = os.path.join(self.lab.dir, "synward.yaml")
        self.socket = os.path.join(self.run_dir, "control.sock")
        self.key = self.lab.new_key()
        os.chown(self.key, self.user.pw_uid, self.user.pw_gid)
        os.chown(self.run_dir, self.user.pw_uid, self.user.pw_gid)

    def configure(self, *listeners, user=USER, **more):
        """YAML takes JSON."""
        settings = {
            "interface": "eth0", "key_file": self.key, "listeners": listeners,
            "control": {"socket": self.socket}, "metrics": {"address": "127.0.0.1:9177"}, **more}
        if user:
            settings["user"] = user
        if any("upstreams" in one for one in listeners):
            settings["pools"] = [{"name": "app", "servers": ["127.0.0.1:8080"],
                                  "health": {"interval": "200ms"}}]
        with open(self.path, "w", encoding="ascii") as f:
            json.dump(settings, f)
        os.chmod(self.path, 0o644)

    def start(self, **kwargs):
        self.lab.take_xdp_tx()
        return self.lab.start_synward("run", "-c", self.path, **kwargs)

    def synward(self, *args):
        out = self.lab.victim.run(SYNWARD, *args, check=False)
        self.assertEqual(out.returncode, 0, (args, out.stdout, out.stderr))
        return out.stdout

    def load(self, addr, port, count=50):
        self.assertAll(self.lab.load(addr, port, "--count", count), count)

    def threads(self, pid):
        """{name: fields of /proc/PID/task/TID/status}, of each thread."""
        found = []
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/status", encoding="utf-8") as f:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            found.append((int(tid) == pid, fields))
        return found

    @staticmethod
    def held(thread):
        return {int(thread[k], 16) for k in ("CapEff", "CapPrm")}

    ambient = False  # started with CAPS, not with all of root's

    def nice(self, pid):
        """What is added to a packet thread's capabilities."""
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            limit = re.search(r"^Max realtime priority +(\w+)", f.read(), re.M).group(1)
        with open("/proc/self/status", encoding="ascii") as f:
            root = int(re.search(r"^CapEff:\t(\w+)", f.read(), re.M).group(1), 16)
        return root & NICE if limit == "0" and not self.ambient else 0

    def check(self, pid, caps, user=USER, bound=None):
        """Every thread is this user's and holds no more than it may."""
        who, workers = pwd.getpwnam(user), ({WORKER | self.nice(pid)}, {0})
        # One that a reload began gives up what it need not have in its first steps.
        wait_for(lambda: all(first or self.held(t) in workers for first, t in self.threads(pid)), 2)
        for first, t in self.threads(pid):
            name = t["Name"]
            self.assertEqual(t["Uid"].split(), [str(who.pw_uid)] * 4, name)
            self.assertEqual(t["Gid"].split(), [str(who.pw_gid)] * 4, name)
            if user != "root":
                self.assertLessEqual(set(t["Groups"].split()), {str(who.pw_gid)}, name)
            held = self.held(t)
            if first:  # a reload may begin packet threads
                self.assertEqual(held, {caps | self.nice(pid) if caps == ALL else caps}, name)
            else:  # packet threads, and the one for HTTP, which may not have its name yet
                self.assertIn(held, workers, name)
            self.assertEqual((int(t["CapInh"], 16), int(t["CapAmb"], 16)), (0, 0), name)
            self.assertEqual(int(t["CapBnd"], 16) & ~(ALL if bound is None else bound), 0, name)
            self.assertEqual(t["NoNewPrivs"], "1", name)
            if not SANITIZED:
                self.assertEqual(t["Seccomp"], "2", name)


class Holds(PrivsCase):
    """What it holds when it is ready, in each mode: the table of docs/deploy.md."""

    def start_and_check(self, caps, *listeners, **more):
        self.configure(*listeners, **more)
        p = self.start()
        self.check(p.pid, caps, more.get("user", USER) or "root")
        return p

    def test_relay(self):
        self.lab.bench_server()
        p = self.start_and_check(ALL, RELAY)
        self.load(VICTIM4, 80)
        self.assertEqual(p.stop(), 0)
        self.assertEqual(os.listdir(self.run_dir), [], "the socket is still there")

    def test_offload(self):
        self.lab.bench_server()
        self.start_and_check(ALL, OFFLOAD)
        self.load(VICTIM4, 81)

    def test_transparent(self):
        self.lab.bench_server(VICTIM4, 443)
        self.start_and_check(ALL, TRANSPARENT)
        self.load(VICTIM4, 443)

    def test_root_without_a_user(self):
        self.lab.bench_server()
        self.start_and_check(ALL, RELAY, user=None)
        self.load(VICTIM4, 80)

    def test_without_a_file_nothing_is_opened_later(self):
        """Options cannot be reloaded: what opens listeners is given up."""
        self.lab.bench_server()
        p = self.lab.guard()
        self.check(p.pid, bits("net_admin", "net_bind_service"), "root")
        self.load(VICTIM4, 80)

    def test_transparent_without_a_file(self):
        """BPF alone serves: on Linux 5.19 and newer not one capability is left."""
        self.lab.bench_server(VICTIM4, 443)
        self.lab.take_xdp_tx()
        p = self.lab.start_synward("run", "-i", "eth0", "-l", f"{VICTIM4}:443", "--transparent")
        self.check(p.pid, 0, "root")
        self.load(VICTIM4, 443)
        self.assertEqual(p.stop(), 0)

    def test_ambient(self):
        """As the unit starts it: never root, with ambient capabilities."""
        self.ambient = True
        self.lab.bench_server()
        self.configure(RELAY)
        names = ",".join("+" + n for n in CAPS)
        p = self.start(wrap=["setpriv", f"--reuid={self.user.pw_uid}",
                             f"--regid={self.user.pw_gid}", "--clear-groups", "--inh-caps", names,
                             "--ambient-caps", names, "--bounding-set", "-all," + names])
        self.check(p.pid, ALL)
        self.load(VICTIM4, 80)
        self.configure(RELAY, SIX)
        self.synward("reload", "-s", self.socket)
        self.load(VICTIM6, 80)

    def test_wrong_user(self):
        self.configure(RELAY, user="synward-test-none")
        p = self.start(ready=False)
        self.assertEqual(p.wait(10), 78, p.log())
        self.assertIn("there is no such user; make one with: useradd --system", p.log())


class Works(PrivsCase):
    def test_whole_life(self):
        """As its own user it does all that root did: reload to listeners of each kind, health
        checks, HTTP, key change, drain, a flood."""
        for addr, port in (("127.0.0.1", 8080), (VICTIM4, 443)):
            self.lab.bench_server(addr, port)
        self.configure(RELAY)
        p = self.start()
        self.load(VICTIM4, 80)
        self.configure(RELAY, OFFLOAD, TRANSPARENT, SIX)
        said = self.synward("reload", "-s", self.socket)
        for name in ("fast", "own", "six"):
            self.assertIn(f"listener {name}: added", said)
        self.check(p.pid, ALL)
        for addr, port in ((VICTIM4, 80), (VICTIM4, 81), (VICTIM4, 443), (VICTIM6, 80)):
            self.load(addr, port)
        self.synward("secret", "stage", self.key)
        self.assertIn("staged", self.synward("reload", "-s", self.socket))
        flood = self.lab.hping3(2)
        self.load(VICTIM4, 80)
        flood.wait(10)
        self.synward("drain", "-s", self.socket, "web")
        self.synward("undrain", "-s", self.socket, "web")
        self.assertIn("synward_build_info", self.lab.victim.run(
            "curl", "-s", "http://127.0.0.1:9177/metrics").stdout)
        self.configure(RELAY)
        self.synward("reload", "-s", self.socket)
        self.load(VICTIM4, 80)
        self.assertEqual(p.stop(), 0, p.log())

    def test_nothing_is_refused(self):
        """No call that it needs is missing in the filter: strace sees none fail with EPERM, but
        for those whose failure is expected."""
        trace = os.path.join(self.lab.dir, "strace")
        for addr, port in (("127.0.0.1", 8080), (VICTIM4, 443)):
            self.lab.bench_server(addr, port)
        self.configure(RELAY)
        p = self.start(wrap=["strace", "-ff", "-qq", "-Z", "-o", trace])
        self.configure(RELAY, OFFLOAD, TRANSPARENT, SIX)
        self.synward("reload", "-s", self.socket)
        for addr, port in ((VICTIM4, 80), (VICTIM4, 81), (VICTIM4, 443), (VICTIM6, 80)):
            self.load(addr, port, 20)
        for path in ("metrics", "stats", "healthz", "readyz", ""):
            self.lab.victim.run("curl", "-s", f"http://127.0.0.1:9177/{path}")
        self.configure(RELAY)
        self.synward("reload", "-s", self.socket)
        pid = int(self.lab.victim.run("pgrep", "-P", str(p.pid)).stdout.split()[0])
        os.kill(pid, signal.SIGTERM)
        p.wait(20)
        refused = []
        for thread in glob.glob(trace + ".*"):  # in one file the lines of two get mixed up
            with open(thread, encoding="utf-8", errors="replace") as f:
                refused += [line for line in f if "EPERM" in line]
        expected = (
            r"unshare\(CLONE_NEWNET\)",    # then it takes a user namespace
            r"prctl\(PR_CAPBSET_DROP",     # threads that start after CAP_SETPCAP went
            r"bpf\(BPF_(BTF|PROG|MAP)_GET_(NEXT_ID|FD_BY_ID)",  # CAP_SYS_ADMIN
            r"setuid\(0\)",                # the check that root is gone for good
            r"prlimit64\(0, RLIMIT_(NOFILE|RTPRIO)",  # where root lacks CAP_SYS_RESOURCE
            r"sched_setattr\(0, ",         # SCHED_FIFO, then; a nice value does
        )
        odd = [line for line in refused if not re.search("|".join(expected), line)]
        self.assertEqual(odd, [])
        self.assertTrue([line for line in refused if "CLONE_NEWNET" in line], "strace saw nothing")

    def test_flood_command(self):
        """The command runs, as the user, without a capability, and gets none by setuid files.  It
        gets none of the main thread's haste either."""
        out = os.path.join(self.run_dir, "said")
        script = os.path.join(self.lab.dir, "command")
        with open(script, "w", encoding="ascii") as f:
            f.write(f"(grep -E '^(Uid|CapPrm|CapBnd|NoNewPrivs)' /proc/self/status\n"
                    f"printf 'Nice:\\t%s\\n' \"$(nice)\") >{out}.new\nmv {out}.new {out}\n")
        self.lab.bench_server()
        self.configure(RELAY, flood={"enter": 500, "leave": 100, "hold": "1s", "command": ["/bin/sh", script]})
        p = self.start()
        self.assertLess(os.getpriority(os.PRIO_PROCESS, p.pid), 0)
        self.lab.hping3(6).wait(20)
        self.assertTrue(wait_for(lambda: os.path.exists(out) and os.path.getsize(out) > 50, 5, 0.1))
        with open(out, encoding="ascii") as f:
            said = dict(line.strip().split(":\t") for line in f)
        self.assertEqual(said["Uid"].split(), [str(self.user.pw_uid)] * 4)
        self.assertEqual((int(said["CapPrm"], 16), said["NoNewPrivs"]), (0, "1"))
        self.assertEqual(said["Nice"], "0")
        self.assertEqual(int(said["CapBnd"], 16) & ~ALL, 0)


def readable(pid, name):
    """-1, or open() raises PermissionError."""
    with open(f"/proc/{pid}/{name}", "rb"):
        return -1


class Attacked(PrivsCase):
    """A process of the same user, say another service that was broken into."""

    def as_user(self, what):
        """what()'s result in a child that is the user; an OSError's number if it raises one."""
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setgroups([])
            os.setresgid(*[self.user.pw_gid] * 3)
            os.setresuid(*[self.user.pw_uid] * 3)
            try:
                said = what()
            except OSError as e:
                said = e.errno
            os.write(w, str(said).encode())
            os._exit(0)
        os.close(w)
        with os.fdopen(r) as f:
            said = f.read()
        os.waitpid(pid, 0)
        return said

    def setUp(self):
        super().setUp()
        self.lab.bench_server()
        self.configure(RELAY)
        self.p = self.start()

    def test_cannot_be_looked_into(self):
        pid = self.p.pid

        def seize():
            return libc.ptrace(PTRACE_SEIZE, pid, None, None)

        if SANITIZED:  # LeakSanitizer looks into its own process
            return
        self.assertEqual(self.as_user(seize), "-1")
        for name in ("mem", "maps", "environ", "fd/0", "auxv"):
            self.assertIn(self.as_user(lambda n=name: readable(pid, n)), ("1", "13"), name)

    def test_no_core(self):
        os.kill(self.p.pid, signal.SIGQUIT)  # its default would dump core
        self.assertIsNotNone(self.p.wait(20))
        self.assertEqual(self.p.popen.returncode, -signal.SIGQUIT)
        left = [n for d in (self.lab.dir, self.run_dir, os.getcwd()) for n in os.listdir(d)
                if n.startswith("core")]
        self.assertEqual(left, [])

    def test_limits(self):
        with open(f"/proc/{self.p.pid}/limits", encoding="ascii") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        self.assertEqual(core.split()[4:6], ["0", "0"])


if __name__ == "__main__":
    main()
