#!/usr/bin/env python3
"""Drives real clients through `divulge proxy` to real servers, all on loopback or in network namespaces of its own.

  tests/clients/install.sh FOLDER
  FOLDER/venv/bin/python tests/clients/run.py --bin target/release/divulge --tools FOLDER [--only NAME …] [--list]

Prints a line a case and `N passed, N failed` at last; the exit code says the same.
"""
import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from servers import NAME, Backend, Servers  # noqa: E402

HERE = pathlib.Path(__file__).parent
CASES = []


def case(function):
    CASES.append((function.__name__.replace("_", "-"), function))
    return function


class Failed(Exception):
    pass


def check(good, why):
    if not good:
        raise Failed(why)


class Proxy:
    """divulge proxy as a program."""

    running = []

    def __init__(self, world, *args, name="run", prefix=(), listen="127.0.0.1:0", inspect=True, recording=None):
        self.world, self.folder = world, world.folder / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.recording, self.report = recording or self.folder / "rec.pcapng", self.folder / "live.json"
        command = [*prefix, world.bin, "proxy", "--listen", listen, "--allow-local", "--upstream-ca", world.folder / "ca.pem",
                   "--resolve", f"{NAME}:127.0.0.1", "--ca", world.ca, "--ca-key", world.ca_key, "--record", self.recording,
                   "--tui", "never", "--format", "json", "-o", self.report, *args]
        if not inspect:
            command.append("--no-inspect")
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen([str(part) for part in command], stderr=self.log, stdout=self.log)
        Proxy.running.append(self.process)
        end = time.monotonic() + 15
        while not (found := re.search(r"proxy on \S+:(\d+);", self.said())):
            check(self.process.poll() is None and time.monotonic() < end, f"proxy did not start: {self.said()}")
            time.sleep(0.05)
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def said(self):
        return (self.folder / "log").read_text()

    def wait_for(self, text, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end and text not in self.said():
            time.sleep(0.05)

    def end(self):
        """Ends it with its report; gives that."""
        check(self.process.poll() is None, f"the proxy ended by itself: {self.said()[-400:]}")
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("the proxy did not end")
        check("panicked" not in self.said(), self.said()[-800:])
        return json.loads(self.report.read_text())

    def exchanges(self):
        lines = run([self.world.bin, "replay", self.recording, "--emit", "exchanges", "--format", "ndjson"]).splitlines()
        return [json.loads(line) for line in lines]

    def checked(self, least, protocol=None, shown_as="http"):
        """Ends it; what was recorded is what was read, and opens in tshark."""
        live = self.end()
        replayed = json.loads(run([self.world.bin, "replay", self.recording, "--format", "json"]))
        for key in ("hosts", "data_flows", "findings", "coverage", "warnings", "weirds"):
            check(live[key] == replayed[key], f"{key} differ: {live[key]} {replayed[key]}")
        read = [one for one in self.exchanges() if one["method"] != "CONNECT" and (protocol is None or one["protocol"] == protocol)]
        check(len(read) >= least, f"{len(read)} exchanges read, {least} expected: {live['warnings']}")
        if shown_as is None:
            return live
        shown = run(["tshark", "-r", self.recording, "-d", f"tcp.port=={self.port},{shown_as}", "-Y",
                     "http.request.method != CONNECT or http2.headers.method", "-T", "fields", "-e", "frame.number"])
        # What tshark does not find it may dissect as something else; nothing at all means that it could not decrypt.
        check(shown.split(), "tshark opened nothing of the recording")
        return live


def run(command, timeout=60, **kwargs):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout, **kwargs)
    check(done.returncode == 0, f"{command[0]} … {done.returncode}: {shortened(done.stderr or done.stdout)}")
    return done.stdout


def shortened(text):
    return text if len(text) < 900 else f"{text[:400]} … {text[-400:]}"


def curl(*args, timeout=20):
    return run(["curl", "-sS", "-m", timeout, *args], timeout + 5)


class World:
    def __init__(self, args, folder):
        self.bin, self.tools, self.folder = pathlib.Path(args.bin).resolve(), pathlib.Path(args.tools).resolve(), folder
        self.servers = Servers(folder)
        self.ports = self.servers.ports
        run([self.bin, "ca", "init", "--dir", folder / "own"])
        self.ca, self.ca_key = folder / "own/ca.pem", folder / "own/ca.key"
        self.python = self.tools / "venv/bin/python"


@case
def curl_http1_and_http2(world):
    proxy = Proxy(world)
    body = world.folder / "www/large.bin"
    for port, version in (("h2", "2"), ("h1", "1.1")):
        base = f"https://{NAME}:{world.ports[port]}"
        got = curl("-x", proxy.url, "--cacert", world.ca, "-w", "%{http_version}", "-o", "/dev/null", f"{base}/large.bin", )
        check(got == version, got)
        posted = curl("-x", proxy.url, "--cacert", world.ca, "--data-binary", f"@{body}", f"{base}/post")
        check(posted.startswith("POST 1048576 "), posted)
    proxy.checked(4)


@case
def curl_plain_http_over_one_connection(world):
    proxy = Proxy(world)
    plain = world.ports["plain"]
    got = curl("-x", proxy.url, f"http://{NAME}:{plain}/data.json", "-d", "x=1", f"http://127.0.0.1:{plain}/post",
               "--next", "-x", proxy.url, f"http://localhost:{world.ports['backend']}/a")
    check("POST 3 " in got and "GET 0 " in got, got)
    proxy.checked(3)


@case
def curl_socks_and_tls12_and_client_certificate(world):
    proxy = Proxy(world, "--mode", "regular,socks5", "--client-cert", f"{NAME}={world.folder}/client-both.pem")
    for port in ("h2", "tls12", "mutual"):
        got = curl("-x", f"socks5h://127.0.0.1:{proxy.port}", "--cacert", world.ca, f"https://{NAME}:{world.ports[port]}/data.json")
        check('"ok":true' in got, got)
    # tshark's dissector of SOCKS hands nothing on to that of TLS.
    proxy.checked(3, shown_as=None)


@case
def curl_with_credentials(world):
    proxy = Proxy(world, "--mode", "regular,socks5", "--auth", "tester:secret")
    url = f"https://{NAME}:{world.ports['h2']}/data.json"
    for scheme in ("http", "socks5h"):
        got = curl("-x", f"{scheme}://tester:secret@127.0.0.1:{proxy.port}", "--cacert", world.ca, url)
        check('"ok":true' in got, got)
        refused = subprocess.run(["curl", "-sS", "-m", "5", "-x", f"{scheme}://tester:wrong@127.0.0.1:{proxy.port}", "--cacert",
                                  str(world.ca), url], capture_output=True)
        check(refused.returncode != 0, "wrong credentials were taken")
    live = proxy.end()
    check("secret" not in json.dumps(live) + proxy.said(), "the password is in a report")


def python_client(what, port):
    def through(world):
        proxy = Proxy(world)
        got = run([world.python, HERE / "client.py", what, proxy.url, world.ca, world.ports[port]], env=dict(os.environ, no_proxy=""))
        check("fine" in got, got)
        proxy.checked(2)
    through.__name__ = f"python_{what}"
    return case(through)


for what, port in (("requests", "h2"), ("httpx", "h2"), ("websockets", "wss"), ("grpc", "grpc")):
    python_client(what, port)


def node_client(what, port):
    def through(world):
        proxy = Proxy(world)
        environment = dict(os.environ, NODE_PATH=str(world.tools / "npm/node_modules"))
        got = run(["node", HERE / "client.cjs", what, proxy.url, world.ca, world.ports[port]], env=environment)
        check("fine" in got, got)
        proxy.checked(1)
    through.__name__ = f"node_{what}"
    return case(through)


for what, port in (("undici", "h2"), ("ws", "wss")):
    node_client(what, port)

CLASSPATH = ":".join(f"/usr/share/java/{jar}.jar" for jar in ("okhttp", "okio"))


def java(world, what, proxy, ca, port, *more):
    classes = world.folder / "classes"
    if not classes.exists():
        run(["javac", "-cp", CLASSPATH, "-d", classes, HERE / "Client.java"], 120)
    # Java asks the proxy by the name it is given; nothing is resolved here.
    return run(["java", "-cp", f"{classes}:{CLASSPATH}", "Client", what, proxy.port, ca, world.ports[port], *more])


@case
def java_httpclient(world):
    proxy = Proxy(world)
    check("fine" in java(world, "httpclient", proxy, world.ca, "h2"), "java")
    proxy.checked(2, "h2")


@case
def java_okhttp(world):
    proxy = Proxy(world)
    got = java(world, "okhttp", proxy, world.ca, "h2")
    check("fine" in got and "divulge" in got, got)
    proxy.checked(2)


@case
def java_okhttp_that_pins(world):
    proxy = Proxy(world)
    key = subprocess.run(f"openssl x509 -in {world.folder}/origin.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary",
                         shell=True, capture_output=True, check=True).stdout
    pin = base64.b64encode(key).decode()
    both = f"{world.ca},{world.folder}/ca.pem"
    for attempt in (1, 2):
        done = subprocess.run(["true"], check=False)
        try:
            got = java(world, "okhttp-pinned", proxy, both, "h2", pin)
            break
        except Failed as failed:
            check(attempt == 1 and "pinning failure" in str(failed), str(failed))
    check(done.returncode == 0 and "fine" in got and "clients test CA" in got, got)
    live = proxy.end()
    check(any(host["opaque_reason"] == "pinned" for host in live["hosts"]), str(live["hosts"]))


@case
def untrusting_clients_work_at_the_second_connection(world):
    proxy = Proxy(world)
    url = f"https://{NAME}:{world.ports['h2']}/data.json"
    once = ["curl", "-sS", "-m", "10", "-x", proxy.url, "--cacert", str(world.folder / "ca.pem"), "-w", "%{http_version}", url]
    check(subprocess.run(once, capture_output=True).returncode == 60, "the first is refused by curl")
    proxy.wait_for("refused")
    got = run(once)
    check(got.endswith("2") and '"ok":true' in got, got)
    for what, port in (("requests", "h1"), ("websockets", "wss"), ("grpc", "grpc")):
        command = [str(part) for part in (world.python, HERE / "client.py", what, proxy.url, world.folder / "ca.pem", world.ports[port])]
        for _ in range(2):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            if done.returncode == 0:
                break
            time.sleep(0.2)
        check("fine" in done.stdout, f"{what}: {done.stderr[-300:]}")
    live = proxy.end()
    check(any("pinned" in warning for warning in live["warnings"]), str(live["warnings"]))


@case
def origins_not_to_be_trusted(world):
    proxy = Proxy(world, "--insecure-upstream", "odd.test", "--resolve", "odd.test:127.0.0.1")
    wrong = world.ports["wrong"]
    refused = subprocess.run(["curl", "-sS", "-m", "5", "-x", proxy.url, "--cacert", str(world.ca), f"https://{NAME}:{wrong}/"], capture_output=True)
    check(refused.returncode == 35, refused.stderr.decode())
    check('"ok":true' in curl("-x", proxy.url, "--cacert", world.ca, f"https://odd.test:{wrong}/data.json"), "insecure")
    warnings = "\n".join(proxy.end()["warnings"])
    check(f"{NAME}: origin: certificate is for another host" in warnings and "odd.test: origin not verified" in warnings, warnings)


@case
def proxies_in_a_row(world):
    outer = Proxy(world, "--mode", "regular,socks5", name="outer", inspect=False)
    for scheme in ("http", "socks5"):
        inner = Proxy(world, "--upstream", f"{scheme}://127.0.0.1:{outer.port}", "--upstream-ca", world.ca, name="inner")
        check('"ok":true' in curl("-x", inner.url, "--cacert", world.ca, f"https://{NAME}:{world.ports['h2']}/data.json"), scheme)
        inner.checked(1)
    outer.end()


@case
def chromium_loads_a_page(world):
    proxy = Proxy(world)
    home = world.folder / "home"
    (home / ".pki/nssdb").mkdir(parents=True)
    database = f"sql:{home}/.pki/nssdb"
    run(["certutil", "-d", database, "-N", "--empty-password"])
    run(["certutil", "-d", database, "-A", "-t", "C,,", "-n", "divulge", "-i", world.ca])
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", f"--user-data-dir={home}/profile", f"--proxy-server={proxy.url}",
               "--remote-debugging-port=0", f"http://{NAME}:{world.ports['plain']}/warm.html"]
    Backend.said.clear()
    # A browser that does not come up at all on a busy machine is started again.
    for _ in range(3):
        shutil.rmtree(home / "profile", ignore_errors=True)
        with open(world.folder / "chromium.log", "w") as log:
            browser = subprocess.Popen(command, env=dict(os.environ, HOME=str(home)), stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 40
        while not Backend.said and time.monotonic() < end and browser.poll() is None:
            time.sleep(0.1)
        try:
            os.killpg(browser.pid, signal.SIGTERM)
            browser.wait(20)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(browser.pid, signal.SIGKILL)
        if Backend.said:
            break
    check(Backend.said == ["fetch-image-websocket-worker"], f"{Backend.said} {proxy.said()[-400:]} {shortened((world.folder / 'chromium.log').read_text())}")
    live = proxy.checked(5)
    check(any(host["host"] == NAME and host["opaque_bytes"] == 0 for host in live["hosts"]), str(live["hosts"]))


def netns(world, mode, family):
    """A phone in a network namespace of its own, whose traffic a router between it and the servers hands to the proxy."""
    phone, router = "divulge-phone", "divulge-router"
    length = 64 if family == 6 else 24
    clean = lambda: [subprocess.run(["ip", "netns", "del", ns], capture_output=True) for ns in (phone, router)]
    clean()
    v6 = family == 6
    net = (lambda n: f"fd00:d1::{n}") if v6 else (lambda n: f"10.201.0.{n}")
    origin = "fd00:d2::9" if v6 else "10.202.0.9"
    tables = "ip6tables" if v6 else "iptables"
    steps = f"""
ip netns add {phone}; ip netns add {router}
ip link add veth-p netns {phone} type veth peer name veth-r netns {router}
ip -n {phone} addr add {net(2)}/{length} dev veth-p {'nodad' if v6 else ''}; ip -n {router} addr add {net(1)}/{length} dev veth-r {'nodad' if v6 else ''}
ip -n {phone} link set veth-p up; ip -n {phone} link set lo up; ip -n {router} link set veth-r up; ip -n {router} link set lo up
ip -n {phone} {'-6' if v6 else ''} route add default via {net(1)}
ip -n {router} addr add {origin}/{'128' if v6 else '32'} dev lo
ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0"""
    if mode == "transparent":
        steps += f"\nip netns exec {router} {tables} -t nat -A PREROUTING -i veth-r -p tcp --dport 443 -j REDIRECT --to-ports 8080"
    else:
        steps += f"""
ip netns exec {router} {tables} -t mangle -A PREROUTING -i veth-r -p tcp --dport 443 -j TPROXY --on-port 8080 --tproxy-mark 1
ip -n {router} {'-6' if v6 else ''} rule add fwmark 1 lookup 100
ip -n {router} {'-6' if v6 else ''} route add local {'::/0' if v6 else '0.0.0.0/0'} dev lo table 100"""
    try:
        run(["bash", "-ec", steps])
        listen = f"[{origin}]" if v6 else origin
        conf = world.folder / "netns.conf"
        conf.write_text((world.folder / "nginx.conf").read_text().split("http {")[0].replace("nginx.pid", "netns.pid") + f"""http {{ access_log off;
            server {{ listen {listen}:443 ssl http2; ssl_certificate {world.folder}/origin.pem; ssl_certificate_key {world.folder}/origin.key; root {world.folder}/www; }} }}""")
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        inside = ["ip", "netns", "exec", router]
        server = subprocess.Popen([*inside, binary, "-p", str(world.folder), "-c", str(conf)], stderr=subprocess.DEVNULL)
        proxy = Proxy(world, "--mode", mode, "--allow", f"{net(0)}/24" if not v6 else "fd00:d1::/64",
                      name=f"{mode}{family}", prefix=inside, listen=f"[{'::'}]:8080" if v6 else "0.0.0.0:8080")
        try:
            wait_for_end = time.monotonic() + 1
            while time.monotonic() < wait_for_end and server.poll() is None:
                time.sleep(0.1)
            asked = ["ip", "netns", "exec", phone, "curl", "-sS", "-m", "10", "--cacert", world.ca, "--resolve", f"{NAME}:443:{f'[{origin}]' if v6 else origin}",
                     "-w", "%{http_version}", f"https://{NAME}/data.json"]
            got = run(asked)
            check(got.endswith("2") and '"ok":true' in got, got)
        finally:
            server.terminate()
            server.wait(10)
        live = proxy.checked(1)
        one = next(one for one in proxy.exchanges() if one["method"] == "GET")
        check(one["server"] == {"ip": origin, "port": 443}, f"recorded with the address that was meant: {one['server']}")
        check(any(host["host"] == NAME for host in live["hosts"]), str(live["hosts"]))
    finally:
        clean()


def transparent_case(mode, family):
    def through(world):
        netns(world, mode, family)
    through.__name__ = f"{mode}_over_ipv{family}"
    return case(through)


for mode in ("transparent", "tproxy"):
    for family in (4, 6):
        transparent_case(mode, family)


@case
def a_disk_that_fills_up(world):
    small = world.folder / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small])
    try:
        proxy = Proxy(world, recording=small / "rec.pcapng")
        for _ in range(3):
            curl("-x", proxy.url, "--cacert", world.ca, "-o", "/dev/null", f"https://{NAME}:{world.ports['h2']}/large.bin")
        warnings = "\n".join(proxy.end()["warnings"])
        check("No space left" in warnings and "nothing more is recorded" in warnings, warnings)
        read = run([world.bin, "replay", small / "rec.pcapng", "--strict", "--emit", "sni", "--format", "ndjson"])
        check(NAME in read, "what was recorded before is whole")
    finally:
        subprocess.run(["umount", str(small)], check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release/divulge")
    parser.add_argument("--tools", default="target/clients")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        print("\n".join(name for name, _ in CASES))
        return 0
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="divulge-clients-") as folder:
        os.chmod(folder, 0o755)
        world = World(args, pathlib.Path(folder))
        try:
            for name, function in CASES:
                if args.only and name not in args.only:
                    continue
                try:
                    function(world)
                    passed += 1
                    print(f"ok     {name}", flush=True)
                except (Failed, subprocess.SubprocessError, OSError, ValueError, KeyError, StopIteration) as error:
                    failed += 1
                    print(f"FAILED {name}: {error}", flush=True)
                finally:
                    for process in Proxy.running:
                        if process.poll() is None:
                            process.kill()
                        process.wait()
                    Proxy.running.clear()
        finally:
            world.servers.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
