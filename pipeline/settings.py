"""The settings of a step: the values of config.py that its code reads, as its manifest records them.

Each step names its settings in a function `settings`. tests/test_settings.py follows the code of each step and fails
where a value of config.py is read and not named there.
"""
import json
from collections.abc import Iterator
from typing import Any

import config
from config import Stage

SHOWN = 60      # characters of a value in a message; of a longer one the message says only that it has changed
Depends = dict[str, dict[str, Any]]      # group (inputs, options, settings) -> name -> value


def of_config(*names: str) -> dict[str, Any]:
    """Names of constants of config.py -> name -> value, as JSON holds it."""
    return {name: plain(getattr(config, name)) for name in names}


def of_stage(stage: Stage, *fields: str) -> dict[str, Any]:
    """A stage, names of its fields -> "<name of the net>.<field>" -> value, as JSON holds it."""
    return {f"{stage.name}.{field}": plain(getattr(stage, field)) for field in fields}


def plain(value: Any) -> Any:
    """A value as JSON gives it back; layers as [type, numbers ...], so that two types with the same numbers differ."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return json.loads(json.dumps(value))


def differences(before: Depends, now: Depends) -> list[str]:
    """What a step depended on and depends on now -> what differs, a phrase each: "POSITIVE_IOU was 0.65, is 0.9"."""
    phrases = []
    for group, values in now.items():
        recorded = before.get(group)
        phrases += _in_group(group, recorded, values) if isinstance(recorded, dict) else [f"{group} were not recorded"]
    return phrases


def _in_group(group: str, before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in [*now, *(name for name in before if name not in now)]:
        if name not in before:
            yield f"{name} was not recorded" if group == "settings" else f"{name} is new"
        elif name not in now:
            yield f"{name} is no longer used"
        elif before[name] != now[name]:
            values = [json.dumps(each[name], ensure_ascii=False) for each in (before, now)]
            shown = group != "inputs" and max(map(len, values)) <= SHOWN      # of an input there are digests
            yield f"{name} was {values[0]}, is {values[1]}" if shown else f"{name} has changed"


def summary(phrases: list[str]) -> str:
    """Phrases -> one of up to three of them, and how many more there are."""
    more = len(phrases) - 3
    return ", ".join(phrases[:3]) + (f" and {more} more" if more > 0 else "")
