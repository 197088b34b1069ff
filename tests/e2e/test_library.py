# SPDX-License-Identifier: MIT
"""docs/library.md's echo server, extracted, built against an installed library, and used."""
import os
import re
import subprocess
import tempfile
import unittest

import lab
from case import LabCase, main
from lab import VICTIM4

SOURCE = os.environ.get("SYNWARD_SOURCE", os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("SYNWARD_BUILD", os.path.join(SOURCE, "build/release"))

CONSUMER = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent)
find_package(synward 0.1 REQUIRED)
add_executable(echo echo.c)
target_link_libraries(echo synward::synward PkgConfig::EVENT)
"""


def run(*argv, **kwargs):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, **kwargs)
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout


@unittest.skipIf(lab.is_sanitized(), "an outside program is not linked with the sanitizers")
class Library(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="swt-library-"))
        run("cmake", "--install", BUILD, "--prefix", f"{cls.dir}/prefix")
        with open(f"{SOURCE}/docs/library.md", encoding="utf-8") as page:
            cls.page = page.read()
        cls.program = re.search(r"```c echo\.c\n(.*?)```", cls.page, re.S).group(1)
        with open(f"{cls.dir}/echo.c", "w", encoding="utf-8") as out:
            out.write(cls.program)
        cls.lib = os.path.dirname(run("find", f"{cls.dir}/prefix", "-name", "synward.pc").split()[0])
        cls.env = dict(os.environ, PKG_CONFIG_PATH=cls.lib,
                       LD_LIBRARY_PATH=os.path.dirname(cls.lib))

    def test_it_is_short(self):
        self.assertLessEqual(len([line for line in self.program.splitlines() if line.strip()]), 40)

    def echo(self, binary):
        server = self.lab.victim.spawn("echo", binary, "eth0", f"{VICTIM4}:7", env=self.env)
        lab.wait_for(lambda: "ready" in server.log() or not server.alive(), 10)
        self.assertTrue(server.alive(), server.log())
        for size in (1, 1000, 300_000):
            with self.lab.client.connect(VICTIM4, 7) as s:
                s.settimeout(10)
                sent, got = os.urandom(size), b""
                # In pieces: an echo of more than both ends' buffers would wait for its reader.
                for at in range(0, size, 20_000):
                    s.sendall(sent[at:at + 20_000])
                    want = min(at + 20_000, size)
                    while len(got) < want:
                        got += s.recv(65536)
                self.assertEqual(got, sent)
        server.stop()

    def test_pkg_config(self):
        command = re.search(r"^cc -o echo .*$", self.page, re.M).group(0)
        run("sh", "-c", command, cwd=self.dir, env=self.env)
        self.echo(f"{self.dir}/echo")

    def test_cmake_package(self):
        os.makedirs(f"{self.dir}/consumer", exist_ok=True)
        with open(f"{self.dir}/consumer/CMakeLists.txt", "w", encoding="utf-8") as out:
            out.write(CONSUMER)
        with open(f"{self.dir}/consumer/echo.c", "w", encoding="utf-8") as out:
            out.write(self.program)
        run("cmake", "-S", f"{self.dir}/consumer", "-B", f"{self.dir}/consumer/build",
            f"-DCMAKE_PREFIX_PATH={self.dir}/prefix", env=self.env)
        run("cmake", "--build", f"{self.dir}/consumer/build")
        self.echo(f"{self.dir}/consumer/build/echo")


if __name__ == "__main__":
    main()
