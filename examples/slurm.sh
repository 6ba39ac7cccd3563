#!/bin/bash
# Evaluate on 2 nodes with 8 GPUs each. Give your paths, then: sbatch examples/slurm.sh
#SBATCH --job-name=qsv-eval
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=08:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

export QSV_DATA=${QSV_DATA:-/data}         # on every node
CHECKPOINT=${CHECKPOINT:-/models/quicksviewer}
TASKS=${TASKS:-videomme}
OUT=${OUT:-$SLURM_SUBMIT_DIR/out/$TASKS}   # on a file system that all nodes share

export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1
export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / 8))
head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# One torchrun on each node; it gives its 8 processes their global RANK, 0 to 15. When any node fails, srun ends them all:
# the answers so far are in the journal, and waiting for a rank that is gone would only cost GPU hours.
srun --kill-on-bad-exit=1 torchrun \
    --nnodes="$SLURM_NNODES" --nproc-per-node=8 --max-restarts=0 \
    --rdzv-id="$SLURM_JOB_ID" --rdzv-backend=c10d --rdzv-endpoint="$head_node:29500" \
    -m qsv_eval.cli run --tasks "$TASKS" --pretrained "$CHECKPOINT" --output "$OUT"

# torchrun hides exit codes; the journal knows: 0 complete, 3 incomplete, 2 no run.
qsv-eval status "$OUT"
code=$?
# TERM comes 120 s before the time is up, so that this is still reached. The same command asks only what is missing;
# questions that failed, on a broken video for example, are no reason to queue again.
if [ -n "$(qsv-eval status "$OUT" --missing 2>/dev/null)" ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
