"""Follows the code of a script from function to function: which values of config.py can it read?

No code runs. A function, class or assignment of a module is one piece; a piece reads what its text names, and so do the
pieces that it names, in its own module or in others of the project. A class counts as a whole. What a module does on
import besides (checks, paths) is not followed, except for the block under `if __name__ == "__main__"` of the script.
"""
import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _file(module):
    """Dotted name -> file of that module of the project, or None."""
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imported(nodes):
    """Statements -> local name -> (module, None), or (module, name in it), of the project's imports."""
    names = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _file(alias.name) and (alias.asname or "." not in alias.name):
                    names[alias.asname or alias.name] = alias.name, None
        elif isinstance(node, ast.ImportFrom) and node.module and _file(node.module):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names[alias.asname or alias.name] = (whole, None) if _file(whole) else (node.module, alias.name)
    return names


@cache
def _module(name):
    """Dotted name -> (its imports, {name: piece})."""
    body = ast.parse(_file(name).read_text(encoding="utf-8")).body
    pieces = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            pieces[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            for target in ast.walk(node):
                if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                    pieces[target.id] = node
        elif isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            pieces["__main__"] = node
    return _imported(body), pieces


@cache
def _named_by(module, name):
    """A piece -> the (module, name) that its text names, and its attributes and strings."""
    imports, pieces = _module(module)
    node = pieces[name]
    imports = {**imports, **_imported(ast.walk(node))}
    named, words = set(), set()
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute):
            words.add(part.attr)
            if isinstance(part.value, ast.Name) and part.value.id in imports:
                inside, attribute = imports[part.value.id]
                if attribute is None:
                    named.add((inside, part.attr))
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            words.add(part.value)
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            if part.id in imports and imports[part.id][1]:
                named.add(imports[part.id])
            elif part.id in pieces:
                named.add((module, part.id))
    return named, words


@cache
def reads(script, skipped=frozenset()):
    """Path of a script -> names of config.py that it can read, attributes and strings in the code that it can reach.

    skipped: pieces (module, name) that are not followed.
    """
    module = script.removesuffix(".py").replace("/", ".")
    waiting, seen, constants, words = [(module, "main"), (module, "__main__")], set(skipped), set(), set()
    while waiting:
        piece = waiting.pop()
        if piece in seen:
            continue
        seen.add(piece)
        inside, name = piece
        if inside == "config":
            constants.add(name)
            continue
        imports, pieces = _module(inside)
        if name in pieces:
            named, said = _named_by(inside, name)
            words |= said
            waiting += named
        elif name in imports and imports[name][1]:      # a name that the module passes on
            waiting.append(imports[name])
    return constants, words
