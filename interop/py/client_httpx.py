"""Buyer: the official Python client on httpx, with that library's own default time-outs."""

import asyncio

from x402 import x402Client
from x402.http.clients import x402HttpxClient
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact import register_exact_evm_client

from purchase import ACCOUNT, BODY, HEADERS, METHOD, NETWORK, URL, report, report_error


async def buy() -> None:
    payer = register_exact_evm_client(x402Client(), EthAccountSigner(ACCOUNT), NETWORK)
    async with x402HttpxClient(payer) as client:
        try:
            response = await client.request(METHOD, URL, content=BODY, headers=HEADERS)
        except Exception as error:
            report_error(error)
        else:
            report(response)


asyncio.run(buy())
