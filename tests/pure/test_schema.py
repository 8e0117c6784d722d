"""The JSON Schema accepts what the compiler accepts, and refuses misspelt keys."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mixspec.compiler import document
from mixspec.compiler.catalogue import FOLDER, find, names
from mixspec.compiler.families import registry as families
from mixspec.compiler.mixers import registry as mixers
from mixspec.compiler.schema import DIALECT, recipe_schema, schema

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "docs" / "spec.schema.json"
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
SIZES = {"minimum": lambda x, n: x >= n, "maximum": lambda x, n: x <= n, "exclusiveMinimum": lambda x, n: x > n}
SIZES |= {"exclusiveMaximum": lambda x, n: x < n}
LENGTHS = {"minItems": lambda x, n: len(x) >= n, "maxItems": lambda x, n: len(x) <= n}
KNOWN = {"$ref", "$defs", "$schema", "title", "description", "default", "type", "const", "enum", "anyOf", "allOf", "if"}
KNOWN |= {"then", "properties", "required", "additionalProperties", "patternProperties", "items", "prefixItems"}
KNOWN |= {"pattern", "examples", *SIZES, *LENGTHS}


def valid(value: Any, rule: dict[str, Any], root: dict[str, Any]) -> bool:
    """JSON Schema as far as ours goes. A keyword unknown here fails, so that none goes unchecked."""
    assert set(rule) <= KNOWN, set(rule) - KNOWN
    if "$ref" in rule and not valid(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root):
        return False
    if "if" in rule and valid(value, rule["if"], root) and not valid(value, rule["then"], root):
        return False
    return (
        of_type(value, rule.get("type"))
        and ("const" not in rule or value == rule["const"])
        and ("enum" not in rule or value in rule["enum"])
        and ("anyOf" not in rule or any(valid(value, part, root) for part in rule["anyOf"]))
        and all(valid(value, part, root) for part in rule.get("allOf", ()))
        and inside(value, rule)
        and members(value, rule, root)
    )


def of_type(value: Any, kind: str | None) -> bool:
    if kind is None:
        return True
    if kind == "null":
        return value is None
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def inside(value: Any, rule: dict[str, Any]) -> bool:
    if isinstance(value, str):
        return re.search(rule.get("pattern", ""), value) is not None
    checks = LENGTHS if isinstance(value, list) else SIZES if isinstance(value, int | float) else {}
    return all(check(value, rule[key]) for key, check in checks.items() if key in rule)


def members(value: Any, rule: dict[str, Any], root: dict[str, Any]) -> bool:
    if isinstance(value, list):
        first = rule.get("prefixItems", [])
        rest = value[len(first) :] if "items" in rule else []
        pairs = [*zip(value, first, strict=False), *((item, rule["items"]) for item in rest)]
        return all(valid(item, part, root) for item, part in pairs)
    if not isinstance(value, dict):
        return True
    own, patterns = rule.get("properties", {}), rule.get("patternProperties", {})
    for key, item in value.items():
        parts = [own[key]] if key in own else [part for pattern, part in patterns.items() if re.search(pattern, key)]
        if not parts and rule.get("additionalProperties") is False:
            return False
        if not all(valid(item, part, root) for part in parts):
            return False
    return set(rule.get("required", ())) <= set(value)


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return schema()


family_schema = cache(schema)


def accepts(whole: dict[str, Any], **spec: Any) -> bool:
    return valid({"name": "x", "family": "metaformer", "size": "s12", **spec}, whole, whole)


@pytest.mark.parametrize("name", names())
def test_every_shipped_spec_is_valid(name: str, whole: dict[str, Any]) -> None:
    data = document.read(find(name)).data
    assert isinstance(data, dict)
    assert valid(data, whole, whole)
    own = family_schema(data["family"])
    assert valid(data, own, own)


def test_the_schema_in_the_repository_judges_every_spec_with_an_independent_validator() -> None:
    """That it is current, test_docs says."""
    validator = jsonschema.Draft202012Validator(json.loads(REPOSITORY.read_text(encoding="utf-8")))
    validator.check_schema(validator.schema)
    wrong = {name: error.message for name in names() for error in validator.iter_errors(document.read(find(name)).data)}
    assert wrong == {}
    assert not validator.is_valid({"name": "x", "family": "metaformer", "size": "s12", "mixers": "SepCnov"})
    assert not validator.is_valid({"name": "x", "family": "metaformer", "size": "s12", "mixers": "SepConv in stages"})


FORMS = [
    {"type": "cadaSP", "base_kernels": 8},
    [{"type": "sepconv"}, "SEPCONV k=3", "Hpx", "attention"],
    "SepConv",
    "sepconv k=(3,5,7,9) r=2",
    "SEPCONV kernel=3 ratio=2",
    "SepConv in stages 1–2, attention Ch=32 in stages 3 to 4",
    "SepConv in stages 1, 2 and 3, attention in stage 4",
    ["SepConv", "SepConv k=3", {"type": "SepConv", "kernel": 3}, "attention"],
    {"1-2": "SepConv", "3 to 4": {"type": "attention", "Ch": 16}},
    {"type": "SepConv", "k": 7},
    {"type": "SepConv", "k": [3, 5, 7, 9]},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_of_mixers_is_valid(form: Any, whole: dict[str, Any]) -> None:
    assert accepts(whole, mixers=form)


WRONG = [
    {"mixers": "SepConf"},
    {"mixers": "SepConv kk=3"},
    {"mixers": "SepConv K=3"},
    {"mixers": "SepConv k=3, attention k=3 in stage 4"},
    {"mixers": "SepConv k=3,"},
    {"mixers": "SepConv", "mlp": "MLP kk=3"},
    {"mixers": "SepConv in stages"},
    {"mixers": {"type": "SepConv", "kk": 7}},
    {"mixers": {"type": "SepConv", "k": 0}},
    {"mixers": {"type": "SepConv", "k": "7"}},
    {"mixers": {"first": "SepConv"}},
    {"mixers": 7},
    {"mixers": "SepConv", "siez": "s12"},
    {"mixers": "SepConv", "size": "s13"},
    {"mixers": "SepConv", "image": 4},
    {"mixers": "SepConv", "image": [224, 224, 224]},
    {"mixers": "SepConv", "published": [{"sorce": "a paper"}]},
    {"mixers": "SepConv", "family": "metformer"},
    {"mixers": "SepConv", "name": "Upper Case"},
    {"size": "s12"},
]


@pytest.mark.parametrize("keys", WRONG, ids=str)
def test_mistakes_are_refused(keys: dict[str, Any], whole: dict[str, Any]) -> None:
    assert accepts(whole, mixers="SepConv")
    assert not accepts(whole, **keys)


def test_dialect_and_descriptions(whole: dict[str, Any]) -> None:
    assert whole["$schema"] == DIALECT
    for name in families:
        fields = whole["$defs"][name]["properties"]
        bare = [key for key, field in fields.items() if not field.get("description") and "$ref" not in field]
        assert bare == [], f"{name} has fields without a description"


def test_both_names_of_a_field_are_known() -> None:
    fields = schema("metaformer")["properties"]
    assert fields["stem"] == fields["stem_kind"]


def test_a_schema_is_small_and_refers_only_to_what_it_holds(whole: dict[str, Any]) -> None:
    text = json.dumps(whole)
    assert len(text) < 8000 * (len(mixers) + len(families)), "repeated parts belong under $defs"
    references = set(re.findall(r'"\$ref": "#/\$defs/([^"]*)"', text))
    assert references and references <= set(whole["$defs"])


def test_unknown_family() -> None:
    with pytest.raises(KeyError):
        schema("metformer")


def checked(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What the command check-jsonschema says about a file; it needs no network for schemas that it has or is given."""
    command = [str(Path(sys.executable).with_name("check-jsonschema")), *options, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["spec", "recipe"])
def test_the_command_check_jsonschema_judges_alike(kind: str, tmp_path: Path) -> None:
    """It matches patterns with ECMAScript's regular expressions, as editors do."""
    good = {
        "spec": "name: a\nfamily: metaformer\nsize: s12\nmixers: sepconv kernel=3 in stages 1–2, attention Ch=32\n",
        "recipe": "name: a\nepochs: 3\nbatch_size: 64\nlr: 1.0e-3\nopt: adamw\n",
    }[kind]
    schema = ("--schemafile", str(REPOSITORY.with_name(f"{kind}.schema.json")))
    file = tmp_path / "a.yaml"
    file.write_text(good, encoding="utf-8")
    done = checked(file, *schema)
    assert done.returncode == 0, done.stdout
    file.write_text(good.replace("kernel=3", "kernell=3").replace("adamw", "adamww"), encoding="utf-8")
    assert checked(file, *schema).returncode == 1


@pytest.mark.parametrize("file", sorted((FOLDER / "recipes").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_recipe_is_valid(file: Path) -> None:
    validator = jsonschema.Draft202012Validator(recipe_schema())
    data = document.read(file).data
    assert not [error.message for error in validator.iter_errors(data)]
    assert isinstance(data, dict)
    assert not validator.is_valid({**data, "wieght_decay": 0.1})
    assert not validator.is_valid({key: value for key, value in data.items() if key not in ("lr", "lr_base")})


@pytest.mark.parametrize(
    ("file", "builtin"),
    [("action.yml", "vendor.github-actions"), (".github/workflows/ci.yml", "vendor.github-workflows")],
)
def test_our_files_for_github_are_what_github_reads(file: str, builtin: str, tmp_path: Path) -> None:
    done = checked(ROOT / file, "--builtin-schema", builtin)
    assert done.returncode == 0, done.stdout
    spoilt = tmp_path / "spoilt.yml"
    spoilt.write_text((ROOT / file).read_text("utf-8").replace("runs", "rusn"), "utf-8")
    assert checked(spoilt, "--builtin-schema", builtin).returncode == 1
