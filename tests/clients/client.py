"""Python's clients: client.py WHAT PROXY CA PORT. Prints what came of it, or fails."""
import hashlib
import os
import sys

what, proxy, ca, port = sys.argv[1:5]
base = f"https://origin.test:{port}"
body = b"0123456789" * 100_000
expected = f"POST {len(body)} {hashlib.sha256(body).hexdigest()}\n"

if what == "requests":
    import requests
    session = requests.Session()
    # Else variables of the environment outweigh `verify`.
    session.trust_env = False
    session.proxies, session.verify = {"https": proxy, "http": proxy}, ca
    assert session.get(f"{base}/data.json").json() == {"ok": True}
    assert session.post(f"{base}/post", data=body).text == expected
    assert session.post(f"{base}/post", data=iter([body[:7], body[7:]])).text == expected
elif what == "httpx":
    import httpx
    with httpx.Client(proxy=proxy, verify=httpx.create_ssl_context(verify=ca), http2=True) as client:
        answer = client.get(f"{base}/data.json")
        assert answer.http_version == "HTTP/2" and answer.json() == {"ok": True}, answer.http_version
        assert client.post(f"{base}/post", content=body).text == expected
elif what == "websockets":
    import ssl
    from websockets.sync.client import connect
    with connect(f"wss://origin.test:{port}/", ssl=ssl.create_default_context(cafile=ca), proxy=proxy, max_size=None) as socket:
        for message in ("hello", b"\x00\x01\x02", "x" * 70_000, os.urandom(300_000)):
            socket.send(message)
            assert socket.recv() == message
elif what == "grpc":
    os.environ["https_proxy"] = os.environ["grpc_proxy"] = proxy
    import grpc
    credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
    with grpc.secure_channel(f"origin.test:{port}", credentials) as channel:
        assert channel.unary_unary("/test.Echo/Unary")(b"one", timeout=10) == b"one"
        assert channel.unary_unary("/test.Echo/Unary")(body, timeout=10) == body
        assert channel.stream_unary("/test.Echo/Collect")(iter([b"a", b"b"]), timeout=10) == b"a+b"
        assert list(channel.unary_stream("/test.Echo/Count")(b"n", timeout=10)) == [b"n0", b"n1", b"n2"]
        assert list(channel.stream_stream("/test.Echo/Both")(iter([b"ab", b"cd"]), timeout=10)) == [b"ba", b"dc"]
else:
    raise SystemExit(f"no client {what}")
print("fine")
