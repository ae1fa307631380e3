#!/bin/bash
# The first process of a board, started by board.py in new name spaces: builds the root, enters it, runs its sshd.
# Its environment: FOLDER (of the board), DISK (mounted, kept over reboots), LOWER (what the root is laid over), NAME,
# UNPACKED (where sshd lies if this machine has none), SHARE (folders of this machine, a line each), PASSWORD (a hash), SUDO.
set -eu
root=$FOLDER/root
mount --make-rprivate /
hostname "$NAME"
mkdir -p "$DISK/upper" "$DISK/work" "$DISK/own"
mount -t overlay board -o "lowerdir=$LOWER,upperdir=$DISK/upper,workdir=$DISK/work" "$root"
mkdir -p "$root"/{proc,sys,dev,run,tmp,root,home,etc/testbed}

# The kernel's own. A foreign board must not see this machine's /sys: ONNX Runtime for arm64 ends on that of an x86.
mount -t proc proc "$root/proc"
if [ -d "$FOLDER/persona" ] || [ -n "${QEMU_CPU:-}" ]; then
    mount -t tmpfs -o mode=755 sys "$root/sys"
else
    mount -t sysfs sys "$root/sys"
fi
mount --bind "$FOLDER/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 pts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0 1 2; do ln -s "fd/$number" "$root/dev/$(echo stdin stdout stderr | cut -d' ' -f$((number + 1)))"; done
mount -t tmpfs shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root/run/sshd" "$root/run/testbed"
mkdir -m 1777 "$root/run/lock"

# On this machine's files the people's folders are not the board's to show.
for folder in root home tmp; do
    mkdir -p "$DISK/own/$folder"
    [ "$LOWER" = / ] && mount --bind "$DISK/own/$folder" "$root/$folder"
done
chmod 700 "$root/root"
chmod 1777 "$root/tmp"
while IFS= read -r folder; do
    [ -n "$folder" ] || continue
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
    mount -o remount,bind,ro "$root$folder"
done <<<"$SHARE"

# Accounts: root, and edge.
grep -q '^sshd:' "$root/etc/passwd" || echo 'sshd:x:999:65534::/run/sshd:/usr/sbin/nologin' >>"$root/etc/passwd"
if ! grep -q '^edge:' "$root/etc/passwd"; then
    echo 'edge:x:4242:4242::/home/edge:/bin/bash' >>"$root/etc/passwd"
    echo 'edge:x:4242:' >>"$root/etc/group"
fi
[ -n "$PASSWORD" ] || PASSWORD='*'
sed -i '/^edge:/d' "$root/etc/shadow"
echo "edge:$PASSWORD:19000:0:99999:7:::" >>"$root/etc/shadow"
mkdir -p "$root/home/edge"
chown 4242:4242 "$root/home/edge"
if [ -n "$SUDO" ]; then
    mkdir -p "$root/etc/sudoers.d"
    echo "edge ALL=(root) NOPASSWD: $SUDO" >"$root/etc/sudoers.d/edge"
    chmod 440 "$root/etc/sudoers.d/edge"
fi

cp "$FOLDER/host_key" "$FOLDER/sshd_config" "$root/etc/testbed/"
cp "$FOLDER/id.pub" "$root/etc/testbed/authorized_keys"
chmod 600 "$root/etc/testbed/host_key"
chmod 644 "$root/etc/testbed/authorized_keys"
# 9.8 and later lock an address out after failed logins.
[ -e "$root/usr/lib/openssh/sshd-session" ] && echo "PerSourcePenalties no" >>"$root/etc/testbed/sshd_config"
echo "$NAME" >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$NAME" >"$root/etc/hosts"
: >"$root/etc/environment"
if [ ! -x "$root/usr/sbin/sshd" ]; then
    cp -a "$UNPACKED/usr/sbin" "$UNPACKED/usr/lib" "$root/usr/"
fi

# The board that it seems to be. What it keeps over a reboot (nvpmodel's mode) is not overwritten.
persona=$FOLDER/persona
if [ -d "$persona" ]; then
    cp -a "$persona/sys/." "$root/sys/"
    for folder in etc usr var run; do
        [ -d "$persona/$folder" ] && cp -an "$persona/$folder/." "$root/$folder/"
    done
    cp -a "$persona/proc" "$root/run/testbed/proc"
    for file in cpuinfo meminfo version sys/kernel/osrelease; do
        mount --bind "$root/run/testbed/proc/$file" "$root/proc/$file"
    done
    for interface in lo eth0; do
        mkdir -p "$root/sys/class/net/$interface"
        echo up >"$root/sys/class/net/$interface/operstate"
    done
fi

cd "$root"
mkdir -p .old
pivot_root . .old
cd /
hash -r
umount -l /.old
rmdir /.old
export -n FOLDER DISK LOWER NAME UNPACKED SHARE PASSWORD SUDO
# As process 1 it also collects whatever lost its parent.
while :; do
    /usr/sbin/sshd -D -f /etc/testbed/sshd_config -E /run/sshd.log || true
    sleep 0.2
done
