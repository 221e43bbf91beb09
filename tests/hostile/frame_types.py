#!/usr/bin/python3
"""TYPE(number, message) of each frame type that has a message of its own. Arguments: messages.proto, the file to write."""
import re
import sys

proto = open(sys.argv[1]).read()
types = re.findall(r"^  ([A-Z_]+) = \d+;", re.search(r"enum Type \{(.*?)\n\}", proto, re.S).group(1), re.M)
messages = set(re.findall(r"^message (\w+)", proto, re.M))
with open(sys.argv[2], "w") as out:
    for name in types:
        message = "".join(word.capitalize() for word in name.split("_"))
        if message in messages:
            print(f"TYPE(msg_Type_{name}, msg_{message})", file=out)
