#!/bin/bash
# The first process of a board, started by board.py in new name spaces: builds the root, enters it, runs its sshd.
# Its environment: FOLDER (of the board), DISK (mounted, kept over reboots), LOWER (what the root is laid over), NAME,
# UNPACKED (where sshd lies if this machine has none), SHARE (folders of this machine, a line each), PASSWORD (a hash), SUDO.
set -eu
root=$FOLDER/root
persona=$FOLDER/persona
mount --make-rprivate /
hostname "$NAME"

# overlay FOLDERS PLACE: what they hold (the first one that has it), and what the board writes over it
overlay() {
    mkdir -p "$DISK/upper$2" "$DISK/work$2/work"
    mount -t overlay board -o "lowerdir=$1,upperdir=$DISK/upper$2,workdir=$DISK/work$2/work" "$root$2"
}

if [ "$LOWER" = / ]; then # of this machine only its programs and settings, not what else lies there
    mkdir -p "$DISK/root"
    mount --bind "$DISK/root" "$root"
    for folder in /bin /sbin /lib* /usr /etc /opt /var; do
        if [ -L "$folder" ]; then
            cp -an "$folder" "$root$folder"
        elif [ -d "$folder" ]; then
            mkdir -p "$root$folder"
            layers=$folder
            [ -x /usr/sbin/sshd ] || [ ! -d "$UNPACKED$folder" ] || layers=$UNPACKED$folder:$layers
            [ ! -d "$persona$folder" ] || layers=$persona$folder:$layers
            overlay "$layers" "$folder"
        fi
    done
else
    [ ! -d "$persona" ] || LOWER=$LOWER:$persona
    overlay "$LOWER" ""
fi
mkdir -p "$root"/{proc,sys,dev,run,tmp,root,home,etc/testbed}
chmod 700 "$root/root"
chmod 1777 "$root/tmp"

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

while IFS= read -r folder; do
    [ -n "$folder" ] || continue
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
    mount -o remount,bind,ro "$root$folder"
done <<<"$SHARE"

# Accounts: root, and edge. New files throughout: this machine's need not be writable to the root of a user's name spaces.
fresh() {
    rm -f "$root/etc/$1"
    cat >"$root/etc/$1"
}
fresh passwd <<END
root:x:0:0:root:/root:/bin/bash
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
edge:x:4242:4242::/home/edge:/bin/bash
END
fresh group <<<$'root:x:0:\ntty:x:5:\nshadow:x:42:\nedge:x:4242:\nnogroup:x:65534:'
fresh shadow <<<$'root:*:19000:0:99999:7:::\nsshd:*:19000::::::\nedge:'"${PASSWORD:-*}:19000:0:99999:7:::"
chmod 640 "$root/etc/shadow"
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
fresh hostname <<<"$NAME"
fresh hosts <<<$'127.0.0.1 localhost\n127.0.1.1 '"$NAME"
fresh environment </dev/null

# What the board seems to be, as far as it is no matter of the disk.
if [ -d "$persona" ]; then
    cp -a "$persona/sys/." "$root/sys/"
    [ ! -d "$persona/run" ] || cp -a "$persona/run/." "$root/run/"
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
