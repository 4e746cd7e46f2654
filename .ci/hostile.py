#!/usr/bin/env python3
"""Feeds divulge captures made to exhaust it, and checks that its own memory stays under a limit, that it ends, and that
the report says which cap was met.

usage: hostile.py BIN [--mb N] [--only WORD]     N: size of the captures in MB (default 100)
"""
import gzip, hashlib, json, os, random, struct, subprocess, sys, tempfile, threading, time

LIMIT_MB = 300


def ether(payload):
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + payload


def ip(src, dst, proto, payload):
    return ether(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, proto, 0, src, dst) + payload)


def tcp(src, sport, dst, dport, seq, ack, flags, payload=b""):
    return ip(src, dst, 6, struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, 65535, 0, 0) + payload)


def host(n):
    return bytes([10, n >> 16 & 255, n >> 8 & 255, n & 255])


SERVER = bytes([203, 0, 113, 9])
SYN, ACK = 2, 16


class Flow:
    """One TCP connection of which the client's bytes are given."""

    def __init__(self, number, port=80):
        self.src, self.sport, self.port, self.seq = host(number // 60000 + 1), 1024 + number % 60000, port, 1

    def open(self):
        yield tcp(self.src, self.sport, SERVER, self.port, 0, 0, SYN)
        yield tcp(SERVER, self.port, self.src, self.sport, 0, 1, SYN | ACK)

    def send(self, data, size=1400):
        for at in range(0, len(data), size):
            part = data[at:at + size]
            yield tcp(self.src, self.sport, SERVER, self.port, self.seq, 1, ACK, part)
            self.seq += len(part)

    def hole(self, size):
        self.seq += size


def random_packets(mb):
    rng, sent = random.Random(1), 0
    while sent < mb << 20:
        data = rng.randbytes(rng.choice([40, 60, 200, 1400, 9000]))
        kind = rng.randrange(4)
        if kind == 1:
            data = ether(data)
        elif kind == 2:
            data = ip(rng.randbytes(4), rng.randbytes(4), rng.choice([6, 17, 47, 41, 132]), data)
        elif kind == 3:
            data = tcp(host(rng.randrange(500)), rng.randrange(1, 65536), SERVER, rng.choice([80, 443, 53]), rng.getrandbits(32), 0, rng.getrandbits(6), data)
        yield data
        sent += len(data)


def half_open(mb):
    for number in range(mb * 10_000):
        yield tcp(host(number // 60000 + 1), 1024 + number % 60000, SERVER, 443, number, 0, SYN)


def long_head(mb):
    flow = Flow(1)
    yield from flow.open()
    yield from flow.send(b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Long: ")
    filler = b"a" * 64000
    for _ in range((mb << 20) // len(filler)):
        yield from flow.send(filler, 64000)
    yield from flow.send(b"\r\n\r\nGET /after HTTP/1.1\r\nHost: a.example\r\n\r\n")


def many(mb, flows, make):
    """So many connections side by side, each sending what `make` yields."""
    all_flows = [Flow(number) for number in range(flows)]
    for flow in all_flows:
        yield from flow.open()
    parts = [make(flow) for flow in all_flows]
    sent = 0
    while parts and sent < mb << 20:
        alive = []
        for part in parts:
            data = next(part, None)
            if data is not None:
                sent += len(data)
                alive.append(part)
                yield data
        parts = alive


def uploads(mb):
    def make(flow):
        yield from flow.send(b"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            yield from flow.send(b"x" * 60000, 60000)
    yield from many(max(mb, 300), 300, make)


def holes(mb):
    def make(flow):
        yield from flow.send(b"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000000\r\n\r\n")
        flow.hole(1)
        while True:
            yield from flow.send(b"x" * 60000, 60000)
    yield from many(max(mb, 300), 300, make)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


# :method GET, :scheme http, :path /, :authority a
REQUEST = b"\x82\x86\x84\x41\x01a"


def continuation(mb):
    flow = Flow(1)
    yield from flow.open()
    yield from flow.send(PREFACE + frame(4, 0, 0, b"") + frame(1, 0, 1, REQUEST))
    part = frame(9, 0, 1, b"\x00\x01x\x7f\x81\x7d" + b"v" * 16000)
    for _ in range((mb << 20) // len(part)):
        yield from flow.send(part, 32000)
    yield from flow.send(frame(9, 4, 1, b""))
    yield from flow.send(frame(1, 5, 3, REQUEST))


def hpack_bomb(mb):
    """An entry of 4,000 bytes, named again and again by one byte each."""
    flow = Flow(1)
    yield from flow.open()
    yield from flow.send(PREFACE + frame(4, 0, 0, b""))
    entry = b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000
    stream = 1
    for _ in range(max(1, (mb << 20) // 20000)):
        yield from flow.send(frame(1, 5, stream, REQUEST + entry + b"\xbe" * 12000), 20000)
        stream += 2


def streams(mb):
    """Streams that begin and never end."""
    flow = Flow(1)
    yield from flow.open()
    yield from flow.send(PREFACE + frame(4, 0, 0, b""))
    for stream in range(1, (mb << 20) // 60 * 2, 2):
        yield from flow.send(frame(1, 4, stream, REQUEST) + frame(0, 0, stream, b"0123456789" * 3))


def gzip_bombs(mb):
    inner = gzip.compress(b"\0" * (64 << 20))
    body = gzip.compress(inner)
    head = b"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(inner)
    twice = b"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    flow = Flow(1)
    yield from flow.open()
    for _ in range(max(1, mb // 20)):
        yield from flow.send(head + inner)
        yield from flow.send(twice + body)


def quic_initials(mb):
    """Long headers with new connection ids each, as from a scanner."""
    rng = random.Random(2)
    for number in range((mb << 20) // 1250):
        data = b"\xc3\0\0\0\x01\x08" + rng.randbytes(8) + b"\0\0\x44\xb0" + rng.randbytes(1180)
        yield ip(host(number % 1000), SERVER, 17, struct.pack("!HHHH", 1024 + number % 50000, 443, 8 + len(data), 0) + data)


def websockets(mb):
    def make(flow):
        yield from flow.send(b"GET /ws HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        yield tcp(SERVER, 80, flow.src, flow.sport, 1, flow.seq, ACK, b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        while True:
            yield from flow.send(b"\x02\xff" + struct.pack("!Q", 60000) + b"\1\2\3\4" + b"x" * 60000, 60020)
    yield from many(mb, 300, make)


def h2_floods(mb):
    """Frames that ask for nothing, without end."""
    flow = Flow(1)
    yield from flow.open()
    yield from flow.send(PREFACE + frame(4, 0, 0, b""))
    flood = (frame(6, 0, 0, b"12345678") + frame(4, 0, 0, b"\0\1\0\1\0\0" + b"\0\1\0\0\0\0") + frame(8, 0, 0, b"\0\0\0\1") + frame(0x42, 0, 0, b"")) * 400
    for _ in range((mb << 20) // len(flood)):
        yield from flow.send(flood, len(flood))
    yield from flow.send(frame(1, 5, 1, REQUEST))


def udp(src, sport, dst, dport, data):
    return ip(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data)


def dns_names(mb):
    """Each flow asks for a name of its own, and the answer gives it an address."""
    for number in range(mb * 1100):
        label = b"made-up-%d" % number
        name = bytes([len(label)]) + label + b"\x07example\0\0\1\0\1"
        sport, ident = 1024 + number % 60000, struct.pack("!H", number & 0xffff)
        yield udp(host(1), sport, SERVER, 53, ident + b"\1\0\0\1\0\0\0\0\0\0" + name)
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + host(number)
        yield udp(SERVER, 53, host(1), sport, ident + b"\x81\x80\0\1\0\1\0\0\0\0" + name + answer)


def many_hosts(mb):
    """Requests to a host of its own each, with an identifier in each."""
    flow = Flow(1)
    yield from flow.open()
    for number in range(mb * 1700):
        yield from flow.send(b"GET /?imei=861536030196001 HTTP/1.1\r\nHost: a.made-up-%d.example\r\n\r\n" % number)


def json_fields(mb):
    flow = Flow(1)
    yield from flow.open()
    for number in range(max(1, mb // 4)):
        body = b"{" + b",".join(b'"k%d":"861536030196001%d"' % (field, number) for field in range(100_000)) + b"}"
        head = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        yield from flow.send(head + body, 60000)


def hellos(mb):
    """A ClientHello for a name of its own on each connection."""
    for number in range(mb * 2000):
        name = b"made-up-%d.example" % number
        sni = struct.pack("!HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
        versions = b"\0\x2b\0\3\2\3\4"
        body = b"\3\3" + struct.pack("!Q", number) * 4 + b"\0\0\2\x13\1\1\0" + struct.pack("!H", len(sni + versions)) + sni + versions
        message = b"\1" + struct.pack("!I", len(body))[1:] + body
        flow = Flow(number, 443)
        yield from flow.open()
        yield from flow.send(b"\x16\3\1" + struct.pack("!H", len(message)) + message)


def fragments(mb):
    """First fragments of packets whose others never come."""
    part = b"\0" * 1400
    for number in range((mb << 20) // 1434):
        if number % 2:
            yield ether(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), number & 0xffff, 0x2000, 64, 17, 0, host(number), SERVER) + part)
        else:
            ends = b"\xfd" + b"\0" * 11 + host(number) + b"\xfd" + b"\0" * 15
            yield b"\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd" + struct.pack("!IHBB", 0x60000000, 8 + len(part), 44, 64) + ends + struct.pack("!BBHI", 17, 0, 1, number) + part


def tiny_chunks(mb):
    flow = Flow(1)
    yield from flow.open()
    yield from flow.send(b"POST /up HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
    part = b"1\r\nx\r\n" * 9000
    for _ in range((mb << 20) // len(part)):
        yield from flow.send(part, 54000)


def tiny_segments(mb):
    """A header line that comes byte by byte."""
    flow = Flow(1)
    yield from flow.open()
    yield from flow.send(b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Long: ")
    yield from flow.send(b"a" * (mb * 20000), 1)
    yield from flow.send(b"\r\n\r\nGET /after HTTP/1.1\r\nHost: a.example\r\n\r\n", 1)


def tunnels(mb):
    """CONNECT and SOCKS inside each other."""
    for number in range(max(1, mb // 10)):
        flow, back = Flow(number), 1
        yield from flow.open()
        for depth in range(2000):
            http = depth % 2 == 0
            asks = b"CONNECT a.example:%d HTTP/1.1\r\nHost: a.example\r\n\r\n" % depth if http else b"\5\1\0\5\1\0\1\x0a\0\0\1\0\x50"
            answer = b"HTTP/1.1 200 OK\r\n\r\n" if http else b"\5\0\5\0\0\1\0\0\0\0\0\0"
            yield from flow.send(asks)
            yield tcp(SERVER, 80, flow.src, flow.sport, back, flow.seq, ACK, answer)
            back += len(answer)


# Files that are no capture made of packets.

SECTION = struct.pack("<IIIHHqI", 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, -1, 28)
INTERFACE = struct.pack("<IIHHII", 1, 20, 1, 0, 262144, 20)
PCAP = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)
RECORD = 262_144


def long_block(mb):
    """A block that says it has a gigabyte, and packets that it hides."""
    part = struct.pack("<IIIIIII", 6, 92, 0, 0, 0, 60, 60) + b"\0" * 60 + struct.pack("<I", 92)
    return SECTION + INTERFACE + struct.pack("<II", 6, 1 << 30) + part * ((mb << 20) // len(part))


def gzip_capture(mb):
    record = struct.pack("<IIII", 0, 0, RECORD, RECORD) + b"\0" * RECORD
    return gzip.compress(PCAP) + gzip.compress(record) * (mb * 16)


def zstd_capture(mb):
    def block(kind, size, data):
        return struct.pack("<I", size << 3 | kind << 1)[:3] + data
    record = struct.pack("<IIII", 0, 0, RECORD, RECORD)
    record = block(0, len(record), record) + block(1, RECORD // 2, b"\0") * 2
    return b"\x28\xb5\x2f\xfd\0\x38" + block(0, len(PCAP), PCAP) + record * (mb * 16) + b"\1\0\0"


# name, packets, a word the report must hold
CASES = [
    ("random packets", random_packets, None),
    ("half-open connections", half_open, "flow given up: too many are open"),
    ("a head without end", long_head, "head"),
    ("many uploads", uploads, "all flows together"),
    ("many holes", holes, "all flows together"),
    ("CONTINUATION without end", continuation, "header block"),
    ("HPACK bomb", hpack_bomb, "header"),
    ("streams without end", streams, "more requests wait"),
    ("decompression bombs", gzip_bombs, "inflates beyond the cap"),
    ("QUIC from a scanner", quic_initials, None),
    ("WebSocket messages without end", websockets, None),
    ("HTTP/2 frames that ask for nothing", h2_floods, None),
    ("DNS answers for made-up names", dns_names, None),
    ("requests to made-up hosts", many_hosts, None),
    ("JSON of many fields", json_fields, None),
    ("ClientHellos", hellos, None),
    ("fragments", fragments, None),
    ("chunks of one byte", tiny_chunks, None),
    ("segments of one byte", tiny_segments, "head"),
    ("tunnels in tunnels", tunnels, None),
]

# name, bytes, whether they come on standard input
FILES = [
    ("a pcapng block of a gigabyte", long_block, False),
    ("a pcapng block of a gigabyte, streamed", long_block, True),
    ("a capture that gzip inflates", gzip_capture, True),
    ("a capture that gzip inflates, from a file", gzip_capture, False),
    ("a capture that Zstandard inflates", zstd_capture, True),
]


def write(path, packets):
    with open(path, "wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for number, data in enumerate(packets):
            file.write(struct.pack("<IIII", 1_700_000_000 + number // 10_000, number % 10_000 * 100, len(data), len(data)) + data)


def anonymous_kb(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    return 0


def run(binary, capture, profile, threads, streamed=False):
    args = [binary, "replay", "-" if streamed else capture, "--profile", profile, "--format", "json", "--tui", "never", "--threads", str(threads)]
    with open(capture if streamed else os.devnull, "rb") as stdin:
        process = subprocess.Popen(args, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peak = 0

    def watch():
        nonlocal peak
        while process.poll() is None:
            try:
                peak = max(peak, anonymous_kb(process.pid))
            except OSError:
                return
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        out, err = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None, "no end in 240 s", peak
    finally:
        watcher.join()
    if process.returncode not in (0, 1):
        return None, f"exit {process.returncode}: {err[-200:].decode(errors='replace')}", peak
    return out, "", peak


def main():
    args = sys.argv[1:]
    mb, only = 100, ""
    if "--mb" in args:
        at = args.index("--mb"); mb = int(args[at + 1]); del args[at:at + 2]
    if "--only" in args:
        at = args.index("--only"); only = args[at + 1]; del args[at:at + 2]
    binary, failed = args[0], 0
    with tempfile.TemporaryDirectory() as folder:
        profile, capture = os.path.join(folder, "device.toml"), os.path.join(folder, "a.pcap")
        with open(profile, "w") as file:
            file.write('imei = "861536030196001"\n')
        cases = [(name, make, word, None) for name, make, word in CASES] + [(name, make, None, streamed) for name, make, streamed in FILES]
        for name, make, word, streamed in cases:
            if only not in name:
                continue
            if streamed is None:
                write(capture, make(mb))
            else:
                with open(capture, "wb") as file:
                    file.write(make(mb))
            outs, cpu = set(), os.times()
            problem, top = "", 0
            for threads in (1, 2):
                out, wrong, peak = run(binary, capture, profile, threads, bool(streamed))
                top, problem = max(top, peak), problem or wrong
                if out is not None:
                    outs.add(hashlib.sha256(out).hexdigest())
                    weirds = [weird["reason"] for weird in json.loads(out)["weirds"]]
                    if word and not any(word in reason for reason in weirds):
                        problem = problem or f"no weird with {word!r} among {weirds}"
            if top > LIMIT_MB << 10:
                problem = problem or "more memory than the limit"
            if len(outs) > 1:
                problem = problem or "the report depends on the number of threads"
            now = os.times()
            used = now.children_user + now.children_system - cpu.children_user - cpu.children_system
            size = os.path.getsize(capture) >> 20
            print(f"{'FAILED' if problem else 'ok':6} {name}: {size} MB, peak {top >> 10} MB besides the map, {used / 2:.1f} CPU s a run {problem}", flush=True)
            failed += bool(problem)
    sys.exit(failed > 0)


main()
