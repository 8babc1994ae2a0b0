# The guest's first process. guest/run.ts boots the kernel with `init=BUSYBOX -- sh THIS_FILE SETTINGS`.
#
# Runs in Debian's static busybox, whose own applets (mount, insmod, cat...) start several times faster than the
# dynamic programs of the same names. SETTINGS is a file of shell assignments written by guest/settings.ts.
# Serial lines carry the streams: ttyS0 standard output, ttyS1 standard error, ttyS2 what this script has to say
# to the host ("ready", "exit CODE"). The console (its own output goes there) is the log that the host shows on failure.

# An applet starts through /proc/self/exe, which only the guest's own /proc resolves: hence the full path, once.
/bin/mount -t proc proc /proc || exit 1
# Node maps io_uring rings; in the 7.2 kernel the fork of a process that does breaks page counts, and the guest with them.
# (Kernels without this switch, 6.1 among them, do not need it.)
[ ! -e /proc/sys/kernel/io_uring_disabled ] || echo 2 > /proc/sys/kernel/io_uring_disabled
# Settings and modules are on the host's root, perhaps below /tmp or /dev/shm: use them before anything is mounted over.
. "$1"
failed=
for module in $MODULES; do insmod "$module" || failed=$module; done

# Mounts what standard input lists, as /etc/fstab does: one process start, not ten.
mount_all() { mount -a -T /proc/self/fd/0; }

# --- file systems: the root is the host's, read-only; what must be writable lies in memory or on disks -------------
mount -t devtmpfs devtmpfs /dev
exec < /dev/null > /dev/console 2>&1
set -e
[ -z "$failed" ] || { echo "init: cannot load $failed"; exit 1; }
mkdir /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
mount_all << END
sysfs    /sys            sysfs    defaults                        0 0
cgroup2  /sys/fs/cgroup  cgroup2  nsdelegate                      0 0
devpts   /dev/pts        devpts   gid=5,mode=620,ptmxmode=666     0 0
tmpfs    /dev/shm        tmpfs    mode=1777                       0 0
tmpfs    /run            tmpfs    mode=755                        0 0
tmpfs    /tmp            tmpfs    mode=1777                       0 0
tmpfs    /mnt            tmpfs    mode=755                        0 0
END
mkdir -p /run/lock /run/guest/etc /run/guest/etc.work /run/guest/var /run/guest/var.work /mnt/scratch /mnt/disk /tmp/home
mount_all << END
etc        /etc          overlay  lowerdir=/etc,upperdir=/run/guest/etc,workdir=/run/guest/etc.work  0 0
var        /var          overlay  lowerdir=/var,upperdir=/run/guest/var,workdir=/run/guest/var.work  0 0
tmpfs      /var/tmp      tmpfs    mode=1777                                                          0 0
scratch    /mnt/scratch  hostfs   $HOST_FILES                                                        0 0
/dev/ubda  /mnt/disk     ext4     noinit_itable,noatime                                              0 0
END
# A checkout below one of the directories just covered is shown again, read-only.
if [ ! -e "$CHECKOUT/guest/init.sh" ]; then
  mkdir -p "$CHECKOUT"
  mount -t hostfs -o "$CHECKOUT" checkout "$CHECKOUT"
  mount -o remount,ro "$CHECKOUT"
fi

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
hostname dmthin-guest
ip link set lo up
ulimit -n 65536
exec 3>/dev/ttyS0 4>/dev/ttyS1 5>/dev/ttyS2
for line in 0 1; do stty -F /dev/ttyS$line raw -echo; done

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
