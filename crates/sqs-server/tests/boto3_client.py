"""Uses SQS by boto3 as the documentation of both says. Nothing here knows which server answers.

    python3 boto3_client.py ENDPOINT_URL [NAME ...]

Each function is a case with queues of its own; names choose some. Prints "all passed" at the end.
"""

import hashlib
import json
import sys
import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
OPTIONS = dict(
    endpoint_url=ENDPOINT,
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
    config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=40),
)
sqs = boto3.client("sqs", **OPTIONS)
CASES = []


def case(function):
    CASES.append(function)
    return function


def queue(name, **attributes):
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def arn(url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def counts(url):
    names = ["", "NotVisible", "Delayed"]
    names = ["ApproximateNumberOfMessages" + name for name in names]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(found[name]) for name in names)


def receive(url, wait=0, **more):
    return sqs.receive_message(QueueUrl=url, WaitTimeSeconds=wait, **more).get("Messages", [])


def drain(url, **more):
    bodies = []
    while messages := receive(url, MaxNumberOfMessages=10, **more):
        for message in messages:
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def refused(code, function, **arguments):
    try:
        function(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{found} instead of {code}: {error}"
        return error
    raise AssertionError(f"{function.__name__}({arguments}) was not refused with {code}")


@case
def queues_are_made_once_and_found():
    url = queue("made", VisibilityTimeout="7")
    assert url.endswith("/made"), url
    assert queue("made", VisibilityTimeout="7") == url
    assert queue("made") == url
    assert sqs.get_queue_url(QueueName="made")["QueueUrl"] == url
    error = refused("QueueAlreadyExists", sqs.create_queue, QueueName="made", Attributes={"VisibilityTimeout": "8"})
    assert isinstance(error, sqs.exceptions.QueueNameExists), type(error)
    sqs.delete_queue(QueueUrl=url)
    for call in (
        lambda: sqs.get_queue_url(QueueName="made"),
        lambda: sqs.send_message(QueueUrl=url, MessageBody="x"),
        lambda: sqs.receive_message(QueueUrl=url),
        lambda: sqs.delete_queue(QueueUrl=url),
    ):
        try:
            call()
        except sqs.exceptions.QueueDoesNotExist as error:
            assert error.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue", error
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        else:
            raise AssertionError("a deleted queue answers")
    for name in ("bad name", "a.b", "x" * 81):
        refused("InvalidParameterValue", sqs.create_queue, QueueName=name)


@case
def a_queue_that_is_made_again_is_empty():
    url = queue("again")
    sqs.send_message(QueueUrl=url, MessageBody="old")
    handle = receive(url)[0]["ReceiptHandle"]
    sqs.delete_queue(QueueUrl=url)
    assert queue("again") == url
    assert counts(url) == (0, 0, 0)
    refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle=handle)


@case
def queues_are_listed_in_pages():
    names = [f"list-{number:02}" for number in range(25)]
    urls = [queue(name) for name in names]
    assert sqs.list_queues(QueueNamePrefix="list-")["QueueUrls"] == urls
    assert sqs.list_queues(QueueNamePrefix="none-").get("QueueUrls", []) == []
    first = sqs.list_queues(QueueNamePrefix="list-", MaxResults=10)
    assert first["QueueUrls"] == urls[:10] and first["NextToken"]
    pages = sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix="list-", PaginationConfig={"PageSize": 7}
    )
    assert [url for page in pages for url in page["QueueUrls"]] == urls
    refused("InvalidParameterValue", sqs.list_queues, MaxResults=1001)


@case
def attributes_are_set_and_shown():
    before = int(time.time())
    url = queue("attributes", DelaySeconds="3", MaximumMessageSize="2048")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert found["DelaySeconds"] == "3" and found["MaximumMessageSize"] == "2048"
    assert found["VisibilityTimeout"] == "30" and found["MessageRetentionPeriod"] == "345600"
    assert found["ReceiveMessageWaitTimeSeconds"] == "0" and found["SqsManagedSseEnabled"] == "true"
    assert found["QueueArn"].split(":")[:4] == ["arn", "aws", "sqs", "us-east-1"]
    assert found["QueueArn"].endswith(":attributes")
    assert before - 1 <= int(found["CreatedTimestamp"]) <= time.time() + 1
    kms = {"KmsMasterKeyId": "alias/aws/sqs"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes=kms)
    encryption = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["SqsManagedSseEnabled", "KmsMasterKeyId"])
    assert encryption["Attributes"] == dict(kms, SqsManagedSseEnabled="false")
    assert "FifoQueue" not in found and "RedrivePolicy" not in found
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0", "Policy": policy})
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds", "Policy"])["Attributes"]
    assert found == {"DelaySeconds": "0", "Policy": policy}, found
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url)
    for name, value in (
        ("VisibilityTimeout", "43201"),
        ("DelaySeconds", "-1"),
        ("MessageRetentionPeriod", "59"),
        ("MaximumMessageSize", "1048577"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
    ):
        error = refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={name: value})
        assert name in str(error)
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes={"Colour": "red"})
    refused("InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes={"ContentBasedDeduplication": "true"})


@case
def a_message_goes_through_whole():
    url = queue("whole")
    body = "ünïcode ✓ 🎈 <xml> & \"quotes\"\r\n\ttab"
    attributes = {
        "text": {"DataType": "String", "StringValue": "ü✓"},
        "number": {"DataType": "Number", "StringValue": "-1.5e3"},
        "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
        "labelled": {"DataType": "String.json", "StringValue": "{}"},
        "count": {"DataType": "Number.int", "StringValue": "12345678901234567890123456789012345678"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = sqs.send_message(
        QueueUrl=url, MessageBody=body, MessageAttributes=attributes, MessageSystemAttributes=trace
    )
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert sent["MD5OfMessageAttributes"] == digest(attributes)
    assert sent["MD5OfMessageSystemAttributes"] == digest(trace)
    assert "SequenceNumber" not in sent
    before = time.time() * 1000
    (message,) = receive(url, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"])
    assert message["MessageId"] == sent["MessageId"] and message["Body"] == body
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["MessageAttributes"] == attributes, message["MessageAttributes"]
    system = message["Attributes"]
    assert system["ApproximateReceiveCount"] == "1" and system["SenderId"]
    assert system["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]
    assert abs(int(system["SentTimestamp"]) - before) < 30_000
    assert int(system["ApproximateFirstReceiveTimestamp"]) >= int(system["SentTimestamp"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert counts(url) == (0, 0, 0)


def digest(attributes):
    """The steps of the developer guide, once more."""
    parts = b""
    for name in sorted(attributes):
        value = attributes[name]
        is_bytes = value["DataType"].startswith("Binary")
        data = value["BinaryValue"] if is_bytes else value["StringValue"].encode()
        for part in (name.encode(), value["DataType"].encode()):
            parts += len(part).to_bytes(4, "big") + part
        parts += (b"\x02" if is_bytes else b"\x01") + len(data).to_bytes(4, "big") + data
    return hashlib.md5(parts).hexdigest()


@case
def attributes_come_as_they_are_asked_for():
    url = queue("asked", VisibilityTimeout="0")
    attributes = {
        name: {"DataType": "String", "StringValue": name} for name in ("foo", "foo.bar", "foo.baz", "other")
    }
    sqs.send_message(QueueUrl=url, MessageBody="b", MessageAttributes=attributes)
    for names, wanted in (
        ([], []),
        (["foo"], ["foo"]),
        (["foo.*"], ["foo", "foo.bar", "foo.baz"]),
        (["other", "foo.bar"], ["foo.bar", "other"]),
        ([".*"], sorted(attributes)),
        (["nothing"], []),
    ):
        (message,) = receive(url, MessageAttributeNames=names)
        found = sorted(message.get("MessageAttributes", {}))
        assert found == wanted, (names, found)
        picked = {name: attributes[name] for name in found}
        assert message.get("MD5OfMessageAttributes") == (digest(picked) if picked else None)
        assert "Attributes" not in message
    (message,) = receive(url, AttributeNames=["SentTimestamp", "ApproximateReceiveCount"])
    assert sorted(message["Attributes"]) == ["ApproximateReceiveCount", "SentTimestamp"]


@case
def bad_messages_are_refused():
    url = queue("bad", MaximumMessageSize="1024")
    text = {"DataType": "String", "StringValue": "x"}
    for code, arguments in (
        ("InvalidParameterValue", dict(MessageBody="x" * 1025)),
        ("InvalidMessageContents", dict(MessageBody="\x00")),
        ("InvalidMessageContents", dict(MessageBody="\ufffe")),
        ("MissingParameter", dict(MessageBody="")),
        ("InvalidParameterValue", dict(MessageBody="x", DelaySeconds=901)),
        ("InvalidParameterValue", dict(MessageBody="x", DelaySeconds=-1)),
        ("InvalidParameterValue", dict(MessageBody="x", MessageDeduplicationId="d")),
        ("InvalidParameterValue", dict(MessageBody="x", MessageAttributes={f"a{n}": text for n in range(11)})),
        ("InvalidParameterValue", dict(MessageBody="x", MessageAttributes={"aws.x": text})),
        ("InvalidParameterValue", dict(MessageBody="x", MessageAttributes={"a": {"DataType": "Text", "StringValue": "x"}})),
        ("InvalidParameterValue", dict(MessageBody="x", MessageAttributes={"a": {"DataType": "Number", "StringValue": "x"}})),
        ("InvalidParameterValue", dict(MessageBody="x", MessageAttributes={"a": {"DataType": "String"}})),
        ("InvalidParameterValue", dict(MessageBody="x" * 1000, MessageAttributes={"a": {"DataType": "String", "StringValue": "y" * 30}})),
    ):
        refused(code, sqs.send_message, QueueUrl=url, **arguments)
    for arguments in (
        dict(MaxNumberOfMessages=0),
        dict(MaxNumberOfMessages=11),
        dict(WaitTimeSeconds=21),
        dict(VisibilityTimeout=43201),
    ):
        refused("InvalidParameterValue", sqs.receive_message, QueueUrl=url, **arguments)
    refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="nonsense")
    refused("ReceiptHandleIsInvalid", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle="nonsense", VisibilityTimeout=1)
    assert counts(url) == (0, 0, 0)


@case
def the_largest_message_goes_through():
    url = queue("large")
    body = "x" * (1024 * 1024)
    sqs.send_message(QueueUrl=url, MessageBody=body)
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody=body + "x")
    assert drain(url) == [body]
    entries = [{"Id": str(n), "MessageBody": "x" * 200_000} for n in range(6)]
    error = refused("AWS.SimpleQueueService.BatchRequestTooLong", sqs.send_message_batch, QueueUrl=url, Entries=entries)
    assert isinstance(error, sqs.exceptions.BatchRequestTooLong)


@case
def what_is_not_deleted_comes_again():
    url = queue("visibility", VisibilityTimeout="1")
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (first,) = receive(url)
    assert counts(url) == (0, 1, 0)
    assert receive(url) == []
    (second,) = receive(url, wait=5, AttributeNames=["All"])
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    assert second["MessageId"] == first["MessageId"] and second["ReceiptHandle"] != first["ReceiptHandle"]
    # An old receipt: success, and nothing is deleted.
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=30)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert counts(url) == (0, 1, 0)
    refused("InvalidParameterValue", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=1)
    # Given back at once.
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    (third,) = receive(url, VisibilityTimeout=60)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    assert counts(url) == (0, 0, 0)


@case
def visibility_is_changed_within_its_limits():
    url = queue("change", VisibilityTimeout="1")
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (message,) = receive(url)
    handle = message["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=4)
    time.sleep(1.5)
    assert receive(url) == []
    refused("InvalidParameterValue", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43201)
    refused("InvalidParameterValue", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43200)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1)
    time.sleep(1.2)
    assert counts(url) == (1, 0, 0)
    # Late, but nobody else had it since: that is enough.
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1)
    assert counts(url) == (0, 1, 0) and receive(url) == []
    time.sleep(1.2)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert counts(url) == (0, 0, 0)


@case
def a_long_poll_waits_for_a_message():
    url = queue("poll")
    start = time.monotonic()
    assert receive(url, wait=1) == []
    assert 0.9 <= time.monotonic() - start < 10
    found = []
    other = boto3.client("sqs", **OPTIONS)
    waiting = threading.Thread(
        target=lambda: found.extend(other.receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages", []))
    )
    waiting.start()
    time.sleep(0.5)
    sqs.send_message(QueueUrl=url, MessageBody="at last")
    waiting.join(15)
    assert [message["Body"] for message in found] == ["at last"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"ReceiveMessageWaitTimeSeconds": "1"})
    start = time.monotonic()
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert time.monotonic() - start >= 0.9


@case
def delays_are_kept():
    url = queue("delay")
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=2)
    sqs.send_message(QueueUrl=url, MessageBody="now")
    assert counts(url) == (1, 0, 1)
    assert drain(url) == ["now"]
    assert counts(url) == (0, 0, 1)
    (message,) = receive(url, wait=10)
    assert message["Body"] == "later"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "900"})
    sqs.send_message(QueueUrl=url, MessageBody="by the queue")
    sqs.send_message(QueueUrl=url, MessageBody="not delayed", DelaySeconds=0)
    assert drain(url) == ["not delayed"]


@case
def batches_answer_for_each_entry():
    url = queue("batch", MaximumMessageSize="1024")
    entries = [{"Id": f"id-{n}", "MessageBody": f"body {n}"} for n in range(10)]
    entries[3]["MessageBody"] = "x" * 2000
    entries[7]["MessageBody"] = "\x01"
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == [f"id-{n}" for n in range(10) if n not in (3, 7)]
    assert answer["Successful"][0]["MD5OfMessageBody"] == hashlib.md5(b"body 0").hexdigest()
    failed = {one["Id"]: one for one in answer["Failed"]}
    assert failed["id-3"]["Code"] == "InvalidParameterValue" and failed["id-3"]["SenderFault"] is True
    assert failed["id-7"]["Code"] == "InvalidMessageContents" and failed["id-7"]["Message"]
    messages = receive(url, MaxNumberOfMessages=10)
    assert len(messages) == 8
    changes = [
        {"Id": "a", "ReceiptHandle": messages[0]["ReceiptHandle"], "VisibilityTimeout": 0},
        {"Id": "b", "ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
        {"Id": "c", "ReceiptHandle": messages[1]["ReceiptHandle"], "VisibilityTimeout": 99999},
    ]
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes)
    assert [one["Id"] for one in answer["Successful"]] == ["a"]
    assert {one["Id"]: one["Code"] for one in answer["Failed"]} == {
        "b": "ReceiptHandleIsInvalid",
        "c": "InvalidParameterValue",
    }
    deletes = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
    deletes[2]["ReceiptHandle"] = "nonsense"
    assert sqs.send_message_batch(QueueUrl=queue("batch-good"), Entries=entries[:1]).get("Failed") is None
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=deletes)
    assert [one["Id"] for one in answer["Successful"]] == ["0", "1", "3", "4", "5", "6", "7"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("2", "ReceiptHandleIsInvalid")]
    assert counts(url) == (0, 1, 0)
    for code, entries in (
        ("AWS.SimpleQueueService.EmptyBatchRequest", []),
        ("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", [{"Id": str(n), "MessageBody": "x"} for n in range(11)]),
        ("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", [{"Id": "a", "MessageBody": "x"}] * 2),
        ("AWS.SimpleQueueService.InvalidBatchEntryId", [{"Id": "a b", "MessageBody": "x"}]),
    ):
        refused(code, sqs.send_message_batch, QueueUrl=url, Entries=entries)


@case
def too_often_received_goes_to_the_dead_letters_and_back():
    dead = queue("dead")
    url = queue("living", VisibilityTimeout="0")
    policy = {"deadLetterTargetArn": arn(dead), "maxReceiveCount": "2"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison", MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}})
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    for _ in range(2):
        assert [one["Body"] for one in receive(url)] == ["poison"]
    assert receive(url) == []
    assert counts(url) == (0, 0, 0) and counts(dead) == (1, 0, 0)
    (letter,) = receive(dead, VisibilityTimeout=0, AttributeNames=["All"], MessageAttributeNames=["All"])
    assert letter["MessageId"] == sent["MessageId"] and letter["MessageAttributes"]["a"]["StringValue"] == "x"
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(url)
    assert letter["Attributes"]["ApproximateReceiveCount"] == "3"
    # Back, by a move task.
    refused("InvalidParameterValue", sqs.start_message_move_task, SourceArn=arn(url))
    refused("ResourceNotFoundException", sqs.start_message_move_task, SourceArn=arn(url) + "-none")
    task = sqs.start_message_move_task(SourceArn=arn(dead))["TaskHandle"]
    assert task
    for _ in range(100):
        (result,) = sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"]
        if result["Status"] != "RUNNING":
            break
        time.sleep(0.1)
    assert result["Status"] == "COMPLETED" and result["ApproximateNumberOfMessagesMoved"] == 1, result
    refused("AWS.SimpleQueueService.UnsupportedOperation", sqs.cancel_message_move_task, TaskHandle=task)
    (back,) = receive(url, VisibilityTimeout=30, AttributeNames=["All"])
    assert back["Body"] == "poison" and back["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in back["Attributes"]
    # To another queue, slowly, and cancelled.
    other = queue("other")
    sqs.send_message_batch(QueueUrl=dead, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(10)])
    sqs.send_message_batch(QueueUrl=dead, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(10)])
    task = sqs.start_message_move_task(SourceArn=arn(dead), DestinationArn=arn(other), MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    refused("InvalidParameterValue", sqs.start_message_move_task, SourceArn=arn(dead))
    sqs.cancel_message_move_task(TaskHandle=task)
    for _ in range(100):
        results = sqs.list_message_move_tasks(SourceArn=arn(dead), MaxResults=10)["Results"]
        if results[0]["Status"] == "CANCELLED":
            break
        time.sleep(0.1)
    assert [one["Status"] for one in results] == ["CANCELLED", "COMPLETED"], results
    assert counts(dead)[0] + counts(other)[0] == 20
    refused("InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(dict(policy, deadLetterTargetArn=arn(dead) + "-none"))})
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})})
    refused("InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})


@case
def a_fifo_queue_keeps_order_within_groups():
    url = queue("order.fifo", FifoQueue="true", ContentBasedDeduplication="true", VisibilityTimeout="30")
    numbers = []
    for n in range(6):
        group = "ab"[n % 2]
        sent = sqs.send_message(QueueUrl=url, MessageBody=f"{group}{n}", MessageGroupId=group)
        numbers.append(int(sent["SequenceNumber"]))
    assert numbers == sorted(set(numbers))
    first = receive(url, AttributeNames=["All"])
    assert [one["Body"] for one in first] == ["a0"]
    system = first[0]["Attributes"]
    assert system["MessageGroupId"] == "a" and int(system["SequenceNumber"]) == numbers[0]
    assert system["MessageDeduplicationId"] == hashlib.sha256(b"a0").hexdigest()
    # The group of what is in flight waits, the other one does not; several of one group come together.
    rest = receive(url, MaxNumberOfMessages=10)
    assert [one["Body"] for one in rest] == ["b1", "b3", "b5"]
    assert receive(url, MaxNumberOfMessages=10) == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"], VisibilityTimeout=0)
    again = receive(url, MaxNumberOfMessages=10)
    assert [one["Body"] for one in again] == ["a0", "a2", "a4"]
    for one in rest + again:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    assert counts(url) == (0, 0, 0)


@case
def a_fifo_queue_drops_duplicates():
    url = queue("dedup.fifo", FifoQueue="true")
    send = lambda body, **more: sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g", **more)
    first = send("one", MessageDeduplicationId="d1")
    same = send("one, again", MessageDeduplicationId="d1")
    assert same["MessageId"] == first["MessageId"] and same["SequenceNumber"] == first["SequenceNumber"]
    assert same["MD5OfMessageBody"] == hashlib.md5(b"one, again").hexdigest()
    send("two", MessageDeduplicationId="d2")
    assert drain(url) == ["one", "two"]
    # Remembered after the message is gone, too.
    send("one", MessageDeduplicationId="d1")
    assert drain(url) == []
    refused("InvalidParameterValue", send, body="no id, and the content does not count")
    refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="x", MessageDeduplicationId="d3")
    refused("InvalidParameterValue", send, body="x", MessageDeduplicationId="d3", DelaySeconds=5)
    refused("InvalidParameterValue", sqs.create_queue, QueueName="nofifo", Attributes={"FifoQueue": "true"})
    refused("InvalidParameterValue", sqs.create_queue, QueueName="is.fifo")
    url = queue("scope.fifo", FifoQueue="true", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    for group in "abab":
        sqs.send_message(QueueUrl=url, MessageBody=group, MessageGroupId=group, MessageDeduplicationId="same")
    assert drain(url) == ["a", "b"]


@case
def a_fifo_queue_refuses_late_receipts():
    url = queue("late.fifo", FifoQueue="true", ContentBasedDeduplication="true", VisibilityTimeout="1")
    sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="g")
    (message,) = receive(url)
    time.sleep(1.3)
    error = refused("AWS.SimpleQueueService.MessageNotInflight", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=5)
    assert isinstance(error, sqs.exceptions.MessageNotInflight)
    error = refused("InvalidParameterValue", sqs.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert "expired" in str(error)
    assert drain(url) == ["m"]


@case
def a_fifo_queue_has_fifo_dead_letters():
    dead = queue("dead.fifo", FifoQueue="true")
    plain = queue("plain-dead")
    policy = lambda target: json.dumps({"deadLetterTargetArn": arn(target), "maxReceiveCount": 1})
    refused("InvalidParameterValue", queue, name="living.fifo", FifoQueue="true", RedrivePolicy=policy(plain))
    url = queue("living.fifo", FifoQueue="true", ContentBasedDeduplication="true", VisibilityTimeout="0", RedrivePolicy=policy(dead))
    for body in ("poison", "good"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    assert [one["Body"] for one in receive(url)] == ["poison"]
    assert [one["Body"] for one in receive(url)] == ["good"]
    (letter,) = receive(dead, AttributeNames=["All"])
    assert letter["Body"] == "poison" and letter["Attributes"]["MessageGroupId"] == "g"


@case
def a_fair_queue_takes_groups():
    url = queue("fair")
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="tenant")
    sqs.send_message(QueueUrl=url, MessageBody="y", MessageGroupId="tenant")
    found = receive(url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"])
    assert [one["Attributes"] for one in found] == [{"MessageGroupId": "tenant"}] * 2
    assert len({one["ReceiptHandle"] for one in found}) == 2


@case
def a_purge_takes_everything():
    url = queue("purge")
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
    (held,) = receive(url)
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
    sqs.purge_queue(QueueUrl=url)
    assert counts(url) == (0, 0, 0)
    assert receive(url) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"])
    sqs.send_message(QueueUrl=url, MessageBody="after")
    assert drain(url) == ["after"]


@case
def tags_are_kept():
    url = sqs.create_queue(QueueName="tags", tags={"team": "red", "cost": "low"})["QueueUrl"]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "red", "cost": "low"}
    sqs.tag_queue(QueueUrl=url, Tags={"team": "blue", "x": ""})
    sqs.untag_queue(QueueUrl=url, TagKeys=["cost", "none"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "blue", "x": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["team", "x"])
    assert sqs.list_queue_tags(QueueUrl=url).get("Tags", {}) == {}


@case
def permissions_are_statements_of_the_policy():
    url = queue("permissions")
    sqs.add_permission(QueueUrl=url, Label="l", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    (statement,) = json.loads(policy)["Statement"]
    assert statement == {
        "Sid": "l",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": "SQS:SendMessage",
        "Resource": arn(url),
    }
    refused("InvalidParameterValue", sqs.add_permission, QueueUrl=url, Label="l", AWSAccountIds=["1"], Actions=["SendMessage"])
    refused("InvalidParameterValue", sqs.add_permission, QueueUrl=url, Label="m", AWSAccountIds=["1"], Actions=["Nonsense"])
    sqs.remove_permission(QueueUrl=url, Label="l")
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    refused("InvalidParameterValue", sqs.remove_permission, QueueUrl=url, Label="l")


@case
def the_resource_interface_works():
    resource = boto3.resource("sqs", **OPTIONS)
    made = resource.create_queue(QueueName="resource", Attributes={"DelaySeconds": "0"})
    assert resource.get_queue_by_name(QueueName="resource").url == made.url
    made.send_messages(Entries=[{"Id": str(n), "MessageBody": f"m{n}"} for n in range(3)])
    made.send_message(MessageBody="m3", MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}})
    found = []
    for message in made.receive_messages(MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=1):
        found.append((message.body, message.message_attributes))
        message.change_visibility(VisibilityTimeout=10)
        message.delete()
    assert found == [("m0", None), ("m1", None), ("m2", None), ("m3", {"k": {"StringValue": "v", "DataType": "String"}})], found
    made.reload()
    assert made.attributes["ApproximateNumberOfMessages"] == "0"
    assert "resource" in [one.url.rsplit("/", 1)[1] for one in resource.queues.filter(QueueNamePrefix="res")]
    made.purge()
    made.delete()


@case
def many_threads_share_a_queue():
    url = queue("shared", VisibilityTimeout="60")
    found, lock = [], threading.Lock()

    def produce(part):
        client = boto3.client("sqs", **OPTIONS)
        for n in range(10):
            entries = [{"Id": str(k), "MessageBody": f"{part}-{n}-{k}"} for k in range(10)]
            assert len(client.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10

    def consume():
        client = boto3.client("sqs", **OPTIONS)
        while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages"):
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            assert len(client.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == len(messages)
            with lock:
                found.extend(one["Body"] for one in messages)

    threads = [threading.Thread(target=produce, args=(part,)) for part in range(3)]
    threads += [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert sorted(found) == sorted(f"{part}-{n}-{k}" for part in range(3) for n in range(10) for k in range(10))
    assert counts(url) == (0, 0, 0)


def main():
    chosen = sys.argv[2:]
    for function in CASES:
        if chosen and function.__name__ not in chosen:
            continue
        start = time.monotonic()
        function()
        print(f"passed {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    print("all passed")


main()
