"""Counts of work: what a machine's speed cannot change, so that a regression shows on any machine, at once."""

from __future__ import annotations

import ast
import gc
import importlib.util
import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

_WIDE = 64  # bits; a shorter int costs as much as any other small object

_OPERATORS: dict[type[ast.operator], tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    ast.BitOr: (operator.or_, operator.ior),
    ast.BitAnd: (operator.and_, operator.iand),
    ast.BitXor: (operator.xor, operator.ixor),
    ast.LShift: (operator.lshift, operator.ilshift),
    ast.RShift: (operator.rshift, operator.irshift),
    ast.Add: (operator.add, operator.iadd),
    ast.Sub: (operator.sub, operator.isub),
}


class WideInts:
    """How often the operators of some modules made or read an int of more than 64 bits, and how many bits in all.

    The modules run as they are written, but each of these operators, and `|`, `&` and `^` given to a function by
    name, is a call that counts.
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
        for kind, (plain, in_place) in _OPERATORS.items():
            setattr(module, _name(kind), self._counted(plain))
            setattr(module, _name(kind, in_place=True), self._counted(in_place))
        exec(compile(ast.fix_missing_locations(tree), spec.origin, "exec"), vars(module))  # noqa: S102 - our own source
        for real in (operator.or_, operator.and_, operator.xor):  # as an argument of map or reduce
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


def _name(kind: type[ast.operator], *, in_place: bool = False) -> str:
    return f"_counted_{'in_place_' * in_place}{kind.__name__}"


class _Counting(ast.NodeTransformer):
    """`a | b` → `_counted_BitOr(a, b)`, also where it assigns."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return self._call(node.op, node.left, node.right) or node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        call = self._call(node.op, read, node.value, in_place=True)
        return ast.Assign(targets=[node.target], value=call) if call else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.value = self.visit(node.value) if node.value else None  # `X | None` in an annotation is no work
        return node

    def _call(self, op: ast.operator, left: ast.expr, right: ast.expr, *, in_place: bool = False) -> ast.Call | None:
        if type(op) not in _OPERATORS:
            return None
        return ast.Call(
            func=ast.Name(id=_name(type(op), in_place=in_place), ctx=ast.Load()), args=[left, right], keywords=[]
        )


class Calls:
    """How often functions were called, those written in Python and those in C; not what C calls in its turn."""

    def __init__(self) -> None:
        self.python = 0
        self.c = 0

    @property
    def total(self) -> int:
        return self.python + self.c

    def note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.python += 1
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


@contextmanager
def counting_made(module: ModuleType, name: str) -> Iterator[list[object]]:
    """What a module makes by calling one of its classes; of a copy of the module, since its class is exchanged."""
    real, made = vars(module)[name], list[object]()

    def make(*given: Any, **named: Any) -> Any:
        made.append(real(*given, **named))
        return made[-1]

    setattr(module, name, make)
    try:
        yield made
    finally:
        setattr(module, name, real)


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
