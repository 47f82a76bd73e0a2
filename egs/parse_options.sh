# shellcheck shell=bash
# Sourced by egs/*/run.sh, in the manner of Kaldi's utils/parse_options.sh, after the script has set its variables:
# every option `--some-name VALUE` sets the variable some_name, which must exist; `--some-flag` alone turns the variable
# some_flag from false to true. --help prints the comment at the top of the script and the options with their defaults.
# `stage` and `stop_stage` must be numbers. Afterwards `sew` is on PATH, and `run_stage N`, `say` and what is below it are defined.

options=$(sed -n 's/^\([a-z_]*\)=\(.*\)  # \(.*\)$/\1\t\2\t\3/p' "$0") # the script documents each option as name=value  # text

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      sed -n '2,/^$/p' "$0" | sed -n 's/^# \{0,1\}//p'
      while IFS=$'\t' read -r name value text; do
        printf '  --%-20s %s (default: %s)\n' "${name//_/-}" "$text" "$value"
      done <<< "$options"
      exit 0 ;;
    --*)
      name=${1#--} && name=${name//-/_}
      cut -f1 <<< "$options" | grep -qx "$name" || { echo "unknown option $1 (see --help)" >&2 && exit 2; }
      if [ "${!name}" = false ] || [ "${!name}" = true ]; then
        printf -v "$name" true && shift
      else
        [ $# -ge 2 ] || { echo "$1 needs a value" >&2 && exit 2; }
        printf -v "$name" '%s' "$2" && shift 2
      fi
      printf -v "given_$name" true ;;
    *) echo "unknown argument $1 (see --help)" >&2 && exit 2 ;;
  esac
done

[[ $stage$stop_stage =~ ^[0-5][0-5]$ ]] || { echo "--stage and --stop-stage take numbers from 0 to 5" >&2 && exit 2; }
command -v sew > /dev/null || PATH=$(cd "$(dirname "$0")/../.." && pwd)/.venv/bin:$PATH
command -v sew > /dev/null || { echo "no sew command: run make setup first, or activate its environment" >&2 && exit 2; }

run_stage() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }
say() { echo "$(basename "$(dirname "$0")")/$(basename "$0"): stage $*" >&2; }
# `mini_default NAME VALUE`: with --mini, this is the value unless the option was given.
mini_default() {
  local given=given_$1
  [ "${!given:-false}" = true ] || printf -v "$1" '%s' "$2"
}
# `given NAME`: whether the option was given.
given() { local given=given_$1 && [ "${!given:-false}" = true ]; }
# `miniature`: whether the corpus is one of `sew prep ... --mini`, which has no published language model and few splits.
miniature() { [ "${mini:-false}" = true ] || [ -f "${corpus:-.}/MINIATURE.json" ]; }
# `pretraining_recipe MODEL`: the one whose micro-batches the paper's model has; those of the tiny ones are twice as large.
pretraining_recipe() { case ${1%%+*} in *-tiny | *-tiny-k127) echo tiny-100k ;; *) echo 100k ;; esac; }
# `finetuning_recipe MODEL AMOUNT`: SEW-D-base+ degenerates on 10 hours or less without the stable one.
finetuning_recipe() { case $1 in *base-plus* | *base+*) echo "$2-stable" ;; *) echo "$2" ;; esac; }
# `prepared_splits DATA PREFIX...`: the splits of a data folder whose names begin so.
prepared_splits() {
  local data=$1 prefix file && shift
  for prefix in "$@"; do
    for file in "$data/cuts_$prefix"*.jsonl.gz; do
      [ ! -e "$file" ] || { file=${file##*/cuts_} && echo "${file%.jsonl.gz}"; }
    done
  done
}
