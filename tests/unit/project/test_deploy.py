"""The files in deploy/, against the linter and the schemas of their formats."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

DEPLOY = ROOT / "deploy"
yaml = pytest.importorskip("yaml")


@pytest.mark.parametrize("file", sorted(DEPLOY.glob("*.Dockerfile")), ids=lambda file: file.name)
def test_hadolint_has_nothing_to_say(file: Path) -> None:
    program = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([program, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_file_has_the_specified_form() -> None:
    pytest.importorskip("check_jsonschema")
    line = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*line, DEPLOY / "compose.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _objects() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text(encoding="utf-8")))


def test_kubernetes_knows_every_pod_and_volume() -> None:
    """RayCluster is KubeRay's own kind; what it holds are pod templates of Kubernetes."""
    validate = pytest.importorskip("kubernetes_validate").validate
    volume, cluster = _objects()
    version = "1.31"
    validate(volume, version, strict=True)
    head, workers = cluster["spec"]["headGroupSpec"], cluster["spec"]["workerGroupSpecs"]
    for group in (head, *workers):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        validate(pod, version, strict=True)
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            v["name"] for v in pod["spec"]["volumes"]
        }
        assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == volume["metadata"]["name"]


def test_users_are_the_same_everywhere() -> None:
    users = [
        re.search(r"^USER (\d+):", file.read_text(encoding="utf-8"), re.MULTILINE)
        for file in sorted(DEPLOY.glob("*.Dockerfile"))
    ]
    pods = {group["template"]["spec"]["securityContext"]["runAsUser"] for group in
            (_objects()[1]["spec"]["headGroupSpec"], *_objects()[1]["spec"]["workerGroupSpecs"])}  # fmt: skip
    assert {int(user[1]) for user in users if user} == pods and len(users) == 2


def test_compose_replicas_are_those_of_nginx() -> None:
    configuration = (DEPLOY / "nginx" / "streamtoon.conf").read_text(encoding="utf-8")
    named = dict(re.findall(r"upstream replica_(\w+) \{\s+server 127\.0\.0\.1:(\d+)", configuration))
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    commands = [service["command"] for service in services.values() if "command" in service]

    def option(command: list[str], name: str) -> str:
        return command[command.index(name) + 1]

    assert {option(each, "--replica"): option(each, "--port") for each in commands} == named
    assert set(named.values()) == set(re.findall(r"server 127\.0\.0\.1:(\d+)", configuration))
    (server_name,) = re.findall(r"server_name (\S+);", configuration)
    assert {option(each, "--name") for each in commands} == {server_name}
    for service in services.values():
        if "command" in service:
            assert int(service["stop_grace_period"].rstrip("s")) > int(option(service["command"], "--drain"))


def test_the_guide_shows_the_configuration_that_is_tested() -> None:
    guide = (ROOT / "docs" / "guides" / "replicas.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```nginx\n(.*?)```", guide, re.DOTALL)
    assert shown == (DEPLOY / "nginx" / "streamtoon.conf").read_text(encoding="utf-8")
