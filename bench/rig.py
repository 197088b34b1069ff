# SPDX-License-Identifier: MIT
"""The lab of tests/e2e/lab.py, made ready for measuring: who runs on which CPU, what counts.

The flood enters where the victim's link begins: at v0, the router's end of the victim's veth.

    generator --> v0 ======== eth0 victim        CPU 0: everything of the victim
                  | sink (XDP): counts answers   CPU 1: everything else
    client -- bridge

Packets to the victim are received by the NAPI thread of its eth0, pinned to CPU 0, for every
contender alike; answers are received by the NAPI thread of v0, pinned to CPU 1.

Rig(shared=CPUS) is the other way round: each of these CPUs has all of it, a generator, a queue of the
link with its two NAPI threads, and the victim.  One CPU and two are measured alike then.
"""
import contextlib
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import lab  # noqa: E402

TOOLS = os.path.join(lab.BUILD, "bench")
VICTIM_CPU, OTHER_CPU = 0, 1
SEED = 20241
FIRST_NICE = -20  # of NAPI threads that come first: the sink's always
CLIENT_FIFO = 60


def napi_threads():
    """pid -> name of the kernel's NAPI threads."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                name = f.read().strip()
        except OSError:
            continue
        if name.startswith("napi/"):
            found[int(pid)] = name
    return found


def on_cpu(*cpus, nice=0, fifo=0, idle=False):
    """For preexec: the process and its children run on these CPUs; fifo: a priority of SCHED_FIFO;
    idle: when nobody else does, also where each session is a scheduling group of its own
    (sched_autogroup_enabled)."""
    def pin():
        os.sched_setaffinity(0, set(cpus))
        if nice:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        if fifo:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(fifo))
        if idle:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            if os.path.exists("/proc/self/autogroup"):
                with open("/proc/self/autogroup", "w", encoding="ascii") as f:
                    f.write("19")
    return pin


def stay_awake():
    """No CPU goes to sleep while this file is open: waking a virtual one can take longer than a veth's
    256 frames last (Documentation/power/pm_qos_interface.rst).  None where there is no such file."""
    try:
        f = open("/dev/cpu_dma_latency", "wb", buffering=0)
    except OSError:
        return None
    f.write(bytes(4))  # microseconds, in the machine's byte order
    return f


class Rig(lab.Lab):
    """Use as a context.  on_victim() is passed as extra= to whatever serves."""

    def __init__(self, shared=()):
        super().__init__()
        self.shared = shared
        self.serving_cpus = shared or (VICTIM_CPU,)
        self.other_cpus = shared or (OTHER_CPU,)
        self.sink = None
        self.awake = None
        self.serving = []  # kernel threads that work for the victim
        self.helping = []  # those that work for the sink

    def __enter__(self):
        super().__enter__()
        try:
            if (os.cpu_count() or 1) < 2:
                raise SystemExit("bench/run needs two CPUs: one serves, one attacks")
            self.awake = stay_awake()
            # The suites of a lab take some 29,000.  connect() looks at every second one first, and
            # when those are used up each call looks at them all again.
            self.client.sysctl("net.ipv4.ip_local_port_range", "1024 65535")
            for ns, interface in ((self.victim, "eth0"), (self.router, "v0")):
                self._queues(ns, interface)
            self.serving = self._receive_on(self.victim, "eth0", self.serving_cpus)
            self.put_sink()
            self.helping = self._receive_on(self.router, "v0", self.other_cpus, first=True)
            self.level_link()
        except BaseException:
            self._remove()
            raise
        return self

    def _remove(self):
        self.drop_sink()
        if self.awake:
            self.awake.close()
            self.awake = None
        return super()._remove()

    def level_link(self):
        """The victim's NAPI thread receives everything: veth gives it an skb only when the sender
        has no TSO; else the sender's CPU does the victim's work."""
        self.put_sink()
        self.router.run("ethtool", "-K", "v0", "tso", "off")

    def plain_link(self):
        """The link as it comes: TSO on, no program."""
        self.drop_sink()
        self.router.run("ethtool", "-K", "v0", "tso", "on")

    def put_sink(self):
        self.sink = self.sink or Sink(self)

    def drop_sink(self):
        if self.sink:
            self.sink.close()
            self.sink = None

    def _queues(self, ns, interface):
        """A queue for each CPU that serves.  XDP frames take that of the CPU that sends them
        (veth_select_rxq()); XPS makes skbs do the same."""
        n = len(self.serving_cpus)
        if n == 1:
            return
        ns.run("ethtool", "-L", interface, "rx", str(n), "tx", str(n))
        for queue, cpu in enumerate(self.serving_cpus):
            ns.run("ip", "netns", "exec", ns.name, "sh", "-c",
                   f"echo {1 << cpu:x} >/sys/class/net/{interface}/queues/tx-{queue}/xps_cpus")

    def _receive_on(self, ns, interface, cpus, first=False):
        """Each queue's packets are received by a thread on one CPU; first: before most of what
        else wants that CPU, so that few answers are lost for want of a turn.  (SCHED_FIFO loses
        none, and costs the victim a fifth: each answer interrupts the other CPU.  On the same CPU
        it waits for the end of a batch, and other real-time threads must not starve it.)
        @return the threads."""
        before = napi_threads()
        ns.run("ethtool", "-K", interface, "gro", "on")
        ns.run("ip", "netns", "exec", ns.name, "sh", "-c",
               f"echo 1 >/sys/class/net/{interface}/threaded")

        def fresh():
            """In the order of the queues, which is that of the numbers in the names."""
            found = {pid: name for pid, name in napi_threads().items() if pid not in before and
                     name.startswith(f"napi/{interface}-")}
            return sorted(found, key=lambda pid: int(found[pid].rpartition("-")[2]))

        if not lab.wait_for(lambda: len(fresh()) == len(cpus), 2):
            raise SystemExit(f"no NAPI threads for {interface}: this kernel cannot be measured")
        threads = fresh()
        for pid, cpu in zip(threads, cpus):
            os.sched_setaffinity(pid, {cpu})
            if first and self.shared:
                os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(50))
            elif first:
                os.setpriority(os.PRIO_PROCESS, pid, FIRST_NICE)
        return threads

    def on_victim(self):
        """For preexec: what serves.  As where NAPI is not threaded (ksoftirqd), receiving has no
        priority over it."""
        return on_cpu(*self.serving_cpus)

    # ---- programs ----

    def serve_at(self, addr, port):
        """A server that answers one byte with 64, on the victim's CPU; the backlog is nginx's."""
        p = self.victim.spawn("server", lab.BENCH_LOAD, "--serve", lab.endpoint(addr, port),
                              "--backlog", "511", extra=self.on_victim())
        if not lab.wait_for(lambda: "ready" in p.log() or not p.alive(), 5) or not p.alive():
            raise AssertionError("bench_load --serve: " + p.log())
        return p

    def flood(self, kind, seconds, cpu=OTHER_CPU, rate=0, count=0, engine=None, prefix=False,
              family=4, first=0):
        args = [os.path.join(TOOLS, "bench_gen"), "--interface", "v0", "--kind", kind, "--seconds",
                str(max(1, round(seconds + 0.5))), "--rate", str(rate), "--seed", str(SEED),
                "--family", str(family), "--first", str(first), "--json"]
        args += ["--count", str(count)] if count else []
        args += ["--engine", engine] if engine else []
        args += ["--prefix"] if prefix else []
        # Where it shares its CPU with the victim it must not take what the victim can use.
        pin = on_cpu(cpu, idle=True) if self.shared else on_cpu(cpu, nice=10)
        return self.router.spawn("gen", *args, extra=pin)

    def floods(self, kind, seconds, **how):
        """A generator on each CPU that attacks; no two send the same frame."""
        return [self.flood(kind, seconds, cpu, first=i << 40, **how)
                for i, cpu in enumerate(self.other_cpus)]

    @contextlib.contextmanager
    def answers_at_once(self):
        """The sink's threads wait for nobody but a client that fetch(fifo=CLIENT_FIFO) starts: no
        answer is lost on the way to it.  Costs the victim's CPU an interrupt for each of them."""
        for pid in self.helping:
            os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(CLIENT_FIFO - 1))
        try:
            yield
        finally:
            for pid in self.helping:
                os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, pid, FIRST_NICE)

    @contextlib.contextmanager
    def receiving_first(self):
        """The victim's NAPI threads come before what serves: of fair threads, nearly always."""
        for pid in self.serving:
            os.setpriority(os.PRIO_PROCESS, pid, FIRST_NICE)
        try:
            yield
        finally:
            for pid in self.serving:
                os.setpriority(os.PRIO_PROCESS, pid, 0)

    def fetch(self, count, *more, to=lab.VICTIM4, nice=-15, fifo=0):
        """bench_load on the other CPU, before the generator when both want it."""
        argv = [lab.BENCH_LOAD, "--connect", lab.endpoint(to, 80), "--json", "--count", str(count),
                "--request-bytes", "1", "--expect-bytes", "64", *map(str, more)]
        pin, enter = on_cpu(OTHER_CPU, nice=nice, fifo=fifo), self.preexec(self.client)

        def both():
            enter()
            pin()

        out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120,
                             preexec_fn=both)
        return json.loads(out.stdout)

    def serves(self, to=lab.VICTIM4):
        """Does a client that waits its turn get what it asks for?"""
        return self.fetch(5, "--timeout", 2000, to=to)["ok"] == 5


class Sink:
    """bench_sink on v0: what the victim answers, counted where it cannot reach."""

    def __init__(self, net):
        enter, pin = net.preexec(net.router), on_cpu(*net.other_cpus)

        def both():
            enter()
            pin()

        self.popen = subprocess.Popen(
            [os.path.join(TOOLS, "bench_sink"), "--interface", "v0", "--seed", str(SEED)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=both)
        if not self.popen.stdout.readline():
            raise SystemExit("bench_sink did not start")

    def read(self):
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        return json.loads(self.popen.stdout.readline())

    def close(self):
        self.popen.stdin.close()
        self.popen.wait(5)
        self.popen.stdout.close()


def cpu_busy(cpu):
    """Seconds that a CPU was not idle, since boot."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = re.search(rf"^cpu{cpu} (.*)$", f.read(), re.M).group(1).split()
    return (sum(map(int, fields[:8])) - int(fields[3]) - int(fields[4])) / os.sysconf("SC_CLK_TCK")


def run_seconds(pid):
    """CPU time of all threads of a process so far, to the nanosecond."""
    total = 0
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    except OSError:
        pass  # it ended
    return total / 1e9


def ksoftirqd(cpu):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                if f.read().strip() == f"ksoftirqd/{cpu}":
                    return int(pid)
        except OSError:
            continue
    return 0


KSOFTIRQD = [ksoftirqd(cpu) for cpu in range(os.cpu_count() or 1)]


class Window:
    """What happened between its start and its end."""

    def __init__(self, net):
        self.net = net
        self.before = self._take()

    def _take(self):
        return (time.monotonic(), self.net.victim.packets()[0], self.net.sink.read(),
                sum(map(cpu_busy, self.net.serving_cpus)), self._served(), self._helped())

    def _served(self):
        """CPU time of all that works for the victim."""
        cpus = self.net.serving_cpus
        ours = [p.pid for p in self.net.processes if p.alive() and p.name != "gen" and
                os.sched_getaffinity(p.pid) == set(cpus)]
        return sum(map(run_seconds, [*(KSOFTIRQD[c] for c in cpus), *self.net.serving, *ours]))

    def _helped(self):
        """CPU time of the generators and the sink, where they share the victim's CPUs."""
        if not self.net.shared:
            return 0
        gens = [p.pid for p in self.net.processes if p.alive() and p.name == "gen"]
        return sum(map(run_seconds, [*self.net.helping, *gens]))

    def end(self):
        """Rates a second: received by the victim, answers seen by the sink; CPU seconds of what
        serves, and the share of its CPUs that went to what is not the lab's."""
        t0, rx0, sink0, cpu0, own0, help0 = self.before
        t1, rx1, sink1, cpu1, own1, help1 = self._take()
        span = t1 - t0
        rates = {k: (sink1[k] - sink0[k]) / span for k in ("synack", "wrong", "rst", "other")}
        own = (own1 - own0) / span
        others = (cpu1 - cpu0) / span - own - (help1 - help0) / span
        return {"seconds": span, "received": (rx1 - rx0) / span, "cpu": own,
                "others": max(0.0, others) / len(self.net.serving_cpus), **rates}
