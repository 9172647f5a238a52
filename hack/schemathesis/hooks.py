"""What schemathesis does differently for this API."""

import itertools
import re
import uuid

import schemathesis

VALID_KEY = re.compile(r"[!#-+\-.-:<-~]{1,255}")
KEYS = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Most requests with a key get one of their own.

    Schemathesis takes the same few texts again and again. Nearly everything would be refused, since the key was given to
    another request. Keys that are not valid stay as they are, and so does every eighth of the others.
    """
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    number = next(KEYS)
    if isinstance(key, str) and VALID_KEY.fullmatch(key) and number % 8:
        headers["Idempotency-Key"] = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
