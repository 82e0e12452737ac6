"""Kubernetes manifests: the containers of what keeps pods running; base and overlays speak of the same ones."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.deployment.amounts import cores, count, said, seconds
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import PART, Ending, Environment, Started
from kiqdoctor.probes.deployment.shell import words
from kiqdoctor.probes.tree.documents import Table, Value
from kiqdoctor.probes.tree.file import File
from kiqdoctor.regex import regex

KINDS: Final = ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet", "Rollout", "DeploymentConfig")
_SLEEP: Final = regex(r"\bsleep (\d{1,6})")
NO_SURGE: Final = (None, 0, "0", "0%")


@deploys("**/*.yml", "**/*.yaml", "**/*.tmpl", rank=Rank.ORCHESTRATED, common=True)
def kubernetes(file: File) -> Iterator[Started]:
    content = file.content()
    if b"kind:" not in content or not any(kind.encode() in content for kind in KINDS):
        return  # hundreds of translations need not be parsed
    for document in file.yaml():
        for one in _listed(document):
            if one.text("kind") in KINDS:
                yield from _containers(one, file.path)


def _listed(document: Value) -> list[Table]:
    if not isinstance(document, Table):
        return []
    return document.tables("items") if document.text("kind") == "List" else [document]


def _containers(document: Table, path: str) -> Iterator[Started]:
    spec = document.table("spec")
    surge = spec.table("strategy", "rollingUpdate").get("maxSurge")
    name = f"{document.text('kind')}/{document.table('metadata').text('name')}"
    pod = spec.table("template", "spec")
    containers = pod.tables("containers")
    for container in containers or [Table(line=document.line)]:
        yield Started(
            f"{name}{PART}{container.text('name')}" if containers else name,
            path,
            container.line,
            words(container.get("command")) + words(container.get("args")),
            replicas=count(spec.get("replicas")),
            unsaid=None if document.text("kind") == "DaemonSet" or spec.get("replicas") is not None else 1,
            environment=_environment(container.tables("env")),
            surge="" if surge in NO_SURGE else f"{path}: maxSurge {surge}",
            cores=cores(container.table("resources", "limits").get("cpu")),
            ending=_ending(pod, container, path),
            further=tuple(one.text("name") for one in container.tables("env") if "value" not in one),
            closed="envFrom" not in container,
        )


def _ending(pod: Table, container: Table, path: str) -> Ending:
    hook = container.table("lifecycle", "preStop")
    slept = seconds(hook.table("sleep").get("seconds"))
    line = " ".join(words(hook.table("exec").get("command")))
    naps = [float(found[1]) for found in _SLEEP.finditer(line)]
    grace, untold = said(pod.get("terminationGracePeriodSeconds"))
    return Ending(
        path,
        pod.lines.get("terminationGracePeriodSeconds", container.line),
        "kubernetes",
        grace,
        before_s=slept or sum(naps),
        untold=untold,
        hook=line,
        hook_path=path if line else "",
        hook_line=container.table("lifecycle").lines.get("preStop", container.line),
    )


def _environment(variables: list[Table]) -> Environment:
    """Those that are spelt out; what comes of a secret or a field is not known here."""
    return tuple((one.text("name"), str(one["value"])) for one in variables if isinstance(one.get("value"), str | int))
