"""Makes in an AWS account what cluster.yaml needs, and prints cluster.yaml with it filled in.

    python deploy/aws_account.py BUCKET --ssh-from YOUR.IP.ADDRESS/32 > my-cluster.yaml

A private bucket; a security group that lets SSH in from one network and everything from itself; a role for the head,
which starts workers, and one for workers, which reach nothing but checkpoints; and the newest images. It needs the
credentials of somebody who may make all that, as boto3 finds them. What is there already is kept, so it may run again.
It costs nothing by itself. Region and name of the cluster are those of cluster.yaml.
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
FOLDER = "bimt"  # of the bucket
HEAD, WORKER, GROUP = "bimt-head", "bimt-worker", "bimt"
THERE = ("BucketAlreadyOwnedByYou", "EntityAlreadyExists", "InvalidGroup.Duplicate", "InvalidPermission.Duplicate")
IMAGES = {
    "ami-CHANGE-ubuntu-24.04": "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
    "ami-CHANGE-deep-learning-base-ubuntu-24.04": (
        "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
    ),
}
MOST_ADDRESSES = 2**16  # SSH for half the world would be a slip
MACHINES = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def filled_in(bucket: str, ssh_from: str) -> str:
    """Makes everything and returns cluster.yaml with its names."""
    template = TEMPLATE.read_text()
    config = yaml.safe_load(template)
    region, cluster = config["provider"]["region"], config["cluster_name"]
    make_bucket(bucket, region)
    make_role(WORKER, reads_and_writes(bucket, f"{FOLDER}/checkpoints/*", f"{FOLDER}/"))
    make_role(HEAD, reads_and_writes(bucket, f"{FOLDER}/*") + starts_workers(cluster))
    allow_spot_machines()
    names = {"sg-CHANGE": make_group(region, ssh_from), "CHANGE-bucket": bucket}
    names |= {placeholder: newest_image(region, parameter) for placeholder, parameter in IMAGES.items()}
    for placeholder in sorted(names, key=len, reverse=True):
        template = template.replace(placeholder, names[placeholder])
    return template


def make_bucket(bucket: str, region: str) -> None:
    """A bucket of one's own that nobody else can open."""
    s3 = boto3.client("s3", region)
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
    unless_there(s3.create_bucket, Bucket=bucket, **elsewhere)
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))


def make_role(name: str, statements: list[dict[str, Any]]) -> None:
    """A role that machines take, with what they may do."""
    iam = boto3.client("iam")
    document = {"Version": "2012-10-17", "Statement": MACHINES}
    unless_there(iam.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=policy)
    unless_there(iam.create_instance_profile, InstanceProfileName=name)
    if not iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def allow_spot_machines() -> None:
    """The account's own role for spot machines, which a new account lacks."""
    iam = boto3.client("iam")
    try:
        iam.get_role(RoleName="AWSServiceRoleForEC2Spot")
    except iam.exceptions.NoSuchEntityException:
        unless_there(iam.create_service_linked_role, AWSServiceName="spot.amazonaws.com")


def make_group(region: str, ssh_from: str) -> str:
    """A security group in the default network; returns its id."""
    ec2 = boto3.client("ec2", region)
    (network,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    unless_there(
        ec2.create_security_group, GroupName=GROUP, Description="bimt-sweeps: SSH and itself", VpcId=network["VpcId"]
    )
    here = [{"Name": "group-name", "Values": [GROUP]}, {"Name": "vpc-id", "Values": [network["VpcId"]]}]
    group = str(ec2.describe_security_groups(Filters=here)["SecurityGroups"][0]["GroupId"])
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": ssh_from}]}
    itself = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    for rule in (ssh, itself):
        unless_there(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[rule])
    return group


def newest_image(region: str, parameter: str) -> str:
    """The image that a public parameter names."""
    return str(boto3.client("ssm", region).get_parameter(Name=parameter)["Parameter"]["Value"])


def reads_and_writes(bucket: str, *objects: str) -> list[dict[str, Any]]:
    """Statements about a bucket: to list it, and some of its objects, those that stand for folders among them."""
    at = f"arn:aws:s3:::{bucket}"
    change = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    return [allow(["s3:ListBucket"], at), allow(change, *(f"{at}/{path}" for path in objects))]


def starts_workers(cluster: str) -> list[dict[str, Any]]:
    """Statements for Ray's autoscaler: it makes machines, with the workers' role, and ends this cluster's."""
    ends = allow(["ec2:TerminateInstances", "ec2:StopInstances", "ec2:StartInstances", "ec2:DeleteTags"])
    ends["Condition"] = {"StringEquals": {"ec2:ResourceTag/ray-cluster-name": cluster}}
    role = f"arn:aws:iam::*:role/{WORKER}"
    return [allow(["ec2:RunInstances", "ec2:CreateTags", "ec2:Describe*"]), ends, allow(["iam:PassRole"], role)]


def allow(actions: list[str], *resources: str) -> dict[str, Any]:
    """One statement; about everything if no resource is named."""
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources) or "*"}


def unless_there(make: Callable[..., Any], **arguments: Any) -> None:
    """Calls what makes something; that it is there already is no error."""
    try:
        make(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in THERE:
            raise


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bucket", help="a name that nobody on AWS has")
    parser.add_argument(
        "--ssh-from", required=True, type=ipaddress.ip_network, help="your network: ADDRESS/32 for one address"
    )
    given = parser.parse_args(arguments)
    if given.ssh_from.num_addresses > MOST_ADDRESSES:
        parser.error(f"--ssh-from must have at most {MOST_ADDRESSES} addresses, got {given.ssh_from}")
    sys.stdout.write(filled_in(given.bucket, str(given.ssh_from)))


if __name__ == "__main__":
    main()
