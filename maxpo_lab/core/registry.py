"""One registry for all that goes by a name: near misses, collisions, and parameters ``name:key=value``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_KINDS = {int: "a whole number", float: "a number"}


class Registry(Generic[T]):
    """Things by name, in the order of their registration.

    ``registry[name]`` is a thing; iteration gives the names. A family is a function that makes more of them:
    ``name:key=value,key=value`` calls it with those of its parameters, and ``name:text`` with the text as it
    stands where its parameter has no default. One object a thing, however its parameters are spelled.

    Parameters
    ----------
    kind
        What messages call a thing: ``"estimator"``.
    things, families
        The first entries. A family whose parameters all have defaults shares its name with the thing that
        these make.
    absent
        What messages say of a name that there is not.

    Raises
    ------
    TypeError
        A name that is not a string, asked for or registered.
    ValueError
        No thing of this name (the message gives the nearest ones, or all); a parameter that is not one of its
        family's, given twice or not a number; a name that is taken.
    """

    def __init__(
        self,
        kind: str,
        things: Mapping[str, T] | Iterable[tuple[str, T]] = (),
        *,
        families: Mapping[str, Callable[..., T]] | None = None,
        absent: str = "does not exist",
    ) -> None:
        self.kind, self.absent = kind, absent
        self._families = dict(families or {})
        self._defaults = {name: _defaults(make) for name, make in self._families.items()}
        self._things: dict[str, T] = {}
        self._made: dict[Any, T] = {}  # by the name that was asked for, and by family and values
        for name, thing in things.items() if isinstance(things, Mapping) else things:
            self.register(name, thing)

    def register(self, name: str, thing: T) -> T:
        """Give a thing a name, and return it."""
        self._check_type(name)
        if name in self._things:
            raise ValueError(f"{self.kind} {name!r} is registered already: choose another name")
        self._things[name] = thing
        return thing

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __getitem__(self, name: str) -> T:
        return self.find(name, self)

    def find(self, name: str, offered: Iterable[str]) -> T:
        """``registry[name]``, for one who takes only some: a message on an unknown name offers these."""
        self._check_type(name)
        for found in (self._things, self._made):
            if name in found:
                return found[name]
        family, colon, text = self._split(name)
        if colon and family in self._families:
            return self._made.setdefault(name, self._member(name, family, text))
        if family in self._things:
            raise ValueError(
                f"{self.kind} {name!r}: {family} takes no parameters; those that do: {self._takers()}"
            )
        raise ValueError(f"{self.kind} {name!r} {self.absent}; {hint(family, offered)}")

    def parameters(self, name: str) -> dict[str, Any]:
        """Parameters of a thing by key: a family's defaults, or its own where ``name`` spells some."""
        family, colon, text = self._split(name)
        defaults = self._defaults.get(family, {})
        if not (colon and defaults):
            return dict(defaults)
        return defaults | keywords(f"{self.kind} {name!r}", defaults, text)

    def _split(self, name: str) -> tuple[str, str, str]:
        """Family, colon and text. A name may have a colon of its own: ``trl:dapo``, ``trl:dapo:beta=0.1``."""
        for known in (self._families, self._things):
            before, colon, text = name.rpartition(":")
            while colon:
                if before in known:
                    return before, colon, name[len(before) + 1 :]
                before, colon, _ = before.rpartition(":")
        before, _, text = name.rpartition(":")
        if any(":" in each for each in self._things):
            return (before if "=" in text else name), "", ""
        return name.partition(":")

    def _member(self, name: str, family: str, text: str) -> T:
        make, given = self._families[family], self.parameters(name)
        if given and given == self._defaults[family] and family in self._things:
            return self._things[family]
        values = tuple(given.values()) or (text,)
        if (family, *values) not in self._made:
            self._made[family, *values] = make(**given) if given else make(text)
        return self._made[family, *values]

    def _takers(self) -> str:
        """Families, with the parameter of those that take a text."""
        wholes = (next(iter(inspect.signature(make).parameters)) for make in self._families.values())
        pairs = zip(self._defaults.items(), wholes, strict=True)
        return ", ".join(name if keys else f"{name}:<{whole}>" for (name, keys), whole in pairs) or "none"

    def _check_type(self, name: object) -> None:
        if not isinstance(name, str):
            raise TypeError(
                f"{self.kind}={name!r} is a {type(name).__name__}: it must be a name, one of "
                f"{', '.join(self)}"
            )


def keywords(what: str, defaults: Mapping[str, Any], text: str) -> dict[str, Any]:
    """``"eps=1e-4,ddof=0"`` as keyword arguments of the types of the defaults; ValueError names ``what``."""
    found: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in defaults or key in found:
            accepted = ",".join(
                f"{key}={default}" if isinstance(default, str) else f"{key}={default:g}"
                for key, default in defaults.items()
            )
            raise ValueError(f"{what}: {part!r} is not one of its parameters, once; e.g. {accepted}")
        kind = type(defaults[key])
        try:
            found[key] = kind(value)
        except ValueError:
            raise ValueError(f"{what}: {key}={value!r} is not {_KINDS[kind]}") from None
    return found


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a message on a name that there is not: the nearest names, or all where none is near."""
    known = list(known)
    near = get_close_matches(name.lower(), known, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"


def _defaults(make: Callable[..., Any]) -> dict[str, Any]:
    """A function's parameters and their defaults; none of them where one has none."""
    found = inspect.signature(make).parameters
    whole = any(each.default is each.empty for each in found.values())
    return {} if whole else {key: each.default for key, each in found.items()}
