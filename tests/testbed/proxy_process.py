"""The process behind proxy.py: `proxy_process.py CONTROL_FD HOST PORT`; it ends when its control socket is closed."""

from __future__ import annotations

import json
import random
import select
import socket
import struct
import sys
import time
from collections import deque

CHUNK = 1 << 18
UNDER_WAY = 16 << 20
"""Bytes in one direction of a connection that may be on the link; more stay with the sender."""
QUEUE_S = 0.02
"""Time that may wait for a limited link; more stays with the sender."""
PORTS = range(20000, 32000)
"""As in sshd.py, and for the same reason."""
LINGER_NOT = struct.pack("ii", 1, 0)


class Way:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, target: socket.socket, name: str) -> None:
        self.source, self.target, self.name = source, target, name
        self.waiting: deque[tuple[float, memoryview]] = deque()
        """When due, what; nothing stands for the end."""
        self.size = 0
        self.free_at = 0.0
        self.blocked = False
        self.ended = False
        self.delivered_end = False

    def full(self) -> bool:
        """Whether so much is under way that what follows must wait for what is delivered."""
        return self.ended or self.size >= UNDER_WAY

    def take(self, now: float, delay: float, rate: float) -> None:
        """Read what there is."""
        data = self.source.recv(min(CHUNK, max(1448, int(rate / 200))) if rate else CHUNK)
        self.ended = not data
        if rate:
            self.free_at = max(now, self.free_at) + len(data) / rate
        self.waiting.append((max(now, self.free_at) + delay, memoryview(data)))
        self.size += len(data)


class Link:
    """One connection: a client's socket and ours to the server."""

    def __init__(self, client: socket.socket, target: tuple[str, int]) -> None:
        server = socket.socket()
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.connect_ex(target)
        self.ends = (client, server)
        self.ways = (Way(client, server, "up"), Way(server, client, "down"))

    def reset(self) -> None:
        """RST to both ends."""
        for end in self.ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            end.close()

    def over(self) -> bool:
        """Whether both directions have ended in peace."""
        return all(way.delivered_end for way in self.ways)


class Proxy:
    """All connections, in one loop."""

    def __init__(self, control: socket.socket, target: tuple[str, int]) -> None:
        self.control, self.target = control, target
        self.port = 0
        self.listener: socket.socket | None = None
        while not self.port:
            self.listen(random.choice(PORTS))
        self.links: list[Link] = []
        self.delay = self.rate = 0.0
        self.stalled = False
        self.counts = {"up": 0, "down": 0}
        self.taken = 0
        self.cut: tuple[str, int, str] | None = None

    def listen(self, port: int) -> None:
        """Does nothing if the port is taken."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
        except OSError:
            listener.close()
        else:
            self.listener, self.port = listener, port

    def command(self, word: str, *rest: str | float) -> list[int]:
        """One of proxy.py's."""
        if word == "port":
            return [self.port]
        if word == "counts":
            return [self.counts["up"], self.counts["down"], self.taken, len(self.links)]
        if word == "shape":
            self.delay, self.rate = float(rest[0]), float(rest[1])
        elif word in ("stall", "resume"):
            self.stalled = word == "stall"
        elif word == "reset":
            self.reset_all()
        elif word == "refuse" and self.listener:
            while select.select([self.listener], [], [], 0)[0]:  # those that are connected already are not refused
                self.accept(self.listener)
            self.listener.close()
            self.listener = None
        elif word == "allow" and not self.listener:
            self.listen(self.port)
        elif word == "cut":
            direction, size, how = str(rest[0]), int(rest[1]), str(rest[2])
            self.cut = (direction, self.counts[direction] + size, how)
        return []

    def accept(self, listener: socket.socket) -> None:
        """One new connection."""
        self.links.append(Link(listener.accept()[0], self.target))
        self.taken += 1

    def reset_all(self) -> None:
        """Every connection."""
        for link in self.links:
            link.reset()
        self.links = []

    def deliver(self, way: Way, now: float) -> None:
        """What is due, as far as the receiver takes it."""
        way.blocked = False
        while way.waiting and way.waiting[0][0] <= now and not self.stalled:
            due, data = way.waiting[0]
            if not data:
                way.target.shutdown(socket.SHUT_WR)
                way.waiting.popleft()
                way.delivered_end = True
                return
            cut = self.cut if self.cut and self.cut[0] == way.name else None
            try:
                sent = way.target.send(data[: cut[1] - self.counts[way.name]] if cut else data)
            except BlockingIOError:
                way.blocked = True
                return
            self.counts[way.name] += sent
            way.size -= sent
            if sent == len(data):
                way.waiting.popleft()
            else:
                way.waiting[0] = (due, data[sent:])
            if cut and self.counts[way.name] == cut[1]:
                self.cut = None
                if cut[2] == "reset":
                    self.reset_all()
                    return
                self.stalled = True

    def step(self) -> None:
        """Wait for what comes next, and do it."""
        now = time.monotonic()
        reading = [self.control] + ([self.listener] if self.listener else [])
        writing: list[socket.socket] = []
        times: list[float] = []
        for way in () if self.stalled else [way for link in self.links for way in link.ways]:
            if way.full():
                pass
            elif way.free_at - now < QUEUE_S:
                reading.append(way.source)
            else:
                times.append(way.free_at - QUEUE_S)
            if way.blocked:
                writing.append(way.target)
            elif way.waiting:
                times.append(way.waiting[0][0])
        wait = max(0.0, min(times) - now) if times else None
        readable, writable, _ = select.select(reading, writing, [], wait)
        if self.control in readable:
            line = self.control.recv(4096)
            if not line:
                sys.exit()
            self.control.sendall(json.dumps(self.command(*json.loads(line))).encode() + b"\n")
            return  # everything may be different now
        for link in list(self.links):
            self.serve(link, set(readable), set(writable))
        if self.listener and self.listener in readable:
            self.accept(self.listener)

    def serve(self, link: Link, readable: set[socket.socket], writable: set[socket.socket]) -> None:
        """Move what can be moved; an end that broke off breaks the other one too."""
        try:
            for way in link.ways:
                if way.source in readable:
                    way.take(time.monotonic(), self.delay, self.rate)
                if way.waiting and (not way.blocked or way.target in writable):
                    self.deliver(way, time.monotonic())
                if link not in self.links:  # cut
                    return
        except BlockingIOError:
            return
        except OSError:
            link.reset()
            self.links.remove(link)
        else:
            if link.over():
                for end in link.ends:
                    end.close()
                self.links.remove(link)


def main() -> None:
    """Until the control socket is closed."""
    proxy = Proxy(socket.socket(fileno=int(sys.argv[1])), (sys.argv[2], int(sys.argv[3])))
    while True:
        proxy.step()


if __name__ == "__main__":
    main()
