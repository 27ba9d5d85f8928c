"""Counts of work: what a machine's speed cannot change, so that a regression shows on any machine, at once."""

from __future__ import annotations

import ast
import gc
import importlib.util
import operator
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

_WIDE = 64  # bits; a shorter int costs as much as any other small object

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
}


class WideInts:
    """How often the operators of some modules made or read an int of more than 64 bits, and how many bits in all.

    The modules run as they are written, but each of these operators, and `|` and `&` given to a function by name,
    is a call that counts.
    """

    def __init__(self) -> None:
        self.operations = 0
        self.bits = 0

    def load(self, *names: str) -> list[ModuleType]:
        """Counting copies of the modules, which import each other; the real ones stay as they are."""
        kept = {name: sys.modules.pop(name, None) for name in names}
        try:
            return [self._load(name) for name in names]
        finally:
            for name, module in kept.items():
                if module is None:
                    sys.modules.pop(name, None)
                else:
                    sys.modules[name] = module

    def reset(self) -> None:
        self.operations = self.bits = 0

    def _load(self, name: str) -> ModuleType:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        tree = _Counting().visit(ast.parse(Path(spec.origin).read_text(encoding="utf-8"), spec.origin))
        vars(module).update({_name(kind): self._counted(real) for kind, real in _BINARY.items()})
        exec(compile(ast.fix_missing_locations(tree), spec.origin, "exec"), vars(module))  # noqa: S102 - our own source
        for real in (operator.or_, operator.and_):  # as an argument of reduce
            for given in [key for key, value in vars(module).items() if value is real]:
                setattr(module, given, self._counted(real))
        return module

    def _counted(self, real: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def counted(one: Any, other: Any) -> Any:
            made = real(one, other)
            if type(made) is int and type(one) is int:
                width = max(one.bit_length(), made.bit_length())
                if width > _WIDE:
                    self.operations += 1
                    self.bits += width
            return made

        return counted


def _name(kind: type[ast.operator]) -> str:
    return f"_counted_{kind.__name__}"


class _Counting(ast.NodeTransformer):
    """`a | b` → `_counted_BitOr(a, b)`, also where it assigns."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return self._call(node.op, node.left, node.right) or node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        call = self._call(node.op, read, node.value)
        return ast.Assign(targets=[node.target], value=call) if call else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.value = self.visit(node.value) if node.value else None  # `X | None` in an annotation is no work
        return node

    def _call(self, op: ast.operator, left: ast.expr, right: ast.expr) -> ast.Call | None:
        if type(op) not in _BINARY:
            return None
        return ast.Call(func=ast.Name(id=_name(type(op)), ctx=ast.Load()), args=[left, right], keywords=[])


class Calls:
    """How often functions were called: all of them, those written in C too, and single ones by their code."""

    def __init__(self) -> None:
        self.python = 0
        self.c = 0
        self._by_code: Counter[CodeType] = Counter()

    @property
    def total(self) -> int:
        return self.python + self.c

    def of(self, function: Any) -> int:
        """Calls of one function written in Python; `__init__` stands for a class."""
        return self._by_code[function.__code__]

    def note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.python += 1
            self._by_code[frame.f_code] += 1
        elif event == "c_call":
            self.c += 1


@contextmanager
def counting_calls() -> Iterator[Calls]:
    """In this thread, until the block ends."""
    calls, before = Calls(), sys.getprofile()
    sys.setprofile(calls.note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def blocks_kept(make: Callable[[], object]) -> int:
    """How many blocks of memory what `make` returns holds on to: its objects, but for those that were there before."""
    make()  # what is remembered from call to call is not counted
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        made = make()
        kept = sys.getallocatedblocks() - before
        del made
    finally:
        gc.enable()
    return kept


def median_of(counts: Sequence[int]) -> int:
    return sorted(counts)[len(counts) // 2]
