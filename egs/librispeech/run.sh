#!/usr/bin/env bash
# LibriSpeech (or any corpus in its layout) from the archive to a word error rate.
#
#   bash egs/librispeech/run.sh --corpus /data/LibriSpeech --model sew-tiny      # the real thing, on a GPU
#   bash egs/librispeech/run.sh --stage 1                                        # after `sew prep librispeech`
#   bash egs/librispeech/run.sh --mini                                           # a miniature, 15 minutes on 2 cores
#
# Stages: 0 prep, 1 pretrain, 2 finetune, 3 language model, 4 decode and score, 5 the table. Every stage that is done is
# passed over, and one that was killed goes on, so the whole script may be run again at any time.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

stage=0 stop_stage=5
corpus="" prep_options="" mini=false
data=data/librispeech exp=exp/librispeech
model=sew-tiny pretrain_config=tiny-100k finetune_config=100h pretrain_options="" finetune_options=""
test_splits="" order=4 beam=50 scratch=false scratch_pid=""

while [ $# -gt 0 ]; do
  case $1 in
    --mini) # a corpus of our own, a model of our own, and the same model without pre-training beside it
      mini=true data=data/mini exp=exp/mini model=sew-micro scratch=true
      export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # two models train side by side, a core each
      pretrain_config=$here/conf/mini-pretrain.yaml finetune_config=$here/conf/mini-finetune.yaml
      shift ;;
    --scratch) scratch=true && shift ;; # also train the same model without pre-training
    --stage | --stop-stage | --corpus | --data | --exp | --model | --prep-options | --pretrain-config | \
      --finetune-config | --pretrain-options | --finetune-options | --test-splits | --order | --beam)
      [ $# -ge 2 ] || { echo "$1 needs a value" >&2 && exit 2; }
      name=${1#--} && printf -v "${name//-/_}" '%s' "$2" && shift 2 ;;
    -h | --help) sed -n '2,9p' "$0" | cut -c3- && exit 0 ;;
    *) echo "unknown option $1 (see --help)" >&2 && exit 2 ;;
  esac
done

[[ $stage$stop_stage =~ ^[0-9]+$ ]] || { echo "--stage and --stop-stage take numbers from 0 to 5" >&2 && exit 2; }
command -v sew > /dev/null || PATH=$here/../../.venv/bin:$PATH
command -v sew > /dev/null || { echo "no sew command: run make setup first, or activate its environment" >&2 && exit 2; }

run_stage() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }
say() { echo "$(basename "$0"): stage $*" >&2; }

if run_stage 0; then
  say "0: prepare cuts in $data"
  if $mini; then
    sew prep librispeech --mini --out "$data"
  else
    # shellcheck disable=SC2086  # options are words
    sew prep librispeech ${corpus:+"$corpus"} --out "$data" $prep_options
  fi
fi

if run_stage 2 && $scratch; then
  say "2: beside it, train $model without pre-training (log in $exp/$model-scratch.log)"
  mkdir -p "$exp"
  # shellcheck disable=SC2086
  sew finetune --model "$model" --data "$data" --exp "$exp/$model-scratch" --config "$finetune_config" \
    $finetune_options 2> "$exp/$model-scratch.log" &
  scratch_pid=$!
  trap 'kill "$scratch_pid" 2> /dev/null || true' EXIT
fi

if run_stage 1; then
  say "1: pre-train $model"
  # shellcheck disable=SC2086
  sew pretrain --model "$model" --data "$data" --exp "$exp/$model" --config "$pretrain_config" $pretrain_options
fi

if run_stage 2; then
  say "2: fine-tune"
  # shellcheck disable=SC2086
  sew finetune --model "$exp/$model/model" --data "$data" --exp "$exp/$model-ft" --config "$finetune_config" $finetune_options
  if $mini; then # what no training gives: one update
    sew finetune --model "$model" --data "$data" --exp "$exp/$model-untrained" --config "$finetune_config" --updates 1
  fi
  if [ -n "$scratch_pid" ]; then
    wait "$scratch_pid" || { tail -n 5 "$exp/$model-scratch.log" >&2 && exit 1; }
    scratch_pid=""
  fi
fi

if run_stage 3; then
  say "3: $order-gram language model of the training transcripts"
  sew lm ngram --order "$order" --data "$data"
fi

if run_stage 4; then
  say "4: decode and score"
  for name in "$model-ft" $($scratch && echo "$model-scratch") $($mini && echo "$model-untrained"); do
    for lm in none "${order}gram"; do
      # shellcheck disable=SC2086
      sew decode --model "$exp/$name/model" --data "$data" --lm "$lm" --beam "$beam" ${test_splits:+--split ${test_splits// / --split }}
    done
  done
fi

if run_stage 5; then
  say "5: results"
  sew report "$exp" --out "$exp/results.json"
fi
