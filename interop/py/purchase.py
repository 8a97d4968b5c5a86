"""What every Python client here shares: the purchase that the environment describes, and the one line of
JSON that reports how it went. The variables are those of the JavaScript clients beside this folder."""

import base64
import hashlib
import json
import os
from urllib.parse import urljoin

from eth_account import Account
from x402.http import decode_payment_response_header

ACCOUNT = Account.from_key(os.environ["EVM_PRIVATE_KEY"])
URL = urljoin(os.environ["RESOURCE_SERVER_URL"], os.environ["ENDPOINT_PATH"])
METHOD = os.environ.get("REQUEST_METHOD") or "GET"
LENGTH = int(os.environ.get("REQUEST_BODY_BYTES") or 0)
BODY = json.dumps("x" * (LENGTH - 2)) if LENGTH else os.environ.get("REQUEST_BODY") or None
NETWORK = os.environ.get("EVM_NETWORK") or None
HEADERS = {"content-type": "application/json"} if BODY else {}
if LENGTH:
    # What a gate wants to see of a body that it does not read before it is paid for (RFC 9530).
    digest = base64.b64encode(hashlib.sha256(BODY.encode()).digest()).decode()
    HEADERS["content-digest"] = f"sha-256=:{digest}:"


def report(response) -> None:
    """Prints `{success, status_code, data, payment_response}` for a response of httpx or requests."""
    receipt = response.headers.get("payment-response")
    settled = json.loads(decode_payment_response_header(receipt).model_dump_json()) if receipt else None
    _print(
        success=200 <= response.status_code < 300 and (settled is None or settled["success"]),
        status_code=response.status_code,
        data=_decode(response.headers.get("content-type", ""), response.content),
        payment_response=settled,
    )


def report_error(error: Exception) -> None:
    """Prints the same line for a client that raised."""
    _print(success=False, status_code=None, data=None, payment_response=None, error=repr(error))


def _print(**line) -> None:
    print(json.dumps(line), flush=True)


def _decode(content_type: str, content: bytes):
    if content_type.startswith(("application/json", "application/problem+json")):
        return json.loads(content)
    if content_type.startswith("text/"):
        return content.decode()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
