"""The manifests for Kubernetes: pods by the schemas of Kubernetes, KubeRay's parts by their important entries."""

import copy
import json

import kubernetes_validate
import pytest
import ray

from sweeps.spec.files import read_specs

KUBERNETES = "1.33"


@pytest.fixture(scope="module")
def cluster(load):
    (cluster,) = load("deploy/kuberay.yaml")
    return cluster


@pytest.fixture(scope="module")
def job(load):
    return load("deploy/rayjob.yaml")[-1]


def list_groups(spec):
    return {"head": spec["headGroupSpec"], **{group["groupName"]: group for group in spec["workerGroupSpecs"]}}


def list_pods(spec):
    """Returns pod templates by group."""
    return {name: group["template"] for name, group in list_groups(spec).items()}


def check(resource):
    kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def as_pod(template):
    return {"apiVersion": "v1", "kind": "Pod", **template}


def test_pods_and_plain_resources_are_valid(load, cluster, job):
    for spec in (cluster["spec"], job["spec"]["rayClusterSpec"]):
        for template in list_pods(spec).values():
            check(as_pod(template))
    for resource in [*load("deploy/kubernetes.yaml"), load("deploy/rayjob.yaml")[0]]:
        check(resource)


def test_the_check_can_fail(cluster):
    broken = copy.deepcopy(list_pods(cluster["spec"])["head"])
    broken["spec"]["containers"][0]["port"] = broken["spec"]["containers"][0].pop("ports")
    with pytest.raises(kubernetes_validate.ValidationError):
        check(as_pod(broken))


def test_kinds_are_those_of_kuberay(cluster, job):
    for resource, kind in ((cluster, "RayCluster"), (job, "RayJob")):
        assert (resource["apiVersion"], resource["kind"]) == ("ray.io/v1", kind)
        assert set(resource) == {"apiVersion", "kind", "metadata", "spec"}


def test_the_cluster_scales_and_requires_the_token(cluster):
    spec = cluster["spec"]
    fields = {"rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions"}
    assert set(spec) == fields | {"headGroupSpec", "workerGroupSpecs"}
    assert spec["rayVersion"] == ray.__version__
    assert spec["authOptions"] == {"mode": "token", "secretName": "bimt-ray-token"}
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"] == {"idleTimeoutSeconds": 300, "upscalingMode": "Default"}


def test_the_head_runs_drivers_but_no_cohorts(cluster):
    head = cluster["spec"]["headGroupSpec"]
    assert all(isinstance(value, str) for value in head["rayStartParams"].values())  # the operator requires text
    assert (head["rayStartParams"]["num-cpus"], head["rayStartParams"]["num-gpus"]) == ("0", "0")
    quoted = head["rayStartParams"]["resources"]  # quoted twice, for the operator's shell command
    assert json.loads(json.loads(quoted)) == {"bimt_driver": 8}
    ports = {port["name"]: port["containerPort"] for port in head["template"]["spec"]["containers"][0]["ports"]}
    assert ports == {"gcs-server": 6379, "dashboard": 8265}


def test_workers_are_spot_machines_with_gpus_and_start_at_zero(cluster):
    for group in cluster["spec"]["workerGroupSpecs"]:
        assert group["replicas"] == group["minReplicas"] == 0 < group["maxReplicas"]
        assert group["numOfHosts"] == 1
        resources = group["template"]["spec"]["containers"][0]["resources"]
        assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == "1"
        assert "SPOT" in group["template"]["spec"]["nodeSelector"].values()


def test_every_container_has_limits_and_no_privileges(cluster):
    for template in list_pods(cluster["spec"]).values():
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in template["spec"]["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
            assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_only_the_head_gets_passwords_from_secrets(cluster):
    variables = {
        name: {v["name"]: v for v in template["spec"]["containers"][0]["env"]}
        for name, template in list_pods(cluster["spec"]).items()
    }
    for name in ("MLFLOW_TRACKING_PASSWORD", "PGPASSWORD"):
        assert set(variables["head"][name]) == {"name", "valueFrom"}
        assert variables["head"][name]["valueFrom"]["secretKeyRef"]["name"] == "bimt-service"
    assert not any("RAY_AUTH" in name for name in variables["head"])  # authOptions sets them, on all pods
    assert {name for group in variables if group != "head" for name in variables[group]} == {"RAY_USAGE_STATS_ENABLED"}


def test_only_the_operator_reaches_the_dashboard_from_outside(load, cluster):
    (policy,) = [resource for resource in load("deploy/kubernetes.yaml") if resource["kind"] == "NetworkPolicy"]
    labels = policy["spec"]["podSelector"]["matchLabels"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    inside, operator = policy["spec"]["ingress"]
    assert inside == {"from": [{"podSelector": {"matchLabels": labels}}]}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]
    assert all("podSelector" in source for source in operator["from"])
    for template in list_pods(cluster["spec"]).values():
        assert labels.items() <= template["metadata"]["labels"].items()


def test_everything_that_pods_refer_to_exists(load, cluster, job):
    existing = {(r["kind"], r["metadata"]["name"]) for r in load("deploy/kubernetes.yaml") + load("deploy/rayjob.yaml")}
    for spec in (cluster["spec"], job["spec"]["rayClusterSpec"]):
        for template in list_pods(spec).values():
            assert ("ServiceAccount", template["spec"]["serviceAccountName"]) in existing
            for volume in template["spec"].get("volumes", ()):
                claim, files = volume.get("persistentVolumeClaim"), volume.get("configMap")
                reference = ("PersistentVolumeClaim", claim["claimName"]) if claim else ("ConfigMap", files["name"])
                assert reference in existing


def test_the_job_runs_its_sweep_on_the_same_cluster(cluster, job, load, tmp_path):
    spec = copy.deepcopy(job["spec"])
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert head["volumes"].pop() == {"name": "sweep", "configMap": {"name": "bimt-sweep"}}
    assert head["containers"][0]["volumeMounts"].pop() == {"name": "sweep", "mountPath": "/sweep"}
    assert spec.pop("rayClusterSpec") == cluster["spec"]
    assert spec == {
        "entrypoint": "python -m sweeps.cli launch /sweep/sweep.yaml",
        "entrypointResources": '{"bimt_driver": 1}',
        "submissionMode": "HTTPMode",
        "backoffLimit": 3,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 300,
    }
    (name, text), *others = load("deploy/rayjob.yaml")[0]["data"].items()
    assert not others
    (tmp_path / name).write_text(text)
    (sweep,) = read_specs(tmp_path / name)
    assert sweep.resources.gpus == 1
