"""What a Dockerfile takes from its context: pure, as far as it decides which files an image is made from.

Only what those need that build images here: FROM … AS, COPY and ADD with plain sources, line continuations, comments.
Source: docs.docker.com/reference/dockerfile.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows it."""

    name: str
    base: str
    sources: tuple[str, ...] = ()
    """Paths or patterns, relative to the context."""
    copies_from: tuple[str, ...] = ()


def stages(text: str) -> tuple[Stage, ...]:
    """The stages of a Dockerfile, in order; one without a name is named by its number, as COPY --from names it."""
    found: list[Stage] = []
    for word, rest in _instructions(text):
        if word == "FROM":
            words = [w for w in rest.split() if not w.startswith("--")]
            found.append(Stage(words[2] if len(words) > 2 else str(len(found)), words[0]))
        elif word in ("COPY", "ADD") and found:
            flags, paths = _operands(rest)
            other = next((f.removeprefix("--from=") for f in flags if f.startswith("--from=")), None)
            last = found[-1]
            found[-1] = (
                replace(last, copies_from=(*last.copies_from, other)) if other else replace(last, sources=(*last.sources, *paths[:-1]))
            )
    return tuple(found)


def needed(all_stages: tuple[Stage, ...], target: str | None) -> tuple[Stage, ...]:
    """The stages that a target is built from, itself among them; without a target the last stage is it. Raises KeyError for an unknown one."""
    by_name = {s.name: s for s in all_stages}
    waiting = [target or all_stages[-1].name]
    reached: dict[str, Stage] = {}
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        stage = reached[name] = by_name[name]
        waiting += [n for n in (stage.base, *stage.copies_from) if n in by_name]
    return tuple(s for s in all_stages if s.name in reached)


def bases(chosen: tuple[Stage, ...]) -> tuple[str, ...]:
    """The images from elsewhere that stages start from or copy out of."""
    names = {s.name for s in chosen}
    asked = (n for s in chosen for n in (s.base, *s.copies_from))
    return tuple(sorted({n for n in asked if n not in names and n != "scratch"}))


def inputs(chosen: tuple[Stage, ...], context: Path) -> tuple[Path, ...]:
    """The files of the context that stages copy, relative to it, sorted; bytecode caches and .git are never among them."""
    found: set[Path] = set()
    for source in (p for s in chosen for p in s.sources):
        matched = list(context.glob(source.strip("/"))) if source.strip("/") not in ("", ".") else [context]
        for path in matched:
            files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            found.update(p.relative_to(context) for p in files)
    return tuple(sorted(p for p in found if not {"__pycache__", ".git"} & set(p.parts)))


def _operands(rest: str) -> tuple[list[str], list[str]]:
    words = shlex.split(rest)
    return [w for w in words if w.startswith("--")], [w for w in words if not w.startswith("--")]


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not re.match(r"\s*#", line)]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest
