# Holds Singer's messages on standard input against JSON Schema: each SCHEMA is one, by drafts 4 and 7, and each RECORD is
# what its SCHEMA says. Numbers keep all their digits.
import json
import re
import sys
from decimal import Decimal

import jsonschema

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
checker = jsonschema.FormatChecker(formats=())
checker.checks("date-time")(lambda value: not isinstance(value, str) or TIME.match(value) is not None)

validators, counts = {}, {}
for line in sys.stdin:
    message = json.loads(line, parse_float=Decimal)
    kind, stream = message["type"], message.get("stream")
    if kind == "SCHEMA":
        schema = message["schema"]
        for draft in (jsonschema.Draft4Validator, jsonschema.Draft7Validator):
            draft.check_schema(schema)
        for name in message["key_properties"] + message.get("bookmark_properties", []):
            assert name in schema["properties"], name
        validators[stream] = [draft(schema, format_checker=checker)
                              for draft in (jsonschema.Draft4Validator, jsonschema.Draft7Validator)]
    elif kind == "RECORD":
        for validator in validators[stream]:
            validator.validate(message["record"])
        assert TIME.match(message["time_extracted"])
    else:
        assert kind == "STATE" and isinstance(message["value"]["bookmarks"], dict), line
    counts[kind] = counts.get(kind, 0) + 1
print(json.dumps(counts, sort_keys=True))
