"""Creates the AWS resources that cluster.yaml needs, and prints cluster.yaml with their names.

    python deploy/aws_account.py BUCKET --ssh-from YOUR.IP.ADDRESS/32 > my-cluster.yaml

The resources are a private bucket; a security group that admits SSH from one network and all traffic within the group;
a role for the head, which starts workers; and a role for workers, which reaches only checkpoints. The images are the
newest ones. boto3 must find credentials that may create all of this. Existing resources are kept, so a second run is
safe. The resources cost nothing by themselves. Region and name of the cluster are those of cluster.yaml.
"""

import argparse
import ipaddress
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import ClientError

TEMPLATE = Path(__file__).parents[1] / "cluster.yaml"
FOLDER = "bimt"  # in the bucket
HEAD, WORKER, GROUP = "bimt-head", "bimt-worker", "bimt"
EXISTS = ("BucketAlreadyOwnedByYou", "EntityAlreadyExists", "InvalidGroup.Duplicate", "InvalidPermission.Duplicate")
IMAGES = {
    "ami-CHANGE-ubuntu-24.04": "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
    "ami-CHANGE-deep-learning-base-ubuntu-24.04": (
        "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
    ),
}
MAX_ADDRESSES = 2**16  # a larger network for SSH is probably a mistake
ASSUMED_BY_MACHINES = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def create_resources(bucket: str, ssh_from: str) -> str:
    """Creates all resources and returns cluster.yaml with their names."""
    template = TEMPLATE.read_text()
    config = yaml.safe_load(template)
    region, cluster = config["provider"]["region"], config["cluster_name"]
    create_bucket(bucket, region)
    create_role(WORKER, allow_access(bucket, f"{FOLDER}/checkpoints/*", f"{FOLDER}/"))
    create_role(HEAD, allow_access(bucket, f"{FOLDER}/*") + allow_starting_workers(cluster))
    create_spot_role()
    names = {"sg-CHANGE": create_security_group(region, ssh_from), "CHANGE-bucket": bucket}
    names |= {placeholder: find_newest_image(region, parameter) for placeholder, parameter in IMAGES.items()}
    for placeholder in sorted(names, key=len, reverse=True):
        template = template.replace(placeholder, names[placeholder])
    return template


def create_bucket(bucket: str, region: str) -> None:
    """Creates a private bucket."""
    s3 = boto3.client("s3", region)
    location = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
    create_if_missing(s3.create_bucket, Bucket=bucket, **location)
    settings = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(settings, True))


def create_role(name: str, statements: list[dict[str, Any]]) -> None:
    """Creates a role for machines with a policy."""
    iam = boto3.client("iam")
    document = {"Version": "2012-10-17", "Statement": ASSUMED_BY_MACHINES}
    create_if_missing(iam.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=policy)
    create_if_missing(iam.create_instance_profile, InstanceProfileName=name)
    if not iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def create_spot_role() -> None:
    """Creates the account's role for spot machines, which a new account lacks."""
    iam = boto3.client("iam")
    try:
        iam.get_role(RoleName="AWSServiceRoleForEC2Spot")
    except iam.exceptions.NoSuchEntityException:
        create_if_missing(iam.create_service_linked_role, AWSServiceName="spot.amazonaws.com")


def create_security_group(region: str, ssh_from: str) -> str:
    """Creates a security group in the default network and returns its id."""
    ec2 = boto3.client("ec2", region)
    (network,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    create_if_missing(
        ec2.create_security_group, GroupName=GROUP, Description="bimt-sweeps: SSH and itself", VpcId=network["VpcId"]
    )
    filters = [{"Name": "group-name", "Values": [GROUP]}, {"Name": "vpc-id", "Values": [network["VpcId"]]}]
    group = str(ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"])
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": ssh_from}]}
    itself = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    for rule in (ssh, itself):
        create_if_missing(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[rule])
    return group


def find_newest_image(region: str, parameter: str) -> str:
    """Returns the image of a public parameter."""
    return str(boto3.client("ssm", region).get_parameter(Name=parameter)["Parameter"]["Value"])


def allow_access(bucket: str, *objects: str) -> list[dict[str, Any]]:
    """Returns policy statements that allow listing a bucket, and reading and writing some of its objects."""
    arn = f"arn:aws:s3:::{bucket}"
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    return [allow(["s3:ListBucket"], arn), allow(actions, *(f"{arn}/{path}" for path in objects))]


def allow_starting_workers(cluster: str) -> list[dict[str, Any]]:
    """Returns policy statements for Ray's autoscaler: it starts machines with the workers' role and ends its own."""
    ending = allow(["ec2:TerminateInstances", "ec2:StopInstances", "ec2:StartInstances", "ec2:DeleteTags"])
    ending["Condition"] = {"StringEquals": {"ec2:ResourceTag/ray-cluster-name": cluster}}
    role = f"arn:aws:iam::*:role/{WORKER}"
    return [allow(["ec2:RunInstances", "ec2:CreateTags", "ec2:Describe*"]), ending, allow(["iam:PassRole"], role)]


def allow(actions: list[str], *resources: str) -> dict[str, Any]:
    """Returns a policy statement, for all resources if none is named."""
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources) or "*"}


def create_if_missing(create: Callable[..., Any], **arguments: Any) -> None:
    """Calls a function that creates a resource; an existing resource is not an error."""
    try:
        create(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in EXISTS:
            raise


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bucket", help="a name that is unused on AWS")
    parser.add_argument(
        "--ssh-from", required=True, type=ipaddress.ip_network, help="your network: ADDRESS/32 for one address"
    )
    options = parser.parse_args(arguments)
    if options.ssh_from.num_addresses > MAX_ADDRESSES:
        parser.error(f"--ssh-from must have at most {MAX_ADDRESSES} addresses, got {options.ssh_from}")
    sys.stdout.write(create_resources(options.bucket, str(options.ssh_from)))


if __name__ == "__main__":
    main()
