"""A network cable in user space, for kernels without netem: joins two interfaces with delay, rate, loss and a plug.

    cable.py INTERFACE INTERFACE

The interfaces are the near sides of two veth pairs; who talks owns the far sides. Each line on stdin is a command: JSON
of the settings that change (below, `Settings`). It is answered by a line; the end of stdin is the end of the cable.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import socket
import sys
import time
from dataclasses import dataclass, replace

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE, ETH_P_ALL = 263, 15, 23, 33, 3
VNET_HEADER = 10


@dataclass(frozen=True)
class Settings:
    """Of both directions."""

    delay_ms: float = 0
    """One way."""
    jitter_ms: float = 0
    """Up to so much more delay, frame by frame, so that frames overtake each other."""
    mbit_per_s: float = 0
    """0 is no limit."""
    loss_percent: float = 0
    queue_ms: float = 200
    """Frames that would wait longer for a limited link are dropped."""
    plugged: bool = True
    """If not, frames vanish, and neither side sees an error."""


class End:
    """One interface. With the virtio header one read gives up to 64 KiB of a TCP stream."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        except PermissionError:  # root of its own name spaces only
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.bind((name, ETH_P_ALL))
        self.socket.setblocking(False)
        self.fd = self.socket.fileno()


class Cable:
    """Frames on their way between two ends."""

    def __init__(self, ends: tuple[End, End]) -> None:
        self.ends = ends
        self.settings = Settings()
        self.free_at = [0.0, 0.0]
        """When each direction's transmitter is idle again."""
        self.under_way: list[tuple[float, int, int, bytes]] = []
        """Heap of due time, order, receiving end, frame."""
        self.taken = 0

    def set(self, settings: Settings) -> None:
        """From now on."""
        self.settings = settings
        if not settings.plugged:
            self.under_way.clear()

    def take(self, sender: int) -> None:
        """Read the frames that wait at an end."""
        for _ in range(64):
            try:
                frame = os.read(self.ends[sender].fd, 66000)
            except OSError:  # no more, or the interface is down
                return
            self.send(sender, frame)

    def send(self, sender: int, frame: bytes) -> None:
        """Put a frame on its way, or lose it."""
        settings = self.settings
        now = time.monotonic()
        begin = max(now, self.free_at[sender])
        lost = settings.loss_percent and random.random() * 100 < settings.loss_percent
        if not settings.plugged or lost or begin - now > settings.queue_ms / 1e3:
            return
        bits = (len(frame) - VNET_HEADER) * 8
        self.free_at[sender] = begin + bits / settings.mbit_per_s / 1e6 if settings.mbit_per_s else begin
        due = self.free_at[sender] + (settings.delay_ms + random.random() * settings.jitter_ms) / 1e3
        if due <= now and not self.under_way:
            self.deliver(1 - sender, frame)
        else:
            self.taken += 1
            heapq.heappush(self.under_way, (due, self.taken, 1 - sender, frame))

    def deliver(self, receiver: int, frame: bytes) -> None:
        """To an interface; one that is down loses it."""
        try:
            os.write(self.ends[receiver].fd, frame)
        except OSError:
            return

    def run(self) -> None:
        """Until the end of stdin."""
        fds = [end.fd for end in self.ends]
        while True:
            while self.under_way and self.under_way[0][0] <= time.monotonic():
                _, _, receiver, frame = heapq.heappop(self.under_way)
                self.deliver(receiver, frame)
            wait = max(0.0, self.under_way[0][0] - time.monotonic()) if self.under_way else None
            ready, _, _ = select.select([0, *fds], [], [], wait)
            for fd in ready:
                if fd:
                    self.take(fds.index(fd))
                elif not self.command():
                    return

    def command(self) -> bool:
        """Whether there was one."""
        line = os.read(0, 4096)
        if line:
            self.set(replace(self.settings, **json.loads(line)))
            os.write(1, b"ok\n")
        return bool(line)


if __name__ == "__main__":
    Cable((End(sys.argv[1]), End(sys.argv[2]))).run()
