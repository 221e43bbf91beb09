"""docs/FORMATS.md in Python: who may sign what, when a copy certificate is good, how content opens (sections 5, 6, 9 to 11)."""
import hashlib
import re

import formats as f
import records as r
from formats import Refused, refuse_unless

SKEW_MS = 5 * 60 * 1000
TLS, LICENSE, ROSTER, SEALING, SHARED = 1, 2, 3, 4, 5


def in_its_times(document, now_ms):
    return document["issued_ms"] - SKEW_MS <= now_ms <= document["ends_ms"] + SKEW_MS


def lists(keyset, purpose, key, at_ms):
    return any(k["purpose"] == purpose and k["key"] == key and k["ends_ms"] >= at_ms for k in keyset["keys"])


def keyset(envelope, distributor, lowest_sequence, now_ms):
    document, signer = r.document_open("keyset", envelope)
    refuse_unless(f.id_of_key(signer) == distributor == document["distributor"], "keyset-invalid")
    refuse_unless(document["sequence"] >= lowest_sequence and in_its_times(document, now_ms), "keyset-invalid")
    return document


def by_license_key(name, envelope, of, author, issued="issued_ms"):
    """Opens a document that a license key of `of` (a keyset) must have signed; author: where it names its distributor."""
    document, signer = r.document_open(name, envelope)
    refuse_unless(lists(of, LICENSE, signer, document.get(issued, 0)), "signature-invalid")
    refuse_unless(author(document) == of["distributor"], "signature-invalid")
    return document


def device(envelope, of, now_ms):
    document = by_license_key("device", envelope, of, lambda d: d["leaf"]["distributor"])
    refuse_unless(in_its_times(document, now_ms), "certificate-expired")
    return document


def roster(envelope, of, now_ms):
    document, signer = r.document_open("roster", envelope)
    refuse_unless(lists(of, ROSTER, signer, document["issued_ms"]), "signature-invalid")
    refuse_unless(document["distributor"] == of["distributor"], "signature-invalid")
    refuse_unless(in_its_times(document, now_ms), "certificate-expired")
    return document


def license_(envelope, of):
    return by_license_key("license", envelope, of, lambda d: d["issuer"])


def delegation(envelope, of, now_ms):
    document = by_license_key("delegation", envelope, of, lambda d: d["delegator"])
    floor = next((x["lowest_sequence"] for x in of["floors"] if x["partner"] == document["partner"]), 0)
    refuse_unless(document["sequence"] >= floor and in_its_times(document, now_ms), "delegation-invalid")
    return document


def ekb(envelope, of):
    return by_license_key("ekb", envelope, of, lambda d: d["distributor"])


def key_grant(envelope, of, partner, now_ms):
    document = by_license_key("key-grant", envelope, of, lambda d: d["distributor"])
    refuse_unless(document["partner"] == partner, "wrong-destination")
    refuse_unless(in_its_times(document, now_ms), "certificate-expired")
    return document


def quote(envelope, of, client, now_ms):
    document = by_license_key("quote", envelope, of, lambda d: d["distributor"])
    refuse_unless(document["client"] == client, "wrong-destination")
    refuse_unless(in_its_times(document, now_ms), "quote-changed")
    return document


def settlement(envelope, of, partner):
    document = by_license_key("settlement", envelope, of, lambda d: d["issuer"])
    refuse_unless(document["partner"] == partner, "wrong-destination")
    return document


def settlement_file(data, of, partner):
    """Statement and rows of a file: length:4 || envelope, then (length:4 || row), ..., then (length:4 || receipt), ..."""
    parts, at = [], 0
    while at < len(data):
        refuse_unless(len(data) - at >= 4, "malformed")
        length = int.from_bytes(data[at:at + 4], "big")
        refuse_unless(length <= len(data) - at - 4, "malformed")
        parts.append(data[at + 4:at + 4 + length])
        at += 4 + length
    refuse_unless(parts, "malformed")
    document = settlement(parts[0], of, partner)
    parts = parts[:1 + document["row_count"]] if document["row_count"] < len(parts) else parts
    rows = [r.decode(r.SETTLEMENT_ROW, part) for part in parts[1:]]
    refuse_unless(document["row_count"] == len(rows), "malformed")
    signed = b"".join(len(part).to_bytes(4, "big") + part for part in parts[1:])
    refuse_unless(document["rows_digest"] == hashlib.sha256(signed).digest(), "signature-invalid")
    refuse_unless(document["net"] == sum(row["amount"] for row in rows), "malformed")
    refuse_unless(len({row["entry"] for row in rows}) == len(rows), "malformed")
    return document, rows


def time(envelope, of, client):
    document = by_license_key("time", envelope, of, lambda d: d["distributor"], "time_ms")
    refuse_unless(document["client"] == client, "wrong-destination")
    return document


def share(envelope, of):
    document, signer = r.document_open("share", envelope)
    refuse_unless(lists(of, LICENSE, signer, 0) or lists(of, SHARED, signer, 0), "signature-invalid")
    refuse_unless(document["origin"] == of["distributor"], "signature-invalid")
    return document


KEY_FIELDS = {1: 1, 2: 1, 3: 1, 5: 1, 6: 3, 7: 3, 8: 1, 20: 3}  # by table: those before the bar


def row_key(table, row):
    """The bytes of a row's key; None: rows of this table replace none."""
    at = 0
    for number in range(1, KEY_FIELDS.get(table, 0) + 1):
        tag, at = r.read_varint(row, at)
        value, at = r.read_varint(row, at)
        refuse_unless(tag in (number << 3, number << 3 | 2), "malformed")
        at += value if tag & 7 else 0
    return row[:at] if at else None


def share_log(envelopes, of):
    """An origin's rows from the first on (docs/FORMATS.md, section 12): the chain's head, the numbers of rows that are empty and told of nowhere, and
    of those that were taken back though nothing has come after them."""
    head, hidden, said, taken_back = bytes(32), set(), {}, set()
    for number, envelope in enumerate(envelopes, 1):
        document = share(envelope, of)
        refuse_unless(document["sequence"] == number, "out-of-step")
        digest = hashlib.sha256(envelope).digest()
        key = row_key(document["table"], document["row"])
        if document["table"] == 0 and document["row"]:
            digest = r.decode(r.EMPTIED, document["row"])["digest"]
            hidden.add(number)
        elif document["table"] == 26:
            told = r.decode(r.TAKEN_BACK, document["row"])
            if told["last"] < number:
                hidden -= set(range(told["first"], told["last"] + 1))
                taken_back |= {n for n in said.values() if told["first"] <= n <= told["last"]}
        elif key is not None:
            said.pop((document["table"], key), None)
            if not document["removed"]:
                said[document["table"], key] = number
        head = hashlib.sha256(b"hearth share chain\0" + head + digest).digest()
    return head, hidden, taken_back & set(said.values())


def receipt(envelope):
    document, signer = r.document_open("receipt", envelope)
    refuse_unless(f.id_of_key(signer) == document["destination"], "signature-invalid")
    refuse_unless(document["outcome"] in (1, 2), "malformed")
    return document


def surrender(envelope):
    document, signer = r.document_open("surrender", envelope)
    refuse_unless(f.id_of_key(signer) == document["client"], "signature-invalid")
    return document


def use(envelope):
    document, signer = r.document_open("use", envelope)
    refuse_unless(f.id_of_key(signer) == document["client"], "signature-invalid")
    return document


def use_log(envelope):
    document, signer = r.document_open("use-log", envelope)
    refuse_unless(f.id_of_key(signer) == document["client"], "signature-invalid")
    numbers = [entry["number"] for entry in document["entries"]]
    refuse_unless(numbers and numbers[0] > 0 and numbers == list(range(numbers[0], numbers[0] + len(numbers))), "malformed")
    return document


def use_log_taken(envelope, of, client):
    document = by_license_key("use-log-taken", envelope, of, lambda d: d["issuer"])
    refuse_unless(document["client"] == client, "wrong-destination")
    return document


def standing(envelope, of, client):
    document = by_license_key("standing", envelope, of, lambda d: d["distributor"], "time_ms")
    refuse_unless(document["client"] == client, "wrong-destination")
    return document


def generation(envelope, client, distributor):
    document, signer = r.document_open("generation", envelope)
    refuse_unless(f.id_of_key(signer) == document["client"] == client, "signature-invalid")
    refuse_unless(document["distributor"] == distributor, "wrong-destination")
    return document


CATCH_UP_FIELDS = {1: set(), 2: {"sequence"}, 3: {"sequence", "license_id", "content", "destination", "digest"}}


def catch_up(envelope, of, client):
    document = by_license_key("catch-up", envelope, of, lambda d: d["distributor"], "time_ms")
    refuse_unless(document["client"] == client, "wrong-destination")
    place = document["after"]
    for entry in document["entries"]:
        kind = entry["kind"]
        refuse_unless(set(entry) - {"kind", "issuer", "name"} == CATCH_UP_FIELDS.get(kind), "malformed")
        refuse_unless(kind == 1 or entry["issuer"] == document["distributor"], "malformed")
        before, place = place, bytes([kind]) + entry["issuer"] + entry["name"]
        refuse_unless(before < place, "malformed")
    refuse_unless(document["last"] or document["entries"], "malformed")
    return document


def program(envelope):
    document, signer = r.document_open("program", envelope)
    refuse_unless(f.id_of_key(signer) == document["provider"], "signature-invalid")
    name, version = document["name"], document["version"]
    refuse_unless(re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) and document["kind"] in (1, 2), "malformed")
    refuse_unless(0 < version < 1 << 48 and 0 < document["program_bytes"] <= 1 << 24, "malformed")
    return document


def program_grant(envelope, of, client):
    """The grant and the program inside."""
    document = by_license_key("program-grant", envelope, of, lambda d: d["distributor"])
    refuse_unless(document["client"] == client, "wrong-destination")
    return document, program(document["program"])


def program_open(grant, document, sealed, sealing):
    """The program, from its sealed form and the device's sealing key."""
    size, block, whole = document["program_bytes"], 16384, 16384 + 44
    count = (size + block - 1) // block
    refuse_unless(len(sealed) == size + 44 * count, "malformed")
    key = f.hkdf(f.box_open(sealing, grant["information"]), "hearth program", document["digest"])
    plain = b"".join(f.block_open(key, document["digest"], i, count, sealed[i * whole:(i + 1) * whole]) for i in range(count))
    refuse_unless(f.sha256(plain) == document["digest"], "forged")
    return plain


# ---- section 14 ---------------------------------------------------------------------------------------------------

PARTS_MAX = (1 << 20) - 8192
NOBODY, PUBLISHER, KEYS, VOUCHED, ANYBODY = range(1, 6)


def metadata(envelope, publisher, of):
    """of: the publisher's keyset, or None."""
    document, signer = r.document_open("metadata", envelope)
    if document["kind"] == 1:
        refuse_unless(f.id_of_key(signer) == document["signer"], "signature-invalid")
    else:
        refuse_unless(document["kind"] == 2, "malformed")
        refuse_unless(document["signer"] == publisher, "signature-invalid")
        refuse_unless(of is not None, "keyset-invalid")
        refuse_unless(of["distributor"] == publisher and document["issued_ms"] < 2**63, "signature-invalid")
        refuse_unless(lists(of, LICENSE, signer, document["issued_ms"]), "signature-invalid")
    refuse_unless(re.fullmatch("([A-Za-z0-9]+(-[A-Za-z0-9]+)*)?", document["language"]), "malformed")
    refuse_unless(0 < document["parts_bytes"] <= PARTS_MAX and 0 < document["sequence"] < 2**63, "malformed")
    return document


def metadata_vouch(envelope, of, provider):
    document = by_license_key("metadata-vouch", envelope, of, lambda d: d["distributor"])
    refuse_unless(document["issued_ms"] < 2**63, "signature-invalid")
    refuse_unless(document["provider"] == provider, "wrong-destination")
    refuse_unless(0 < document["sequence"] < 2**63, "malformed")
    return document


def range_is_valid(signers):
    return NOBODY <= signers["kind"] <= ANYBODY and (signers["kind"] == KEYS) == bool(signers["keys"])


def range_permits(signers, document, vouched):
    signers = signers or {"kind": VOUCHED, "keys": []}
    if not range_is_valid(signers) or signers["kind"] == NOBODY:
        return False
    if document["kind"] == 2 or signers["kind"] == ANYBODY:
        return True
    return document["signer"] in signers["keys"] if signers["kind"] == KEYS else signers["kind"] == VOUCHED and vouched


def metadata_file(data):
    """document, vouch, keyset, parts."""
    refuse_unless(data[:8] == b"HEARTHM1" and len(data) <= 1 << 20, "malformed")
    found, at = [], 8
    for least, most in ((1, 384), (0, 320), (0, 3900)):
        refuse_unless(at + 4 <= len(data), "malformed")
        length = int.from_bytes(data[at:at + 4], "big")
        refuse_unless(least <= length <= most and at + 4 + length <= len(data), "malformed")
        found.append(data[at + 4:at + 4 + length])
        at += 4 + length
    refuse_unless(at < len(data), "malformed")
    return (*found, data[at:])


def is_small_picture(data):
    """One whole JPEG or PNG, of 1 to 4096 pixels each way, with nothing behind it."""
    small = lambda *sides: all(1 <= side <= 4096 for side in sides)
    number = lambda at, size: int.from_bytes(data[at:at + size], "big")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        at, names, notes = 8, [], 0
        while at + 12 <= len(data) and (not names or names[-1] != b"IEND"):
            names.append(data[at + 4:at + 8])
            notes += number(at, 4) if names[-1] in (b"zTXt", b"iTXt", b"iCCP") else 0
            at += 12 + number(at, 4)
        return (names[:1] == [b"IHDR"] and names[-1] == b"IEND" and at == len(data) and number(8, 4) == 13 and small(number(16, 4), number(20, 4)) and
                names.count(b"IHDR") == 1 and not {b"acTL", b"fcTL", b"fdAT"} & set(names) and notes <= 65536)
    if not data.startswith(b"\xff\xd8\xff"):
        return False
    at, frames = 2, []
    while True:
        found = re.compile(b"\xff+([^\xff])", re.DOTALL).match(data, at)
        if not found:
            return False
        marker, at = found[1][0], found.end()
        if marker == 0xD9:
            return at == len(data) and len(frames) == 1 and small(*frames[0])
        length = number(at, 2)
        if marker not in (0xC0, 0xC1, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)) or length < 2 or at + length > len(data):
            return False
        if marker <= 0xC2:
            if length < 7:
                return False
            frames.append((number(at + 3, 2), number(at + 5, 2)))
        at += length
        if marker == 0xDA:
            at = re.compile(b"(?:[^\xff]|\xff[\x00\xd0-\xd7])*", re.DOTALL).match(data, at).end()


def metadata_parts(data):
    """(kind, key or start_ms, text or picture), in order."""
    found, at, last, counts = [], 0, (0, 0), {}
    while at < len(data):
        refuse_unless(at + 5 <= len(data), "malformed")
        kind, length = data[at], int.from_bytes(data[at + 1:at + 5], "big")
        value = data[at + 5:at + 5 + length]
        refuse_unless(len(value) == length and 1 <= kind <= 4 and kind >= last[0], "malformed")
        at += 5 + length
        counts[kind] = counts.get(kind, 0) + 1
        refuse_unless(counts[kind] <= {1: 64, 2: 512, 3: 4096, 4: 1}[kind], "malformed")
        front, start_ms = None, 0
        if kind == 1:
            refuse_unless(value and len(value) >= 1 + value[0], "malformed")
            front, value = value[1:1 + value[0]], value[1 + value[0]:]
            refuse_unless(re.fullmatch(b"[a-z0-9-]{1,31}", front), "malformed")
        elif kind < 4:
            refuse_unless(len(value) >= 8, "malformed")
            front = start_ms = int.from_bytes(value[:8], "big")
            value = value[8:]
            refuse_unless(start_ms <= 1 << 40, "malformed")
            if last[0] == kind:
                refuse_unless(start_ms > last[1] if kind == 2 else start_ms >= last[1], "malformed")
        if kind == 4:
            refuse_unless(len(value) <= 768 * 1024 and is_small_picture(value), "malformed")
        else:
            refuse_unless(len(value) <= 1023 and (value or kind == 3), "malformed")
            value = r.decode_bytes(r.text(1023), value)
        last = kind, start_ms
        found.append((kind, front, value))
    return found


# ---- section 9 ----------------------------------------------------------------------------------------------------

def content_info(info):
    fields = r.decode(r.CONTENT_INFO, info)
    size, block = fields["plain_bytes"], fields["block_bytes"]
    refuse_unless(block in [1 << n for n in range(12, 21)] and 1 <= size <= block << 20, "malformed")
    refuse_unless(fields["block_count"] == (size + block - 1) // block and fields["media_type"], "malformed")
    refuse_unless("metadata_signers" not in fields or range_is_valid(fields["metadata_signers"]), "malformed")
    return fields


def body(data, content):
    """Fields of the content information and the blocks, every one checked against the content ID."""
    info, rest = f.body_split(data)
    fields = content_info(info)
    count = fields["block_count"]
    refuse_unless(len(rest) == 32 * count + fields["plain_bytes"] + 44 * count, "malformed")
    hashes = [rest[32 * k:32 * k + 32] for k in range(count)]
    refuse_unless(f.content_id(info, f.merkle_root(hashes)) == content, "content-id-mismatch")
    blocks, at = [], 32 * count
    for k in range(count):
        length = min(fields["block_bytes"], fields["plain_bytes"] - k * fields["block_bytes"]) + 44
        blocks.append(rest[at:at + length])
        at += length
        refuse_unless(f.merkle_leaf(blocks[k]) == hashes[k], "block-corrupt")
    return fields, blocks


# ---- section 6 ----------------------------------------------------------------------------------------------------

def copy_certificate(envelope, delegation_envelope, own_keyset, self, presenter, info, list_root, now_ms, newest_block=0):
    """The certificate, its license and its key block."""
    document, signer = r.document_open("copy-certificate", envelope)
    own = own_keyset["distributor"]
    if delegation_envelope is None:
        refuse_unless(document["issuer"] == own, "signature-invalid")
        refuse_unless(lists(own_keyset, LICENSE, signer, document["issued_ms"]), "signature-invalid")
        refuse_unless(not document["partner_root"], "malformed")
    else:
        try:
            allowed = delegation(delegation_envelope, own_keyset, now_ms)
        except Refused:
            raise Refused("delegation-invalid") from None
        refuse_unless(signer == allowed["copy_key"], "signature-invalid")
        refuse_unless(document["issuer"] == allowed["partner"] and document["partner_root"], "delegation-invalid")
        refuse_unless(content_info(info)["publisher"] == document["issuer"], "delegation-invalid")
        refuse_unless(document["issued_ms"] <= document["ends_ms"] <= allowed["ends_ms"], "delegation-invalid")
        refuse_unless(document["ends_ms"] - document["issued_ms"] <= allowed["max_certificate_ms"], "delegation-invalid")
    inner, inner_signer = r.document_open("license", document["license"])
    refuse_unless(inner_signer == signer and inner["issuer"] == document["issuer"], "signature-invalid")
    refuse_unless(inner["content"] == document["content"], "content-id-mismatch")
    refuse_unless(inner["client"] == document["destination"], "wrong-destination")
    refuse_unless(inner["leaf"]["distributor"] == own, "wrong-destination")
    block = ekb(document["key_block"]["block"], own_keyset)
    refuse_unless(block["kind"] in (1, 2) and block["category"] == inner["leaf"]["category"], "malformed")
    refuse_unless(("part" in document["key_block"]) == (block["kind"] == 2), "malformed")
    refuse_unless(document["key_block"]["index"] < block["entry_count"], "malformed")
    refuse_unless(in_its_times(document, now_ms), "certificate-expired")
    refuse_unless(document["destination"] == self, "wrong-destination")
    if presenter is None:
        refuse_unless(document["removable"], "not-permitted")
    else:
        by_issuer = document["issuer"] == presenter and not document["move"]
        refuse_unless(document["source"] == presenter or by_issuer, "not-permitted")
    refuse_unless(document["content"] == f.content_id(info, list_root), "content-id-mismatch")
    refuse_unless(block["version"] >= newest_block, "key-block-outdated")
    return document, inner, block


# ---- section 10 ---------------------------------------------------------------------------------------------------

def root_of(key_block, own_keyset, dnk):
    block = ekb(key_block["block"], own_keyset)
    return f.ekb_open(dnk, block, key_block["index"], key_block["entry"], key_block.get("proof", b""))


def play(header_bytes, license_fields, body_bytes, own_keyset, dnk, sealing_secret):
    """The plain file."""
    header = r.decode(r.HEADER, header_bytes)
    for name in ("content", "issuer", "license_id"):
        refuse_unless(header[name] == license_fields[name], "no-license")
    root = root_of(header["key_block"], own_keyset, dnk)
    if header["partner_root"]:
        root = f.partner_root(root, header["issuer"])
    header_half = f.unwrap_half(root, header["content"], header["license_id"], header["wrapped_half"])
    license_half = f.open_license_half(sealing_secret, header["content"], license_fields["license_half"])
    info, blocks = body(body_bytes, header["content"])
    kc = f.content_key(header_half, license_half, info["nonce"])
    return b"".join(f.block_open(kc, info["nonce"], k, len(blocks), block) for k, block in enumerate(blocks))


# ---- section 11 ---------------------------------------------------------------------------------------------------

def media_file(data, magic, record):
    """The record at the front and what is behind it."""
    refuse_unless(len(data) >= 12 and data[:8] == magic, "malformed")
    length = int.from_bytes(data[8:12], "big")
    refuse_unless(len(data) >= 12 + length, "malformed")
    return r.decode(record, data[12:12 + length]), data[12 + length:]
