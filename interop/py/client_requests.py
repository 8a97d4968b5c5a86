"""Buyer: the official Python client on requests."""

from x402 import x402ClientSync
from x402.http.clients import x402_requests
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact import register_exact_evm_client

from purchase import ACCOUNT, BODY, HEADERS, METHOD, NETWORK, URL, report, report_error

payer = register_exact_evm_client(x402ClientSync(), EthAccountSigner(ACCOUNT), NETWORK)
with x402_requests(payer) as session:
    try:
        response = session.request(METHOD, URL, data=BODY, headers=HEADERS)
    except Exception as error:
        report_error(error)
    else:
        report(response)
