#!/usr/bin/env bash
# Line coverage of the decoders by the committed corpus of their fuzzers.
#
#   tests/fuzz/coverage.sh [LEAST [PART]]    prints it by file; exit status 1 if one is below LEAST
#                                            percent (95); PART is log or mqtt, both without
#
# Needs clang 14 and llvm-14.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

least=${1:-95}
part=${2:-all}
build=build/fuzz-coverage
fuzzers=()
decoders=()
if [ "$part" != mqtt ]; then
    fuzzers+=(batch_fuzz record_fuzz compression_fuzz segment_log_fuzz segment_index_fuzz archive_fuzz
              journal_frame_fuzz journal_slot_fuzz journal_ring_fuzz)
    decoders+=(storage/format/{record,record_batch,compression,index_entry,varint}.cpp
               storage/journal/{frame,slot,ring_header,replay}.cpp
               gateway/tool/archive_file.cpp)
fi
if [ "$part" != log ]; then
    fuzzers+=(mqtt_decode_fuzz mqtt_session_fuzz access_fuzz)
    decoders+=(gateway/mqtt/{decode,frame_reader,session,topic_aliases,topic_filter,properties,utf8}.cpp
               gateway/mqtt/{frame_reader,session_receive,wire_reader}.hpp
               gateway/broker/{outgoing,subscription_tree}.cpp
               gateway/access/acl.cpp)
fi

[ -f "$build/build.ninja" ] || cmake -S . -B "$build" -G Ninja -Wno-dev \
    -DCMAKE_BUILD_TYPE=Debug -DMILEPOST_FUZZ=ON \
    -DCMAKE_CXX_COMPILER=clang++-14 -DCMAKE_C_COMPILER=clang-14 \
    -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
    -DCMAKE_CXX_FLAGS="-O1 -fprofile-instr-generate -fcoverage-mapping" > /dev/null
cmake --build "$build" --target "${fuzzers[@]}" > "$build/build.log" || { tail -20 "$build/build.log"; exit 1; }

objects=()
profiles=()
for fuzzer in "${fuzzers[@]}"; do
    corpus=$(echo tests/fuzz/{journal/,storage/,tool/,}corpus/"$fuzzer" | tr ' ' '\n' | while read -r folder; do
        [ ! -d "$folder" ] || echo "$folder"
    done)
    LLVM_PROFILE_FILE="$build/$fuzzer.profraw" "$build/bin/$fuzzer" -runs=0 "$corpus" 2> "$build/$fuzzer.log"
    objects+=(${objects:+-object} "$build/bin/$fuzzer")
    profiles+=("$build/$fuzzer.profraw")
done
llvm-profdata-14 merge -o "$build/all.profdata" "${profiles[@]}"
llvm-cov-14 export -summary-only "${objects[@]}" -instr-profile "$build/all.profdata" |
    python3 -c '
import json, os, sys
least, decoders, bad = float(sys.argv[1]), sys.argv[2:], False
for file in json.load(sys.stdin)["data"][0]["files"]:
    lines = file["summary"]["lines"]
    name = os.path.relpath(file["filename"])
    if name not in decoders:
        continue
    print("%6.2f %% of %4d lines  %s" % (lines["percent"], lines["count"], name))
    bad = bad or lines["percent"] < least
sys.exit(bad)' "$least" "${decoders[@]}"
