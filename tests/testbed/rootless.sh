#!/bin/sh
# rootless.sh COMMAND...: run a command, such as pytest, as "root" of name spaces of its own, for tests with boards.
# For users where user name spaces are allowed, newuidmap is there (package uidmap), and /etc/subuid names them.
# NET=host keeps this machine's network, to fetch a root from the mirror; else there is none but what the command makes.
# arm64 boards need Linux 6.7 then.
net=--net
[ "${NET:-}" = host ] && net=
exec unshare --user --map-auto --map-root-user $net --mount --pid --fork --kill-child --mount-proc sh -c '
    mount --make-rprivate /
    [ -z "$1" ] || ip link set lo up
    shift
    mount -t tmpfs -o mode=755 run /run
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null
    exec "$@"' sh "$net" "$@"
