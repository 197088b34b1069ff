# SPDX-License-Identifier: MIT
"""bash completion offers what the program knows, and nothing else."""
import os
import subprocess
import unittest

import commands
from case import LabCase, main
from configfile import ConfigFile
from lab import SOURCE, SYNWARD, VICTIM4

SCRIPT = os.path.join(SOURCE, "conf", "bash-completion", "synward")


def complete(*words, run=subprocess.run):
    """What Tab would offer behind these words; the last is what has been typed of the next."""
    code = f"""source {SCRIPT}
        COMP_WORDS=({SYNWARD} "$@"); COMP_CWORD=$#
        _synward; printf '%s\\n' "${{COMPREPLY[@]}}\""""
    out = run(["bash", "-c", code, "bash", *words], capture_output=True, text=True, check=True,
              timeout=30)
    assert out.stderr == "", out.stderr
    return set(out.stdout.split())


class Completion(unittest.TestCase):
    def test_commands(self):
        self.assertEqual(complete(""), set(commands.names()) | {"--help", "--version"})
        self.assertEqual(complete("dr"), {"drain"})

    def test_options(self):
        for name in commands.names():
            offered = complete(name, "-")
            self.assertEqual(offered, commands.options(name), name)
            for option in offered:
                self.assertTrue(commands.knows(name, option), f"{name} {option}")

    def test_values(self):
        self.assertEqual(complete("run", "--mac", ""), {"hmac-sha256", "siphash-2-4"})
        self.assertEqual(complete("run", "--offload", "x"), {"xdp"})
        self.assertEqual(complete("run", "--proxy-protocol", ""), {"v1", "v2"})
        self.assertIn("lo", complete("run", "-i", ""))
        self.assertEqual(complete("cookie", "mint", "-i", ""), set(), "a number")
        self.assertEqual(complete("check", "-c", SOURCE + "/READ"), {SOURCE + "/README.md"})
        self.assertEqual(complete("trace", "-c", ""), set(), "a count")

    def test_verbs_of_secret(self):
        verbs = complete("secret", "")
        for verb in verbs:
            self.assertNotIn("unknown verb", commands.run("secret", verb, "/nonexistent/key").stderr)
        help_text = commands.run("secret", "--help").stdout
        self.assertEqual(verbs, {v for v in help_text.split() if v in verbs})
        self.assertEqual(complete("secret", "drop", ""), {"retired", "staged"})

    def test_it_is_loaded_for_synward(self):
        out = subprocess.run(["bash", "-c", f"source {SCRIPT}; complete -p synward"],
                             capture_output=True, text=True, check=True)
        self.assertIn("-F _synward synward", out.stdout)


class Listeners(LabCase):
    def test_drain(self):
        """The names of the running listeners."""
        config = ConfigFile(self.lab)
        config.config["listeners"].append(
            {"name": "mail", "listen": [f"{VICTIM4}:25"], "upstreams": "app"})
        config.write()
        config.run()
        self.assertEqual(complete("drain", "-s", config.socket, ""), {"web", "mail"})
        self.assertEqual(complete("undrain", "-s", config.socket, "m"), {"mail"})


if __name__ == "__main__":
    main()
