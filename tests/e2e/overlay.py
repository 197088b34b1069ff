# SPDX-License-Identifier: MIT
"""A copy of this system that can be changed and thrown away: an overlay over /, in a mount
namespace of its own.  What was changed can be listed."""
import os
import shutil
import signal
import stat
import subprocess
import tempfile


class Overlay:
    """run() and wrap are inside.  When the holder ends, be it by our death, the mounts are gone."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="synward-overlay-")
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(self.dir, name))
        self.root = os.path.join(self.dir, "root")
        self.upper = os.path.join(self.dir, "upper")
        # pivot_root, not chroot: who is in a chroot may not make user namespaces.
        script = (f"mount -t overlay overlay -o lowerdir=/,upperdir={self.upper},"
                  f"workdir={self.dir}/work {self.root} && cd {self.root} && "
                  "for d in proc sys dev; do mount --rbind /$d $d || exit 1; done && "
                  "mount -t tmpfs run run && pivot_root . . && umount -l . && echo mounted && "
                  "exec sleep 1000")
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "-m",
                                        "sh", "-c", script], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True)
        said = self.holder.stdout.readline()
        if said != "mounted\n":
            self.__exit__()
            raise AssertionError("no overlay: " + said)
        return self

    def __exit__(self, *exc):
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait()
        self.holder.stdout.close()
        shutil.rmtree(self.dir)

    @property
    def wrap(self):
        """What goes before a program that is to run inside."""
        return ("nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt")

    def run(self, *argv, check=True, env=None):
        return subprocess.run([*self.wrap, *argv], capture_output=True, text=True, check=check,
                              timeout=120, env={**os.environ, **(env or {})})

    def changed(self):
        """{path: kind} of what differs from the system below: "new", "other" or "gone".  What
        was written to but is as before is none."""
        found = {}
        for top, dirs, files in os.walk(self.upper):
            for name in files + [d for d in dirs if os.path.islink(os.path.join(top, d))]:
                path = os.path.join(top, name)
                below = "/" + os.path.relpath(path, self.upper)
                if stat.S_ISCHR(os.lstat(path).st_mode):  # how an overlay marks a removed file
                    if os.path.lexists(below):
                        found[below] = "gone"
                elif not os.path.lexists(below):
                    found[below] = "new"
                elif not same(path, below):
                    found[below] = "other"
            for name in dirs:
                below = "/" + os.path.relpath(os.path.join(top, name), self.upper)
                if not os.path.lexists(below):
                    found[below] = "new"
        return found


def same(a, b):
    if os.path.islink(a) or os.path.islink(b):
        return os.path.islink(a) and os.path.islink(b) and os.readlink(a) == os.readlink(b)
    with open(a, "rb") as f, open(b, "rb") as g:
        return f.read() == g.read()
