"""A leaked key from its making to its end, by hand and by boto3 alone. Prints a line for each step, and what it saw there."""
import json
import os
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

CONFIG = Config(region_name="us-east-1", retries={"max_attempts": 1})
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
LIST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:ListSecrets", "sts:*"], "Resource": "*"}]}


def session(key):
    return boto3.Session(
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key.get("SessionToken"),
    )


def outcome(call):
    try:
        call()
        return "ok"
    except ClientError as error:
        return error.response["Error"]["Code"]


def until(call, wanted):
    """Propagation is waited for as a person would: by asking again."""
    for _ in range(100):
        seen = outcome(call)
        if seen == wanted:
            return seen
        time.sleep(0.1)
    return seen


def tell(step, seen):
    print(f"{step}: {seen}", flush=True)


admin = boto3.Session()
iam = admin.client("iam", config=CONFIG)
store = admin.client("secretsmanager", config=CONFIG)
user = f"by-hand-{os.getpid()}"

iam.create_user(UserName=user)
iam.put_user_policy(UserName=user, PolicyName="work", PolicyDocument=json.dumps(LIST))
leaked = iam.create_access_key(UserName=user)["AccessKey"]
listing = lambda key: session(key).client("secretsmanager", config=CONFIG).list_secrets  # noqa: E731
tell("the new key works", until(listing(leaked), "ok"))

federated = session(leaked).client("sts", config=CONFIG).get_federation_token(Name="thief", Policy=json.dumps(LIST))["Credentials"]
tell("the thief's session works", until(listing(federated), "ok"))

iam.update_access_key(UserName=user, AccessKeyId=leaked["AccessKeyId"], Status="Inactive")
tell("the key after it was disabled", until(listing(leaked), "InvalidClientTokenId"))
tell("the session after the key was disabled", outcome(listing(federated)))

iam.put_user_policy(UserName=user, PolicyName="by-hand-deny", PolicyDocument=json.dumps(DENY))
tell("the session after the user was denied", until(listing(federated), "AccessDeniedException"))
tell("GetCallerIdentity beneath the deny", outcome(session(federated).client("sts", config=CONFIG).get_caller_identity))

fresh = iam.create_access_key(UserName=user)["AccessKey"]
tell("a third key", outcome(lambda: iam.create_access_key(UserName=user)))
store.create_secret(Name=f"{user}/key", SecretString=json.dumps({"id": fresh["AccessKeyId"]}))
stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
cut = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": {"DateLessThan": {"aws:TokenIssueTime": stamp}}}]}
iam.put_user_policy(UserName=user, PolicyName="by-hand-cutoff", PolicyDocument=json.dumps(cut))
iam.delete_user_policy(UserName=user, PolicyName="by-hand-deny")
tell("the replacement after the deny was lifted", until(listing(fresh), "ok"))
tell("the session beneath the cut-off", outcome(listing(federated)))
iam.delete_access_key(UserName=user, AccessKeyId=leaked["AccessKeyId"])
tell("the deletion again", outcome(lambda: iam.delete_access_key(UserName=user, AccessKeyId=leaked["AccessKeyId"])))
tell("the leaked key at the end", outcome(listing(leaked)))
