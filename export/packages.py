"""Python packages that only some export formats need: imported where they are used, with a plain error."""
import importlib
import importlib.util
from types import ModuleType

from detection.errors import UserError

REQUIREMENTS = "requirements-export.txt"


def optional(package: str, purpose: str) -> ModuleType:
    """The imported package; UserError where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise _missing((error.name or package).partition(".")[0], purpose) from None     # or one that it needs itself


def require(package: str, purpose: str) -> None:
    """UserError where the package is not installed."""
    if not installed(package):
        raise _missing(package, purpose)


def installed(package: str) -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec(package) is not None


def _missing(package: str, purpose: str) -> UserError:
    return UserError(f"{purpose} needs the Python package {package}, which is not installed; "
                     f"`pip install -r {REQUIREMENTS}` brings it")
