"""What ships, under which names, and what `import mixspec` costs."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

import mixspec

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SHIPPED = ("cli", "compiler", "specs", "zoo")
HEAVY = ("torch", "torchvision", "timm", "pydantic", "yaml", "numpy", "rich", "typer")


def python(*arguments: str, cwd: Path) -> str:
    """Standard output of this interpreter, run elsewhere."""
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def type_checked_imports() -> dict[str, str]:
    """Name -> relative module, from the imports that only type checkers see."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    return {alias.name: f".{node.module}" for node in imports for alias in node.names}


def test_every_folder_with_python_has_an_init() -> None:
    folders = {path.parent for top in SHIPPED for path in (ROOT / top).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_package_imports_itself_relatively() -> None:
    absolute = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for top in SHIPPED
        for path in (ROOT / top).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in imported_names(node)
        if name.split(".")[0] in ("mixspec", *SHIPPED)
    ]
    assert absolute == []


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_import_is_light(tmp_path: Path) -> None:
    loaded = python("-c", f"import mixspec, sys; print([m for m in {HEAVY} if m in sys.modules])", cwd=tmp_path)
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("name, home", mixspec._HOMES.items())
def test_public_name_is_defined_at_home(name: str, home: str) -> None:
    base = ROOT.joinpath(*home.split("."))
    file = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"
    assert name in defined_names(ast.parse(file.read_text(encoding="utf-8")))
    assert name in dir(mixspec)


def defined_names(module: ast.Module) -> set[str]:
    imports = [alias for node in module.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return {getattr(node, "name", "") for node in module.body} | {alias.asname or alias.name for alias in imports}


def test_type_checkers_see_the_same_names() -> None:
    assert type_checked_imports() == mixspec._HOMES


def test_unknown_public_name() -> None:
    with pytest.raises(AttributeError, match="module 'mixspec' has no attribute 'biuld'"):
        mixspec.biuld  # noqa: B018


def test_changelog_names_the_version() -> None:
    assert f"\n## {mixspec.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_constraints_are_exact_and_name_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    project = PROJECT["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    wanted = [name for name in [*project["dependencies"], *extras] if not name.startswith("mixspec[")]
    assert {re.split(r"[<>=]", name)[0].lower().replace("_", "-") for name in wanted} - pinned == set()


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist of a copy of this tree, and the wheel built from that sdist."""
    tree, out = (tmp_path_factory.mktemp(name) for name in ("tree", "dist"))
    unwanted = ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "*.egg-info", "build", "dist", "runs")
    copytree(ROOT, tree, ignore=unwanted, dirs_exist_ok=True)
    python("-m", "build", "--no-isolation", "--outdir", str(out), str(tree), cwd=out)
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.mark.slow
def test_sdist_builds_and_tests(distribution: tuple[Path, Path]) -> None:
    with tarfile.open(distribution[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = {"pyproject.toml", "constraints.txt", "Makefile", "LICENSE", "py.typed", ".ci/run"}
    files |= {"__init__.py", "__main__.py"}
    folders = [*SHIPPED, "tests", "model_cards", "docs", "benchmarks"]
    files |= {str(path.relative_to(ROOT)) for top in folders for path in (ROOT / top).rglob("*") if path.is_file()}
    assert sorted(name for name in files - names if not name.endswith(".pyc")) == []


@pytest.mark.slow
def test_wheel_holds_the_package_and_nothing_else(distribution: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distribution[1]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    code = {path for top in SHIPPED for path in (ROOT / top).rglob("*.py")}
    data = {
        path
        for pattern in ("specs/**/*.yaml", "zoo/entries/*.yaml", "zoo/weights/*", "compiler/**/*.cpp")
        for path in ROOT.glob(pattern)
    }
    wanted = {f"mixspec/{path.relative_to(ROOT)}" for path in code | data if path.is_file()}
    assert sorted(names) == sorted(wanted | {"mixspec/__init__.py", "mixspec/__main__.py", "mixspec/py.typed"})


@pytest.mark.slow
def test_wheel_works_in_an_empty_environment(distribution: tuple[Path, Path], tmp_path: Path) -> None:
    """The dependencies are lent through a path file; `mixspec` itself can only come from the wheel."""
    python("-m", "venv", "--without-pip", "env", cwd=tmp_path)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip = ("-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps", "--no-index")
    python(*pip, str(distribution[1]), cwd=tmp_path)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([scripts / "python", "-c", where], text=True).strip())
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")

    program = "import mixspec; print(mixspec.__file__); [getattr(mixspec, name) for name in dir(mixspec)]"
    shown = subprocess.check_output([scripts / "python", "-c", program], text=True, cwd=tmp_path)
    assert Path(shown.strip()) == site / "mixspec" / "__init__.py"
    subprocess.check_call([scripts / "mixspec", "lint", str(site / "mixspec" / "specs")], cwd=tmp_path)
    counted = subprocess.check_output(
        [scripts / "mixspec", "count", "digits_cadasp", "--json"], text=True, cwd=tmp_path
    )
    assert '"params": 58284' in counted
