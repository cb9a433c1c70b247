"""The files of Ray's cluster launcher, with Ray's own checks, and used on a simulated EC2."""

import contextlib
import copy
import importlib.util
import io
import json
import logging
import re

import boto3
import jsonschema
import moto
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import TAG_RAY_LAUNCH_CONFIG, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from sweeps.cluster.resources import check_fits, read_resources
from sweeps.errors import BadInputError

FILES = ["cluster.yaml", "deploy/local.yaml"]
REGION = "us-west-2"


@pytest.fixture(params=FILES)
def config(request, load):
    (config,) = load(request.param)
    return config


def prepare(config):
    """Returns a configuration as the launcher uses it."""
    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


def find_head_start(config) -> str:
    (command,) = [c for c in config["head_start_ray_commands"] if "ray start" in c]
    return command


def find_worker_start(config) -> str:
    (command,) = [c for c in config["worker_start_ray_commands"] if "ray start" in c]
    return command


def test_ray_accepts_the_files(config):
    prepare(config)


def test_the_check_of_ray_can_fail(config):
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        prepare(config | {"max_worker": 3})


def test_every_machine_installs_this_project_with_its_constraints(config, project):
    mounts = config["file_mounts"]
    assert {"~/bimt/pyproject.toml", "~/bimt/constraints.txt", "~/bimt/bimt_core", "~/bimt/sweeps"} <= set(mounts)
    for remote, here in mounts.items():
        assert here.startswith("~") or (project / here).exists(), here
        assert not here.startswith("~") or remote == here
    assert all((project / name).exists() for name in re.findall(r'"([\w.]+\.\w+|LICENSE)"', read_named_files(project)))
    for kind in ("head_setup_commands", "worker_setup_commands"):
        assert prepare(config)[kind][0] == "bash ~/bimt/deploy/node.sh"
    assert '--constraint "$project/constraints.txt"' in (project / "deploy/node.sh").read_text()


def read_named_files(project) -> str:
    """Returns the lines of pyproject.toml that name files of an installation."""
    lines = (project / "pyproject.toml").read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith(("readme", "license-files")))


def test_their_scripts_exist(config, project):
    commands = " ".join(config["setup_commands"] + config["head_setup_commands"])
    scripts = re.findall(r"~/bimt/(\S+)", commands)
    assert "deploy/head.sh" in scripts
    assert all((project / script).is_file() for script in scripts)


def test_every_machine_requires_the_token_and_the_dashboard_is_on_loopback(config):
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for command in (find_head_start(config), find_worker_start(config)):
        assert command.index("RAY_AUTH_MODE=token") < command.index("ray start")
    assert "--dashboard-host=127.0.0.1" in find_head_start(config)


def test_only_the_head_sees_the_passwords(config):
    assert ". ~/.bimt/service.env" in find_head_start(config)
    rest = {k: v for k, v in prepare(config).items() if not k.startswith("head_")}
    assert "service.env" not in yaml.safe_dump(rest)
    assert ".bimt" not in yaml.safe_dump(config["file_mounts"])


def test_the_head_runs_drivers_but_no_cohorts(config):
    head = config.get("available_node_types", {}).get("head")
    if head:
        assert head["resources"] == {"CPU": 0, "bimt_driver": 8}
    else:
        assert "--num-cpus=0 --num-gpus=0 --resources='{\"bimt_driver\": 8}'" in find_head_start(config)


def test_sweeps_may_wait_a_month_in_the_queue(config):
    assert int(re.search(r"RAY_JOB_START_TIMEOUT_SECONDS=(\d+)", find_head_start(config))[1]) >= 30 * 24 * 3600


def test_workers_on_aws_are_spot_machines_and_start_at_zero(load):
    (config,) = load("cluster.yaml")
    workers = {name: kind for name, kind in config["available_node_types"].items() if name != "head"}
    assert [kind["min_workers"] for kind in workers.values()] == [0] * len(workers)
    assert [kind["max_workers"] for kind in workers.values()] == [8, 8, 8, 0]
    for kind in workers.values():
        assert kind["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
        assert kind["node_config"]["IamInstanceProfile"] == {"Name": "bimt-worker"}
    assert "InstanceMarketOptions" not in config["available_node_types"]["head"]["node_config"]
    assert 0 < config["idle_timeout_minutes"] <= 10
    assert config["upscaling_speed"] >= config["max_workers"]  # from none to all in one step


@pytest.fixture(scope="module")
def account():
    """An empty account on a simulated AWS."""
    logging.getLogger("botocore").setLevel(logging.WARNING)
    with pytest.MonkeyPatch.context() as patch, moto.mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "none")
        yield boto3.client("ec2", REGION)


@pytest.mark.parametrize("network", ["everybody", "10.0.0.0/8"])
def test_ssh_from_a_large_network_is_refused(aws_account, network, capsys):
    with pytest.raises(SystemExit):
        aws_account.main(["some-bucket", "--ssh-from", network])
    assert "--ssh-from" in capsys.readouterr().err


@pytest.fixture(scope="module")
def aws_account(project):
    """deploy/aws_account.py, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("aws_account", project / "deploy/aws_account.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def filled(account, aws_account):
    """Output of deploy/aws_account.py, run twice, with images that moto's AWS has."""
    images = ("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",) * 2
    aws_account.IMAGES = dict(zip(aws_account.IMAGES, images, strict=True))
    printed = []
    for _ in range(2):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            aws_account.main(["some-bucket", "--ssh-from", "192.0.2.0/28"])
        printed.append(out.getvalue())
    assert printed[0] == printed[1]
    return yaml.safe_load(printed[0])


def test_an_account_gets_everything_that_the_launcher_needs(filled):
    assert "CHANGE" not in yaml.safe_dump(filled)
    assert filled["head_setup_commands"] == ["bash ~/bimt/deploy/head.sh s3://some-bucket/bimt"]


def test_ssh_is_open_to_one_network_and_ray_to_the_cluster(account, filled):
    (group,) = account.describe_security_groups(GroupNames=["bimt"])["SecurityGroups"]
    rules = {rule["IpProtocol"]: rule for rule in group["IpPermissions"]}
    assert set(rules) == {"tcp", "-1"}
    assert (rules["tcp"]["FromPort"], rules["tcp"]["ToPort"]) == (22, 22)
    assert [network["CidrIp"] for network in rules["tcp"]["IpRanges"]] == ["192.0.2.0/28"]
    assert [pair["GroupId"] for pair in rules["-1"]["UserIdGroupPairs"]] == [group["GroupId"]]
    assert rules["-1"]["IpRanges"] == []


def test_workers_reach_only_checkpoints(filled):
    iam = boto3.client("iam")
    policy = iam.get_role_policy(RoleName="bimt-worker", PolicyName="bimt-worker")["PolicyDocument"]
    arn = "arn:aws:s3:::some-bucket"
    resources = [resource for statement in policy["Statement"] for resource in statement["Resource"]]
    assert resources == [arn, f"{arn}/bimt/checkpoints/*", f"{arn}/bimt/"]
    assert {action.partition(":")[0] for s in policy["Statement"] for action in s["Action"]} == {"s3"}
    head = iam.get_role_policy(RoleName="bimt-head", PolicyName="bimt-head")["PolicyDocument"]
    (passed,) = [s["Resource"] for s in head["Statement"] if s["Action"] == ["iam:PassRole"]]
    assert passed == ["arn:aws:iam::*:role/bimt-worker"]


def test_the_bucket_is_private(filled):
    settings = boto3.client("s3").get_public_access_block(Bucket="some-bucket")["PublicAccessBlockConfiguration"]
    assert list(settings.values()) == [True] * 4


def test_the_launcher_starts_machines(account, filled, monkeypatch, tmp_path):
    """Boto3 and moto check the requests by the rules of EC2."""
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    monkeypatch.setenv("HOME", str(tmp_path))  # the launcher writes a key to ~/.ssh
    config = bootstrap_aws(prepare(filled))
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    config = provider.fillout_available_node_types_resources(config)
    for name, kind in config["available_node_types"].items():
        tags = {TAG_RAY_NODE_KIND: "worker", TAG_RAY_USER_NODE_TYPE: name, TAG_RAY_LAUNCH_CONFIG: name}
        provider.create_node(copy.deepcopy(kind["node_config"]), tags, 1)
    machines = [m for r in account.describe_instances()["Reservations"] for m in r["Instances"]]
    found = {m["InstanceType"]: (m.get("InstanceLifecycle"), m["IamInstanceProfile"]["Arn"][-6:]) for m in machines}
    assert found == {
        "m6i.xlarge": (None, "t-head"),
        "g6.xlarge": ("spot", "worker"),
        "g5.xlarge": ("spot", "worker"),
        "g4dn.xlarge": ("spot", "worker"),
        "c7i.2xlarge": ("spot", "worker"),
    }
    assert {m["MetadataOptions"]["HttpTokens"] for m in machines} == {"required"}
    assert [g["GroupName"] for m in machines for g in m["SecurityGroups"]] == ["bimt"] * 5  # none of Ray's own
    resources = {name: kind["resources"] for name, kind in config["available_node_types"].items()}
    assert resources["head"] == {"CPU": 0, "bimt_driver": 8}
    for name in ("gpu_l4", "gpu_a10g", "gpu_t4"):
        assert (resources[name]["CPU"], resources[name]["GPU"]) == (4, 1)


def test_a_driver_knows_the_startable_machines(load, tmp_path, small_spec):
    """The head has the launcher's file; a sweep that fits on no machine is refused."""
    (config,) = load("cluster.yaml")
    (tmp_path / "ray_bootstrap_config.yaml").write_text(json.dumps(prepare(config)))  # as the launcher does
    resources = read_resources(tmp_path / "ray_bootstrap_config.yaml")
    assert [(group.name, group.count, group.cpus, group.gpus) for group in resources.groups] == [
        ("head", 1, 0, 0),
        ("gpu_l4", 8, 4, 1),
        ("gpu_a10g", 8, 4, 1),
        ("gpu_t4", 8, 4, 1),
    ]
    check_fits(small_spec(resources={"gpus": 1}), resources)
    with pytest.raises(BadInputError, match="gpus must be at most 1"):
        check_fits(small_spec(resources={"gpus": 2}), resources)
