# The guest's first process. guest/run.ts boots the kernel with `init=BUSYBOX -- sh THIS_FILE SETTINGS`.
#
# Runs in Debian's static busybox, whose own applets (mount, insmod, cat...) start several times faster than the
# dynamic programs of the same names. SETTINGS is a file of shell assignments written by guest/settings.ts.
# Serial lines carry the streams: ttyS0 standard output, ttyS1 standard error, ttyS2 what this script has to say
# to the host ("ready", "exit CODE"). The console (its own output goes there) is the log that the host shows on failure.

# An applet starts through /proc/self/exe, which only the guest's own /proc resolves: hence the full path, once.
/bin/mount -t proc proc /proc || exit 1
# SETTINGS is on the host's root, perhaps below /tmp or /dev/shm: read it before anything is mounted over.
. "$1"
mount -t devtmpfs devtmpfs /dev
exec < /dev/null > /dev/console 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set -e

exec 3>/dev/ttyS0 4>/dev/ttyS1 5>/dev/ttyS2
for line in 0 1; do stty -F /dev/ttyS$line raw -echo; done

# --- file systems: the root is the host's, read-only; what must be writable lies in memory or on disks -------------
mount -t sysfs sysfs /sys
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
for name in fd stdin stdout stderr; do
  case $name in fd) target=fd ;; stdin) target=fd/0 ;; stdout) target=fd/1 ;; stderr) target=fd/2 ;; esac
  [ -e /dev/$name ] || ln -s /proc/self/$target /dev/$name
done
for module in $MODULES; do insmod "$module"; done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/guest/etc /run/guest/etc.work /run/guest/var /run/guest/var.work
for dir in etc var; do
  mount -t overlay -o "lowerdir=/$dir,upperdir=/run/guest/$dir,workdir=/run/guest/$dir.work" overlay /$dir
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/scratch /mnt/disk /tmp/home
mount -t hostfs -o "$HOST_FILES" scratch /mnt/scratch
mount -t ext4 -o noinit_itable,noatime /dev/ubda /mnt/disk
# A checkout below one of the directories just covered is shown again, read-only.
if [ ! -e "$CHECKOUT/guest/init.sh" ]; then
  mkdir -p "$CHECKOUT"
  mount -t hostfs -o "$CHECKOUT" checkout "$CHECKOUT"
  mount -o remount,ro "$CHECKOUT"
fi

# A process that has an io_uring (Node has several) corrupts this kernel's memory when it forks (seen in 7.2, not in 6.1).
[ ! -e /proc/sys/kernel/io_uring_disabled ] || echo 2 > /proc/sys/kernel/io_uring_disabled
hostname dmthin-guest
ip link set lo up
ulimit -n 65536

# --- the command ---------------------------------------------------------------------------------------------------
printf '%s' "$COMMAND" > /run/guest/command
mkfifo /run/guest/stdout /run/guest/stderr
cat < /run/guest/stdout >&3 3>&- 4>&- 5>&- &
stdout_pid=$!
cat < /run/guest/stderr >&4 3>&- 4>&- 5>&- &
stderr_pid=$!
echo ready >&5
set +e
sh /run/guest/command < /dev/null > /run/guest/stdout 2> /run/guest/stderr 3>&- 4>&- 5>&- &
# In the background, so that what this shell says of a death by signal goes to the console.
wait $!
code=$?

# What the command left running ends here, so that the relays see the end of their input. Kernel threads do not mind.
# Three times, because a process may have forked meanwhile. Builtins only: a process start is dear here.
for try in 1 2 3; do
  for dir in /proc/[0-9]*; do
    case ${dir#/proc/} in
      1 | "$stdout_pid" | "$stderr_pid") ;;
      *) kill -9 "${dir#/proc/}" ;;
    esac
  done 2> /dev/null
done
# A process that hangs in the kernel keeps its pipes open for ever: the relays are then ended after a grace.
(sleep 5 && kill "$stdout_pid" "$stderr_pid") > /dev/null 2>&1 3>&- 4>&- 5>&- &
wait "$stdout_pid" "$stderr_pid"

timeout 30 sync -f /mnt/scratch
[ -z "$KEEP" ] || timeout 30 umount /mnt/disk
echo "exit $code" >&5
exec 3>&- 4>&- 5>&-
echo o > /proc/sysrq-trigger
sleep 60
