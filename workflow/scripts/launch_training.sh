#!/usr/bin/env bash
# Start a training: in one process as it is, in several by one torchrun a node, which starts one process a GPU (on the
# CPU one a node).
#
#   launch_training.sh NODES PER_NODE SCRIPT ARGUMENTS...      (OMP_NUM_THREADS: processors of a node)
#
# In a Slurm job of several nodes srun puts a torchrun on each of them, and they meet at the first one, at a port of the
# job's own.  Anywhere else, and on one node, all processes are on this machine.
set -euo pipefail

nodes=$1 per_node=$2
shift 2

if [ "$nodes" = 1 ] && [ "$per_node" = 1 ]; then
    exec python "$@"
fi

if [ "$nodes" = 1 ] || [ -z "${SLURM_JOB_ID:-}" ]; then
    exec torchrun --standalone --nproc-per-node $((nodes * per_node)) "$@"
fi

first=$(scontrol show hostnames "$(squeue --noheader --job "$SLURM_JOB_ID" --format %N)" | head -n 1)
address=$(scontrol show node "$first" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p')
port=$((20000 + SLURM_JOB_ID % 20000)) # two jobs on a node do not meet each other
exec srun --nodes "$nodes" --ntasks "$nodes" --ntasks-per-node 1 --cpus-per-task "$OMP_NUM_THREADS" --kill-on-bad-exit \
    torchrun --nnodes "$nodes" --nproc-per-node "$per_node" \
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$address:$port" "$@"
