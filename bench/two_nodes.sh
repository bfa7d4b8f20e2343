#!/usr/bin/env bash
# Steps 1, 2, 4 and 6 on two Ray nodes, each in a network of its own, beside two local processes; then step 6 again, in
# the middle of which the second node is cut off. Prints seconds, and whether the files are the same bytes.
#
#     sudo -E env PATH="$PATH" bash bench/two_nodes.sh DATA WORK      # WORK: an empty folder; model/ mines
#
# Needs root, for network namespaces joined by a pair of virtual cables, and pip install -r requirements-cluster.txt.
set -euo pipefail
data=$(realpath "$1") work=$(realpath "$2")
cd "$(dirname "$0")/.."
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(openssl rand -hex 32)
short=$(mktemp -d /tmp/ray-XXXX)                       # names of sockets must be short
nodes=()

finish() {
    for node in "${nodes[@]}"; do kill -- "-$node" 2> /dev/null || true; done
    ip netns del mtcnn-a; ip netns del mtcnn-b         # their cables go with them
    rm -rf "$short"
}
ip netns add mtcnn-a
ip netns add mtcnn-b
trap finish EXIT
ip link add cable-a netns mtcnn-a type veth peer name cable-b netns mtcnn-b
for side in a b; do
    ip -n mtcnn-$side link set lo up
    ip -n mtcnn-$side addr add 10.77.0.$([ $side = a ] && echo 1 || echo 2)/24 dev cable-$side
    ip -n mtcnn-$side link set cable-$side up
done

node() {                                               # side, options of ray start
    ip netns exec "mtcnn-$1" setsid ray start --block --num-cpus 1 --disable-usage-stats \
        --object-store-memory 80000000 "${@:2}" > "$work/node-$1.log" 2>&1 &
    nodes+=($!)
    until grep -q "Ray runtime started" "$work/node-$1.log"; do kill -0 $! && sleep 0.2; done
}
node a --head --node-ip-address 10.77.0.1 --port 6379 --include-dashboard false --temp-dir "$short"
node b --address 10.77.0.1:6379 --node-ip-address 10.77.0.2

both() {                                               # script and arguments: on Ray, then here
    local began=$SECONDS middle
    on_ray "$@"
    middle=$SECONDS
    python "$@" --data "$data" --work "$work/local" --workers 2 > /dev/null 2>&1
    echo "$*: $((middle - began)) s on two nodes, $((SECONDS - middle)) s with two processes"
}
on_ray() {
    ip netns exec mtcnn-a python "$@" --data "$data" --work "$work/ray" --ray 10.77.0.1:6379 > "$work/step.log" 2>&1
}
same() {
    diff <(cd "$work/local" && find . -type f -exec sha256sum {} + | sort) \
        <(cd "$work/ray" && find . -type f -exec sha256sum {} + | sort) &&
        echo "the same bytes in $(find "$work/ray" -type f | wc -l) files"
}
both preprocess/gen_12net_data.py
both preprocess/gen_landmark_aug.py 12
for place in local ray; do python preprocess/gen_imglist_pnet.py --data "$data" --work "$work/$place" > /dev/null; done
both preprocess/gen_tfrecords.py 12
both preprocess/gen_hard_example.py 12 --model model
same

began=$SECONDS
on_ray preprocess/gen_hard_example.py 12 --model model --force &
step=$!
until ls "$work"/ray/24/.mined.parts/*.tsv > /dev/null 2>&1; do kill -0 $step && sleep 0.2; done
ip -n mtcnn-b link set cable-b down
wait $step
echo "cut off in the middle: $((SECONDS - began)) s"
same
