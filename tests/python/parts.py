"""docs/FORMATS.md in Python: key blocks in parts (section 7, kind 2), made and opened."""
from formats import (be32, covers, hkdf, key_check, label_step, mask, merkle_leaf, merkle_prove, merkle_proves, merkle_root, merkle_root_of,
                     node_key, node_label, refuse_unless, set_head)


def first_leaf(node):
    return node[1] << 32 - node[0]


def subset_cover(node, revoked):
    """(top, without) for what is left below a node, by first leaf and depth of the top; without == top: nothing is missing."""
    def below(top, revoked):
        if not revoked:
            return [(top, top)]
        hole = top
        while hole[0] < 32:
            left = (hole[0] + 1, 2 * hole[1])
            border = first_leaf((left[0], left[1] + 1))
            if min(revoked) < border <= max(revoked):
                break
            hole = left if max(revoked) < border else (left[0], left[1] + 1)
        found = [(top, hole)] if hole != top else []
        if hole[0] == 32:
            return found
        return (found + below(left, [n for n in revoked if n < border])
                + below((left[0], left[1] + 1), [n for n in revoked if n >= border]))
    return sorted(below(node, revoked), key=lambda s: (first_leaf(s[0]), s[0][0]))


def subset_bytes(subset):
    top, without = subset
    return (top[0] << 34 | 1 << without[0] | without[1]).to_bytes(5, "big")


def subset_read(data):
    number = int.from_bytes(data, "big")
    hole = number & (1 << 34) - 1
    refuse_unless(hole > 0, "malformed")
    depth = hole.bit_length() - 1
    without, top_depth = (depth, hole ^ 1 << depth), number >> 34
    refuse_unless(top_depth <= depth <= 32, "malformed")
    return (top_depth, without[1] >> depth - top_depth), without


def walk(label, depth, hole):
    for d in range(depth + 1, hole[0] + 1):
        label = label_step(label, "hearth sd right" if hole[1] >> hole[0] - d & 1 else "hearth sd left")
    return label_step(label, "hearth sd key")


def subset_key(tree_secret, category, subset):
    top, hole = subset
    if top == hole:
        return node_key(tree_secret, category, *top)
    return walk(node_label(tree_secret, category, *top), top[0], hole)


def subset_key_of(dnk, subset):
    """The same out of a device's set whose leaf is in it."""
    (top, _), hole = subset
    if subset[0] == hole:
        return dnk[9 + 32 * top:41 + 32 * top]
    leaf = set_head(dnk)[1]
    depth = top + 1
    while leaf >> 32 - depth == hole[1] >> hole[0] - depth:
        depth += 1
    at = 33 + sum(32 - a for a in range(top)) + depth - top - 1
    return walk(dnk[9 + 32 * at:41 + 32 * at], depth, hole)


def parts_cut(node, revoked):
    if len(revoked) == 1 << 32 - node[0]:
        return []
    if len(revoked) <= 512:
        return [(node, revoked)]
    left, right = (node[0] + 1, 2 * node[1]), (node[0] + 1, 2 * node[1] + 1)
    border = first_leaf(right)
    return parts_cut(left, [n for n in revoked if n < border]) + parts_cut(right, [n for n in revoked if n >= border])


def parts_block(tree_secret, category, version, revoked, root_key, nonces):
    """A whole block: [(top entry, iv, entries)]; one nonce a part."""
    check, parts = key_check(root_key, version), []
    for (node, below), nonce in zip(parts_cut((0, 0), sorted(revoked)), nonces):
        part_key = hkdf(tree_secret, "hearth part key", be32(category) + bytes([node[0]]) + be32(node[1]) + nonce)
        entries = []
        for subset in subset_cover(node, below):
            head = subset_bytes(subset)
            entries.append(head + mask(subset_key(tree_secret, category, subset), nonce, part_key))
        head = bytes([node[0]]) + be32(node[1])
        parts.append((head + mask(part_key, check[:16], root_key), nonce, entries))
    return parts


def part_hash(top, count, nonce, root):
    return merkle_leaf(top + be32(count) + nonce + root)


def parts_hashes(parts):
    return [part_hash(top, len(entries), nonce, merkle_root([merkle_leaf(e) for e in entries])) for top, nonce, entries in parts]


def parts_bytes(parts):
    return b"".join(top + be32(len(entries)) + nonce + bytes(17) + b"".join(entries) for top, nonce, entries in parts)


def parts_place(parts, leaf):
    """index, top entry, proof, and `part`, as a key block entry carries them; None: revoked."""
    for index, (top, nonce, entries) in enumerate(parts):
        if not covers(top[0], int.from_bytes(top[1:5], "big"), leaf):
            continue
        for at, entry in enumerate(entries):
            subset = subset_read(entry[:5])
            if covers(*subset[0], leaf) and (subset[0] == subset[1] or not covers(*subset[1], leaf)):
                proof = merkle_prove([merkle_leaf(e) for e in entries], at)
                part = nonce + be32(len(entries)) + be32(at) + entry + b"".join(proof)
                return index, top, b"".join(merkle_prove(parts_hashes(parts), index)), part
    return None


def parts_open(dnk, block, index, top, proof, part):
    """block: the fields of an ekb document of kind 2. The root key."""
    category, leaf = set_head(dnk)
    refuse_unless(category == block["category"] and block["kind"] == 2, "malformed")
    refuse_unless(len(top) == 37 and 61 <= len(part) <= 381 and (len(part) - 61) % 32 == 0, "malformed")
    nonce, count, at, entry, inner = part[:16], int.from_bytes(part[16:20], "big"), int.from_bytes(part[20:24], "big"), part[24:61], part[61:]
    node = top[0], int.from_bytes(top[1:5], "big")
    refuse_unless(index < block["entry_count"] <= 1 << 16 and at < count <= 1024 and node[0] <= 32, "malformed")
    subset = subset_read(entry[:5])
    root = merkle_root_of(merkle_leaf(entry), at, count, inner)
    refuse_unless(root is not None, "forged")
    refuse_unless(merkle_proves(part_hash(top, count, nonce, root), index, block["entry_count"], proof, block["entries_root"]), "forged")
    whole = subset[0] == subset[1]
    refuse_unless(covers(*node, leaf) and subset[0][0] >= node[0] and covers(*subset[0], leaf) and (whole or not covers(*subset[1], leaf)), "not-covered")
    part_key = mask(subset_key_of(dnk, subset), nonce, entry[5:])
    root_key = mask(part_key, block["key_check"][:16], top[5:])
    refuse_unless(key_check(root_key, block["version"]) == block["key_check"], "forged")
    return root_key
