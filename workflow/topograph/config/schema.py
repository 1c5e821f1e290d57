"""The JSON schema of study files, which editors read for completion and checks."""

from __future__ import annotations

import json

from topograph.config.study import Study


def schema_text() -> str:
    """Return the content of ``config/schema.json``."""
    schema = Study.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
