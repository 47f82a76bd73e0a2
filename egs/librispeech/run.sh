#!/usr/bin/env bash
# LibriSpeech (or any corpus in its layout) from the archive to a word error rate.
#
#   bash egs/librispeech/run.sh --corpus /data/LibriSpeech --model sew-tiny      # the paper's: 960 h, 100K updates, 100 h of labels
#   bash egs/librispeech/run.sh --pretrained exp/sew-tiny/model --librilight /data/librispeech_finetuning --finetune-config 10h
#   bash egs/librispeech/run.sh --mini                                           # a miniature, 15 minutes on 2 cores
#
# Stages: 0 prep, 1 pretrain, 2 finetune, 3 language model, 4 decode and score, 5 the table. Every stage that is done is
# passed over, and one that was killed goes on, so the whole script may be run again at any time. Options:

# shellcheck disable=SC2086  # options are words
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

stage=0  # first stage to run
stop_stage=5  # last stage to run
mini=false  # a synthetic miniature corpus, a micro model, and the same model without pre-training beside it
corpus=""  # folder of the corpus; none: $SEW_CORPORA/LibriSpeech or download/LibriSpeech
librilight=""  # librispeech_finetuning, prepared beside it (with --mini: any word); see README
librilight_options=""  # more options of its `sew prep`
labels=train-clean-100  # splits to fine-tune on; all: every train split; with --finetune-config 10h, 1h, 10m or 960h: its own
data=data/librispeech  # where the cuts go
exp=exp/librispeech  # where models and results go
model=sew-tiny  # a name of `sew models`
pretrained=""  # a pre-trained model folder or Hub id: stage 1 is then left out
pretrain_config=""  # recipe or YAML file of stage 1; none: that of the model, tiny-100k or 100k
finetune_config=100h  # recipe or YAML file of stage 2
prep_options=""  # more options of `sew prep`
pretrain_options=""  # more options of `sew pretrain`
finetune_options=""  # more options of `sew finetune`
test_splits=""  # splits to decode; none: all dev and test splits there are
order=4  # of the n-gram language model
official_lm="--download 4gram"  # arguments of `sew lm official`; "": an n-gram model of the training transcripts
beam=50  # of the search
scratch=false  # also train the same model without pre-training
# shellcheck source=egs/parse_options.sh
. "$here/../parse_options.sh"

if miniature; then mini_default official_lm "" && mini_default test_splits test-clean; fi
if $mini; then
  mini_default data data/mini && mini_default exp exp/mini && mini_default model sew-micro && scratch=true
  mini_default pretrain_config "$here/conf/mini-pretrain.yaml" && mini_default finetune_config "$here/conf/mini-finetune.yaml"
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # two models train side by side, a core each
fi
: "${pretrain_config:=$(pretraining_recipe "$model")}" "${scratch_pid:=}"
case $finetune_config in 100h* | *.yaml) on="" ;; *) on=-$finetune_config ;; esac
if given labels; then on=-$labels; elif [[ $finetune_config != 100h* ]]; then labels=""; fi # what the recipe is named by
train=${labels:+--set data.train=${labels/#all/null}}

if run_stage 0; then
  say "0: prepare cuts in $data"
  $mini && corpus_options=--mini || corpus_options=${corpus:+"$corpus"}
  sew prep librispeech ${corpus_options:+"$corpus_options"} --out "$data" $prep_options || { code=$?
    [ $code != 2 ] || echo "to see the recipe at work without the corpus: bash $0 --mini" >&2; exit $code; }
  [ -z "$librilight" ] || sew prep librilight "$($mini && echo --mini || echo "$librilight")" --out "$data" $librilight_options
fi

if run_stage 2 && $scratch; then
  say "2: beside it, train $model without pre-training (log in $exp/$model-scratch$on.log)" && mkdir -p "$exp"
  sew finetune --model "$model" --data "$data" --exp "$exp/$model-scratch$on" --config "$finetune_config" \
    $train $finetune_options 2> "$exp/$model-scratch$on.log" &
  scratch_pid=$!
  trap 'kill "$scratch_pid" 2> /dev/null || true' EXIT
fi

if run_stage 1 && [ -z "$pretrained" ]; then
  say "1: pre-train $model"
  sew pretrain --model "$model" --data "$data" --exp "$exp/$model" --config "$pretrain_config" $pretrain_options
fi

if run_stage 2; then
  say "2: fine-tune"
  sew finetune --model "${pretrained:-$exp/$model/model}" --data "$data" --exp "$exp/$model-ft$on" \
    --config "$finetune_config" $train $finetune_options
  if $mini; then # what no training gives: one update
    sew finetune --model "$model" --data "$data" --exp "$exp/$model-untrained$on" --config "$finetune_config" --updates 1 $train
  fi
  [ -z "$scratch_pid" ] || wait "$scratch_pid" || { tail -n 5 "$exp/$model-scratch$on.log" >&2 && exit 1; }
  scratch_pid=""
fi

if run_stage 3; then
  say "3: language model (${official_lm:-$order-gram of the training transcripts})"
  if [ -n "$official_lm" ]; then sew lm official $official_lm --data "$data"; else sew lm ngram --order "$order" --data "$data"; fi
fi

if run_stage 4; then
  say "4: decode and score"
  : "${test_splits:=$(prepared_splits "$data" dev test | tr '\n' ' ')}"
  for name in "$model-ft$on" $($scratch && echo "$model-scratch$on") $($mini && echo "$model-untrained$on"); do
    for lm in none "${order}gram"; do
      sew decode --model "$exp/$name/model" --data "$data" --lm "$lm" --beam "$beam" ${test_splits:+$(printf -- '--split %s ' $test_splits)}
    done
  done
fi

if run_stage 5; then
  say "5: results"
  sew report "$exp" --out "$exp/results.json" --out "$exp/report.html" --out "$exp/report.md"
fi
