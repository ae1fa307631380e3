#!/bin/sh
# rootless.sh COMMAND...: run a command, such as pytest, as "root" of name spaces of its own, for tests with boards.
# For users where user name spaces are allowed, newuidmap is there (package uidmap), and /etc/subuid names them.
# There is no network but what the command makes. arm64 boards need Linux 6.7 here.
exec unshare --user --map-auto --map-root-user --net --mount --pid --fork --kill-child --mount-proc sh -c '
    mount --make-rprivate /
    ip link set lo up
    mount -t tmpfs -o mode=755 run /run
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null
    exec "$@"' sh "$@"
