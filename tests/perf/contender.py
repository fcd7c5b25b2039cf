"""A client to compare with, in a process of its own: `python -m tests.perf.contender bare|stock URL FN USERS`.

Each line on standard input is a number of calls per user; each line on standard output says what they cost.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

Call = Callable[[str], Any]


def bare(url: str, fn_index: int, users: int) -> tuple[Callable[[int], list[Call]], Callable[..., None]]:
    """The floor: geventhttpclient, a kept-alive connection per user, no more of the protocol than one call needs."""
    import gevent
    import msgspec
    from geventhttpclient import HTTPClient

    parts = urlsplit(url)
    sessions = [uuid.uuid4().hex for _ in range(users)]
    json_headers = {"Content-Type": "application/json"}

    def make(user: int) -> Call:
        # A new one per round: the server closes connections that have been idle for 5 s.
        client = HTTPClient(parts.hostname, parts.port, network_timeout=60.0, disable_ipv6=True)
        session_hash = sessions[user]

        def call(text: str) -> None:
            body = msgspec.json.encode(
                {"data": [text, None, None], "fn_index": fn_index, "session_hash": session_hash}
            )
            client.request("POST", "/gradio_api/queue/join", body, json_headers).read()
            stream = client.request("GET", f"/gradio_api/queue/data?session_hash={session_hash}")
            completed = False
            # To the end, or the connection could not be used again.
            while line := stream.readline(b"\n"):
                completed = completed or b'"process_completed"' in line
            if not completed:
                raise OSError("the stream ended without a result")

        return call

    def together(jobs: list[Callable[[], None]]) -> None:
        gevent.joinall([gevent.spawn(job) for job in jobs], raise_error=True)

    return lambda _: [make(user) for user in range(users)], together


def stock(url: str, fn_index: int, users: int) -> tuple[Callable[[int], list[Call]], Callable[..., None]]:
    """gradio_client as it comes: one Client per user, `predict`, threads."""
    from gradio_client import Client

    clients = [Client(url, verbose=False) for _ in range(users)]

    def together(jobs: list[Callable[[], None]]) -> None:
        threads = [threading.Thread(target=job) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def calls(_: int) -> list[Call]:
        return [lambda text, client=client: client.predict(text, fn_index=fn_index) for client in clients]

    return calls, together


def main() -> None:
    """Serve rounds until standard input ends."""
    kind, url, fn_index, users = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    before = time.process_time()
    make_calls, together = {"bare": bare, "stock": stock}[kind](url, fn_index, users)
    opening_s = time.process_time() - before
    print(json.dumps({"opening_cpu_s": opening_s}), flush=True)
    for line in sys.stdin:
        count = int(line)
        calls = make_calls(users)
        done = [0] * users
        latencies_ns: list[int] = []

        def work(user: int, times: int, calls=calls, done=done, latencies_ns=latencies_ns) -> None:
            for number in range(times):
                began = time.monotonic_ns()
                calls[user](f"t-0000-{user}-{number}-0000")
                latencies_ns.append(time.monotonic_ns() - began)
                done[user] += 1

        together([lambda user=user: work(user, 1) for user in range(users)])  # connections, not timed
        done[:] = [0] * users
        latencies_ns.clear()
        wall, cpu = time.monotonic(), time.process_time()
        together([lambda user=user, count=count: work(user, count) for user in range(users)])
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        result = {"calls": sum(done), "wanted": count * users, "cpu_s": cpu, "wall_s": wall}
        print(
            json.dumps({**result, "p50_ms": sorted(latencies_ns)[len(latencies_ns) // 2] / 1e6}), flush=True
        )


if __name__ == "__main__":
    main()
