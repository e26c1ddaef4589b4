#!/bin/sh
# The fleet against a foreign broker: Debian's mosquitto, killed with SIGKILL and started again.
# Every reading must be acknowledged. Exit 77: no mosquitto here.
#
# usage: fleet_mosquitto.sh MILEPOST-FLEET LINK
set -eu
fleet=$1
link=$2
mosquitto=$(PATH=$PATH:/usr/sbin command -v mosquitto) || { echo "skipped: no mosquitto"; exit 77; }
dir=$(mktemp -d)
broker=
finish() {
    [ -z "$broker" ] || kill -9 "$broker" 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT INT TERM

start() {
    "$mosquitto" -c "$dir/mosquitto.conf" >>"$dir/log" 2>&1 &
    broker=$!
}

# A port that nobody has: tried until mosquitto runs on it.
try=0
while :; do
    port=$((20000 + ($$ + try * 37) % 10000))
    printf '%s\n' "listener $port 127.0.0.1" "allow_anonymous true" "user $(id -un)" \
        "persistence false" >"$dir/mosquitto.conf"
    start
    sleep 0.3
    kill -0 "$broker" 2>/dev/null && break
    try=$((try + 1))
    [ "$try" -lt 20 ] || { echo "no free port"; cat "$dir/log"; exit 1; }
done

"$fleet" -p "$port" --link "$link" --vehicles 20 --rate 20 --duration 4s --drain 20s --ledger "$dir/ledger" \
    >"$dir/summary" 2>"$dir/messages" &
run=$!
sleep 1.5
kill -9 "$broker"
wait "$broker" 2>/dev/null || true
sleep 0.5
start
status=0
wait "$run" || status=$?
cat "$dir/summary" "$dir/messages"
acknowledged=$(grep -c "	acknowledged	" "$dir/ledger")
[ "$status" -eq 0 ] || { echo "FAILED: exit status $status"; exit 1; }
[ "$acknowledged" -eq 1600 ] || { echo "FAILED: $acknowledged of 1600 acknowledged"; exit 1; }
grep -q "connections_lost 20" "$dir/summary" || { echo "FAILED: the kill was not seen"; exit 1; }
echo "passed: 1600 of 1600 acknowledged across a killed broker"
