# SPDX-License-Identifier: MIT
"""The systemd unit and the settings of sysctl.d: what systemd and the kernel say to them."""
import os
import pwd
import re
import subprocess

import commands
import unit
from case import LabCase, main
from configfile import ConfigFile
from lab import SOURCE, VICTIM4

SYSCTLS = os.path.join(SOURCE, "conf", "sysctl.d", "60-synward.conf")
WORST = 2.5  # of 10; the lower the better


class TheUnit(LabCase):
    def test_exposure(self):
        out = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                              unit.PATH], capture_output=True, text=True, check=False,
                             env={**os.environ, "SYSTEMD_COLORS": "0"})
        level = re.search(r"Overall exposure level for synward.service: ([\d.]+)", out.stdout)
        self.assertTrue(level, out.stdout + out.stderr)
        self.note(f"exposure {level.group(1)}")
        self.assertLessEqual(float(level.group(1)), WORST)

    def test_systemd_understands_it(self):
        """With a program and pages that are here in place of those that are not."""
        path = os.path.join(self.lab.dir, "synward.service")
        with open(unit.PATH, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub("(?m)^(Documentation|User|Group)=.*\n", "",
                           text.replace("/usr/sbin/synward", "/bin/true")))
        out = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True,
                             check=False)
        ours = [line for line in (out.stdout + out.stderr).splitlines() if "synward" in line]
        self.assertEqual((out.returncode, ours), (0, []))

    def test_commands_exist(self):
        u = unit.read()
        for key in ("ExecStart", "ExecReload"):
            argv = u.command(key)
            self.assertEqual(argv[0], "/usr/sbin/synward")
            self.assertIn(argv[1], commands.names())
            for option in (w for w in argv[2:] if w.startswith("-")):
                self.assertIn(option, commands.options(argv[1]), key)

    def test_exit_codes_that_do_not_heal(self):
        """No restart for what a restart cannot mend."""
        codes = set(unit.read().words("RestartPreventExitStatus"))
        with open(os.path.join(SOURCE, "src", "cli", "cli.h"), encoding="utf-8") as f:
            known = dict(re.findall(r"SW_EXIT_(\w+) = (\d+)", f.read()))
        self.assertEqual(codes, {known[n] for n in ("USAGE", "KERNEL", "CAPABILITY", "CONFIG")})

    def test_the_exit_code_is_that_of_run(self):
        """RestartPreventExitStatus= is about ExecStart= alone: what fails before it is tried again
        and again."""
        u = unit.read()
        self.assertNotIn(("Service", "ExecStartPre"), u.settings)
        path = os.path.join(self.lab.dir, "wrong.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write("interface: eth0\n")
        argv = [path if w.endswith(".yaml") else w for w in u.command("ExecStart")[1:]]
        out = commands.run(*argv)
        self.assertIn(str(out.returncode), u.words("RestartPreventExitStatus"), out)
        self.assertIn("listeners is missing", out.stderr)

    def test_it_stops_after_the_drain(self):
        """TimeoutStopSec is longer than the default drain."""
        drain = next(line.split("\t")[1] for line in
                     commands.run("check", "--list").stdout.splitlines()
                     if line.startswith("drain_timeout\t"))
        seconds = {unit.read().one("TimeoutStopSec"): 1}
        stop = int(next(iter(seconds)).removesuffix("s"))
        self.assertGreater(stop, int(drain.removesuffix("s")))

    def test_capabilities_are_the_needed_ones(self):
        """What the unit gives is what sw_privs_needed() wants for a reload."""
        u = unit.read()
        self.assertEqual(sorted(u.words("AmbientCapabilities")),
                         sorted(u.words("CapabilityBoundingSet")))
        with open(os.path.join(SOURCE, "src", "ops", "privs.c"), encoding="utf-8") as f:
            wanted = re.search(r"#define OPENING(.*?)\n\n", f.read(), re.S).group(1)
        self.assertEqual(sorted(u.words("AmbientCapabilities")),
                         sorted(re.findall(r"CAP_\w+", wanted)))

    def test_families_are_the_filters(self):
        with open(os.path.join(SOURCE, "src", "ops", "seccomp.c"), encoding="utf-8") as f:
            ours = re.search(r"families\[\] = \{(.*?)\}", f.read(), re.S).group(1)
        self.assertEqual(sorted(unit.read().words("RestrictAddressFamilies")),
                         sorted(re.findall(r"AF_\w+", ours)))

    def test_calls_of_our_filter_pass_the_units(self):
        """What src/ops/seccomp.c lets through and the unit does not would fail under systemd
        only."""
        with open(os.path.join(SOURCE, "src", "ops", "seccomp.c"), encoding="utf-8") as f:
            text = f.read()
        table = re.search(r"always\[\] = \{(.*?)\};", text, re.S).group(1)
        ours = set(re.findall(r'"(\w+)"', table)) | set(re.findall(r"SCMP_SYS\((\w+)\)", text))
        # The clock's state is asked for, and its metric left out when the answer is no.
        clock = {"adjtimex", "clock_adjtime"}
        self.assertEqual(ours - unit.system_calls(unit.read()) - clock, set())

    def test_it_runs_confined(self):
        """With the unit's user, capabilities and filter; reload included."""
        self.lab.bench_server()
        key = self.lab.new_key()
        user = pwd.getpwnam("nobody")
        os.chown(key, user.pw_uid, user.pw_gid)
        config = ConfigFile(self.lab, key_file=key)
        run_dir = os.path.join(self.lab.dir, "run")
        os.mkdir(run_dir)
        os.chown(run_dir, user.pw_uid, user.pw_gid)
        config.socket = config.config["control"]["socket"] = os.path.join(run_dir, "control.sock")
        config.write()
        u = unit.read()
        u.settings["Service", "User"] = u.settings["Service", "Group"] = [str(user.pw_uid)]
        config.run(wrap=[*(w for w in u.setpriv() if w != "--init-groups"), "--clear-groups",
                         "/usr/bin/python3", unit.__file__, unit.PATH])
        self.assertAll(self.lab.load(VICTIM4, 80, "--count", 20), 20)
        config.config["listeners"] += [
            {"name": "fast", "listen": [f"{VICTIM4}:81"], "upstreams": "app", "offload": "xdp"},
            {"name": "more", "listen": [f"{VICTIM4}:82"], "upstreams": "app"}]
        self.lab.take_xdp_tx()
        code, said = config.reload()[:2]
        self.assertEqual(code, 0, said)
        self.nothing_is_said_about_the_clock(config)
        for port in (80, 81, 82):
            self.assertAll(self.lab.load(VICTIM4, port, "--count", 20), 20)
        self.assertEqual(config.synward.stop(), 0, config.synward.log())


    def nothing_is_said_about_the_clock(self, config):
        """ProtectClock= keeps it from synward: unknown is not "not synchronized"."""
        self.assertEqual(unit.read().one("ProtectClock"), "yes")
        out = self.lab.victim.run("curl", "-s", "--unix-socket", config.socket,
                                  "http://localhost/metrics").stdout
        self.assertIn("\nsynward_epoch ", out)
        self.assertNotRegex(out, r"(?m)^synward_clock_")
        out = self.lab.victim.run(commands.SYNWARD, "status", "-s", config.socket, check=False)
        self.assertNotIn("clock", out.stdout)


class Sysctls(LabCase):
    def settings(self):
        with open(SYSCTLS, encoding="utf-8") as f:
            return [line.replace(" ", "", 1).split("=", 1) for line in f.read().splitlines()
                    if "=" in line and not line.startswith("#")]

    def test_the_kernel_takes_them(self):
        """Those of a network namespace, in one; that the others exist."""
        for key, value in self.settings():
            path = "/proc/sys/" + key.strip().replace(".", "/")
            self.assertTrue(os.path.exists(path), key)
            if key.startswith("net.ipv4.") or key.strip() == "net.core.somaxconn":
                self.lab.victim.sysctl(key.strip(), value.strip())
                self.assertEqual(self.lab.victim.sysctl(key.strip()).split(), value.split())

    def test_doctor_agrees(self):
        """With them, doctor has nothing to say about what they set."""
        for key, value in self.settings():
            if key.startswith("net.ipv4."):
                self.lab.victim.sysctl(key.strip(), value.strip())
        out = self.lab.victim.run(commands.SYNWARD, "doctor", check=False).stdout
        for key, value in self.settings():
            name = key.strip().replace(".", "/")
            found = [line for line in out.splitlines() if name in line]
            if found and key.startswith("net.ipv4."):
                self.assertTrue(found[0].startswith("ok"), found)

    def test_it_serves_with_them(self):
        for key, value in self.settings():
            if key.startswith("net.ipv4."):
                self.lab.victim.sysctl(key.strip(), value.strip())
        self.lab.bench_server()
        ConfigFile(self.lab).run()
        self.assertAll(self.lab.load(VICTIM4, 80, "--count", 50), 50)


if __name__ == "__main__":
    main()
