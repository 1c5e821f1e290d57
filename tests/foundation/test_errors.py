"""Messages that offer the nearest name, and only a near one."""

from __future__ import annotations

from topograph.foundation.errors import (
    ConfigError,
    DataError,
    TopographError,
    nearest,
    unknown_name,
)


def test_the_nearest_name_is_offered():
    assert nearest("filtre", ["layer", "filter"]) == " (did you mean 'filter'?)"


def test_nothing_is_offered_when_no_name_is_near():
    assert nearest("xyz", ["layer", "filter"]) == ""
    assert nearest("xyz", []) == ""


def test_an_unknown_name_lists_what_is_allowed():
    error = unknown_name("normalization", "filtre", {"none", "layer", "filter"})
    assert isinstance(error, TopographError)
    assert str(error) == (
        "unknown normalization 'filtre' (did you mean 'filter'?); allowed: filter, layer, none"
    )


def test_every_mistake_of_a_user_is_one_kind_of_error():
    assert issubclass(ConfigError, TopographError)
    assert issubclass(DataError, TopographError)
    assert issubclass(TopographError, ValueError)
