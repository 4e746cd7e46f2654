"""Real servers on loopback: nginx, a WebSocket echo, a gRPC server, and a backend that tells what it was sent."""
import hashlib
import http.server
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

NAME = "origin.test"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


def certificates(folder):
    """An authority, a certificate it signed for the origin, one for clients, and some that are wrong."""

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=folder, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem",
            "-subj", "/CN=clients test CA", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def leaf(name, subject, san, *more):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={san}\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-extfile", f"{name}.ext", *(more or ("-days", "20")))

    leaf("origin", NAME, f"DNS:{NAME},DNS:localhost,IP:127.0.0.1")
    leaf("other", "other.test", "DNS:other.test")
    leaf("client", "client", "DNS:client")
    (folder / "client-both.pem").write_text((folder / "client.pem").read_text() + (folder / "client.key").read_text())


class Backend(http.server.BaseHTTPRequestHandler):
    """Answers with method, length and hash of what it was sent."""

    protocol_version = "HTTP/1.1"

    said = []

    def answer(self):
        if "/said/" in self.path:
            Backend.said.append(self.path.rsplit("/", 1)[1])
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = f"{self.command} {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


PAGE = """<!doctype html><title>waiting</title><link rel=stylesheet href=/style.css><img src=/dot.svg><script>
const said = [];
const say = word => { said.push(word); if (said.length == 4) fetch('/post/said/' + said.sort().join('-')); };
fetch('/post', {method: 'POST', body: 'x'.repeat(5000)}).then(r => r.text()).then(t => say(t.startsWith('POST 5000') ? 'fetch' : t));
const socket = new WebSocket('wss://origin.test:WSS/');
socket.onopen = () => socket.send('hello'); socket.onmessage = m => say(m.data == 'hello' ? 'websocket' : 'odd');
socket.onerror = () => say('websocket-failed');
navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready).then(() => say('worker'), e => say('worker-' + e));
document.querySelector('img').onload = () => say('image');
</script>"""


class Servers:
    """Starts all of them; `ports` says where they are."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        certificates(self.folder)
        self.ports = {name: free_port() for name in
                      ("h2", "h1", "tls12", "mutual", "wrong", "plain", "backend", "wss", "grpc")}
        self.processes = []
        self.site()
        self.nginx()
        backend = http.server.ThreadingHTTPServer(("127.0.0.1", self.ports["backend"]), Backend)
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        here = pathlib.Path(__file__).parent
        self.start([sys.executable, here / "peers.py", self.folder, self.ports["wss"], self.ports["grpc"]])
        for port in self.ports.values():
            wait_for(port)

    def site(self):
        www = self.folder / "www"
        www.mkdir()
        (www / "index.html").write_text(PAGE.replace("WSS", str(self.ports["wss"])))
        # A browser that has just started drops connections for reasons of its own; the page is loaded after that.
        (www / "warm.html").write_text(f"<script>setTimeout(() => location = 'https://{NAME}:{self.ports['h2']}/', 4000)</script>")
        (www / "style.css").write_text("body{color:#222}")
        (www / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')
        (www / "sw.js").write_text("self.addEventListener('fetch', () => {});")
        (www / "data.json").write_text('{"ok":true}')
        (www / "large.bin").write_bytes(bytes(i * 7 % 251 for i in range(1 << 20)))

    def nginx(self):
        folder, ports = self.folder, self.ports

        def server(port, listen, certificate="origin", more=""):
            tls = f"ssl_certificate {folder}/{certificate}.pem; ssl_certificate_key {folder}/{certificate}.key;" if "ssl" in listen else ""
            return (f"server {{ listen 127.0.0.1:{port} {listen}; server_name {NAME}; {tls} {more} root {folder}/www; "
                    f"client_max_body_size 64m; location /post {{ proxy_pass http://127.0.0.1:{ports['backend']}; "
                    f"proxy_http_version 1.1; }} }}\n")

        conf = (f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
                f"events {{ worker_connections 2048; }}\nhttp {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; "
                f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; "
                "types { text/html html; text/css css; text/javascript js; image/svg+xml svg; application/json json; }\n"
                + server(ports["h2"], "ssl http2") + server(ports["h1"], "ssl")
                + server(ports["tls12"], "ssl http2", more="ssl_protocols TLSv1.2;")
                + server(ports["mutual"], "ssl", more=f"ssl_client_certificate {folder}/ca.pem; ssl_verify_client on;")
                + server(ports["wrong"], "ssl", certificate="other") + server(ports["plain"], "") + "}\n")
        (folder / "nginx.conf").write_text(conf)
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.start([binary, "-p", folder, "-c", folder / "nginx.conf"])

    def start(self, command):
        with open(self.folder / "servers.log", "ab") as log:
            self.processes.append(subprocess.Popen([str(part) for part in command], stdout=log, stderr=log))

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def context(folder):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{folder}/origin.pem", f"{folder}/origin.key")
    return tls
