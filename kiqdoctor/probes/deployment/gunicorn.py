"""gunicorn.conf.py: workers, threads and preload_app as its module assigns them."""

import ast

from kiqdoctor.probes.deployment.amounts import Amount, of_python
from kiqdoctor.probes.deployment.formats import configures
from kiqdoctor.probes.deployment.records import ServerFile
from kiqdoctor.probes.tree.file import File


@configures("gunicorn", "gunicorn.conf.py", "gunicorn_conf.py", "config/gunicorn.py")
def gunicorn(file: File) -> list[ServerFile]:
    names: dict[str, ast.expr] = {}
    for node in file.python().body:
        if isinstance(node, ast.Assign):
            names |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            names[node.target.id] = node.value
    preload = names.get("preload_app")
    on = isinstance(preload, ast.Constant) and preload.value is True
    return [
        ServerFile(
            file.path,
            of_python(names["workers"], names) or Amount(None) if "workers" in names else None,
            of_python(names.get("threads"), names),
            preload.lineno if on and preload is not None else 0,
        )
    ]
