"""A strict reader of OpenMetrics text 1.0, written from the specification for the tests: whatever it allows is refused here when the specification does not."""
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z|[+-]?Inf\Z|NaN\Z")
SUFFIXES = {"counter": {"_total", "_created"}, "gauge": {""}, "histogram": {"_bucket", "_count", "_sum", "_created"}, "info": {"_info"},
            "stateset": {""}, "unknown": {""}, "summary": {"", "_count", "_sum", "_created"}}


class Malformed(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Malformed(what)


def number(text):
    need(NUMBER.match(text), f"no number: {text!r}")
    return float(text)


def split_sample(line):
    """Name, labels as a tuple of pairs in order, value as text."""
    end = re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*", line)
    need(end, f"no sample: {line!r}")
    name, rest, labels = end.group(), line[end.end():], []
    if rest.startswith("{"):
        at = 1
        while rest[at:at + 1] != "}":
            m = LABEL.match(rest, at)
            need(m, f"no label: {rest[at:]!r}")
            labels.append((m.group(1), re.sub(r"\\(.)", lambda e: "\n" if e.group(1) == "n" else e.group(1), m.group(2))))
            at = m.end()
            if rest[at:at + 1] == ",":
                at += 1
                need(rest[at:at + 1] != "}", "a comma and no label after it")
            else:
                need(rest[at:at + 1] == "}", f"labels do not end: {rest!r}")
        rest = rest[at + 1:]
    need(len({n for n, _ in labels}) == len(labels), f"a label twice: {line!r}")
    need(re.match(r" [^ ]+\Z", rest), f"one space and a value: {line!r}")  # we write no timestamps and no exemplars
    return name, tuple(labels), rest[1:]


class Family:
    def __init__(self, name):
        self.name, self.type, self.unit, self.help, self.samples = name, None, None, None, {}

    def add(self, suffix, labels, value):
        need(suffix in SUFFIXES[self.type or "unknown"], f"{self.name}: no sample of a {self.type} ends in {suffix!r}")
        key = (suffix, frozenset(labels))
        need(key not in self.samples, f"{self.name}: the same sample twice: {labels}")
        parsed = number(value)
        if self.type == "counter" or suffix in ("_bucket", "_count"):
            need(parsed >= 0 and not math.isnan(parsed), f"{self.name}: a counter below zero")
        if suffix in ("_bucket", "_count"):
            need(parsed == int(parsed), f"{self.name}: half a thing counted")
        if self.type == "info":
            need(value == "1", f"{self.name}: an info is 1")
        if suffix == "_bucket":
            bounds = [v for n, v in labels if n == "le"]
            need(len(bounds) == 1 and (bounds[0] == "+Inf" or "." in bounds[0] or "e" in bounds[0]), f"{self.name}: le is a float: {labels}")
        self.samples[key] = parsed

    def close(self):
        need(self.type and self.help is not None, f"{self.name}: TYPE and HELP are wanted")
        if self.unit:
            need(self.name.endswith("_" + self.unit), f"{self.name}: its name ends in its unit")
            need(self.type not in ("info", "stateset"), f"{self.name}: an info has no unit")
        if self.type != "histogram":
            return
        groups = {}
        for (suffix, labels), value in self.samples.items():
            rest = frozenset(p for p in labels if p[0] != "le")
            groups.setdefault(rest, {}).setdefault(suffix, []).append((dict(labels).get("le"), value))
        for rest, g in groups.items():
            buckets = [(math.inf if le == "+Inf" else float(le), v) for le, v in g["_bucket"]]
            need(buckets == sorted(buckets) and buckets[-1][0] == math.inf, f"{self.name}{set(rest)}: buckets rise, the last is +Inf")
            need(all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), f"{self.name}: buckets count up")
            need(g["_count"][0][1] == buckets[-1][1], f"{self.name}: the count is that of +Inf")
            need("_sum" in g, f"{self.name}: a sum")


def parse(text):
    """{family name: Family}. Malformed for whatever is not OpenMetrics."""
    need(text.endswith("\n") and "\r" not in text, "lines end in one newline")
    lines = text[:-1].split("\n")
    need(lines[-1] == "# EOF" and "# EOF" not in lines[:-1], "it ends in # EOF")
    families, current = {}, None
    for line in lines[:-1]:
        need(line and line == line.strip(), f"an empty line, or space around it: {line!r}")
        if line.startswith("#"):
            m = re.match(r"# (TYPE|UNIT|HELP) ([^ ]+) (.*)\Z", line)
            need(m and NAME.match(m.group(2)), f"no comment of ours: {line!r}")
            what, name, rest = m.groups()
            if current is None or current.name != name:
                if current:
                    current.close()
                need(name not in families, f"{name}: its lines are not together")
                current = families[name] = Family(name)
            need(not current.samples, f"{name}: {what} after its samples")
            attribute = what.lower()
            need(getattr(current, attribute) is None, f"{name}: {what} twice")
            need(what != "TYPE" or rest in SUFFIXES, f"{name}: no type: {rest}")
            need(what != "HELP" or not re.search(r'\\(?![\\n"])', rest), f"{name}: escapes")
            setattr(current, attribute, rest)
            continue
        name, labels, value = split_sample(line)
        need(current and name.startswith(current.name), f"a sample of no family: {line!r}")
        current.add(name[len(current.name):], labels, value)
    if current:
        current.close()
    for name, family in families.items():  # no sample name may belong to two families
        for other in families:
            need(other == name or not any(other == name + s for s in SUFFIXES[family.type] if s), f"{name} and {other} clash")
    return families


def value(families, name, suffix="", **labels):
    return families[name].samples[(suffix, frozenset(labels.items()))]
