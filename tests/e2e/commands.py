# SPDX-License-Identifier: MIT
"""The commands and options of the program, out of its --help."""
import re
import subprocess

from lab import SYNWARD


def run(*args):
    return subprocess.run([SYNWARD, *args], capture_output=True, text=True, timeout=20, check=False)


def names():
    """Each command."""
    found = re.findall(r"^  ([a-z]+) +[a-z]", run("--help").stdout, re.M)
    assert len(found) > 5, found
    return found


def options(command):
    """Each option that its help lists: at the beginning of a line, behind a comma, or behind two
    spaces.  --help goes with every command."""
    text = run(command, "--help").stdout
    listed = "\n".join(line for line in text.splitlines() if re.match(" *-", line))
    return set(re.findall(r"(?:^ *|, |  )(--?[A-Za-z0-9][A-Za-z0-9-]*)", listed, re.M)) | {"--help"}


def knows(command, option):
    """Does the program itself take it?  Unknown ones are named in the error.  --help behind it
    keeps the command from being carried out; twice, as the option may take one for its value."""
    out = run(command, option, "--help", "--help")
    assert "usage: " in out.stdout or "Try 'synward" in out.stderr, (command, option, out)
    return f"unknown option {option}" not in out.stderr
