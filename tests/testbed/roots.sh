#!/bin/bash
# roots.sh CACHE root ARCHITECTURE RELEASE    a small Debian root in CACHE, with python3, venv, sshd and sudo
# roots.sh CACHE emulator                     let this kernel run arm64 programs
#
# As root; network, from the mirror that this machine's apt uses. Packages are only unpacked, and the little that their
# scripts would do is written by hand: nothing is emulated, and it takes seconds. It is no full Debian: dpkg knows nothing.
set -euo pipefail
cache=$1
what=$2

mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | grep -E '/debian/?$' | head -1)
[ -n "$mirror" ] || mirror=http://deb.debian.org/debian

# unpack FOLDER RELEASE PACKAGES [OPTIONS...]
unpack() {
    mmdebstrap --quiet --mode=root --variant=extract --skip=check/qemu \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr "--include=$3" "${@:4}" "$2" "$1" "$mirror" >/dev/null
}

root() {
    local made=$cache/$1-$2 folder=$cache/making-$1-$2
    [ ! -e "$made" ] || return 0 # somebody else made it meanwhile
    rm -rf --one-file-system "$folder"
    local packages=bash,coreutils,dash,debianutils,diffutils,findutils,grep,gzip,hostname,libc-bin,login,mawk,mount
    packages+=,ncurses-bin,passwd,perl-base,base-files,base-passwd,procps,sed,tar,util-linux,iproute2,ca-certificates
    packages+=,python3,python3-venv,openssh-server,openssh-sftp-server,sudo,kmod,libgomp1,libstdc++6
    local options=("--arch=$1") place
    for place in doc man locale info; do options+=("--dpkgopt=path-exclude=/usr/share/$place/*"); done
    unpack "$folder" "$2" "$packages" "${options[@]}"
    cd "$folder"
    cp usr/share/base-passwd/passwd.master etc/passwd
    cp usr/share/base-passwd/group.master etc/group
    sed -i 's#^root:.*#root:x:0:0:root:/root:/bin/bash#' etc/passwd
    sed 's/^\([^:]*\):.*/\1:*:19000:0:99999:7:::/' etc/passwd >etc/shadow
    chmod 640 etc/shadow
    mkdir -p root etc/ssl/certs run/sshd
    chmod 700 root
    [ -e bin/sh ] || ln -s dash bin/sh
    [ -e usr/bin/awk ] || ln -s mawk usr/bin/awk
    [ -e etc/os-release ] || ln -s ../usr/lib/os-release etc/os-release
    find usr/share/ca-certificates -name '*.crt' -exec cat {} + >etc/ssl/certs/ca-certificates.crt
    printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n' >etc/nsswitch.conf
    printf '%s required pam_permit.so\n' auth account session | tee etc/pam.d/sudo >etc/pam.d/other
    # Python's byte code, which the packages' scripts would have made: any Python of the same version writes the same.
    local python
    python=$(cd usr/bin && ls -d python3.[0-9]* | grep -E '^python3\.[0-9]+$' | head -1)
    if command -v "$python" >/dev/null; then
        "$python" -m compileall -q -s . -p / "usr/lib/$python" usr/lib/python3 >/dev/null 2>&1 || true
    fi
    rm -rf etc/ssh/ssh_host_* etc/apt/sources.list etc/apt/sources.list.d/* var/lib/apt/lists/* dev/*
    mv "$folder" "$made"
}

# Debian 12's qemu 7.2 ends in the middle of ONNX Runtime and LiteRT; 10 does not. F: the file needs not be on the board.
emulator() {
    local registry=/proc/sys/fs/binfmt_misc qemu=$cache/qemu-aarch64
    [ "$(uname -m)" != aarch64 ] || return 0
    [ -e $registry/register ] || mount -t binfmt_misc binfmt_misc $registry
    [ ! -e $registry/edgeprof-aarch64 ] || return 0
    if [ ! -x "$qemu" ]; then
        local folder=$cache/making-qemu
        rm -rf "$folder"
        unpack "$folder" trixie qemu-user
        cp "$folder/usr/bin/qemu-aarch64" "$qemu.new"
        mv "$qemu.new" "$qemu"
        rm -rf "$folder"
    fi
    local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    echo ":edgeprof-aarch64:M::$magic:$mask:$qemu:OCPF" >$registry/register
}

"$what" "${@:3}"
