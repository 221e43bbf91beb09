"""docs/FORMATS.md in Python: canonical records and the fields of every payload (sections 2, 5, 9, 10, 11)."""
from formats import Refused, envelope_open, envelope_sign, refuse_unless

U32, U64, I64, BOOL = "uint32", "uint64", "int64", "bool"


def fixed(n):
    return ("fixed", n)


def upto(n):
    return ("upto", n)


def text(n):
    return ("text", n)


class Record:
    """Fields: (number, name, type[, "?" or the most elements])."""

    def __init__(self, *fields):
        self.fields = [(f + (None,))[:4] for f in fields]


LEAF = Record((1, "distributor", fixed(32)), (2, "category", U32), (3, "number", U32))
KEY = Record((1, "purpose", U32), (2, "key", fixed(32)), (3, "ends_ms", U64))
PARTNER_FLOOR = Record((1, "partner", fixed(32)), (2, "lowest_sequence", U64))
KEYSET = Record((1, "distributor", fixed(32)), (2, "name", text(63)), (3, "sequence", U64), (4, "issued_ms", U64),
                (5, "ends_ms", U64), (6, "keys", KEY, 16), (7, "floors", PARTNER_FLOOR, 64))
DEVICE = Record((1, "device_key", fixed(32)), (2, "sealing_key", fixed(32)), (3, "leaf", LEAF), (4, "issued_ms", U64),
                (5, "ends_ms", U64))
ROSTER_DEVICE = Record((1, "client", fixed(32)), (2, "distributor", fixed(32)), (3, "name", text(63)),
                       (4, "distributor_name", text(63)), (5, "certificate", upto(320)))
ROSTER = Record((1, "distributor", fixed(32)), (2, "household", fixed(16)), (3, "sequence", U64), (4, "issued_ms", U64),
                (5, "ends_ms", U64), (6, "devices", ROSTER_DEVICE, 32))
SIGNER_RANGE = Record((1, "kind", U32), (2, "keys", fixed(32), 3))
CONDITIONS = Record((1, "usage_from_ms", U64, "?"), (2, "usage_until_ms", U64, "?"), (3, "download_from_ms", U64, "?"),
                    (4, "download_until_ms", U64, "?"), (5, "max_copies", U32), (6, "copy_depth", U32),
                    (7, "max_removable", U32), (8, "max_plays", U32, "?"), (9, "max_play_ms", U64, "?"),
                    (10, "max_checkouts", U32, "?"), (11, "record", BOOL, "?"), (12, "own_price", I64, "?"), (13, "use_log", BOOL, "?"),
                    (14, "max_recoveries", U32, "?"), (15, "charge_from_ms", U64, "?"),
                    (16, "metadata_signers", SIGNER_RANGE, "?"))
LEASE = Record((1, "until_ms", U64), (2, "grace_ms", U64), (3, "max_plays", U32, "?"))
LICENSE = Record((1, "issuer", fixed(32)), (2, "license_id", fixed(16)), (3, "sequence", U64), (4, "content", fixed(32)),
                 (5, "client", fixed(32)), (6, "leaf", LEAF), (7, "issued_ms", U64), (8, "conditions", CONDITIONS),
                 (9, "license_half", fixed(112)), (10, "lease", LEASE, "?"), (11, "lender", fixed(32), "?"))
KEY_BLOCK_ENTRY = Record((1, "block", upto(320)), (2, "index", U32), (3, "entry", fixed(37)), (4, "proof", upto(640), "?"),
                         (5, "part", upto(382), "?"))
COPY_CERTIFICATE = Record((1, "issuer", fixed(32)), (2, "serial", fixed(16)), (3, "source", fixed(32)),
                          (4, "destination", fixed(32)), (5, "content", fixed(32)), (6, "license", upto(736)),
                          (7, "wrapped_half", fixed(60)), (8, "partner_root", BOOL), (9, "key_block", KEY_BLOCK_ENTRY),
                          (10, "move", BOOL), (11, "removable", BOOL), (12, "issued_ms", U64), (13, "ends_ms", U64),
                          (14, "plays_before", U32, "?"), (15, "play_ms_before", U64, "?"),
                          (16, "recoveries_before", U32, "?"))
DELEGATION = Record((1, "delegator", fixed(32)), (2, "partner", fixed(32)), (3, "copy_key", fixed(32)),
                    (4, "sequence", U64), (5, "max_certificate_ms", U64), (6, "issued_ms", U64), (7, "ends_ms", U64))
EKB = Record((1, "distributor", fixed(32)), (2, "category", U32), (3, "kind", U32), (4, "version", U64),
             (5, "entry_count", U32), (6, "entries_root", fixed(32)), (7, "key_check", fixed(32)), (8, "issued_ms", U64),
             (9, "unit_count", U32, "?"))
KEY_GRANT = Record((1, "distributor", fixed(32)), (2, "partner", fixed(32)), (3, "category", U32), (4, "version", U64),
                   (5, "sealed_root", fixed(80)), (6, "issued_ms", U64), (7, "ends_ms", U64))
QUOTE = Record((1, "distributor", fixed(32)), (2, "client", fixed(32)), (3, "content", fixed(32)),
               (4, "license_id", fixed(16)), (5, "product", U32), (6, "product_name", text(63)), (7, "price", I64),
               (8, "currency", text(3)), (9, "conditions", CONDITIONS), (10, "issued_ms", U64), (11, "ends_ms", U64),
               (12, "kind", U32, "?"), (13, "edition", U64, "?"), (14, "options", U32, 8), (15, "lease_ms", U64, "?"))
RECEIPT = Record((1, "issuer", fixed(32)), (2, "serial", fixed(16)), (3, "content", fixed(32)), (4, "source", fixed(32)),
                 (5, "destination", fixed(32)), (6, "outcome", U32), (7, "signed_ms", U64))
SURRENDER = Record((1, "issuer", fixed(32)), (2, "license_id", fixed(16)), (3, "serial", fixed(16)),
                   (4, "client", fixed(32)), (5, "signed_ms", U64))
USE = Record((1, "issuer", fixed(32)), (2, "license_id", fixed(16)), (3, "client", fixed(32)), (4, "sequence", U64),
             (5, "plays", U32), (6, "play_ms", U64), (7, "returned", BOOL), (8, "signed_ms", U64),
             (9, "recoveries", U32))
USE_LOG_ENTRY = Record((1, "number", U64), (2, "license_id", fixed(16)), (3, "content", fixed(32)), (4, "began_ms", U64),
                       (5, "play_ms", U64))
USE_LOG = Record((1, "issuer", fixed(32)), (2, "client", fixed(32)), (3, "signed_ms", U64), (4, "entries", USE_LOG_ENTRY, 32))
USE_LOG_TAKEN = Record((1, "issuer", fixed(32)), (2, "client", fixed(32)), (3, "through", U64))
TIME = Record((1, "distributor", fixed(32)), (2, "client", fixed(32)), (3, "time_ms", U64))
STANDING = Record((1, "distributor", fixed(32)), (2, "client", fixed(32)), (3, "session", U64), (4, "generation", U64),
                  (5, "last", fixed(16), "?"), (6, "time_ms", U64))
GENERATION = Record((1, "distributor", fixed(32)), (2, "client", fixed(32)), (3, "session", U64), (4, "nonce", fixed(16)),
                    (5, "generation", U64), (6, "current", BOOL))
CATCH_UP_ENTRY = Record((1, "kind", U32), (2, "issuer", fixed(32)), (3, "name", fixed(16)), (4, "license_id", fixed(16), "?"),
                        (5, "sequence", U64, "?"), (6, "content", fixed(32), "?"), (7, "destination", fixed(32), "?"),
                        (8, "digest", fixed(32), "?"))
CATCH_UP = Record((1, "distributor", fixed(32)), (2, "client", fixed(32)), (3, "nonce", fixed(16)), (4, "generation", U64),
                  (5, "after", fixed(49)), (6, "last", BOOL), (7, "time_ms", U64), (8, "entries", CATCH_UP_ENTRY, 96))
SETTLEMENT = Record((1, "issuer", fixed(32)), (2, "partner", fixed(32)), (3, "number", U64), (4, "from_ms", U64),
                    (5, "until_ms", U64), (6, "currency", text(3)), (7, "row_count", U32), (8, "rows_digest", fixed(32)),
                    (9, "net", I64), (10, "issued_ms", U64))
SETTLEMENT_ROW = Record((1, "entry", U64), (2, "kind", U32), (3, "serial", fixed(16)), (4, "content", fixed(32)),
                        (5, "destination", fixed(32)), (6, "user", text(63)), (7, "price", I64), (8, "amount", I64),
                        (9, "time_ms", U64), (10, "reverses", U64))
PROGRAM = Record((1, "provider", fixed(32)), (2, "name", text(31)), (3, "kind", U32), (4, "version", U64),
                 (5, "program_bytes", U64), (6, "digest", fixed(32)), (7, "signed_ms", U64))
PROGRAM_GRANT = Record((1, "distributor", fixed(32)), (2, "client", fixed(32)), (3, "program", upto(320)),
                       (4, "information", fixed(80)), (5, "issued_ms", U64))
METADATA = Record((1, "content", fixed(32)), (2, "kind", U32), (3, "signer", fixed(32)), (4, "sequence", U64), (5, "language", text(35)),
                  (6, "issued_ms", U64), (7, "ends_ms", U64, "?"), (8, "parts_bytes", U32), (9, "parts_digest", fixed(32)))
METADATA_VOUCH = Record((1, "distributor", fixed(32)), (2, "provider", fixed(32)), (3, "sequence", U64), (4, "issued_ms", U64),
                        (5, "ends_ms", U64))
SHARE = Record((1, "origin", fixed(32)), (2, "sequence", U64), (3, "table", U32), (4, "removed", BOOL),
               (5, "row", upto(4000)))
EMPTIED = Record((1, "digest", fixed(32)))
TAKEN_BACK = Record((1, "first", U64), (2, "last", U64))
CLIENT_USER = Record((1, "client", fixed(32)), (2, "user", text(63)), (3, "name", text(63)), (4, "registered_ms", U64), (5, "revoked", BOOL))
LINK = Record((1, "user", text(63)), (2, "other", fixed(32)), (3, "other_user", text(63)))
CONTENT_INFO = Record((1, "publisher", fixed(32)), (2, "media_type", text(63)), (3, "title", text(127)),
                      (4, "creator", text(127), "?"), (5, "album", text(127), "?"), (6, "duration_ms", U64),
                      (7, "plain_bytes", U64), (8, "block_bytes", U32), (9, "block_count", U32), (10, "nonce", fixed(32)),
                      (11, "metadata_signers", SIGNER_RANGE, "?"))
HEADER = Record((1, "content", fixed(32)), (2, "issuer", fixed(32)), (3, "license_id", fixed(16)),
                (4, "wrapped_half", fixed(60)), (5, "partner_root", BOOL), (6, "key_block", KEY_BLOCK_ENTRY))
EXPORT_PACKAGE = Record((1, "content", fixed(32)))
EXPORT_CERTIFICATE = Record((1, "certificate", upto(2048)), (2, "delegation", upto(384), "?"))

TYPES = {
    "keyset": KEYSET, "device": DEVICE, "roster": ROSTER, "license": LICENSE, "copy-certificate": COPY_CERTIFICATE,
    "delegation": DELEGATION, "ekb": EKB, "key-grant": KEY_GRANT, "quote": QUOTE, "receipt": RECEIPT,
    "surrender": SURRENDER, "time": TIME, "share": SHARE, "settlement": SETTLEMENT,
    "use": USE, "use-log": USE_LOG, "use-log-taken": USE_LOG_TAKEN,
    "standing": STANDING, "generation": GENERATION, "catch-up": CATCH_UP,
    "program": PROGRAM, "program-grant": PROGRAM_GRANT, "metadata": METADATA, "metadata-vouch": METADATA_VOUCH,
}

FORBIDDEN = [(0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180E, 0x180E), (0x3164, 0x3164),
             (0xFFA0, 0xFFA0), (0x1D173, 0x1D17A), (0x200B, 0x200B), (0x200E, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F),
             (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0xE0000, 0xE007F)]


# ---- encoding -----------------------------------------------------------------------------------------------------

def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def encode_value(kind, value):
    """Wire type and bytes."""
    if kind in (U32, U64, BOOL):
        return 0, varint(int(value))
    if kind == I64:
        return 0, varint(value & 0xFFFFFFFFFFFFFFFF)
    if isinstance(kind, Record):
        value = encode(kind, value)
    elif kind[0] == "text":
        value = value.encode()
    return 2, varint(len(value)) + value


def encode(record, values):
    out = b""
    for number, name, kind, rule in record.fields:
        if isinstance(rule, int):
            elements = values.get(name, [])
        elif rule == "?":
            elements = [values[name]] if name in values else []
        else:
            elements = [values[name]]
        for element in elements:
            wire, data = encode_value(kind, element)
            out += varint(number << 3 | wire) + data
    return out


# ---- decoding -----------------------------------------------------------------------------------------------------

def read_varint(data, at):
    value = shift = 0
    while True:
        refuse_unless(at < len(data) and shift < 64, "malformed")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            refuse_unless(byte != 0 or shift == 7, "malformed")  # not minimal
            refuse_unless(value < 2**64, "malformed")
            return value, at


def decode_number(kind, value):
    if kind == U32:
        refuse_unless(value < 2**32, "malformed")
    elif kind == BOOL:
        refuse_unless(value < 2, "malformed")
        return bool(value)
    elif kind == I64 and value >= 2**63:
        return value - 2**64
    return value


def decode_bytes(kind, data):
    if isinstance(kind, Record):
        return decode(kind, data)
    form, n = kind
    refuse_unless(len(data) == n if form == "fixed" else len(data) <= n, "malformed")
    if form != "text":
        return data
    try:
        shown = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("malformed") from None
    refuse_unless(not any(low <= ord(c) <= high for c in shown for low, high in FORBIDDEN), "malformed")
    return shown


def decode(record, data):
    values, last = {}, 0
    for number, name, kind, rule in record.fields:
        if isinstance(rule, int):
            values[name] = []
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        field = next((f for f in record.fields if f[0] == number), None)
        refuse_unless(field is not None, "malformed")
        _, name, kind, rule = field
        refuse_unless(number > last or (number == last and isinstance(rule, int)), "malformed")
        last = number
        if kind in (U32, U64, I64, BOOL):
            refuse_unless(wire == 0, "malformed")
            value, at = read_varint(data, at)
            value = decode_number(kind, value)
        else:
            refuse_unless(wire == 2, "malformed")
            length, at = read_varint(data, at)
            refuse_unless(length <= len(data) - at, "malformed")
            value = decode_bytes(kind, data[at:at + length])
            at += length
        if isinstance(rule, int):
            values[name].append(value)
            refuse_unless(len(values[name]) <= rule, "malformed")
        else:
            values[name] = value
    for number, name, kind, rule in record.fields:
        refuse_unless(rule == "?" or name in values, "malformed")
    assert encode(record, values) == data
    return values


# ---- documents ----------------------------------------------------------------------------------------------------

def document_sign(name, values, signer):
    return envelope_sign(f"hearth/{name}/1", encode(TYPES[name], values), signer)


def document_open(name, envelope):
    refuse_unless(name == "keyset" or envelope[1:2] == b"\1", "malformed")  # who signs these is listed as an Ed25519 key
    payload, signer = envelope_open(envelope, f"hearth/{name}/1")
    return decode(TYPES[name], payload), signer
