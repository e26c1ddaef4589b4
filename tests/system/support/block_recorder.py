"""An nbdkit plugin: a disk in memory that appends every write and flush to a file, in their order.

nbdkit -f -U SOCKET python block_recorder.py size=BYTES log=FILE. An entry is kind (b"W" or b"F"), position
(8 bytes), length (4), little-endian, and the bytes written; power_cut.py reads them again.
"""

import io
import struct

import nbdkit

API_VERSION = 2
ENTRY = struct.Struct("<cQI")

_settings = {}
_disk = bytearray()
_log = None


def config(key, value):
    _settings[key] = value


def config_complete():
    global _disk, _log
    _disk = bytearray(int(_settings["size"]))
    _log = io.FileIO(_settings["log"], "a")


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(_readonly):
    return 1


def get_size(_handle):
    return len(_disk)


def can_flush(_handle):
    return True


def can_fua(_handle):
    return nbdkit.FUA_NONE  # then whoever wants it flushes


def can_multi_conn(_handle):
    return True


def pread(_handle, into, at, _flags):
    into[:] = _disk[at:at + len(into)]


def pwrite(_handle, written, at, _flags):
    _disk[at:at + len(written)] = written
    _log.write(ENTRY.pack(b"W", at, len(written)) + bytes(written))


def flush(_handle, _flags):
    _log.write(ENTRY.pack(b"F", 0, 0))

