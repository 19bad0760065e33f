"""play.py SECRETS < manifests > played: what `podman kube play` takes.

Podman knows Pods and claims, but neither StatefulSet nor Job: each becomes
the Pod of its template, under its own name, and a volume claim template the
claim that its first pod would have. Services, which Podman does not know
either, become nothing: a pod is found by its name. SECRETS is a folder of
files, the keys of the Secret that the manifests refer to.
"""
import base64
import pathlib
import sys

import yaml


def pod(obj):
    spec = obj["spec"]["template"]["spec"]
    for volume in spec.get("volumes", []):
        if "secret" in volume:
            # Podman 4.3 ends with a nil pointer where this is left out.
            volume["secret"]["optional"] = False
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": obj["metadata"]["name"], "labels": obj["spec"]["template"]["metadata"]["labels"]},
        "spec": dict(spec, restartPolicy=spec.get("restartPolicy", "Always")),
    }


def played(docs, folder):
    names = {
        v["secret"]["secretName"]
        for d in docs
        if "template" in d.get("spec", {})
        for v in d["spec"]["template"]["spec"].get("volumes", [])
        if "secret" in v
    }
    keys = {f.name: base64.b64encode(f.read_bytes()).decode() for f in pathlib.Path(folder).iterdir()}
    for name in sorted(names):
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": keys}
    for d in docs:
        if d["kind"] in ("StatefulSet", "Deployment", "Job"):
            p = pod(d)
            for claim in d["spec"].get("volumeClaimTemplates", []):
                name = f"{claim['metadata']['name']}-{d['metadata']['name']}-0"
                yield dict(claim, metadata={"name": name})
                p["spec"].setdefault("volumes", []).append(
                    {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": name}}
                )
            yield p


yaml.safe_dump_all(played(list(yaml.safe_load_all(sys.stdin)), sys.argv[1]), sys.stdout, sort_keys=False)
