"""The servers that need Python packages: peers.py FOLDER WSS-PORT GRPC-PORT."""
import asyncio
import concurrent.futures
import sys

import grpc
import websockets

from servers import context


def grpc_server(folder, port):
    """A service without generated code: messages are bytes."""

    def collect(requests, _context):
        return b"+".join(requests)

    def count(request, _context):
        yield from (request + str(n).encode() for n in range(3))

    def both(requests, _context):
        for request in requests:
            yield request[::-1]

    handlers = grpc.method_handlers_generic_handler("test.Echo", {
        "Unary": grpc.unary_unary_rpc_method_handler(lambda request, _context: request),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Both": grpc.stream_stream_rpc_method_handler(both),
    })
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[handlers])
    pair = (open(f"{folder}/origin.key", "rb").read(), open(f"{folder}/origin.pem", "rb").read())
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([pair]))
    server.start()
    return server


async def main(folder, wss, grpc_port):
    server = grpc_server(folder, grpc_port)

    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    async with websockets.serve(echo, "127.0.0.1", wss, ssl=context(folder), max_size=None):
        await asyncio.Future()
    server.stop(None)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
