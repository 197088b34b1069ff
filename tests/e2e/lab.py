# SPDX-License-Identifier: MIT
"""
A lab of network namespaces for the end-to-end tests and the demo.

   client                    router                     victim
  +--------------+          +-------------+            +-------------------------+
  | eth0 .10 ::10|----------| c0  br0  v0 |------------| eth0 .1 .2  ::1 ::2     |
  +--------------+          |             |            | lo   127.0.0.1 ::1      |
   attacker                 |             |            | synward, nginx, sshd... |
  +--------------+          |             |            +-------------------------+
  | eth0 .66 ::66|----------| a0          |
  +--------------+          +-------------+

IPv4 is 198.51.100.0/24, IPv6 is 2001:db8::/64.  Legitimate traffic and the flood come in by the
same interface of the victim, its eth0.  The victim's default route leads to the attacker, which
drops whatever comes in: answers to spoofed sources end there.  .77 and ::77 ("ghost") belong to
nobody but lead to the client's interface: a test that speaks TCP by raw frames uses them, and no
kernel answers in its place.

Everything sent stays inside these namespaces.  Processes die with the test (PR_SET_PDEATHSIG), and
leaving the lab fails when a process, an interface or a namespace is left.
"""
import atexit
import ctypes
import json
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from process import Process, Synward, wait_for

SOURCE = os.environ.get("SYNWARD_SOURCE") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("SYNWARD_BUILD") or os.path.join(SOURCE, "build", "release")
SYNWARD = os.environ.get("SYNWARD_BINARY") or os.path.join(BUILD, "synward")
BENCH_LOAD = os.environ.get("SYNWARD_BENCH_LOAD") or os.path.join(BUILD, "bench", "bench_load")

VICTIM4, VICTIM4B, CLIENT4, ATTACKER4, GHOST4 = (
    "198.51.100.1", "198.51.100.2", "198.51.100.10", "198.51.100.66", "198.51.100.77")
VICTIM6, VICTIM6B, CLIENT6, ATTACKER6, GHOST6 = (
    "2001:db8::1", "2001:db8::2", "2001:db8::10", "2001:db8::66", "2001:db8::77")
MAC = {"victim": "02:00:00:00:00:01", "client": "02:00:00:00:00:10",
       "attacker": "02:00:00:00:00:66"}

FEW = 50_000  # frames: a burst, no flood
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def setns(fd, kind=CLONE_NEWNET):
    if libc.setns(fd, kind):
        raise OSError(ctypes.get_errno(), "setns")


def endpoint(addr, port):
    """How synward and bench_load write an address."""
    return f"[{addr}]:{port}" if ":" in addr else f"{addr}:{port}"


def is_sanitized(path=SYNWARD):
    """Was the program built with AddressSanitizer?  Times and memory say nothing then."""
    with open(path, "rb") as f:
        return b"__asan_init" in f.read()


class Namespace:
    def __init__(self, lab, role):
        self.lab = lab
        self.name = f"{lab.prefix}{role[0]}"
        self.role = role
        self.fd = -1

    def open(self):
        self.fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self):
        """The calling thread is inside: sockets it makes belong to this namespace."""
        setns(self.fd)
        return self

    def __exit__(self, *exc):
        setns(self.lab.home)

    def socket(self, *args, **kwargs):
        with self:
            return socket.socket(*args, **kwargs)

    def connect(self, addr, port, timeout=5, source=None):
        """A connected TCP socket, or the exception of connect()."""
        s = self.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET)
        try:
            s.settimeout(timeout)
            if source:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(source)
            s.connect((addr, port))
            return s
        except BaseException:
            s.close()
            raise

    def listen(self, addr, port, backlog=512):
        s = self.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in addr:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((addr, port))
        s.listen(backlog)
        return s

    def sysctl(self, key, value=None):
        path = "/proc/sys/" + key.replace(".", "/")
        with self:
            if value is not None:
                with open(path, "w", encoding="ascii") as f:
                    f.write(str(value))
            with open(path, encoding="ascii") as f:
                return f.read().strip()

    def run(self, *argv, check=True, timeout=60, text=None):
        """Run a program here to its end and return it as subprocess.run() does."""
        return subprocess.run(argv, input=text, capture_output=True, text=True, check=check,
                              timeout=timeout, preexec_fn=self.lab.preexec(self))

    def spawn(self, name, *argv, kind=Process, **kwargs):
        preexec = self.lab.preexec(self, **{k: kwargs.pop(k) for k in ("cpu_seconds", "deathsig",
                                                                       "private_run", "extra")
                                            if k in kwargs})
        return kind(self.lab, name, argv, preexec, **kwargs)

    def packets(self, interface="eth0"):
        """(received, sent) by an interface so far."""
        with self:
            with open("/proc/thread-self/net/dev", encoding="ascii") as f:
                for line in f:
                    if line.strip().startswith(interface + ":"):
                        fields = line.split(":")[1].split()
                        return int(fields[1]), int(fields[9])
        raise KeyError(interface)

    def nstat(self, name):
        """A counter of /proc/net/netstat or /proc/net/snmp, as in "TcpExt.SyncookiesSent"."""
        table, field = name.split(".")
        with self:
            for path in ("/proc/thread-self/net/netstat", "/proc/thread-self/net/snmp"):
                with open(path, encoding="ascii") as f:
                    lines = f.read().splitlines()
                for head, values in zip(lines[::2], lines[1::2]):
                    if head.startswith(table + ":") and field in head.split():
                        return int(values.split()[head.split().index(field)])
        raise KeyError(name)

    def links(self):
        rows = json.loads(self.run("ip", "-j", "link").stdout)
        return sorted(row["ifname"] for row in rows)

    def offload(self, **features):
        """offload(tso=False, tx=False): ethtool's short names."""
        words = [w for k, v in features.items() for w in (k, "on" if v else "off")]
        self.run("ethtool", "-K", "eth0", *words)

    def ss(self, where):
        """Facts about the one established connection that matches a filter of ss."""
        out = self.run("ss", "-tinoH", "state", "established", where).stdout
        if not out.strip():
            return None
        facts = {}
        for word in out.split():
            key, _, value = word.partition(":")
            if word in ("ts", "sack", "ecn", "ecnseen") or key in ("wscale", "mss", "advmss",
                                                                  "pmtu"):
                facts[key] = value or True
        return facts


class Lab:
    ROLES = ("client", "router", "victim", "attacker")

    def __init__(self, mtu=1500):
        self.mtu = mtu
        self.prefix = f"swt{os.getpid()}"
        self.processes, self.servers, self.namespaces = [], [], {}
        self.dir = self.home = None
        self.old_handlers = {}

    # ---- making ----

    def __enter__(self):
        if os.geteuid() != 0:
            raise SystemExit("the lab needs root: run it by sudo")
        self._catch_signals()
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.host_links = set(os.listdir("/sys/class/net"))
        self.dir = tempfile.mkdtemp(prefix=self.prefix + "-")
        os.chmod(self.dir, 0o755)
        try:
            sweep()
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def _catch_signals(self):
        """A signal becomes an exception; unittest does not clean up then, atexit does."""
        atexit.register(self._remove)
        for sig in (signal.SIGTERM, signal.SIGHUP):
            self.old_handlers[sig] = signal.signal(sig, _interrupt)

    def _make(self):
        for role in self.ROLES:
            ns = Namespace(self, role)
            subprocess.run(["ip", "netns", "add", ns.name], check=True)
            self.namespaces[role] = ns
            setattr(self, role, ns)
            ns.open()
        self._make_links()
        for ns in (self.client, self.victim, self.attacker):
            ns.sysctl("net.ipv4.conf.all.rp_filter", 0)
            ns.sysctl("net.ipv4.conf.eth0.rp_filter", 0)
            ns.sysctl("net.ipv4.ip_local_port_range", "10000 65000")
        self._drop_at_attacker()
        raise_limit()

    def _make_links(self):
        c, r, v, a = (ns.name for ns in (self.client, self.router, self.victim, self.attacker))
        lines = ["link add br0 type bridge stp_state 0 mcast_snooping 0"]
        for role, peer, port in (("client", c, "c0"), ("victim", v, "v0"), ("attacker", a, "a0")):
            lines += [f"link add {port} mtu {self.mtu} type veth peer name eth0 netns {peer} "
                      f"address {MAC[role]} mtu {self.mtu}",
                      f"link set {port} master br0 up"]
        lines += ["link set br0 up"]
        self._batch(r, lines)
        for role, port in (("client", "c0"), ("victim", "v0"), ("attacker", "a0")):
            self.router.run("bridge", "fdb", "replace", MAC[role], "dev", port, "master", "static")
        if self.mtu >= 1280:
            self.router.sysctl("net.ipv6.conf.br0.disable_ipv6", 1)
        hosts = {"client": [CLIENT4, CLIENT6], "attacker": [ATTACKER4, ATTACKER6],
                 "victim": [VICTIM4, VICTIM4B, VICTIM6, VICTIM6B]}
        for role, addrs in hosts.items():
            lines = ["link set lo up", "link set eth0 up"]
            if self.mtu >= 1280:  # below there is no IPv6; with it, no link-local address
                lines.insert(1, "link set eth0 addrgenmode none")
            lines += [f"addr add {a}/24 dev eth0" for a in addrs if ":" not in a]
            if self.mtu >= 1280:
                lines += [f"addr add {a}/64 dev eth0 nodad" for a in addrs if ":" in a]
            for other, others in {**hosts, "client": [CLIENT4, CLIENT6, GHOST4, GHOST6]}.items():
                if other != role:
                    lines += [f"neigh add {a} lladdr {MAC[other]} dev eth0" for a in others
                              if self.mtu >= 1280 or ":" not in a]
            if role == "victim":
                lines += [f"route add default via {ATTACKER4}"]
                if self.mtu >= 1280:
                    lines += [f"route add default via {ATTACKER6} dev eth0"]
            self._batch(self.namespaces[role].name, lines)

    @staticmethod
    def _batch(name, lines):
        subprocess.run(["ip", "-n", name, "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                       check=True)

    def _drop_at_attacker(self):
        self.attacker.run("nft", "-f", "-", text="""
            table netdev lab {
                chain drop_all { type filter hook ingress device eth0 priority 0; policy drop; }
            }""")

    def take_xdp_tx(self):
        """Let the victim's eth0 send by XDP_TX: on veth that needs an XDP program at the peer."""
        base = os.path.join(self.dir, "pass")
        if os.path.exists(base + ".o"):
            return
        with open(base + ".c", "w", encoding="ascii") as f:
            f.write('__attribute__((section("xdp.frags"), used)) int pass(void *c) { return 2; }\n')
        subprocess.run(["clang", "-target", "bpf", "-O2", "-c", base + ".c", "-o", base + ".o"],
                       check=True)
        self.router.run("ip", "link", "set", "dev", "v0", "xdp", "obj", base + ".o", "sec",
                        "xdp.frags")

    # ---- processes ----

    def preexec(self, ns, cpu_seconds=None, deathsig=signal.SIGKILL, private_run=False, extra=None):
        """What a child does before it becomes the program: enter the namespace, die with us."""
        parent, fd = os.getpid(), ns.fd

        def enter():
            libc.prctl(PR_SET_PDEATHSIG, int(deathsig), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            setns(fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            for sig in (signal.SIGINT, signal.SIGQUIT):  # which `tests/run &` ignores
                signal.signal(sig, signal.SIG_DFL)
            if cpu_seconds:  # a flood ends by itself even if everything else failed
                resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
            if private_run:
                _private_run()
            if extra:
                extra()

        return enter

    def start_synward(self, *args, ready=True, ns=None, wrap=(), binary=SYNWARD, seconds=20,
                      **kwargs):
        """synward in the victim's namespace, as `ip netns exec` would run it.  wrap goes before
        the program."""
        ns = ns or self.victim
        p = ns.spawn("synward", "ip", "netns", "exec", ns.name, *wrap, binary, *args,
                     kind=Synward, **kwargs)
        if not ready:
            return p
        if not wait_for(lambda: p.ready() or not p.alive(), seconds, 0.005) or not p.alive():
            code = p.popen.poll()
            raise AssertionError(f"synward is not ready (exit code {code}):\n{p.log()}")
        return p

    def guard(self, *more, listen=(f"{VICTIM4}:80",), upstream=("127.0.0.1:8080",), **kwargs):
        """synward run in front of an upstream, with what most tests want.  SYNWARD_E2E_ARGS adds
        options, to try the whole suite with another engine or MAC."""
        args = ["run", "--interface", "eth0", *shlex.split(os.environ.get("SYNWARD_E2E_ARGS", ""))]
        for a in listen:
            args += ["--listen", a]
        for a in upstream:
            args += ["--upstream", a]
        if "xdp" in (*args, *more):
            self.take_xdp_tx()
        return self.start_synward(*args, *more, **kwargs)

    def new_key(self, name="key"):
        """A key file as `synward secret new` makes it."""
        path = os.path.join(self.dir, name)
        key = subprocess.run([SYNWARD, "secret", "new"], capture_output=True, check=True).stdout
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(key)
        return path

    # ---- floods: each bounded in time, and by RLIMIT_CPU if all else fails ----

    @staticmethod
    def _refuse_beside():
        """A flood takes the processors from every lab."""
        if os.environ.get("SYNWARD_PART") == "beside":
            raise AssertionError("a flood beside other tests: add this one to e2e_alone of its file "
                                 "in tests/CMakeLists.txt")

    def hping3(self, seconds, *more, target=VICTIM4, port=80):
        """hping3 -S --flood --rand-source; more may hold -d 120 -w 64."""
        self._refuse_beside()
        return self.attacker.spawn(
            "hping3", "timeout", "-s", "INT", "-k", "2", str(seconds), "hping3", "-S", "--flood",
            "--rand-source", "-q", "-n", "-I", "eth0", "-p", str(port), *more, target,
            cpu_seconds=seconds + 5, deathsig=signal.SIGTERM)

    def trafgen(self, seconds, count, packet, rate=None):
        """count frames from a trafgen description, as of flood.tcp()."""
        if not rate and count > FEW:
            self._refuse_beside()
        path = os.path.join(self.dir, f"trafgen-{len(self.processes)}.cfg")
        with open(path, "w", encoding="ascii") as f:
            f.write(packet + "\n")
        limit = ["-b", f"{rate}pps"] if rate else []
        return self.attacker.spawn(
            "trafgen", "timeout", "-s", "TERM", "-k", "2", str(seconds), "trafgen",
            "--no-sock-mem", "-Q", "-C", "-P", "1", "-n", str(count), *limit, "-i", path, "-o",
            "eth0", cpu_seconds=seconds + 5, deathsig=signal.SIGTERM)

    # ---- servers ----

    def serve(self, handler, addr="127.0.0.1", port=8080, ns=None):
        server = Server((ns or self.victim).listen(addr, port), handler)
        self.servers.append(server)
        return server

    def bench_server(self, addr="127.0.0.1", port=8080, ns=None, *more):
        p = (ns or self.victim).spawn("server", BENCH_LOAD, "--serve", endpoint(addr, port), *more)
        if not wait_for(lambda: "ready" in p.log() or not p.alive(), 5) or not p.alive():
            raise AssertionError("bench_load --serve: " + p.log())
        return p

    def load(self, addr, port, *more, ns=None, timeout=300):
        """Run bench_load's client to its end and return its JSON."""
        out = (ns or self.client).run(BENCH_LOAD, "--connect", endpoint(addr, port), "--json",
                                      *map(str, more), timeout=timeout)
        return json.loads(out.stdout)

    def nginx(self, *listen, size=1024, proxy_protocol=False):
        """nginx with its own configuration on some "ADDR:PORT", serving /index.html."""
        home = tempfile.mkdtemp(prefix="nginx-", dir=self.dir)
        os.mkdir(f"{home}/www")
        with open(f"{home}/www/index.html", "w", encoding="ascii") as f:
            f.write("x" * size)
        lines = "".join(f"listen {a}{' proxy_protocol' if proxy_protocol else ''};" for a in listen)
        temp = "".join(f"{kind}_temp_path {home}/{kind};" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{home}/nginx.conf", "w", encoding="ascii") as f:
            f.write(f"""daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;
                events {{ worker_connections 4096; }}
                http {{ access_log off; {temp} server {{ {lines} root {home}/www; }} }}""")
        p = self.victim.spawn("nginx", "nginx", "-p", home, "-e", f"{home}/error.log", "-c",
                              f"{home}/nginx.conf")
        if not wait_for(lambda: self._listens(listen[0]) or not p.alive(), 10) or not p.alive():
            raise AssertionError("nginx did not start: " + p.log())
        return p

    def _listens(self, where):
        return self.victim.run("ss", "-ltnH", "src", where).stdout.strip()

    # ---- leaving ----

    def __exit__(self, kind, value, trace):
        left = self._remove()
        if left and kind is None:
            raise AssertionError("the lab was not left clean: " + "; ".join(left))
        return False

    def _remove(self):
        """Undo everything, in the reverse order.  Returns what should not have been there."""
        if self.home is None:
            return []
        left = []
        for p in reversed(self.processes):
            if isinstance(p, Synward) and p.alive():
                code = p.end_now()
                if code != 0:
                    left.append(f"synward ended with {code} after SIGTERM")
            left += self._sanitizer(p)
            p.stop(signal.SIGTERM if p.name in ("hping3", "trafgen") else signal.SIGKILL, 5)
        for server in self.servers:
            server.close()
        left += self._leftovers()
        for ns in self.namespaces.values():
            if ns.fd >= 0:
                os.close(ns.fd)
            subprocess.run(["ip", "netns", "del", ns.name], check=False)
        self.namespaces.clear()
        os.close(self.home)
        self.home = None
        left += self._host_leftovers()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        for sig, handler in self.old_handlers.items():
            signal.signal(sig, handler)
        atexit.unregister(self._remove)
        return left

    @staticmethod
    def _sanitizer(p):
        if isinstance(p, Synward) and re.search(r"Sanitizer|runtime error:", p.log()):
            return ["a sanitizer found something: " + p.log()]
        return []

    def _leftovers(self):
        left = []
        victim = self.namespaces.get("victim")
        if victim and victim.fd >= 0:
            if not wait_for(lambda: victim.links() == ["eth0", "lo"], 2):
                left.append("interfaces in the victim: " + " ".join(victim.links()))
        wait_for(lambda: not self.inside(), 3, 0.05)
        for pid, command in self.inside():
            left.append(f"process {pid} {command}")
            os.kill(pid, signal.SIGKILL)  # it is in a namespace that only this lab uses
        return left

    def inside(self):
        """(pid, command) of every process in one of the lab's namespaces."""
        inodes = {os.fstat(ns.fd).st_ino for ns in self.namespaces.values() if ns.fd >= 0}
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino in inodes and int(pid) != os.getpid():
                    with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                        found.append((int(pid), f.read().strip()))
            except OSError:
                continue
        return found

    def _host_leftovers(self):
        left = [f"namespace {n}" for n in os.listdir("/run/netns")
                if re.fullmatch(self.prefix + "[crva]", n)] if os.path.isdir("/run/netns") else []
        # Another program may add interfaces meanwhile; ours would be veths.
        for name in set(os.listdir("/sys/class/net")) - self.host_links:
            if re.match(r"(c0|v0|a0|br0|sw)", name):
                left.append(f"interface {name}")
        return left

    def logs(self):
        """What the programs printed, for the report of a failed test."""
        return "\n".join(f"---- {p.name} (pid {p.pid}, exit code {p.popen.poll()})\n"
                         f"{p.log()[-6000:]}" for p in self.processes)


class Server:
    """Accepts in a thread and gives each connection to handler(socket, events) in its own thread.
    events is a list that the handler may append to and the test may read."""

    def __init__(self, listener, handler):
        self.listener, self.handler = listener, handler
        self.events, self.sockets = [], []
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()

    def _loop(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(s)
            threading.Thread(target=self._one, args=(s,), daemon=True).start()

    def _one(self, s):
        try:
            self.handler(s, self.events)
        except OSError as e:
            self.events.append(type(e).__name__)
        finally:
            s.close()

    def close_listener(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)

    def close(self):
        self.close_listener()
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def _interrupt(_signal, _frame):
    raise KeyboardInterrupt


def _private_run():
    """An empty /run that only this process sees: sshd wants a directory there."""
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    ms_rec_private, no = (1 << 14) | (1 << 18), None
    if libc.mount(b"none", b"/", no, ms_rec_private, no) or \
       libc.mount(b"lab", b"/run", b"tmpfs", 0, no):
        raise OSError(ctypes.get_errno(), "mount")
    os.mkdir("/run/sshd", 0o755)


def raise_limit():
    """Thousands of connections need more descriptors than the usual 1024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))


def sweep():
    """Remove the namespaces of labs whose process was killed and could not do it."""
    if not os.path.isdir("/run/netns"):
        return
    for name in os.listdir("/run/netns"):
        m = re.fullmatch(r"swt(\d+)[crva]", name)
        if m and not os.path.exists(f"/proc/{m.group(1)}"):
            subprocess.run(["ip", "netns", "del", name], check=False)
