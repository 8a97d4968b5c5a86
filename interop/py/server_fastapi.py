"""Seller: the official FastAPI middleware, with the handler counter of the JavaScript shop."""

import os
import socket

import uvicorn
from fastapi import FastAPI
from x402 import x402ResourceServer
from x402.http import CreateHeadersAuthProvider, FacilitatorConfig, HTTPFacilitatorClient
from x402.http.middleware.fastapi import payment_middleware
from x402.mechanisms.evm.exact import register_exact_evm_server

PAID_PATH = "/exact/evm/eip3009"
NETWORK = os.environ.get("EVM_NETWORK") or "eip155:84532"

TOKEN = os.environ.get("FACILITATOR_TOKEN")


def auth_headers() -> dict[str, dict[str, str]]:
    """What a facilitator wants to see that is not open to everybody, for each of its endpoints."""
    return dict.fromkeys(("verify", "settle", "supported"), {"Authorization": f"Bearer {TOKEN}"})


config = FacilitatorConfig(
    url=os.environ["FACILITATOR_URL"],
    auth_provider=CreateHeadersAuthProvider(auth_headers) if TOKEN else None,
)
facilitator = HTTPFacilitatorClient(config)
seller = register_exact_evm_server(x402ResourceServer(facilitator), NETWORK)
accepts = {
    "scheme": "exact",
    "price": "$0.001",
    "network": NETWORK,
    "payTo": os.environ["EVM_PAYEE_ADDRESS"],
}
app = FastAPI()
app.middleware("http")(payment_middleware({f"GET {PAID_PATH}": {"accepts": accepts}}, seller))
calls = 0


@app.get(PAID_PATH)
async def sell():
    global calls
    calls += 1
    return {"message": "protected endpoint accessed", "call": calls}


@app.get("/calls")
async def count():
    return {"calls": calls}


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.post("/close")
async def close():
    server.should_exit = True
    return {"message": "closing"}


listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
print(f"Server listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
server.run(sockets=[listener])
