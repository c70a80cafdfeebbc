#!/usr/bin/env bash
# Start a Slurm cluster on this one machine, for the tests and for trying things out: slurmctld, two slurmd that share
# the machine, munge, and slurmdbd with MariaDB for the accounting.  Debian or Ubuntu, as root:
#
#   tests/slurm/start_cluster.sh          start (installs what is missing); again: sees that all is up, in a second
#   tests/slurm/start_cluster.sh stop     stop the daemons and take Slurm's configuration away; what was installed and accounted stays
#
# The nodes have two GPUs each that are null devices: jobs get CUDA_VISIBLE_DEVICES, and nothing can compute on them.
# Not for production: the daemons run as root, the database password is in the open, jobs are not held in cgroups.
set -euo pipefail

HOST=$(hostname -s)
CONF=/etc/slurm
LOGS=/var/log/slurm
MARK="# written by starglot tests/slurm/start_cluster.sh"

say() { echo "start_cluster: $*" >&2; }
fail() {
    say "error: $1"
    shift
    for line in "$@"; do say "  $line"; done
    exit 1
}
wait_for() { # SECONDS WHAT COMMAND...
    local tries=$(($1 * 5)) what=$2
    shift 2
    while ! "$@" >/dev/null 2>&1; do
        ((tries--)) || fail "$what does not come up" "look at the ends of $LOGS/*.log"
        sleep 0.2
    done
}

# ---- may this machine have a cluster?
[ "$(uname -s)" = Linux ] || fail "Slurm's daemons need Linux; this is $(uname -s)"
[ "$(id -u)" = 0 ] || fail "must run as root" "on a machine of your own: sudo $0"
if [ -s $CONF/slurm.conf ] && ! grep -qF "$MARK" $CONF/slurm.conf; then
    fail "$CONF/slurm.conf belongs to another cluster, and is left alone" "use that cluster: snakemake --profile slurm"
fi

# One at a time: two that start daemons side by side would start each twice.
install -d /run/starglot-slurm
exec 9>/run/starglot-slurm/lock
flock 9

stop() { # DAEMON...
    local daemon pid
    for daemon in "$@"; do
        [ -s /run/starglot-slurm/$daemon.pid ] || continue
        pid=$(<"/run/starglot-slurm/$daemon.pid")
        ! kill "$pid" 2>/dev/null || tail --pid="$pid" -f /dev/null
        rm -f /run/starglot-slurm/$daemon.pid
    done
}
if [ "${1:-}" = stop ]; then
    stop slurmd-node1 slurmd-node2 slurmctld slurmdbd mariadbd munged
    # With it every start of Snakemake, which asks Slurm for its version, would wait nine seconds for the controller.
    rm -f $CONF/slurm.conf
    say "stopped"
    exit 0
fi
[ $# = 0 ] || fail "unknown argument: $1" "allowed: nothing, or stop"

# ---- packages
missing=()
command -v munged >/dev/null || missing+=(munge)
command -v slurmctld >/dev/null || missing+=(slurmctld)
command -v slurmd >/dev/null || missing+=(slurmd)
command -v sbatch >/dev/null || missing+=(slurm-client)
command -v slurmdbd >/dev/null || missing+=(slurmdbd)
command -v mariadbd >/dev/null || missing+=(mariadb-server)
if ((${#missing[@]})); then
    command -v apt-get >/dev/null || fail "not installed: ${missing[*]}" "there is no apt-get here to install them"
    say "installing ${missing[*]}"
    install -d $LOGS
    # The packages' scripts would start daemons with a configuration that is not there yet.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"
    } >$LOGS/apt.log 2>&1 || fail "apt-get could not install ${missing[*]}" "$(tail -n 3 $LOGS/apt.log)"
fi
install -d $CONF $LOGS /var/spool/slurmctld /var/spool/slurmd-node1 /var/spool/slurmd-node2

alive() { # is the daemon that we started still there?
    [ -s "/run/starglot-slurm/$1.pid" ] && kill -0 "$(<"/run/starglot-slurm/$1.pid")" 2>/dev/null
}
daemon() { # NAME COMMAND...: in the background, detached, its process id noted
    local name=$1
    shift
    alive "$name" && return
    setsid "$@" >"$LOGS/$name.out" 2>&1 </dev/null 9>&- & # without the lock, which would last as long as the daemon
    echo $! >/run/starglot-slurm/"$name.pid"
}

# ---- munge: who is who
install -d -o munge -g munge -m 0755 /run/munge
install -d -o munge -g munge -m 0700 /etc/munge /var/log/munge /var/lib/munge
[ -s /etc/munge/munge.key ] || (umask 077 && dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none)
chown munge:munge /etc/munge/munge.key
chmod 400 /etc/munge/munge.key
munge_works() { munge -n | unmunge; }
if ! munge_works >/dev/null 2>&1; then
    daemon munged runuser -u munge -- /usr/sbin/munged --foreground --force
    wait_for 20 munge munge_works
fi

# ---- configuration
cpus=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc) # nproc counts no more than OpenMP is allowed, as in `make test`
memory=256000 # MB, more than there is: the profile's requests for the full size fit, and jobs of a mini use little of it
cat >$CONF/slurm.conf.new <<CONF
$MARK
ClusterName=starglot
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd-%n
SlurmctldPidFile=/run/starglot-slurm/slurmctld.self
SlurmdPidFile=/run/starglot-slurm/slurmd-%n.self
SlurmctldLogFile=$LOGS/slurmctld.log
SlurmdLogFile=$LOGS/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
LaunchParameters=disable_send_gids
PropagateResourceLimits=NONE
# Quick to start and to end a job, so that tests do not wait.
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=5
KillWait=5
UnkillableStepTimeout=60
MinJobAge=300
OverTimeLimit=0
InactiveLimit=0
# Where no cgroups can be had, memory is looked at every two seconds, and a job with more than it asked for is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=200
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
GresTypes=gpu
# Two nodes that are this one machine, each with all its processors: a training over two nodes can be tried.
NodeName=node1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=17001 CPUs=$cpus RealMemory=$memory Gres=gpu:h200:2
NodeName=node2 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=17002 CPUs=$cpus RealMemory=$memory Gres=gpu:h200:2
PartitionName=main Nodes=node1 Default=YES MaxTime=24:00:00 DefaultTime=10
PartitionName=gpu Nodes=node1,node2 MaxTime=24:00:00 DefaultTime=10
CONF
# A GPU without a device file leaves its node invalid; clones of /dev/null are enough to be counted and handed out.
for number in 0 1; do
    [ -e /dev/starglot-gpu$number ] || mknod -m 666 /dev/starglot-gpu$number c 1 3
done
echo "Name=gpu Type=h200 File=/dev/starglot-gpu[0-1]" >$CONF/gres.conf
cat >$CONF/slurmdbd.conf <<CONF
AuthType=auth/munge
DbdHost=$HOST
DbdAddr=127.0.0.1
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile=$LOGS/slurmdbd.log
PidFile=/run/starglot-slurm/slurmdbd.self
CONF
chmod 600 $CONF/slurmdbd.conf
changed=
cmp -s $CONF/slurm.conf.new $CONF/slurm.conf || changed=yes
mv $CONF/slurm.conf.new $CONF/slurm.conf
if [ $changed ] && alive slurmctld; then
    say "the configuration has changed: starting the daemons again"
    stop slurmd-node1 slurmd-node2 slurmctld
fi

# ---- accounting
if ! mariadb-admin ping >/dev/null 2>&1; then
    install -d -o mysql -g mysql /run/mysqld
    [ -d /var/lib/mysql/mysql ] || mariadb-install-db --user=mysql >$LOGS/mariadb-install.log 2>&1
    daemon mariadbd mariadbd --user=mysql --bind-address=127.0.0.1 --innodb-buffer-pool-size=64M --performance-schema=OFF
    wait_for 30 MariaDB timeout 5 mariadb-admin ping
fi
mariadb -e "create database if not exists slurm_acct_db;
            create user if not exists 'slurm'@'localhost' identified by 'slurm';
            grant all on slurm_acct_db.* to 'slurm'@'localhost';"
daemon slurmdbd slurmdbd -D
wait_for 60 slurmdbd timeout 5 sacctmgr -n list cluster
known() { sacctmgr -nP list "$1" format="$1" | grep -qx "$2"; }
known cluster starglot || sacctmgr -iQ add cluster starglot >/dev/null
known account astro || sacctmgr -iQ add account astro Description=astro Organization=astro >/dev/null
member() { [ -n "$(sacctmgr -nP list associations account=astro user="$(id -un)" format=user)" ]; }
member || sacctmgr -iQ add user "$(id -un)" Account=astro >/dev/null

# ---- controller and nodes
daemon slurmctld slurmctld -D
wait_for 30 slurmctld timeout 5 scontrol ping
daemon slurmd-node1 slurmd -D -N node1
daemon slurmd-node2 slurmd -D -N node2
ready() { # a node that a reboot or a kill left down comes back
    local state
    for node in node1 node2; do
        state=$(sinfo -h -N -n $node -o %T | head -1)
        case $state in
            idle | mixed | allocated | completing) ;;
            down* | drain*) scontrol update nodename=$node state=resume && return 1 ;;
            *) return 1 ;;
        esac
    done
}
wait_for 60 "a node" ready
sinfo -N -o '%N %P %T %c cpus %m MB %G' >&2
say "ready: sbatch -p main --wrap hostname"
