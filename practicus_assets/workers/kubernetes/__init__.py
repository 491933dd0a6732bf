"""Workers that are Kubernetes pods: one Job per attempt, whose pod status explains a failure.

Starts, watches and removes the Jobs of steps, through the few calls of the cluster's API that this needs.
Its packages are the extra `kubernetes`; without them its import says what to install.
"""

from importlib.util import find_spec

from practicus_assets.errors import DeclarationError

if any(find_spec(package) is None for package in ("dagster_k8s", "kubernetes")):
    raise DeclarationError(
        "steps in pods need the packages dagster-k8s and kubernetes, which are not installed here.",
        "Install them: pip install 'practicus-assets[kubernetes]'.",
    )
