#!/usr/bin/env bash
# Fisher + Switchboard from the LDC's discs to a word error rate on RT-03S and Hub5 Eval2000.
#
#   bash egs/swbd_fisher/run.sh --corpus DIR --pretrained exp/librispeech/sew-d-mid/model   # on a GPU; DIR holds LDC97S62 ...
#   bash egs/swbd_fisher/run.sh --stage 3        # from a stage on, here the language model
#   bash egs/swbd_fisher/run.sh --mini           # a miniature, 12 minutes on 2 cores
#
# The paper's models are pre-trained on LibriSpeech (egs/librispeech) and fine-tuned on 10 hours of this corpus.
# Stages: 0 prep, 1 pretrain (left out with --pretrained), 2 finetune, 3 language model, 4 decode and score, 5 the table.
# Every stage that is done is passed over, and one that was killed goes on, so the script may be run again. Options:

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

stage=0  # first stage to run
stop_stage=5  # last stage to run
mini=false  # a synthetic miniature corpus and a micro model
corpus=""  # folder that holds or links to the LDC's folders; none: $SEW_CORPORA/swbd_fisher or download/swbd_fisher
data=data/swbd_fisher  # where the cuts and the audio at 16 kHz go
exp=exp/swbd_fisher  # where models and results go
model=sew-d-mid  # a name of `sew models`
pretrained=""  # a pre-trained model folder or Hub id: stage 1 is then left out; none: exp/librispeech/MODEL/model if it is there
pretrain_config=""  # recipe or YAML file of stage 1; none: that of the model, tiny-100k or 100k
finetune_config=""  # recipe or YAML file of stage 2; none: 10h, for SEW-D-base+ 10h-stable, for all of train 960h
subset=10h=10  # NAME=HOURS of train to fine-tune on, drawn by seed and balanced over speakers; none: all of train
prep_options=""  # more options of `sew prep`
pretrain_options=""  # more options of `sew pretrain`
finetune_options=""  # more options of `sew finetune`
test_splits="dev-rt03 test-eval2000"  # splits to decode
order=4  # of the n-gram language model, of all training text
beam=50  # of the search
# shellcheck source=egs/parse_options.sh
. "$here/../parse_options.sh"

if $mini; then
  mini_default data data/mini-swbd_fisher && mini_default exp exp/mini-swbd_fisher && mini_default model sew-micro
  mini_default pretrain_config "$here/conf/mini-pretrain.yaml"
  mini_default finetune_config "$here/conf/mini-finetune.yaml"
  mini_default subset ""
fi
miniature || [ -n "$pretrained" ] || [ ! -d "exp/librispeech/$model/model" ] || pretrained=exp/librispeech/$model/model
: "${pretrain_config:=$(pretraining_recipe "$model")}" "${finetune_config:=$([ -n "$subset" ] && finetuning_recipe "${pretrained:-$model}" 10h || echo 960h)}"
train=${subset%%=*} && train=${train:-train}

if run_stage 0; then
  say "0: prepare cuts in $data"
  $mini && corpus_options=--mini || corpus_options=${corpus:+"$corpus"}
  code=0
  # shellcheck disable=SC2086  # options are words
  sew prep swbd_fisher ${corpus_options:+"$corpus_options"} --out "$data" ${subset:+--subset "$subset"} $prep_options || code=$?
  [ $code != 2 ] || echo "to see the recipe at work without the corpus: bash $0 --mini" >&2
  [ $code != 4 ] || echo "to go on without what was set aside: the same command with --stage 1" >&2
  [ $code = 0 ] || exit $code
fi

if run_stage 1 && [ -z "$pretrained" ]; then
  say "1: pre-train $model"
  # shellcheck disable=SC2086
  sew pretrain --model "$model" --data "$data" --exp "$exp/$model" --config "$pretrain_config" $pretrain_options
fi

name=$model
if [ -n "$pretrained" ]; then # exp/sew-d-mid/model -> sew-d-mid
  folder=${pretrained%/} && name=$(basename "${folder%/model}")
fi

if run_stage 2; then
  say "2: fine-tune on ${subset:-all of train}"
  # shellcheck disable=SC2086
  sew finetune --model "${pretrained:-$exp/$model/model}" --data "$data" --exp "$exp/$name-ft" \
    --config "$finetune_config" --set "data.train=$train" $finetune_options
fi

if run_stage 3; then
  say "3: $order-gram language model of all training transcripts"
  sew lm ngram --order "$order" --data "$data"
fi

if run_stage 4; then
  say "4: decode and score"
  for lm in none "${order}gram"; do
    sew decode --model "$exp/$name-ft/model" --data "$data" --lm "$lm" --beam "$beam" --split ${test_splits// / --split }
  done
fi

if run_stage 5; then
  say "5: results"
  sew report "$exp" --out "$exp/results.json" --out "$exp/report.html" --out "$exp/report.md"
fi
