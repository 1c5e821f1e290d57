"""Reading a YAML file strictly; loads no model, for those who must start at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from topograph.foundation.errors import ConfigError


def read_yaml(path: str | Path) -> Any:
    """Return the content of a YAML file.

    Raises ConfigError when it is missing or not YAML, and for a key that a mapping has twice: of
    two experiments with one name, YAML itself would keep the last and say nothing.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        _refuse_repeats(yaml.compose(text, Loader=yaml.SafeLoader), path, set())
        return yaml.safe_load(text)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; studies lie in config/") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error


def _refuse_repeats(node: yaml.Node | None, path: str | Path, seen: set[int]) -> None:
    """Raise ConfigError for a key that is given twice, at any depth; a node may hold itself."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            _refuse_repeats(entry, path, seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in lines and key.value != "<<":
                raise ConfigError(
                    f"{path}: {key.value!r} is given twice, in lines {lines[key.value]} and "
                    f"{line}; rename or remove one"
                )
            lines[key.value] = line
            _refuse_repeats(value, path, seen)
