"""What a power loss leaves: the file system of a recording (recorder.c), rebuilt as it may be found after any of its calls.

The disk promises what POSIX does and no more: the content and length of a file are safe once the file was synced, a name once its folder was.
What was not synced may be there, be missing, or be there in part, in sectors of 512 bytes; names change in the order in which they were changed.
"""
import hashlib
import json
import os
import struct
import time

WRITE, TRUNCATE, SYNC, SYNC_ALL, CREATE, RENAME, UNLINK, MKDIR, SYNC_DIR, LINK, NAMELESS, MARK = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 200
HEADER = struct.Struct("<2sBBIIIQqQ")
SECTOR = 512


def mark(log, value):
    """Appends what is known to be so from here on to a recording that is being made."""
    data = json.dumps(value).encode()
    with open(log, "ab", buffering=0) as f:
        f.write(HEADER.pack(b"HR", MARK, 0, 0, 0, len(data), 0, 0, time.monotonic_ns()) + data)


def read(log):
    """The records of a recording: (kind, inode, offset, path, second path, data, time in ns)."""
    data, at, records = open(log, "rb").read(), 0, []
    while at < len(data):
        magic, kind, zero, path, second, size, inode, offset, time_ns = HEADER.unpack_from(data, at)
        assert magic == b"HR" and zero == 0, f"not a record at {at}"
        at += HEADER.size
        parts = []
        for length in (path, second, size):
            parts.append(data[at:at + length])
            at += length
        records.append((kind, inode, offset, clean(parts[0]), clean(parts[1]), parts[2], time_ns))
    return records


def clean(path):
    """A path as this file compares them: no "." in it; "" is the folder itself."""
    path = os.path.normpath(path.decode()) if path else ""
    return "" if path == "." else path


def change(content, kind, offset, data):
    """One write or truncation of a bytearray."""
    if kind == TRUNCATE:
        if offset < len(content):
            del content[offset:]
        else:
            content.extend(bytes(offset - len(content)))
        return
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


class Disk:
    """The file system after some of the records."""

    def __init__(self):
        self.safe = {}           # inode: what is synced of its content
        self.changes = {}        # inode: [(kind, offset, data)], not synced
        self.names = {"": None}  # path: inode, None for a folder; synced
        self.renames = []        # changes of names, in order, not synced

    def do(self, record):
        kind, inode, offset, path, second, data, _ = record
        if kind in (WRITE, TRUNCATE):
            self.safe.setdefault(inode, bytearray())
            self.changes.setdefault(inode, []).append((kind, offset, data))
        elif kind == SYNC:
            self.sync(inode)
        elif kind in (CREATE, LINK, RENAME, UNLINK, MKDIR):
            self.renames.append((kind, inode, path, second))
        if kind in (CREATE, NAMELESS):  # the number may have been another file's
            self.safe[inode], self.changes[inode] = bytearray(), []
        if kind == SYNC_DIR:
            kept = []
            for one in self.renames:
                if path in {os.path.dirname(name) for name in one[2:] if name}:
                    self.rename(self.names, one)
                else:
                    kept.append(one)
            self.renames = kept
        elif kind == SYNC_ALL:
            for inode in list(self.changes):
                self.sync(inode)
            for one in self.renames:
                self.rename(self.names, one)
            self.renames = []

    def sync(self, inode):
        for one in self.changes.pop(inode, []):
            change(self.safe.setdefault(inode, bytearray()), *one)

    @staticmethod
    def rename(names, one):
        kind, inode, path, second = one
        if kind in (CREATE, LINK):
            names[path] = inode
        elif kind == MKDIR:
            names[path] = None
        elif kind == UNLINK:
            names.pop(path, None)
        elif path in names:  # else its creation was lost already
            moved = [p for p in names if p == path or p.startswith(path + "/")]
            for p in moved:
                names[second + p[len(path):]] = names.pop(p)

    def ways(self, torn=1):
        """How it may be found. torn: how often by chance."""
        return ("kept", "lost") + ("torn",) * torn if self.renames or any(self.changes.values()) else ("kept",)

    def rebuild(self, folder, way, rng):
        """Writes the files into an empty folder. way: kept, lost or torn. Returns a digest of it: the same for the same files."""
        names, whole = dict(self.names), hashlib.sha256()
        count = {"kept": len(self.renames), "lost": 0, "torn": rng.randint(0, len(self.renames))}[way]
        for one in self.renames[:count]:
            self.rename(names, one)
        for path in sorted(names):
            if path == "" or not self.is_whole(names, path):
                continue
            target = os.path.join(folder, path)
            content = None if names[path] is None else self.content(names[path], way, rng)
            whole.update(repr((path, content and hashlib.sha256(content).digest())).encode())
            if content is None:
                os.mkdir(target, 0o700)
                continue
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
                f.write(content)
        return whole.digest()

    @staticmethod
    def is_whole(names, path):
        """Its folders are there."""
        parent = os.path.dirname(path)
        while parent:
            if parent not in names:
                return False
            parent = os.path.dirname(parent)
        return True

    def content(self, inode, way, rng):
        content = bytearray(self.safe.get(inode, b""))
        for kind, offset, data in self.changes.get(inode, []):
            if way == "kept":
                change(content, kind, offset, data)
            elif way == "torn" and kind == TRUNCATE and rng.random() < 0.5:
                change(content, kind, offset, data)
            elif way == "torn" and kind == WRITE:
                self.tear(content, offset, data, rng)
        return content

    @staticmethod
    def tear(content, offset, data, rng):
        """All of a write, none of it, or some of its sectors."""
        fate = rng.random()
        if fate < 0.3:
            return
        at = 0
        while at < len(data):
            length = min(SECTOR - (offset + at) % SECTOR, len(data) - at)
            if fate > 0.7 or rng.random() < 0.5:
                change(content, WRITE, offset + at, data[at:at + length])
            at += length
