"""Eclipse Paho Python, 1.6 and 2.x, as README "Once, and not twice" sets it. Arguments: see README.md here."""

import argparse
import os
import signal
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

WINDOW = 20
IS_V2 = hasattr(paho, "CallbackAPIVersion")


def make(options):
    v5 = options.mqtt == "5"
    settings = {"client_id": options.id, "protocol": paho.MQTTv5 if v5 else paho.MQTTv311}
    if not v5:
        settings["clean_session"] = False
    client = paho.Client(*([paho.CallbackAPIVersion.VERSION2] if IS_V2 else []), **settings)
    client.max_inflight_messages_set(WINDOW)
    client.reconnect_delay_set(min_delay=1, max_delay=1)
    if options.will:
        client.will_set(f"clients/{options.id}", f"{options.id} will", qos=options.qos)
    connect = {"keepalive": 30}
    if v5:
        connect["clean_start"] = False
        connect["properties"] = Properties(PacketTypes.CONNECT)
        connect["properties"].SessionExpiryInterval = 3600
    return client, connect


def publish(options):
    client, connect = make(options)
    room = threading.Semaphore(WINDOW)
    numbers, early, lock = {}, set(), threading.Lock()
    done = threading.Event()
    left = [options.count]

    def acked(mid):
        with lock:
            if mid not in numbers:  # its callback was faster than publish()
                early.add(mid)
                return
            print("acked", numbers.pop(mid), flush=True)
            left[0] -= 1
            if left[0] == 0:
                done.set()
        room.release()

    client.on_publish = lambda _client, _data, mid, *_: acked(mid)
    client.connect("127.0.0.1", options.port, **connect)
    client.loop_start()
    for number in range(options.start, options.start + options.count):
        room.acquire()
        mid = client.publish(f"clients/{options.id}", f"{options.id} {number}", qos=options.qos).mid
        with lock:
            numbers[mid] = number
            was_early = mid in early
            early.discard(mid)
        if was_early:
            acked(mid)
    done.wait()
    if options.will:
        os.kill(os.getpid(), signal.SIGKILL)
    client.disconnect()
    client.loop_stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["version", "publish"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--id")
    parser.add_argument("--mqtt", choices=["311", "5"])
    parser.add_argument("--qos", type=int)
    parser.add_argument("--start", type=int, default=1)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--store")
    parser.add_argument("--will", action="store_true")
    options = parser.parse_args()
    if options.action == "version":
        import paho.mqtt
        print(paho.mqtt.__version__)
    else:
        publish(options)


main()
