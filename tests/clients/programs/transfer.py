"""Upload all files of a directory, and download them into another, by s3transfer.

usage: transfer.py ENDPOINT SOURCE TARGET class|setting

With `class`, s3transfer runs on the peer's executor, whose native threads share
botocore's connections and s3transfer's locks. gevent's sockets cannot be shared so,
nor its locks: threads that wait for one may never wake up, whatever runs them. So
both are left unpatched.
With `setting`, all is patched, and s3transfer runs on the standard library's class.
"""

import sys

from gevent import monkey

way = sys.argv.pop()
if way == "class":
    monkey.patch_all(thread=False, queue=False, socket=False, ssl=False)
else:
    monkey.patch_all()
import os

import botocore.session
from peers import ThreadPoolExecutor
from s3transfer.manager import TransferConfig, TransferManager

endpoint, source, target = sys.argv[1:]
client = botocore.session.get_session().create_client(
    "s3",
    region_name="us-east-1",
    endpoint_url=endpoint,
    aws_access_key_id="key",
    aws_secret_access_key="secret",
    config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
)
config = TransferConfig(
    multipart_threshold=6 << 20, multipart_chunksize=5 << 20, max_request_concurrency=4
)
executor_cls = ThreadPoolExecutor if way == "class" else None
names = os.listdir(source)
with TransferManager(client, config, executor_cls=executor_cls) as manager:
    futures = [manager.upload(os.path.join(source, name), "bucket", name) for name in names]
    for future in futures:
        future.result()
    futures = [manager.download("bucket", name, os.path.join(target, name)) for name in names]
    for future in futures:
        future.result()
print("transferred", len(names))
