"""Reading a study file; every mistake becomes one message with file, key path and remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from topograph.config.models import NUMBER_AS_TEXT
from topograph.config.notebooks import notebook_problem, others_problem
from topograph.config.study import Study
from topograph.config.yaml_file import read_yaml
from topograph.foundation.errors import ConfigError, nearest

# The words of pydantic that speak of its own objects, in the words of a study file.
PLAIN_WORDS = {
    "model_type": "a mapping of keys is needed",
    "model_attributes_type": "a mapping of keys is needed",
    "dict_type": "a mapping of keys is needed",
    "list_type": "a list is needed",
    "too_short": "at least one entry is needed",
}


def load_study(path: str | Path) -> Study:
    """Read and validate one study file.

    Raises ConfigError as ``read_yaml`` and ``parse_study`` do.
    """
    return parse_study(read_yaml(path), str(path))


def parse_study(content: Any, source: str) -> Study:
    """Validate the content of a study file; ``source`` names it in errors.

    Raises ConfigError for content that is no study, a study that is not named like its file, and a
    figure whose notebook does not exist or cannot draw its analysis.
    """
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise config_error(error, content, source) from error
    _check_name(study, source)
    _check_notebooks(study, source)
    return study


def _check_name(study: Study, source: str) -> None:
    file = Path(source)
    if file.suffix == ".yaml" and "," not in source and study.study != file.stem:
        raise ConfigError(
            f"{source}: study: received {study.study!r}; allowed: {file.stem!r}, the name of the "
            "file, by which make finds the results; rename one of them"
        )


def _check_notebooks(study: Study, source: str) -> None:
    for figure, chosen in study.figures.items():
        notebook, experiment = chosen.notebook or figure, study.experiments[chosen.experiment]
        others = {
            name: study.experiments[other.experiment].analyses[other.analysis]
            for name, other in chosen.others.items()
        }
        analysis = experiment.analyses[chosen.analysis]
        problem = notebook_problem(notebook, experiment, analysis) or others_problem(
            notebook, others
        )
        if problem:
            raise ConfigError(f"{source}: figures.{figure}: {problem}")


def config_error(error: ValidationError, content: Any, source: str) -> ConfigError:
    """Turn pydantic's errors into one message, a line for each mistake."""
    return ConfigError("\n".join(_line(item, content, source) for item in error.errors()))


def _line(item: Mapping[str, Any], content: Any, source: str) -> str:
    missing = item["type"] == "missing"
    path = _key_path(item["loc"], content, missing)
    where = f"{source}: {path}: " if path else f"{source}: "
    message = PLAIN_WORDS.get(item["type"], str(item["msg"]))
    if missing:
        return f"{where}this key is required"
    if item["type"] == "target":
        return f"{source}: {path}.{message}" if path else f"{source}: {message}"
    if item["type"] in {"unknown_key", "reference", "analysis"}:
        return where + message
    if item["type"] == "union_tag_invalid":
        context = item["ctx"]
        hint = _nearest_quoted(context["tag"], context["expected_tags"])
        return (
            f"{where}unknown {context['discriminator']} {context['tag']!r}{hint}; "
            f"allowed: {context['expected_tags']}"
        )
    if item["type"] == "union_tag_not_found":
        return f"{where}the key {item['ctx']['discriminator']} is required"
    hint = _yaml_hint(item["input"])
    if item["type"] == "literal_error" and not hint:
        hint = _nearest_quoted(item["input"], item["ctx"]["expected"])
    return f"{where}{message}, received {item['input']!r}{hint}"


def _nearest_quoted(received: object, expected: str) -> str:
    return nearest(str(received), re.findall("'([^']*)'", expected))


def _yaml_hint(value: Any) -> str:
    if isinstance(value, str) and NUMBER_AS_TEXT.match(value):
        mantissa, exponent = re.split("[eE]", value)
        point = "" if "." in mantissa else ".0"
        sign = "" if exponent[0] in "+-" else "+"
        return f" (YAML 1.1 reads {value} as text: write {mantissa}{point}e{sign}{exponent})"
    if isinstance(value, bool):
        return " (YAML 1.1 reads on, off, yes and no as true and false: quote the word)"
    return ""


def _key_path(location: tuple[str | int, ...], content: Any, missing: bool) -> str:
    """Join the keys that exist in the file; pydantic also names the branches of its unions."""
    keys: list[str] = []
    for position, key in enumerate(location):
        absent = missing and position == len(location) - 1
        if isinstance(content, Mapping) and (key in content or absent):
            # pydantic calls the keys true and false 1 and 0.
            keys.append(str(next((known for known in content if known == key), key)))
            content = content.get(key)
        elif isinstance(content, list) and isinstance(key, int) and key < len(content):
            content = content[key]
            keys.append(str(key))
    return ".".join(keys)
