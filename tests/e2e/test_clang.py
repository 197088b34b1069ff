# SPDX-License-Identifier: MIT
"""The BPF programs, compiled by every clang that is installed, and what the verifier says."""
import ctypes
import glob
import itertools
import os
import re
import subprocess
import tempfile
import unittest

from case import main
from lab import SOURCE

LIMIT = 500_000  # instructions looked at; the kernel's limit is a million
LOG_STATS = 4    # BPF_LOG_STATS
POINTER = ctypes.c_void_p
DEV_BOUND = ("sw_answer_tag",)  # loads for an interface only: test_shapes.py has it


def libbpf():
    lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
    for name in ("bpf_object__open_file", "bpf_object__find_map_by_name",
                 "bpf_map__initial_value", "bpf_object__next_program"):
        getattr(lib, name).restype = POINTER
    lib.bpf_program__name.restype = ctypes.c_char_p
    lib.libbpf_set_print(None)
    return lib


def settings_of(path):
    """{name: offset} of what lies in .rodata."""
    sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True,
                              check=True).stdout
    number = re.search(r"\[ *(\d+)\] \.rodata ", sections).group(1)
    symbols = subprocess.run(["readelf", "-sW", path], capture_output=True, text=True,
                             check=True).stdout
    rows = (line.split() for line in symbols.splitlines())
    return {r[7]: int(r[1], 16) for r in rows if len(r) == 8 and r[6] == number}


def load(lib, path, **settings):
    """[(program, instructions)] as the verifier counts them; its log when it refuses."""
    obj = POINTER(lib.bpf_object__open_file(path.encode(), None))
    size, logs, program = ctypes.c_size_t(), {}, POINTER()
    rodata = POINTER(lib.bpf_object__find_map_by_name(obj, b".rodata"))
    at = lib.bpf_map__initial_value(rodata, ctypes.byref(size))
    for name, offset in settings_of(path).items():
        if name in settings:
            ctypes.memset(at + offset, settings[name], 1)
    while program := POINTER(lib.bpf_object__next_program(obj, program)):
        if not program.value:
            break
        name = lib.bpf_program__name(program).decode()
        if name in DEV_BOUND:
            lib.bpf_program__set_autoload(program, False)
            continue
        logs[name] = ctypes.create_string_buffer(1 << 20)
        lib.bpf_program__set_log_buf(program, logs[name], ctypes.c_size_t(1 << 20))
        lib.bpf_program__set_log_level(program, LOG_STATS)
    rc = lib.bpf_object__load(obj)
    texts = {name: log.value.decode(errors="replace") for name, log in logs.items()}
    lib.bpf_object__close(obj)
    if rc:
        raise AssertionError(f"{path} {settings}: {rc}\n" +
                             "\n".join(text[-2000:] for text in texts.values()))
    return [(name, int(re.search(r"processed (\d+) insns", text).group(1)))
            for name, text in texts.items()]


class Clang(unittest.TestCase):
    def test_every_clang(self):
        compilers = sorted(glob.glob("/usr/bin/clang-[0-9][0-9]")) or ["clang"]
        lib = libbpf()
        triplet = os.path.basename(glob.glob("/usr/include/*-linux-gnu")[0])
        with tempfile.TemporaryDirectory() as home:
            for clang, source in itertools.product(
                    compilers, sorted(glob.glob(SOURCE + "/src/bpf/*.bpf.c"))):
                name = os.path.basename(source)[:-2]
                obj = f"{home}/{os.path.basename(clang)}-{name}.o"
                subprocess.run([clang, "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra",
                                "-Werror", f"-I{SOURCE}/src", f"-I/usr/include/{triplet}", "-c",
                                source, "-o", obj], check=True)
                most = 0
                for wildcard in (0, 1):
                    with self.subTest(clang=clang, name=name, wildcard=wildcard):
                        found = load(lib, obj, have_any=wildcard)
                        most = max(most, *(n for _, n in found))
                        self.assertLess(most, LIMIT, found)
                print(f"    {os.path.basename(clang)} {name}: up to {most} instructions",
                      flush=True)


if __name__ == "__main__":
    main()
