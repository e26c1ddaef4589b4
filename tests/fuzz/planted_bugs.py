#!/usr/bin/env python3
"""Each fuzzer finds the bugs that are planted for it.

    tests/fuzz/planted_bugs.py BUILD [FUZZER…]     BUILD: the folder of the preset `fuzz`, built

A copy of one source is changed, compiled as the original was, and linked before the library that has
the original; then the fuzzer runs for SECONDS at most, from the committed corpus. Exit status 1: a bug
was not found, or the text to change is not there any more."""
import json
import pathlib
import shlex
import subprocess
import sys

SECONDS = 30
ROOT = pathlib.Path(__file__).resolve().parents[2]

# fuzzer, source, what is there, what is put there instead
BUGS = [
    ("batch_fuzz", "storage/format/record_batch.cpp",
     "if (bytes.size() < batch_header_bytes) return FormatErrc::short_read;\n\n    BatchHeader",
     "BatchHeader"),
    ("record_fuzz", "storage/format/record_batch.cpp",
     "static_cast<std::uint64_t>(header_.base_timestamp.value()) +\n"
     "                                 static_cast<std::uint64_t>(*timestamp_delta)",
     "header_.base_timestamp.value() + *timestamp_delta + 1"),
    ("compression_fuzz", "storage/format/compression.cpp",
     "room.drop();", "room.keep();"),
    ("segment_log_fuzz", "storage/log/batch_scanner.cpp",
     "if (bytes->size() <= magic) break;", ""),
    ("segment_index_fuzz", "storage/log/segment_reader.cpp",
     "(*header)->last_offset() == base_ + entry->relative_offset;", "true;"),
    ("archive_fuzz", "gateway/tool/archive_file.cpp",
     'if (batch->total_bytes != batch_bytes) refuse("its batch is shorter than the frame");', ""),
    ("archive_fuzz", "gateway/tool/archive_file.cpp", 'if (at_ != size_) refuse("something follows its end");', ""),
    ("journal_frame_fuzz", "storage/journal/frame.cpp",
     "if (bytes.size() < header.total_bytes()) return make_error_code(JournalErrc::torn);", ""),
    ("journal_slot_fuzz", "storage/journal/slot.cpp", " || *bytes > area.size()", ""),
    ("journal_ring_fuzz", "storage/journal/frame.cpp",
     "if (key.crc(payload) != header.payload_crc) return make_error_code(JournalErrc::torn);", ""),
    ("mqtt_decode_fuzz", "gateway/mqtt/decode.cpp",
     "if (rest.size() < header_end) return Errc::short_packet;", ""),
    ("mqtt_decode_fuzz", "gateway/mqtt/frame_reader.cpp",
     "if (input.size() < whole) return {FrameStatus::need_more, whole, {}};", ""),
    ("mqtt_session_fuzz", "gateway/mqtt/session.cpp",
     "if (out.size() - from <= client_packet_bytes_max_) return true;\n    out.resize(from);\n"
     "    return false;", "return true;"),
    ("mqtt_session_fuzz", "gateway/mqtt/topic_aliases.cpp", "bytes_ - known.size() + topic.size()",
     "bytes_"),
    ("mqtt_session_fuzz", "gateway/mqtt/topic_aliases.cpp", "std::string{topic}.swap(known);", "known = topic;"),
    ("mqtt_session_fuzz", "gateway/broker/outgoing.cpp",
     "first.packet_id == 0 || in_flight_.size() < window ? &first : nullptr", "&first"),
    ("mqtt_session_fuzz", "gateway/broker/outgoing.cpp",
     "if (delivery.packet_id != 0) return false;\n        forget(delivery);",
     "if (delivery.packet_id != 0) return false;"),
    ("access_fuzz", "gateway/access/acl.cpp",
     "if (level.is_dead || *asked == \"#\") return false;", "if (level.is_dead) return false;"),
]


def compile_copy(build, source, text, folder):
    copy = folder / pathlib.Path(source).name
    copy.write_text(text)
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"] != str(ROOT / source):
            continue
        command = shlex.split(entry["command"])
        made = copy.with_suffix(".o")
        command[command.index("-o") + 1] = str(made)
        command[command.index("-c") + 1] = str(copy)
        subprocess.run(command, check=True, cwd=entry["directory"])
        return made
    sys.exit(f"{source}: not in compile_commands.json")


def link(build, fuzzer, made, folder):
    said = subprocess.run(["ninja", "-C", str(build), "-t", "commands", f"bin/{fuzzer}"],
                          check=True, capture_output=True, text=True).stdout
    line = [line for line in said.splitlines() if f"-o bin/{fuzzer}" in line][-1]
    line = line.replace(f"-o bin/{fuzzer}", f"{made} -o {folder / fuzzer}")
    subprocess.run(line, check=True, cwd=build, shell=True)
    return folder / fuzzer


def find(build, fuzzer, source, old, new):
    folder = build / "planted" / fuzzer
    folder.mkdir(parents=True, exist_ok=True)
    text = (ROOT / source).read_text()
    if text.count(old) != 1:
        return f"{source} has changed: `{old}` is there {text.count(old)} times"
    program = link(build, fuzzer, compile_copy(build, source, text.replace(old, new), folder), folder)
    corpus = [str(path) for path in ROOT.glob(f"tests/fuzz/**/corpus/{fuzzer}")]
    ran = subprocess.run(
        [str(program), f"-max_total_time={SECONDS}", "-seed=1", "-max_len=4096", "-timeout=10",
         f"-artifact_prefix={folder}/", *[f"-seed_inputs={','.join(seeds(corpus))}"]],
        capture_output=True, text=True, cwd=folder)
    (folder / "log").write_text(ran.stderr)
    return "" if ran.returncode != 0 else f"not found in {SECONDS} s"


def seeds(corpus):
    return sorted(str(file) for folder in corpus for file in pathlib.Path(folder).iterdir())


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    wanted = sys.argv[2:]
    failed = 0
    for fuzzer, *bug in BUGS:
        if wanted and fuzzer not in wanted:
            continue
        trouble = find(build, fuzzer, *bug)
        print(f"{fuzzer}: {trouble or 'found'}", flush=True)
        failed += 1 if trouble else 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
