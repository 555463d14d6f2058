"""The tensor operations of one call, written down below autograd, so that they can be done again without it.

PyTorch shows every operation to a dispatch mode after autograd has seen it: those of the function and those of its
derivative alike. Done again in that order they give value and gradient with no graph to build and none to walk back.
What does not come from the argument is a constant and is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class NotRecordableError(Exception):
    """What came from the argument was written into a tensor that did not."""


class _Place(NamedTuple):
    """A tensor that was made on the way, by its number."""

    number: int


_Step = tuple[Any, Any, Any, Any]
"""An operation, its arguments, those by name, and the places of its results."""


class Tape(TorchDispatchMode):
    """Writes down what happens to a tensor while it is active.

    Args:
        x: The tensor that will be another one when the tape is played.

    Raises:
        NotRecordableError: At an operation that changes a constant.
    """

    def __init__(self, x: Tensor):
        super().__init__()
        self._made: dict[int, _Place] = {id(x): _Place(0)}
        self._alive = [x]  # a number stays a tensor's only as long as the tensor lives
        self._steps: list[_Step] = []

    def __len__(self) -> int:
        return len(self._steps)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do the operation and write it down."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        given = _each(self._known, (tuple(args), kwargs))
        if not _any_place(given):
            return out
        if func._schema.is_mutable and not isinstance(given[0][0], _Place):
            raise NotRecordableError(str(func))
        self._steps.append((func, *given, _each(self._new, out)))
        return out

    def _known(self, item: Any) -> Any:
        return self._made.get(id(item), item) if isinstance(item, Tensor) else item

    def _new(self, item: Any) -> Any:
        """Number of a result; an operation in place gives its argument, which has one."""
        if isinstance(item, Tensor) and id(item) not in self._made:
            self._made[id(item)] = _Place(len(self._alive))
            self._alive.append(item)
        return self._known(item)

    def player(self, *results: Tensor) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """The operations as a function of ``x``.

        Args:
            results: Tensors from while the tape was active.
        """
        wanted = tuple(self._known(r) for r in results)
        steps = _needed(self._steps, _numbers(wanted))

        last = _last_uses(steps, wanted)

        def play(x: Tensor) -> tuple[Tensor, ...]:
            made = {0: x}

            def value(item: Any) -> Any:
                return made[item.number] if isinstance(item, _Place) else item

            for (func, args, kwargs, places), done in zip(steps, last, strict=True):
                out = func(*_each(value, args), **_each(value, kwargs))
                for place, tensor in zip(_flat(places), _flat(out), strict=True):
                    if isinstance(place, _Place):
                        made[place.number] = tensor
                for number in done:
                    made.pop(number, None)
            return tuple(_each(value, wanted))

        return play


def _each(f: Callable[[Any], Any], items: Any) -> Any:
    """The same nest of tuples, lists and dictionaries with ``f`` of everything in it."""
    if isinstance(items, _Place):
        return f(items)
    if isinstance(items, tuple | list):
        return type(items)([_each(f, item) for item in items])
    if isinstance(items, dict):
        return {name: _each(f, item) for name, item in items.items()}
    return f(items)


def _any_place(items: Any) -> bool:
    if isinstance(items, dict):
        items = list(items.values())
    if isinstance(items, _Place) or not isinstance(items, tuple | list):
        return isinstance(items, _Place)
    return any(_any_place(item) for item in items)


def _needed(steps: Sequence[_Step], wanted: set[int]) -> list[_Step]:
    """Those that lead to what is wanted; a look at a value (``item``), which Python needed once, leads nowhere."""
    kept: list[_Step] = []
    for step in reversed(steps):
        func, args, kwargs, out = step
        if func._schema.is_mutable or wanted & _numbers(out):
            kept.append(step)
            wanted = wanted | _numbers((args, kwargs))
    return kept[::-1]


def _last_uses(steps: list[_Step], wanted: tuple[Any, ...]) -> list[set[int]]:
    """For every operation the tensors that nothing looks at afterwards, whose memory may be used again."""
    later, last = _numbers(wanted), []
    for _, args, kwargs, out in reversed(steps):
        here = _numbers((args, kwargs, out))
        last.append(here - later)
        later = later | here
    return last[::-1]


def _numbers(items: Any) -> set[int]:
    if isinstance(items, dict):
        items = list(items.values())
    if isinstance(items, _Place):
        return {items.number}
    return set().union(*map(_numbers, items)) if isinstance(items, tuple | list) else set()


def _flat(items: Any) -> list[Any]:
    """Results of an operation: one, or several in a tuple or list."""
    return list(items) if isinstance(items, tuple | list) and not isinstance(items, _Place) else [items]
