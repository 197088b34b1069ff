# SPDX-License-Identifier: MIT
"""The configuration file: `synward check`, the files of conf/, and `synward run -c`."""
import glob
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import unittest

from case import LabCase, main, read
from configfile import BASE, ConfigFile
from lab import SOURCE, SYNWARD, VICTIM4, VICTIM4B, wait_for

OK, FAILED, USAGE, CONFIG = 0, 1, 2, 78
CONF = sorted(glob.glob(os.path.join(SOURCE, "conf", "*.yaml")))


def command(*args):
    """Its exit code, output and errors."""
    out = subprocess.run([SYNWARD, *args], capture_output=True, text=True, timeout=30, check=False)
    return out.returncode, out.stdout, out.stderr


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Files(unittest.TestCase):
    """No lab: nothing is started."""

    def setUp(self):
        self.dir = self.enterContext(tempfile.TemporaryDirectory())
        self.key = os.path.join(self.dir, "key")
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(command("secret", "new")[1])

    def file(self, text):
        path = os.path.join(self.dir, "f.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text if isinstance(text, str) else json.dumps(text))
        return path

    def test_shipped_files(self):
        """Each is right as it is but for the key file, which the installation makes."""
        self.assertGreaterEqual(len(CONF), 7)
        for path in CONF:
            with self.subTest(path):
                code, out, err = command("check", "-c", path, "--key-file", self.key)
                self.assertEqual((code, err), (OK, ""))
                self.assertRegex(out, rf"^synward: {re.escape(path)}: ok \(\d+ listeners?, "
                                      r"\d+ pools?\)\n$")
                code, out, err = command("check", "-c", path)
                self.assertEqual((code, out), (CONFIG, ""))
                self.assertRegex(err, r"^synward: \S+:\d+:11: key_file: /etc/synward/secret.key: ")

    def options(self):
        """name -> (default, change, takes, help) out of the one table."""
        lines = command("check", "--list")[1].splitlines()
        return {f[0]: f[1:] for f in (line.split("\t") for line in lines)}

    def test_sample_has_every_option(self):
        """conf/synward.yaml: each option of the table with its words above it, and its default or a
        note that names it."""
        with open(os.path.join(SOURCE, "conf", "synward.yaml"), encoding="utf-8") as f:
            lines = f.read().splitlines()
        found, comment, path = {}, "", []
        for line in lines:
            if m := re.match(r" *# ?(.*)", line):
                comment += " " + m.group(1)
            elif m := re.match(r"( *)(- )?([a-z0-9_]+):(?: (.*))?$", line):
                depth = len(m.group(1)) + len(m.group(2) or "")
                path = [p for p in path if p[0] < depth] + [(depth, m.group(3))]
                found[".".join(name for _, name in path)] = (m.group(4), comment)
                comment = ""
            else:
                self.assertEqual(line.strip(), "", "neither a comment nor an option")
                comment = ""
        options = self.options()
        self.assertEqual(list(found), list(options))
        for name, (default, change, _, text) in options.items():
            value, comment = found[name]
            with self.subTest(name):
                self.assertIn(text, comment)
                self.assertEqual("needs a restart" in comment, change == "restart")
                if value is not None and value != default:
                    self.assertIn("; required" if default == "required" else
                                  "; default " + default, comment)

    def test_print_is_the_default_values(self):
        """The sample, less its examples, is what a file with only the needed keys means."""
        short = self.file({"listeners": [{"name": "web", "interface": "eth0",
                                          "listen": ["192.0.2.1:443", "[2001:db8::1]:443"],
                                          "upstreams": "app"}],
                           "pools": [{"name": "app",
                                      "servers": ["10.0.0.11:8443", "10.0.0.12:8443"]}]})
        sample = os.path.join(SOURCE, "conf", "synward.yaml")
        want = command("check", "-p", "-c", sample, "-k", self.key)[1].splitlines()
        got = command("check", "-p", "-c", short)[1].splitlines()
        differ = [w for w, g in zip(want, got) if w != g]
        self.assertEqual(differ, ['user: "synward"', 'interface: "eth0"',
                                  'key_file: "/etc/synward/secret.key"'])
        self.assertEqual(len(want), len(got))

    def test_print_parses_again(self):
        for path in CONF:
            code, once, err = command("check", "-p", "-c", path, "-k", self.key)
            self.assertEqual((code, err), (OK, ""))
            code, twice, err = command("check", "-p", "-c", self.file(once), "-k", self.key)
            self.assertEqual((code, twice, err), (OK, once, ""))

    def test_every_mistake_is_one_line(self):
        path = self.file("interface: eth0\nlisteners:\n  - name: web\n    qeue_depth: 3\n"
                         "    listen: [\"192.0.2.1\"]\n    transparent: yes\n")
        code, out, err = command("check", "-c", path)
        self.assertEqual((code, out), (CONFIG, ""))
        self.assertEqual(err.splitlines(), [
            f'synward: {path}:4:5: unknown key "qeue_depth" in a listener; did you mean '
            '"queue_depth"?',
            f"synward: {path}:5:14: listen: 192.0.2.1: column 10: no port; write 192.0.2.1:80",
            f'synward: {path}:6:18: transparent: "yes" is neither true nor false; did you mean '
            'true?'])
        code, out, err_of_run = command("run", "-c", path)
        self.assertEqual((code, out, err_of_run), (CONFIG, "", err))

    def test_usage(self):
        good = self.file(BASE)
        for args in (("check",), ("check", good), ("check", "-c"), ("check", "-c", good, "more"),
                     ("check", "--nonsense"), ("check", "-c", good, "--list"),
                     ("run", "-c", good, "-i", "eth0"), ("run", "--mac", "hmac-sha256", "-c", good),
                     ("run", "-c", good, "--transparent"), ("run", "-c", good, "extra"),
                     ("run", "-c")):
            with self.subTest(args):
                code, out, err = command(*args)
                self.assertEqual((code, out), (USAGE, ""))
                self.assertIn(f"Try 'synward {args[0]} --help'.", err)
        self.assertIn("-c FILE and --mac exclude each other",
                      command("run", "--mac", "hmac-sha256", "-c", good)[2])

    def test_help(self):
        for args in (("check", "--help"), ("run", "--help")):
            code, out, err = command(*args)
            self.assertEqual((code, err), (OK, ""))
            self.assertLessEqual(out.count("\n"), 24)

    def test_many_kinds_of_files(self):
        """Directories, devices, pipes, nothing: one line, no hang."""
        pipe = os.path.join(self.dir, "pipe")
        os.mkfifo(pipe)
        for path in (self.dir, "/dev/null", "/dev/zero", pipe, self.dir + "/nothing"):
            code, _, err = command("check", "-c", path)
            self.assertEqual((code, err.count("\n")), (CONFIG, 1), err)
            self.assertTrue(err.startswith(f"synward: {path}: "), err)


class Run(LabCase):
    def start(self, *args, env=None, **more):
        self.lab.serve(echo)
        self.file = ConfigFile(self.lab, **more)
        return self.file.run(*args, env=env)

    def talk(self, addr=VICTIM4, port=80):
        with self.lab.client.connect(addr, port) as s:
            s.sendall(b"hello")
            self.assertEqual(read(s, 5), b"hello")

    def test_two_listeners_two_pools(self):
        self.lab.serve(echo, port=8081)
        synward = self.start(
            listeners=[{"name": "a", "listen": [f"{VICTIM4}:80"], "upstreams": "one"},
                       {"name": "b", "listen": [f"{VICTIM4}:81", f"{VICTIM4B}:80"],
                        "upstreams": "two", "mac": "siphash-2-4"}],
            pools=[{"name": "one", "servers": ["127.0.0.1:8080"]},
                   {"name": "two", "servers": ["127.0.0.1:8081"]}])
        self.talk()
        self.talk(port=81)
        self.talk(VICTIM4B)
        counters = synward.counters()
        self.assertEqual((counters["handed"], counters["a/handed"], counters["b/handed"]),
                         (3, 1, 2))
        self.assertEqual(counters["relay_accepted"], 3)
        self.assertIn(f"synward: guarding {VICTIM4}:81 on eth0 for b\n", synward.log())

    def test_listeners_share_an_interface_with_xdp(self):
        """Both MACs at XDP, a transparent one and one without, side by side."""
        self.lab.serve(echo, VICTIM4, 83)
        def listener(name, port, **more):
            return {"name": name, "listen": [f"{VICTIM4}:{port}"], **more}
        synward = self.start(listeners=[
            listener("a", 80, upstreams="app", offload="xdp"),
            listener("b", 81, upstreams="app", offload="xdp", mac="siphash-2-4"),
            listener("c", 82, upstreams="app"), listener("d", 83, transparent=True)])
        for port in (80, 81, 82, 83):
            for _ in range(3):
                self.talk(port=port)
        counters = synward.counters()
        self.assertEqual([counters[n + "/handed"] for n in "abcd"], [3, 3, 3, 3])
        self.assertEqual([counters[n + "/xdp_answered"] for n in "abcd"], [3, 3, 0, 3])
        self.file.config["listeners"].pop(0)
        self.assertEqual(self.file.reload(), (OK, "listener a: removed\n"))
        for port in (81, 82, 83):
            self.talk(port=port)

    def test_snapshot_agrees(self):
        """/stats over the control socket tells what SIGUSR1 tells."""
        synward = self.start()
        for _ in range(3):
            self.talk()
        code, out, err = command("status", "-j", "-s", self.file.socket)
        self.assertEqual((code, err), (OK, ""))
        stats = json.loads(out)
        self.assertEqual([l["name"] for l in stats["listeners"]], ["web"])
        self.assertEqual(synward.counters()["handed"], 3)
        self.assertRegex(out, r'"handed": ?3\b')

    def test_level_on_the_command_line(self):
        synward = self.start("-q", log={"level": "debug"})
        self.assertEqual(synward.log(), "synward: ready\n")
        self.file.config["log"] = {"level": "info"}
        self.assertEqual(self.file.reload()[0], OK)
        self.assertEqual(synward.log(), "synward: ready\n")

    def test_json_log(self):
        synward = self.start(log={"format": "json", "access": True})
        self.talk()
        self.assertEqual(synward.end_now(), OK)
        lines = [json.loads(line) for line in synward.log().splitlines()]
        self.assertIn("ready", [line.get("msg") for line in lines])
        access = [line for line in lines if line.get("msg") == "access"
                  or "listener" in line and "cause" in line]
        self.assertEqual(len(access), 1, lines)
        self.assertEqual(access[0]["listener"], "web")

    def test_logfmt(self):
        synward = self.start(log={"format": "logfmt"})
        for line in synward.log().splitlines():
            self.assertRegex(line, r'^ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=(info|warn) '
                                   r'msg="([^"\\]|\\.)*"$')

    def test_all_or_nothing_at_the_start(self):
        """The second listener cannot start: nothing is left of the first."""
        self.file = ConfigFile(self.lab, listeners=[
            {"name": "a", "listen": [f"{VICTIM4}:80"], "upstreams": "app"},
            {"name": "b", "listen": [f"{VICTIM4}:81"], "interface": "nosuch0",
             "upstreams": "app"}])
        p = self.file.run(ready=False)
        self.assertEqual(p.wait(10), FAILED)
        self.assertIn("error: listener b: no interface nosuch0 here", p.log())
        self.assertEqual(self.lab.victim.links(), ["eth0", "lo"])
        self.assertFalse(os.path.exists(self.file.socket))
        self.lab.processes.remove(p)

    def test_another_user(self):
        """As nobody from the start on, with reloads that open guards."""
        os.chmod(self.lab.dir, 0o777)
        synward = self.start(user="nobody")
        with open(f"/proc/{synward.pid}/status", encoding="ascii") as f:
            self.assertRegex(f.read(), r"Uid:\s+65534\s+65534\s+65534\s+65534\n")
        self.talk()
        os.chmod(self.file.path, 0o644)
        self.file.web["listen"].append(f"{VICTIM4}:81")
        self.file.write()
        code, text = self.file.reload()
        self.assertEqual(code, OK, text)
        self.talk(port=81)
        self.assertEqual(synward.end_now(), OK)
        self.assertFalse(os.path.exists(self.file.socket), "its socket is left")

    def test_a_file_that_a_reload_cannot_read(self):
        """root gives up the right to read what is not its own.  The advice is a command."""
        self.lab.serve(echo)
        key = self.lab.new_key()
        self.file = ConfigFile(self.lab, key_file=key)
        for path in (self.file.path, key):
            os.chmod(path, 0o600)
            os.chown(path, 65534, 65534)
        synward = self.file.run()
        for path in (self.file.path, key):
            self.assertIn(f"{path} cannot be read by root: a reload will fail; run: chown root "
                          f"{path}\n", synward.log())
        os.chown(self.file.path, 0, 0)
        code, text = self.file.reload(write=False)
        self.assertEqual(code, CONFIG, text)
        self.assertIn(f"{key}: Permission denied; give it to the user that synward runs as: chown "
                      f"USER {key}", text)
        os.chown(key, 0, 0)
        code, text = self.file.reload(write=False)
        self.assertEqual(code, OK, text)

    def test_a_loop(self):
        """The service is where the listener guards: in a file, and with options."""
        wrong = f'server {VICTIM4}:80 is guarded by listener "'
        self.file = ConfigFile(self.lab)
        self.file.app["servers"] = [f"{VICTIM4}:80"]
        self.file.write()
        for args, code in ((("-c", self.file.path), CONFIG),
                           (("-i", "lo", "-l", f"{VICTIM4}:80", "-u", f"{VICTIM4}:80"), USAGE)):
            p = self.lab.start_synward("run", *args, ready=False)
            self.assertEqual(p.wait(10), code, p.log())
            self.assertIn(wrong, p.log())
            self.lab.processes.remove(p)

    def test_unknown_user(self):
        self.file = ConfigFile(self.lab, user="no-such-user")
        p = self.file.run(ready=False)
        self.assertEqual(p.wait(10), CONFIG, p.log())
        self.assertIn("user no-such-user: ", p.log())
        self.lab.processes.remove(p)

    def test_flood_command(self):
        """A program is run when a flood begins and when it ends, with what a script needs."""
        out = os.path.join(self.lab.dir, "events")
        script = os.path.join(self.lab.dir, "notify")
        with open(script, "w", encoding="ascii") as f:
            f.write(f'#!/bin/sh\necho "$# $1 $SYNWARD_EVENT $SYNWARD_LISTENER '
                    f'$SYNWARD_ADDRESSES" >> {out}\n')
        os.chmod(script, 0o755)
        synward = self.start(flood={"enter": 500, "leave": 100, "hold": "1s",
                                    "command": [script, "a b"]})
        flood = self.lab.hping3(4)
        lines = lambda: open(out, encoding="ascii").read() if os.path.exists(out) else ""
        self.assertTrue(wait_for(lambda: "flood_began" in lines(), 8), synward.log())
        self.assertIn("web: Possible SYN flooding on port", synward.log())
        flood.wait(10)
        self.assertTrue(wait_for(lambda: "flood_ended" in lines(), 10), synward.log())
        self.assertEqual(lines().splitlines(),
                         [f"1 a b flood_began web {VICTIM4}:80",
                          f"1 a b flood_ended web {VICTIM4}:80"])
        self.assertEqual(self.zombies(synward.pid), [])

    @staticmethod
    def zombies(parent):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] == "Z" and int(fields[1]) == parent:
                found.append(int(pid))
        return found

    def test_systemd(self):
        """READY once it guards, STATUS, WATCHDOG while it lives, RELOADING and STOPPING."""
        path = os.path.join(self.lab.dir, "notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            s.settimeout(0.2)
            got, over = [], threading.Event()

            def collect():
                while not over.is_set():
                    try:
                        got.append(s.recv(4096).decode())
                    except TimeoutError:
                        continue

            thread = threading.Thread(target=collect)
            thread.start()
            try:
                synward = self.start(env={**os.environ, "NOTIFY_SOCKET": path,
                                          "WATCHDOG_USEC": "600000"})
                self.assertTrue(wait_for(lambda: got.count("WATCHDOG=1") >= 3, 10), got)
                self.assertTrue(wait_for(lambda: any(g.startswith("STATUS=web: ") for g in got),
                                         10), got)
                self.assertEqual(self.file.reload()[0], OK)
                self.assertTrue(wait_for(lambda: got.count("READY=1") == 2, 5), got)
                self.assertEqual(synward.end_now(), OK)
                self.assertTrue(wait_for(lambda: "STOPPING=1" in got, 5), got)
            finally:
                over.set()
                thread.join()
        order = [g.split("\n")[0] for g in got if not g.startswith(("WATCHDOG", "STATUS"))]
        self.assertEqual(order, ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"])
        self.assertRegex([g for g in got if g.startswith("RELOADING")][0],
                         r"^RELOADING=1\nMONOTONIC_USEC=\d+$")

    def test_a_listener_loses_its_interface(self):
        """The other goes on; /readyz says why it is not well; a reload brings the first back."""
        self.lab.victim.run("ip", "link", "add", "extra0", "type", "veth", "peer", "name", "extra1")
        self.lab.victim.run("ip", "link", "set", "extra0", "up")
        synward = self.start(listeners=[
            {"name": "web", "listen": [f"{VICTIM4}:80"], "upstreams": "app"},
            {"name": "side", "interface": "extra0", "listen": ["192.0.2.9:80"],
             "upstreams": "app"}])
        self.lab.victim.run("ip", "link", "del", "extra0")
        self.assertTrue(wait_for(lambda: "interface extra0 is gone" in synward.log(), 5))
        self.assertTrue(synward.alive())
        self.talk()
        self.file.config["listeners"].pop()
        code, text = self.file.reload()
        self.assertEqual((code, text), (OK, "listener side: removed\n"))
        self.talk()


if __name__ == "__main__":
    main()
