#!/usr/bin/env python3
"""The shipped scenarios, played many times as fast beside one gateway, all at once: each reading is accounted for, and lost
only where the scenario says so. And the fleet is repeatable: the same seed and start, the same bytes over both links.

    python3 tests/system/scenarios.py           at 25 times the speed
    python3 tests/system/scenarios.py --full    as they are: five minutes
"""

import argparse
import collections
import json
import subprocess

from support import ROOT, checks, gateway as gateway_module
import processes
from support.checks import expect, say

FOLDER = ROOT / "packaging" / "scenarios"
# Of each scenario: the losses that it names, which then have to happen.
LOSSES = {
    "bad-firmware": {"dropped_spoiled"},
    "brownout": {"dropped_reboot"},
    "commute": set(),
    "garage": {"dropped_buffer_full"},
    "rollout": set(),
    "storm": set(),
    "tunnel": set(),
    "twins": set(),
    "wrong-time": set(),
}
# These may lose what was not acknowledged in the moment of a reboot, if something was.
CHANCES = {"rollout": {"dropped_reboot"}, "wrong-time": {"dropped_reboot"}}
REASONS = {"dropped_spoiled": {"spoiled_truncated", "spoiled_garbage"}, "dropped_reboot": {"reboot"},
           "dropped_buffer_full": {"buffer_full"}, "dropped_refused": {"refused_0x97"}}
FLEET_LIMIT_S = 400
START = "2026-11-24T12:00:00Z"
START_MS = 1_795_521_600_000
YEAR_MS = 366 * 86_400_000
LIMITS = "[mqtt]\nmax_connections_per_address = 1000\n"


def fleet(gateway, *arguments):
    return [str(part) for part in (checks.program("milepost-fleet"), "-p", gateway.mqtt_port, "--json", "--quiet",
                                   "--start", START, *arguments)]


def play(gateway, folder, speed):
    """All scenarios at once: {name: summary}."""
    running = {}
    for name in sorted(LOSSES):
        running[name] = processes.start(
            fleet(gateway, "--scenario", FOLDER / f"{name}.toml", "--id-prefix", f"{name}-", "--speed", speed,
                  "--ledger", folder / f"{name}.ledger"), stdout=subprocess.PIPE)
    summaries = {}
    for name, process in running.items():
        out = process.communicate(timeout=FLEET_LIMIT_S)[0]
        if process.returncode != 0:
            raise checks.Failed(f"{name}: the fleet ends with {process.returncode}: {out.decode()}")
        summaries[name] = json.loads(out)
    return summaries


def reasons_of(ledger):
    with open(ledger) as lines:
        return {fields[4] for fields in (line.rstrip("\n").split("\t") for line in lines) if fields[3:4] == ["dropped"]}


def check_losses(name, summary, folder):
    """Drops, and only those that the scenario names; each with its reason in the ledger."""
    kinds = {key for key, value in summary.items() if key.startswith("dropped_") and value > 0}
    reasons = set().union(*(REASONS[kind] for kind in kinds))
    said = reasons_of(folder / f"{name}.ledger")
    if not LOSSES[name] <= kinds <= LOSSES[name] | CHANCES.get(name, set()) or not said <= reasons or bool(said) != bool(kinds):
        raise checks.Failed(f"{name}: dropped {kinds or 'nothing'} for {said or 'no reason'}, "
                            f"not {LOSSES[name] or 'nothing'}")
    if summary["sampled"] != summary["acknowledged"] + summary["dropped"] or summary["acknowledged"] == 0:
        raise checks.Failed(f"{name}: {summary}")
    say(f"ok: {name}: {summary['acknowledged']} of {summary['sampled']} acknowledged, {summary['dropped']} dropped"
        f" ({', '.join(sorted(said)) or 'none'}), {summary['connections_lost']} connections lost")


def readings_of(records):
    """{vehicle: its readings' payloads, each once, in order}"""
    found = collections.defaultdict(dict)
    for record in records:
        try:
            payload = json.loads(record["payload"])
        except (TypeError, ValueError):
            continue  # bad firmware
        found[payload["vehicle"]].setdefault(payload["seq"], payload)
    return {vehicle: [each[seq] for seq in sorted(each)] for vehicle, each in found.items()}


def check_readings(readings):
    """What the scenarios are about is in the payloads."""
    rolled = readings["rollout-0001"]
    versions = [payload["v"] for payload in rolled]
    expect(versions == sorted(versions) and set(versions) == {1, 2}, "an update changes the payload's version, once")
    expect({payload["boot"] for payload in rolled if payload["v"] == 2} == {2}, "and is the vehicle's second start")
    unset = [payload for payload in readings["wrong-time-0002"] if payload["clock"] == "unset"]
    expect(unset and all(payload["ts"] < YEAR_MS for payload in unset), "without the time it is 1970")
    expect(readings["wrong-time-0002"][-1]["ts"] > START_MS, "and told the time it is not")
    stuck = readings["bad-firmware-0005"]
    held = collections.Counter(payload["signals"].get("Vehicle.Speed") for payload in stuck)
    expect(held.most_common(1)[0][1] > 100, "a stuck sensor says the same for ever")
    spiking = [payload["signals"].get("Vehicle.Chassis.Axle.Row1.Wheel.Left.Tire.Pressure", 0)
               for payload in readings["bad-firmware-0007"]]
    expect(any(not 0 <= value <= 1000 for value in spiking), "a spiking sensor says what cannot be")


def check_repeatable(gateway, folder):
    """Two links, one after the other, on topics of their own."""
    streams = []
    for number, link in enumerate(("paho", "direct")):
        with open(folder / f"{link}.json", "wb") as out:
            done = subprocess.run(fleet(gateway, "--link", link, "--vehicles", 3, "--own-rates", "--drive-cycle", "ftp-75",
                                        "--stagger", "--seed", 7, "--duration", "10s", "--speed", 10,
                                        "--topic-prefix", f"again/{number}"), stdout=out, timeout=60)
        expect(done.returncode == 0, f"the fleet drives over {link}")
    expect(gateway.terminate() == 0, "the gateway stops cleanly")
    for number in range(2):
        found = collections.defaultdict(list)
        for record in gateway.consume("-t", "mqtt.other", "-o", "beginning"):
            topic = dict(zip(record["headers"][::2], record["headers"][1::2]))["mqtt.topic"]
            if topic.startswith(f"again/{number}/"):
                found[record["key"]].append(record["payload"])
        streams.append(dict(found))
    say(f"readings of each vehicle: { {key: len(each) for key, each in streams[0].items()} }")
    expect(len(streams[0]) == 3 and sum(map(len, streams[0].values())) > 200, "three vehicles took more than 200 readings")
    expect(streams[0] == streams[1], "the same seed and start give the same bytes over both links")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    speed = 1 if parser.parse_args().full else 25
    shipped = {path.stem for path in FOLDER.glob("*.toml")}
    expect(shipped == set(LOSSES), f"{len(shipped)} scenarios are shipped, each is played")
    with checks.scratch() as folder, gateway_module.Gateway(folder / "gateway", extra=LIMITS) as gateway:
        gateway.start()
        summaries = play(gateway, folder, speed)
        for name, summary in summaries.items():
            check_losses(name, summary, folder)
        ledgers = [part for name in sorted(LOSSES) for part in ("--ledger", folder / f"{name}.ledger")]
        found = json.loads(gateway.tool("reconcile", *ledgers, "--url", gateway.url, "--json").stdout)
        say(f"reconcile: {json.dumps(found)}")
        for figure in ("lost", "out_of_order"):
            expect(found[figure] == 0, f"{figure} 0")
        acknowledged = sum(summary["acknowledged"] for summary in summaries.values())
        expect(found["acknowledged"] == acknowledged, "the ledgers and the fleets agree")
        sent = summaries["bad-firmware"]["spoiled_sent"]
        expect(0 < found["unexplained"] <= sent, f"what is unexplained is the {sent} payloads of bad firmware")
        lines = gateway.tool("consume", "--url", gateway.url, "--json", "-t", "vehicle.telemetry", "-o", "beginning", "-e")
        check_readings(readings_of(json.loads(line) for line in lines.stdout.decode(errors="replace").splitlines()))
        check_repeatable(gateway, folder)


if __name__ == "__main__":
    checks.run(main)
