#!/bin/sh
# What the tests need of the system. Installed where this user may, named otherwise:
#   a browser                              for the report
#   sshd, sftp-server, libfaketime         only unpacked into a cache, so that no service is ever started
#   busybox, fish, tcsh, zsh               the same: login shells of boards
#   ip                                     for the links of boards in name spaces
#   mmdebstrap                             for boards with other userlands (slow tests), where this is root
cache=${EDGEPROF_TEST_CACHE:-$HOME/.cache/edgeprof-tests}
unpacked=$cache/unpacked
failed=0

have() {
    command -v "$1" >/dev/null 2>&1
}

install() {
    [ "$(id -u)" = 0 ] && have apt-get || return 1
    echo "installing for the tests: $*"
    [ -n "$updated" ] || apt-get -qq update || return 1
    updated=1
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$@" >/dev/null
}

# Packages' files, without installing: any user may.
unpack() {
    have apt-get && have dpkg-deb || return 1
    echo "unpacking for the tests: $*"
    mkdir -p "$cache/packages" "$unpacked" && cd "$cache/packages" || return 1
    apt-get -qq download "$@" 2>/dev/null || { apt-get -qq update && apt-get -qq download "$@" 2>/dev/null; } || return 1
    for package in *.deb; do
        dpkg-deb -x "$package" "$unpacked" || return 1
    done
    cd - >/dev/null && rm -r "$cache/packages"
}

missing() {
    echo "error: the tests need $1" >&2
    echo "  hint: $2" >&2
    failed=1
}

browser() {
    [ -n "$EDGEPROF_CHROMIUM" ] && [ -x "$EDGEPROF_CHROMIUM" ] && return
    for browser in chromium chromium-browser google-chrome; do
        have "$browser" && return
    done
    install chromium
}

unpacked_all() {
    for name in sshd sftp-server libfaketime.so.1 busybox fish tcsh zsh; do
        found=$(find /usr/sbin /usr/bin /bin /usr/lib/openssh /usr/lib/*/faketime "$unpacked" -name $name 2>/dev/null | head -1)
        [ -n "$found" ] || return 1
    done
}

# As root sshd drops the rights of what talks to strangers to this user, whom its package would have made.
ssh_user() {
    [ "$(id -u)" != 0 ] || grep -q '^sshd:' /etc/passwd ||
        useradd --system --no-create-home --home-dir /run/sshd --shell /usr/sbin/nologin sshd
}

browser || missing "a Chromium browser" "apt-get install chromium, or name one: EDGEPROF_CHROMIUM=/path/to/chrome make test"
have ssh && have ssh-keygen || install openssh-client || missing ssh "apt-get install openssh-client"
unpacked_all ||
    unpack openssh-server openssh-sftp-server libwrap0 libfaketime busybox fish libpcre2-32-0 tcsh zsh && ssh_user ||
    missing "sshd, libfaketime and shells" "apt-get install openssh-server libfaketime busybox fish tcsh zsh"
have ip || install iproute2 || missing ip "apt-get install iproute2"
if [ "$(id -u)" = 0 ] && have apt-get; then
    have mmdebstrap || install --no-install-recommends mmdebstrap ||
        missing "mmdebstrap (make test-slow)" "apt-get install mmdebstrap"
fi
exit $failed
