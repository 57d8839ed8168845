"""Whether `main.tf` gives its blocks the arguments that the provider of AWS knows.

`terraform validate` asks the provider itself, which no registry of packages has. Pulumi's library
for Python is made from the provider's schema, and has its names: each argument, its type, and
whether it may be left out. Its sources are read in the wheel; nothing of it is installed or run.
"""

import ast
import re
import zipfile

import hcl2

from .reading import Wrong
from .terraform import OPTIONS

# Where each kind of block is in the library.
RESOURCES = {
    "aws_cloudwatch_metric_alarm": ("cloudwatch/metric_alarm", "MetricAlarm"),
    "aws_dynamodb_table": ("dynamodb/table", "Table"),
    "aws_iam_policy": ("iam/policy", "Policy"),
    "aws_iam_role": ("iam/role", "Role"),
    "aws_iam_role_policy": ("iam/role_policy", "RolePolicy"),
    "aws_iam_role_policy_attachment": ("iam/role_policy_attachment", "RolePolicyAttachment"),
    "aws_pipes_pipe": ("pipes/pipe", "Pipe"),
    "aws_sns_topic": ("sns/topic", "Topic"),
}
DATA = {
    "aws_caller_identity": ("get_caller_identity", "get_caller_identity"),
    "aws_iam_policy_document": ("iam/get_policy_document", "get_policy_document"),
    "aws_partition": ("get_partition", "get_partition"),
}

# What Pulumi calls otherwise.
RENAMED = {"aws_cloudwatch_metric_alarm.circuits.alarm_name": "name"}

# Terraform's own, which every block has.
OF_TERRAFORM = {"count", "for_each", "depends_on"}
LITERALS = {"bool": bool, "int": int, "float": (int, float), "str": str}
REFERENCE = re.compile(r"\b(data\.)?(aws_\w+)\.\w+(?:\[\w+\])?\.(\w+)")


class Library:
    """The library's sources, each parsed once."""

    def __init__(self, wheel):
        self.archive = zipfile.ZipFile(wheel)
        self.parsed = {}

    def arguments(self, path, name):
        """The arguments of a class or a function: their types, and whether one may be left out."""
        if path not in self.parsed:
            source = self.archive.read(f"pulumi_aws/{path}.py").decode()
            self.parsed[path] = {
                each.name: each for each in ast.parse(source).body if hasattr(each, "name")
            }
        found = self.parsed[path].get(name)
        if isinstance(found, ast.ClassDef):
            found = next(each for each in found.body if getattr(each, "name", "") == "__init__")
        if found is None:
            raise Wrong(f"the library has no {name} in {path}")
        named = {each.arg: each.annotation for each in [*found.args.args, *found.args.kwonlyargs]}
        types = {name: ast.unparse(kind) if kind else "" for name, kind in named.items()}
        for of_python in ("__self__", "opts"):
            types.pop(of_python, None)
        return {name: (kind, "Optional" in kind) for name, kind in types.items()}


def plurals(name):
    """What Pulumi calls a block that may come more than once."""
    return [name, f"{name}s", re.sub("y$", "ies", name)]


def faults(text, wheel):
    """The arguments in the file that the provider does not know, or misses."""
    library, module = Library(wheel), hcl2.loads(text, serialization_options=OPTIONS)
    for group, kinds in (("resource", RESOURCES), ("data", DATA)):
        for block in module[group]:
            for kind, labelled in block.items():
                if kind not in kinds:
                    yield f"provider: nothing checks {group} {kind}"
                    continue
                path, name = kinds[kind]
                known = library.arguments(path, name if group == "data" else f"{name}Args")
                for label, of in labelled.items():
                    yield from block_faults(library, path, f"{kind}.{label}", of, known)
    yield from reference_faults(text, library)


def expanded(of):
    """The block as it is once Terraform has made the blocks that it computes."""
    of = {name: value for name, value in of.items() if name not in OF_TERRAFORM}
    for generated in of.pop("dynamic", []):
        of.update({name: block["content"] for name, block in generated.items()})
    return of


def block_faults(library, path, place, of, known):
    of = expanded(of)
    for name, value in of.items():
        names = [RENAMED.get(f"{place}.{name}"), *plurals(name)]
        found = next((each for each in names if each in known), None)
        if found:
            yield from value_faults(library, path, f"{place}.{name}", value, known[found][0])
        else:
            yield f"provider: {place} has {name}, which is no argument of it"
    for name, (_, is_optional) in known.items():
        if not is_optional and not any(name in plurals(each) for each in of):
            yield f"provider: {place} has no {name}"


def value_faults(library, path, place, value, kind):
    is_block = isinstance(value, list) and all(isinstance(each, dict) for each in value)
    # What may be a text as well is the JSON of a policy.
    nested = None if "_builtins.str" in kind else re.search(r"'(\w+Args)'", kind)
    if bool(nested) != (is_block and bool(value)):
        yield f"provider: {place} is {'no' if nested else 'a'} block"
    elif nested:
        known = library.arguments(f"{path.rpartition('/')[0]}/_inputs", nested[1])
        for each in value:
            yield from block_faults(library, path, place, each, known)
    elif ("Sequence" in kind) != isinstance(value, list) and not computed(value):
        yield f"provider: {place} is {value!r}, not {kind}"
    elif "Sequence" not in kind and not computed(value):
        wanted = next(LITERALS[each] for each in LITERALS if f"_builtins.{each}" in kind)
        if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
            yield f"provider: {place} is {value!r}, not {kind}"


def computed(value):
    return isinstance(value, str) and value.startswith("${")


def reference_faults(text, library):
    """Attributes of blocks that the file refers to, and that no such block has."""
    for of_data, kind, attribute in sorted(set(REFERENCE.findall(text))):
        path, name = (DATA if of_data else RESOURCES).get(kind, (None, None))
        if not path:
            yield f"provider: nothing checks {kind}"
            continue
        result = "".join(word.capitalize() for word in name.split("_")) + "Result"
        known = library.arguments(path, result if of_data else f"_{name}State")
        if attribute not in {*known, "id"}:
            yield f"provider: no {kind} has {attribute}"
