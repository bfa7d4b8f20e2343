#!/usr/bin/env bash
# The whole training from nothing, one line per step: sets up Python, finds the data or renders the sample, trains
# P-Net, R-Net and O-Net, detects. Stopped at any step, the same command resumes there.
#
#   bash run.sh                     everything
#   bash run.sh --list              the steps
#   bash run.sh --from 6 --to 9     some of them
#   bash run.sh --last-round        four more steps: a last round of O-Net on what it meets in detection; the
#                                   nets go to last/ in the folder of weights
#   bash run.sh --no-landmarks      nets that find boxes only; no landmark images are needed
#   bash run.sh --data DIR          images elsewhere; --work DIR for lists and records, --model DIR for weights
#   bash run.sh test                set-up and all tests
#   PYTHON=python3.12 bash run.sh   another Python for .venv than the newest of 3.11 to 3.13 that is installed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

data="" work="" model="" from=1 to="" steps=14 list=no mode=run landmarks=()
usage() { sed -n '2,13s/^# \{0,1\}//p' run.sh; exit "$1"; }
while [ $# -gt 0 ]; do
  case $1 in
    test) mode=test ;;
    --list) list=yes ;;
    --last-round) steps=18 ;;
    --no-landmarks) landmarks=(--no-landmarks) ;;
    --from | --to | --data | --work | --model)
      [[ -n ${2:-} && $2 != --* ]] || { echo "error: $1 needs a value" >&2; usage 2 >&2; }
      declare "${1#--}=$2"; shift ;;
    -h | --help) usage 0 ;;
    *) echo "error: unknown argument $1" >&2; usage 2 >&2 ;;
  esac
  shift
done
to=${to:-$steps}
for n in "$from" "$to"; do
  [[ $n =~ ^[0-9]{1,9}$ ]] && [ "$n" -ge 1 ] && [ "$n" -le $steps ] ||
    { echo "error: steps are 1 to $steps, not $n" >&2; exit 2; }
done
[ "$from" -le "$to" ] || { echo "error: step $from comes after step $to; give --from the smaller number" >&2; exit 2; }

# --- Python: a virtual environment in .venv with the pinned packages, made once per version of the requirements.
# 3.11 at least for numpy 2.4 and hashlib.file_digest, 3.13 at most for TensorFlow 2.21.
fits() {      # whether $1 is a Python that runs, has venv and is of a version that all packages are built for
  case $("$1" -c 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) in
    3.11 | 3.12 | 3.13) ;;
    *) return 1 ;;
  esac
}
find_python() {
  local python candidates=(python3.13 python3.12 python3.11 python3)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for python in "${candidates[@]}"; do
    if fits "$python"; then echo "$python"; return; fi
  done
  local way="install one (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13)"
  if [ -n "${PYTHON:-}" ]; then
    echo "error: PYTHON=$PYTHON is not a Python 3.11 to 3.13 with venv; name another one or $way" >&2
  else
    echo "error: no Python 3.11 to 3.13 with venv was found; $way or name it with PYTHON=/path/to/python" >&2
  fi
  exit 2
}
set_up() {
  local requirements=$1 stamp python
  if [ -x .venv/bin/pip ]; then
    fits .venv/bin/python || { echo "error: .venv holds no Python 3.11 to 3.13; remove it and run this again" >&2; exit 2; }
  elif [ -e .venv/pyvenv.cfg ] && fits .venv/bin/python; then      # cut short, or made by a tool that needs no pip
    .venv/bin/python -m ensurepip --default-pip >/dev/null
  else
    python=$(find_python)
    "$python" -m venv --clear .venv
  fi
  stamp=.venv/$1.$(cksum requirements*.txt | cksum | cut -d' ' -f1)
  [ -e "$stamp" ] || { echo "installing $requirements into .venv ..."; .venv/bin/pip install -q -r "$requirements"; }
  touch "$stamp"
}
if [ $mode = test ]; then
  set_up requirements-test.txt
  exec .venv/bin/python -m pytest -q tests
fi

# --- The data: what is in data/ (or --data), else the sample, which has a folder of its own and short trainings
short12=() short24=() short48=() shortlast=()
images=(data/WIDER_train data/sets/*)
if [ -n "$data" ] || [ -d "${images[0]}" ] || [ -L "${images[0]}" ] || [ -e "${images[1]}" ]; then
  data=${data:-data} work=${work:-$data} model=${model:-model} graph=graph look=picture out=output
else
  data=data/sample work=data/sample model=data/sample/model graph=data/sample/graph
  look=data/sample/WIDER_val/images out=output/sample
  short12=(--epochs 15)
  short24=(--epochs 2 --batch-size 192 --learning-rate 0.02)
  short48=(--epochs 3 --batch-size 192 --learning-rate 0.01)
  shortlast=(--epochs 1 --batch-size 192 --learning-rate 0.003)
fi
where=(--data "$data" --work "$work" --model "$model")

number=0
step() {
  number=$((number + 1))
  if [ $list = yes ]; then echo "[$number/$steps] python $*"; return; fi
  [ $number -ge "$from" ] && [ $number -le "$to" ] || return 0
  echo; echo "[$number/$steps] python $*"
  .venv/bin/python "$@"
}
if [ $list = no ]; then
  set_up requirements.txt
  if [ "$data" = data/sample ]; then
    echo "no images in data/: rendering the sample (data/README.md says how to get real images)"
    .venv/bin/python data/make_sample.py --out data/sample
  fi
fi

step preprocess/gen_12net_data.py "${where[@]}"
step preprocess/gen_landmark_aug.py 12 "${where[@]}" ${landmarks[@]+"${landmarks[@]}"}
step preprocess/gen_imglist_pnet.py "${where[@]}"
step preprocess/gen_tfrecords.py 12 "${where[@]}"
step train/train.py 12 "${where[@]}" --graph "$graph" ${short12[@]+"${short12[@]}"}
step preprocess/gen_hard_example.py 12 "${where[@]}"
step preprocess/gen_landmark_aug.py 24 "${where[@]}" ${landmarks[@]+"${landmarks[@]}"}
step preprocess/gen_tfrecords.py 24 "${where[@]}"
step train/train.py 24 "${where[@]}" --graph "$graph" ${short24[@]+"${short24[@]}"}
step preprocess/gen_hard_example.py 24 "${where[@]}"
step preprocess/gen_landmark_aug.py 48 "${where[@]}" ${landmarks[@]+"${landmarks[@]}"}
step preprocess/gen_tfrecords.py 48 "${where[@]}"
step train/train.py 48 "${where[@]}" --graph "$graph" ${short48[@]+"${short48[@]}"}
if [ $steps = 18 ]; then
  last=(--data "$data" --work "$work/last")
  step preprocess/gen_hard_example.py 24 "${last[@]}" --model "$model" --thresholds 0.5 0.5
  step preprocess/gen_landmark_aug.py 48 "${last[@]}" ${landmarks[@]+"${landmarks[@]}"}
  step preprocess/gen_tfrecords.py 48 "${last[@]}"
  step train/train.py 48 "${last[@]}" --last-round --init-from "$model/onet.npz" --model "$model/last" \
    --graph "$graph/last" ${shortlast[@]+"${shortlast[@]}"}
  [ $list = yes ] || [ ! -e "$model/last/onet.npz" ] || cp "$model/pnet.npz" "$model/rnet.npz" "$model/last"
  model=$model/last
fi
step test.py "$look" --model "$model" --output "$out"

if [ $list = no ] && [ "$to" = $steps ] && [ -e "$data/wider_face_split/wider_face_val_bbx_gt.txt" ]; then
  echo; echo "recall of the trained nets:"
  .venv/bin/python evaluate/recall.py 48 --data "$data" --work "$work" --model "$model"
fi
