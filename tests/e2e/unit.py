# SPDX-License-Identifier: MIT
"""
conf/synward.service as systemd would read it, as far as the tests carry it out themselves.

As a program it takes a unit and a command, and runs the command under the unit's system call
filter: unit.py UNIT PROGRAM [ARGUMENT]...
"""
import ctypes
import os
import re
import shlex
import subprocess
import sys

SOURCE = os.environ.get("SYNWARD_SOURCE") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
PATH = os.path.join(SOURCE, "conf", "synward.service")
EPERM_ACTION, ALLOW_ACTION = 0x00050001, 0x7FFF0000  # SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ALLOW
NE, MASKED_EQ = 1, 7                                  # enum scmp_compare
NAMESPACES = {"cgroup": 0x02000000, "ipc": 0x08000000, "net": 0x40000000, "mnt": 0x00020000,
              "pid": 0x20000000, "user": 0x10000000, "uts": 0x04000000}


class Unit:
    def __init__(self, text):
        self.settings = {}
        section = None
        for line in text.splitlines():
            if m := re.fullmatch(r"\[(\w+)\]", line):
                section = m.group(1)
            elif line and not line.startswith("#"):
                key, _, value = line.partition("=")
                self.settings.setdefault((section, key), []).append(value)

    def all(self, key, section="Service"):
        return self.settings.get((section, key), [])

    def one(self, key, section="Service"):
        values = self.all(key, section)
        assert len(values) == 1, (key, values)
        return values[0]

    def command(self, key="ExecStart"):
        return shlex.split(self.one(key))

    def words(self, key):
        return [word for value in self.all(key) for word in value.split()]

    def setpriv(self):
        """User, groups, capabilities and no_new_privs, the way the unit says."""
        caps = ",".join("+" + c.removeprefix("CAP_").lower()
                        for c in self.words("AmbientCapabilities"))
        bound = ",".join("+" + c.removeprefix("CAP_").lower()
                         for c in self.words("CapabilityBoundingSet"))
        assert self.one("NoNewPrivileges") == "yes"
        return ("setpriv", f"--reuid={self.one('User')}", f"--regid={self.one('Group')}",
                "--init-groups", "--inh-caps", caps, "--ambient-caps", caps,
                "--bounding-set", "-all," + bound, "--no-new-privs")


def read(path=PATH):
    with open(path, encoding="utf-8") as f:
        return Unit(f.read())


def expand(word, into):
    """The system calls of a group, by systemd's own tables."""
    if not word.startswith("@"):
        into.add(word)
        return
    out = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", word],
                         capture_output=True, text=True, check=True).stdout
    for line in out.splitlines()[1:]:
        line = line.strip()
        if line and not line.startswith("#"):
            expand(line, into)


def system_calls(u):
    """What SystemCallFilter= lets through, line after line; systemd adds @default and execve."""
    allowed = {"execve"}
    expand("@default", allowed)
    for value in u.all("SystemCallFilter"):
        calls = set()
        for word in value.lstrip("~").split():
            expand(word, calls)
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    if "yes" in u.all("ProtectClock"):
        clock = set()
        expand("@clock", clock)
        allowed -= clock
    return allowed


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


class Filter:
    def __init__(self, action):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.cx = ctypes.c_void_p(self.lib.seccomp_init(ctypes.c_uint32(action)))
        assert self.cx

    def add(self, action, name, *compare):
        nr = self.lib.seccomp_syscall_resolve_name(name.encode())
        if nr == -1:
            return
        rows = (Compare * max(1, len(compare)))(*compare)
        rc = self.lib.seccomp_rule_add_array(self.cx, ctypes.c_uint32(action), nr, len(compare),
                                             rows)
        assert rc == 0, (name, rc)

    def load(self):
        assert self.lib.seccomp_load(self.cx) == 0


def confine(u):
    """SystemCallFilter=, RestrictNamespaces= and MemoryDenyWriteExecute= of the unit."""
    calls = Filter(EPERM_ACTION)
    for name in system_calls(u):
        calls.add(ALLOW_ACTION, name)
    rest = Filter(ALLOW_ACTION)
    for kind, flag in NAMESPACES.items():
        if kind not in u.words("RestrictNamespaces"):
            rest.add(EPERM_ACTION, "unshare", Compare(0, MASKED_EQ, flag, flag))
            rest.add(EPERM_ACTION, "clone", Compare(0, MASKED_EQ, flag, flag))
    if u.one("MemoryDenyWriteExecute") == "yes":
        rest.add(EPERM_ACTION, "mprotect", Compare(2, MASKED_EQ, 4, 4))
    rest.load()
    calls.load()


if __name__ == "__main__":
    confine(read(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
