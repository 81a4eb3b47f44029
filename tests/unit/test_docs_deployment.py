"""The examples in deploy/: their command lines are valid, their metrics exist, and their parts fit together."""

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT
from tests.support.system import missing
from trickles.gateway.context import Statistics
from trickles.gateway.metrics import Metrics
from trickleweb.telemetry.metrics import Meter, exposition

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
CONTAINERFILE = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
Document = dict[str, Any]


@cache
def documents(*paths: Path) -> list[Document]:
    """What these files hold."""
    try:
        yaml = import_module("yaml")
    except ImportError:
        missing("PyYAML")
    return [each for path in paths for each in yaml.safe_load_all(path.read_text())]


def of_kind(*kinds: str) -> list[Document]:
    return [each for each in documents(*KUBERNETES) if each["kind"] in kinds]


def pods() -> list[Document]:
    """The pods of all workloads."""
    return [each["spec"]["template"] for each in of_kind("Deployment", "DaemonSet")]


def containers(pod: Document) -> list[Document]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def parsed(words: list[str]) -> Any:
    """The options of a command of ours; AssertionError if it is misused."""
    program, command, *_ = (Path(words[0]).name, *words[1:])
    try:
        return import_module(f"{program}.cli").build_parser(command).parse_args(words[1:])
    except SystemExit:
        raise AssertionError(f"not a valid command line: {words}") from None


def commands_of_units() -> Iterator[list[str]]:
    for unit in UNITS:
        for line in re.findall(r"^Exec\w+=(.*)$", unit.read_text(), re.MULTILINE):
            words = shlex.split(line.lstrip("+-").replace("${ADDRESS}", "192.0.2.53"))
            if Path(words[0]).name in ("trickles", "trickleweb"):
                yield words


def test_the_commands_of_units_are_valid() -> None:
    found = [parsed(words) for words in commands_of_units()]
    assert [(each.command, getattr(each, "freebind", None)) for each in found] == [
        ("gateway", False),
        ("replica", True),
        ("keys", None),
        ("keys", None),
    ]


def test_the_commands_of_containers_are_valid() -> None:
    ours = [each for pod in pods() for each in containers(pod) if "command" in each]
    found = [parsed([*each["command"], *each["args"]]).command for each in ours]
    assert sorted(found) == ["gateway", "gateway", "replica"]


def test_the_image_is_made_by_valid_instructions() -> None:
    instructions = [line.split(maxsplit=1) for line in CONTAINERFILE.splitlines() if line and line[0] != "#"]
    known = {"FROM", "RUN", "COPY", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "CMD", "ARG"}
    assert [instructions[0][0], {word for word, _ in instructions} <= known] == ["FROM", True]
    options = parsed(json.loads(dict(instructions)["CMD"]))
    hashed = re.search(r"(\S+trickleweb hash (\S+)) >(\S+)", CONTAINERFILE)
    assert hashed is not None
    assert parsed(hashed[1].split()).directory == options.directory
    assert (options.manifest, options.no_times) == (hashed[3], True)


def test_the_pods_have_what_their_commands_name() -> None:
    secrets = {each["name"] for part in of_kind("Kustomization") for each in part["secretGenerator"]}
    maps = {each["name"] for part in of_kind("Kustomization") for each in part["configMapGenerator"]}
    for pod in pods():
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        for each in containers(pod):
            mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in each.get("volumeMounts", ())}
            for option in each.get("args", ()):
                name, _, value = option.partition("=")
                if name == "--keyring":
                    volume = mounts[str(Path(value).parent)]["secret"]
                    assert (volume["secretName"] in secrets, volume["defaultMode"]) == (True, 0o440)
                    assert "fsGroup" in pod["spec"]["securityContext"]
                if name == "--server-key":
                    assert mounts[str(Path(value).parent)]["configMap"]["name"] in maps


def test_services_probes_and_monitors_find_the_pods() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods()]
    for service in of_kind("Service"):
        assert service["spec"]["selector"] in labels
    for pod in pods():
        for each in containers(pod):
            ports = {port["name"] for port in each.get("ports", ())}
            probes = [each[name]["httpGet"] for name in each if name.endswith("Probe")]
            assert all(probe["port"] in ports and probe["path"] == "/health" for probe in probes)
    (headless,) = (each for each in of_kind("Service") if each["spec"].get("clusterIP") == "None")
    place = (
        f"{headless['metadata']['name']}.{headless['metadata']['namespace']}.svc:{headless['spec']['ports'][0]['port']}"
    )
    named = re.findall(r"--replica-dns=(\S+)", "\n".join(path.read_text() for path in KUBERNETES))
    assert named == [place] * 2


def test_replicas_need_no_time_to_end() -> None:
    (replicas,) = (each for each in of_kind("Deployment") if each["metadata"]["name"] == "trickles-replica")
    assert replicas["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 0


@pytest.mark.slow
def test_kubernetes_takes_the_manifests() -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate, which has 100 MB").validate
    resources = [each for each in documents(*KUBERNETES) if "k8s.io/v1beta1" not in each["apiVersion"]]
    builtin = [each for each in resources if "coreos" not in each["apiVersion"]]
    assert len(builtin) == 7
    for each in builtin:
        validate(each, "1.33", strict=True)


# metrics


def known_metrics() -> set[str]:
    """The names in the pages of a replica and a gateway."""
    keys = {"epoch": "1", "certificate_ends": 1, "newest": "1", "newest_begins": 1, "epochs": 1}
    counted = dict.fromkeys(("packets_in", "packets_out", "bytes_out", "errors", "log_lines_lost", "started"), 1)
    figures = {**counted, "keys": keys, "ledger": {"store": "1", "refused_other": 0}}
    page = exposition(figures, Meter().families()) + Metrics().render(Statistics(), 0, [])
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    parts = [f"{name}_{part}" for name in kinds if kinds[name] == "histogram" for part in ("bucket", "sum", "count")]
    return {*kinds, *parts}


def expressions() -> Iterator[str]:
    """The expressions of all alerts and panels."""
    for group in documents(DEPLOY / "prometheus" / "rules.yml")[0]["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_each_metric_of_alerts_and_panels_exists() -> None:
    named = [name for each in expressions() for name in re.findall(r"\btrickle(?:s|web)_\w+", each)]
    assert len(named) > 20
    assert set(named) <= known_metrics()


def test_the_operators_rules_are_those_of_the_file() -> None:
    (rule,) = of_kind("PrometheusRule")
    assert [rule["spec"]] == documents(DEPLOY / "prometheus" / "rules.yml")


def test_alerts_say_what_to_do_once() -> None:
    (group,) = documents(DEPLOY / "prometheus" / "rules.yml")[0]["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names)
    assert all(rule["annotations"]["summary"].endswith(".") and rule["labels"]["severity"] for rule in group["rules"])


def test_panels_have_numbers_and_places_of_their_own() -> None:
    panels = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in panels]
    assert len({each["id"] for each in panels}) == len(set(places)) == len(panels)


def test_the_readme_names_each_example() -> None:
    page = (DEPLOY / "README.md").read_text()
    links = {(DEPLOY / each).resolve() for each in re.findall(r"\]\(([^)]+)\)", page)}
    assert all(each.exists() for each in links)
    places = [path for path in DEPLOY.rglob("*") if path.is_file() and path.name != "README.md"]
    assert [path for path in places if not {path, path.with_suffix(".timer"), path.parent} & links] == []
