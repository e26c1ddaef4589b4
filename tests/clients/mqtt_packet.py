#!/usr/bin/env python3
"""Our MQTT codec beside the npm package mqtt-packet: mqtt_packet.py CODEC_ANSWERS [SECONDS [SEED]]. Exit 77: no npm here."""

import os
import subprocess
import sys

import fetch

try:
    modules = fetch.part("npm") / "node_modules"
except fetch.Unavailable as why:
    required = os.environ.get("MILEPOST_REQUIRE_CLIENTS") == "1"
    print(f"{'FAILED' if required else 'skipped'}: mqtt-packet cannot be had here: {why}")
    sys.exit(1 if required else 77)
seconds, seed = [*sys.argv[2:], *["5", "1"][len(sys.argv) - 2:]][:2]
sys.exit(subprocess.run(["node", fetch.HERE / "mqtt_packet.js", sys.argv[1], seconds, seed],
                        env={**os.environ, "NODE_PATH": str(modules)}).returncode)
